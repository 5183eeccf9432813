/*
 * json_format.h
 *		Messages of Kafka's JsonConverter.
 */
#ifndef CDC_JSON_FORMAT_H
#define CDC_JSON_FORMAT_H

#include "event/format.h"

extern const CdcFormat cdc_json_format;

#endif							/* CDC_JSON_FORMAT_H */
