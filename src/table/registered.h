/*
 * registered.h
 *		What cdcsync's triggers need to know of their table.
 */
#ifndef CDC_REGISTERED_H
#define CDC_REGISTERED_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "stored/table_rule.h"
#include "table/clock.h"
#include "table/key.h"

/* A registered table, or a partition of one, as a trigger on it meets it */
typedef struct CdcRegistered
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
} CdcRegistered;

/*
 * The rule of a table, or of the table it is a partition of; NULL if none is registered.
 * In CurrentMemoryContext.
 */
extern CdcTableRule *cdc_registered_rule(Oid relid);

/* NULL if neither the table nor a parent of it is registered */
extern CdcRegistered *cdc_registered_open(Relation rel);

/* For a trigger; NULL also if the row it meets is written for a peer */
extern CdcRegistered *cdc_registered_open_local(Relation rel);

/* The key's values of a row of that table; false if one is NULL */
extern bool cdc_registered_key(CdcRegistered *reg, HeapTuple tuple, TupleDesc desc,
							   Datum *values);

/* The table's quoted, qualified name, in CurrentMemoryContext */
extern char *cdc_registered_name(Relation rel);

/* Refuse to be called as anything but a row trigger */
extern void cdc_registered_check_trigger(FunctionCallInfo fcinfo, const char *function);

#endif							/* CDC_REGISTERED_H */
