/*
 * registered_table.h
 *		What cdcsync's triggers need to know of their table.
 */
#ifndef CDC_REGISTERED_TABLE_H
#define CDC_REGISTERED_TABLE_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "stored/table_rule.h"
#include "table/clock.h"
#include "table/key.h"

/* A registered table, or a partition of one, as a trigger on it meets it */
typedef struct CdcRegisteredTable
{
	Oid			relid;			/* the table the trigger stands on: hash key */
	bool		valid;
	bool		registered;
	MemoryContext context;
	CdcKey	   *key;			/* of the registered table, the partitions' root */
	AttrNumber	key_attnums[INDEX_MAX_KEYS];	/* of the key's columns, here */
	CdcClock	clock;
	char	   *version_column; /* NULL under the commit clock, like what follows */
	Oid			version_type;
	AttrNumber	version_attnum; /* here */
} CdcRegisteredTable;

extern CdcTableRule *cdc_registered_table_rule(Oid relid);
extern CdcRegisteredTable *cdc_registered_table_open(Relation rel);
extern CdcRegisteredTable *cdc_registered_table_open_local(Relation rel);
extern bool cdc_registered_table_key(CdcRegisteredTable *reg, HeapTuple tuple, TupleDesc desc,
							   Datum *values);
extern void cdc_registered_table_check_trigger(FunctionCallInfo fcinfo, const char *function);

#endif							/* CDC_REGISTERED_TABLE_H */
