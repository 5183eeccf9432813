/*
 * registered_table.h
 *		What a backend keeps of a registered table: rule, key, clock, version column.
 */
#ifndef CDC_REGISTERED_TABLE_H
#define CDC_REGISTERED_TABLE_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "lib/ilist.h"

#include "stored/table_rule.h"
#include "table/clock.h"
#include "table/key.h"

/* A registered table as one relation shows it: the table itself, or a partition of it */
typedef struct CdcRegisteredTable
{
	dlist_node	node;			/* among all that this backend keeps */
	MemoryContext context;		/* of all of it */
	bool		valid;			/* false: something that it was made of has changed since */
	Oid			relid;			/* of that relation */
	List	   *partitions;		/* oids of others that it was made of */
	CdcTableRule *rule;			/* NULL: not registered, and nothing below is set */
	Oid			owner;			/* of the registered table */
	CdcKey	   *key;			/* likewise */
	AttrNumber	key_attnums[INDEX_MAX_KEYS];	/* of the key's columns, in relid */
	CdcClock	clock;
	char	   *version_column; /* NULL under the commit clock, like what follows */
	Oid			version_type;
	AttrNumber	version_attnum; /* in relid */
} CdcRegisteredTable;

/* Making one: begin, fill and what else there is to read, then keep, which may find it stale already */
extern uint64 cdc_registered_table_begin(void);
extern void cdc_registered_table_fill(CdcRegisteredTable *table, Relation rel, CdcTableRule *rule);
extern void cdc_registered_table_keep(CdcRegisteredTable *table, uint64 begun);
extern void cdc_registered_table_forget(CdcRegisteredTable *table);
extern void cdc_registered_table_reset(void);
pg_noreturn extern void cdc_registered_table_no_version(Oid relid, const char *column);

extern CdcTableRule *cdc_registered_table_rule(Oid relid);
extern CdcRegisteredTable *cdc_registered_table_open(Relation rel);

#endif							/* CDC_REGISTERED_TABLE_H */
