/*
 * register_ddl.h
 *		Commands that change registered tables.
 */
#ifndef CDC_REGISTER_DDL_H
#define CDC_REGISTER_DDL_H

#include "nodes/pg_list.h"

#include "table/objection.h"

/* What a command can do to a registered table, as far as it matters here */
typedef struct CdcDdl
{
	bool		adds;			/* it may make a table one that add_table would refuse */
	bool		sets_identity;	/* REPLICA IDENTITY, by name */
	bool		attaches;		/* a partition */
	bool		names;			/* a table, anew */
	const char *removes;		/* rows without deleting them: as unsent.h calls it */
	CdcObjectionKind objection; /* that there was to the table before */
} CdcDdl;

/* Before a command; nothing is locked when it returns */
extern CdcDdl cdc_register_ddl_begin(Node *stmt);

/*
 * After it, with the relations that it changed: gives partitions what add_table gave
 * their table, warns of what other nodes will not know, and raises an error if the table
 * may not be so.
 */
extern void cdc_register_ddl_end(const CdcDdl *ddl, const List *altered);

#endif							/* CDC_REGISTER_DDL_H */
