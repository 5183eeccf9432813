/*
 * decode_schema.h
 *		Connect schemas of JSON messages, and the cache of schema prefixes.
 */
#ifndef CDC_DECODE_SCHEMA_H
#define CDC_DECODE_SCHEMA_H

#include "event/event.h"

extern const CdcSchema *cdc_decode_schema_find(const char *text, int len, uint32 hint,
											   int *prefix_len);
extern const CdcSchema *cdc_decode_schema_add(const char *prefix, int prefix_len,
											  const CdcToken *schema, bool *kept);
extern const CdcSchema *cdc_decode_schema_field(const CdcSchema *schema, const char *name,
												int namelen);
extern const char *cdc_decode_schema_name(const CdcSchema *schema);

#endif							/* CDC_DECODE_SCHEMA_H */
