/*
 * token.h
 *		What a token says: its text, its elements and members, its number.
 */
#ifndef CDC_TOKEN_H
#define CDC_TOKEN_H

#include "event/event.h"

extern char *cdc_decode_string(const CdcToken *token);

/*
 * The elements of a token of type CDC_TOKEN_ARRAY, in CurrentMemoryContext;
 * *nelems is set.  The members of an object: cdc_decode_members.
 */
extern CdcToken *cdc_decode_elements(const CdcToken *token, int *nelems);
extern CdcField *cdc_decode_members(const CdcToken *token, int *nmembers);
extern bool cdc_decode_integer(const CdcToken *token, int64 *result);

/* Is this the name of a field, the text of a token? */
#define cdc_decode_is(text, len, literal) \
	((len) == sizeof(literal) - 1 && memcmp((text), (literal), sizeof(literal) - 1) == 0)

#endif							/* CDC_TOKEN_H */
