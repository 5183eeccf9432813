/*
 * value.h
 *		Token + Debezium schema or producer mode + local type -> Datum.
 */
#ifndef CDC_VALUE_H
#define CDC_VALUE_H

#include "event/event.h"
#include "event/producer.h"
#include "value/value_type.h"

extern void cdc_value_type_init(CdcValueType *vt, const char *column, Oid type,
								int32 typmod);
extern CdcValueStatus cdc_value_decode(const CdcToken *token,
									   const CdcSchema *schema,
									   const CdcProducer *producer,
									   CdcValueType *vt, Datum *value);
extern bool cdc_value_is_sent(Oid type);

#endif							/* CDC_VALUE_H */
