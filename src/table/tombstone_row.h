/*
 * tombstone_row.h
 *		Rows of cdcsync.tombstone_data, found and written without a statement.
 */
#ifndef CDC_TOMBSTONE_ROW_H
#define CDC_TOMBSTONE_ROW_H

#include "access/genam.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"

#include "table/clock.h"
#include "table/key.h"

/* One delete to remember */
typedef struct CdcTombstoneRow
{
	const Datum *key;
	CdcVersion	version;
	const char *peer;
} CdcTombstoneRow;

/* Columns of cdcsync.tombstone_data; its index has the first two */
#define Anum_tombstone_relation		1
#define Anum_tombstone_key_hash		2
#define Anum_tombstone_key			3
#define Anum_tombstone_version		4
#define Anum_tombstone_peer			5
#define Anum_tombstone_written_at	6
#define Natts_tombstone				6

/* The table, and its index.  The locks stay until the transaction ends. */
typedef struct CdcTombstoneTable
{
	Relation	rel;
	Relation	index;
	bool		as_made;		/* by the extension: nobody has added anything */
} CdcTombstoneTable;

extern void cdc_tombstone_table_open(CdcTombstoneTable *table, LOCKMODE lockmode);
extern void cdc_tombstone_table_close(CdcTombstoneTable *table);

/* A look at a table's tombstones in one state: the newest committed one, and this transaction's */
typedef struct CdcTombstoneLook
{
	Snapshot	snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData keys[2];		/* relation, key_hash */
} CdcTombstoneLook;

extern void cdc_tombstone_look_begin(CdcTombstoneLook *look, const CdcTombstoneTable *table,
									 Oid relid);
extern void cdc_tombstone_look_end(CdcTombstoneLook *look);

/* From here on next gives all that have this hash, then NULL */
extern void cdc_tombstone_look_for(CdcTombstoneLook *look, int64 hash);
extern HeapTuple cdc_tombstone_look_next(CdcTombstoneLook *look);

/* Is there any of the table, be it one that cannot be seen? */
extern bool cdc_tombstone_look_finds_any(const CdcTombstoneLook *look,
										 const CdcTombstoneTable *table);

/* The version of a stored tombstone */
extern CdcVersion cdc_tombstone_row_version(CdcClock clock, HeapTuple tuple, TupleDesc desc);
extern bool cdc_tombstone_row_is_of(CdcKey *key, const Datum *values, HeapTuple tuple,
									TupleDesc desc);
extern void cdc_tombstone_row_raise(const CdcTombstoneTable *table, CdcTombstoneLook *look,
									CdcKey *key, CdcClock clock, const CdcTombstoneRow *row);

#endif							/* CDC_TOMBSTONE_ROW_H */
