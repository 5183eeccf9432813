/*
 * value.h
 *		Token + Debezium schema or producer mode + local type -> Datum.
 */
#ifndef CDC_VALUE_H
#define CDC_VALUE_H

#include "event/event.h"
#include "event/producer.h"
#include "value/value_type.h"

/*
 * Fill *vt for a local column (domains resolved); catalog access.  What it points to
 * is in CurrentMemoryContext; column is not copied.
 */
extern void cdc_value_type_init(CdcValueType *vt, const char *column, Oid type,
								int32 typmod);

/*
 * Convert one token.  The Datum is in CurrentMemoryContext.  Raises a data
 * error that names the column, the local type and the Debezium type or, for
 * JSON without schemas, the producer setting that is missing.
 */
extern CdcValueStatus cdc_value_decode(const CdcToken *token,
									   const CdcSchema *schema,
									   const CdcProducer *producer,
									   CdcValueType *vt, Datum *value);

/* false: no event ever has a column of this type, whatever the connector's settings */
extern bool cdc_value_is_sent(Oid type);

#endif							/* CDC_VALUE_H */
