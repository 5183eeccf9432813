/*
 * decode_json.h
 *		JSON text -> the two upper levels of its tree, as tokens.
 *
 * For decode.c and decode_schema.c; what others need is in decode.h.
 */
#ifndef CDC_DECODE_JSON_H
#define CDC_DECODE_JSON_H

#include "event/event.h"

#define CDC_HINT_CONVERTER \
	"Set key.converter and value.converter of the connector to " \
	"org.apache.kafka.connect.json.JsonConverter."

/*
 * A JSON document.  If its root is an object, members are its members, and
 * children the members of those members that are objects: of members[i], the
 * elements first_child[i] to first_child[i + 1] - 1 of children.
 */
typedef struct CdcJsonTree
{
	CdcTokenType root;
	int			nmembers;
	CdcField   *members;
	int		   *first_child;
	CdcField   *children;
} CdcJsonTree;

/*
 * Parse in one pass, into CurrentMemoryContext.  what names the text in errors;
 * if it is NULL, what is not JSON gives false instead.
 */
extern bool cdc_decode_tree(const char *text, int len, const char *what, CdcJsonTree *tree);
extern void cdc_decode_tree_free(CdcJsonTree *tree);
extern char *cdc_decode_excerpt(const char *text, int len);

#endif							/* CDC_DECODE_JSON_H */
