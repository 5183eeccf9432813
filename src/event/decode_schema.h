/*
 * decode_schema.h
 *		Connect schemas of JSON messages, and the cache of schema prefixes.
 */
#ifndef CDC_DECODE_SCHEMA_H
#define CDC_DECODE_SCHEMA_H

#include "event/event.h"

/*
 * If a message begins with a known prefix ({"schema":…,"payload":), the prefix's
 * schema; *prefix_len is where the payload begins.  Else NULL.  hint: messages with
 * the same one mostly have the same prefix.
 */
extern const CdcSchema *cdc_decode_schema_find(const char *text, int len, uint32 hint,
											   int *prefix_len);

/*
 * Parse a schema, and keep it under the prefix for the life of the process if the
 * cache has room: *kept says so.  Else it is in CurrentMemoryContext.
 */
extern const CdcSchema *cdc_decode_schema_add(const char *prefix, int prefix_len,
											  const CdcToken *schema, bool *kept);

/* The schema of a struct's field, or NULL if it has none of that name */
extern const CdcSchema *cdc_decode_schema_field(const CdcSchema *schema, const char *name,
												int namelen);

/* For errors: the semantic name, else Connect's name of the type */
extern const char *cdc_decode_schema_name(const CdcSchema *schema);

#endif							/* CDC_DECODE_SCHEMA_H */
