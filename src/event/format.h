/*
 * format.h
 *		A wire format: how the bytes of a key or a value become a tree of tokens.
 *
 * Key and value are each in the format of their converter.  decode.c has the list of
 * formats, and asks each whether it recognises the first bytes.
 */
#ifndef CDC_FORMAT_H
#define CDC_FORMAT_H

#include "event/event.h"

/* What mends most messages that cannot be read */
#define CDC_HINT_CONVERTER \
	"Set key.converter and value.converter of the connector to " \
	"org.apache.kafka.connect.json.JsonConverter."

/*
 * A document to the second level, where a change event has the rows' fields and those of
 * its source.  If its root is an object, members are its members, and children the members
 * of those members that are objects: of members[i], the elements first_child[i] to
 * first_child[i + 1] - 1 of children.
 */
typedef struct CdcTree
{
	CdcTokenType root;
	int			nmembers;
	CdcField   *members;
	int		   *first_child;
	CdcField   *children;
} CdcTree;

/* A key or value without its schema */
typedef struct CdcPayload
{
	const char *what;			/* for errors: "message key" or "message value" */
	const CdcSchema *schema;	/* NULL if it came without */
	bool		schema_kept;	/* at its address for the life of the process */
	CdcTree		tree;
} CdcPayload;

typedef struct CdcFormat
{
	bool		(*recognises) (const char *bytes, int len); /* the last one is not asked */

	/*
	 * Set schema, schema_kept and tree of the payload, whose what is set.  bytes are the
	 * message's key or value, of len > 0.  The tree is in CurrentMemoryContext.  Raises a
	 * data error for what cannot be read.
	 */
	void		(*open_payload) (const CdcMessage *message, const char *bytes, int len,
								 CdcPayload *payload);
} CdcFormat;

static inline void
cdc_tree_free(CdcTree *tree)
{
	if (tree->members != NULL)
		pfree(tree->members);
	if (tree->children != NULL)
		pfree(tree->children);
	pfree(tree->first_child);
}

#endif							/* CDC_FORMAT_H */
