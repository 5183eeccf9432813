/*
 * tombstone.c
 *		Remembered deletes: read and raised.
 *
 * cdcsync.tombstone_data holds, for every key that was deleted, the version that
 * everybody will compute for that delete.  Remote deletes are written by apply, local
 * ones by a trigger (trigger.c).
 *
 * A key is found by a hash that agrees with its equality and then compared, for the text
 * of a key is no identity.  Apply and the triggers come here for every row, so rows are
 * found and written by direct access: a statement costs many times as much.  What a
 * superuser adds to the table (an index, a trigger) is served by statements.
 *
 * Nobody waits for anybody: where somebody else is at a key's tombstone, whoever is second
 * adds one, and the newest counts.  So there is no deadlock over tombstones, and a key may
 * have several.
 *
 * Reading needs no rights, for cdcsync's own table is opened by its name; a stored key is
 * read by its type's input with the rights of the key's owner (key.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/session.h"
#include "table/tombstone.h"

/* Columns of cdcsync.tombstone_data; its index has the first two */
#define Anum_tombstone_relation		1
#define Anum_tombstone_key_hash		2
#define Anum_tombstone_key			3
#define Anum_tombstone_version		4
#define Anum_tombstone_peer			5
#define Anum_tombstone_written_at	6
#define Natts_tombstone				6

/* The table, and its index.  The locks stay until the transaction ends. */
typedef struct TombstoneTable
{
	Relation	rel;
	Relation	index;
	bool		as_made;		/* by the extension: nobody has added anything */
} TombstoneTable;

/* A look at a table's tombstones in one state: the newest committed one, and this transaction's */
typedef struct TombstoneLook
{
	Snapshot	snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData keys[2];		/* relation, key_hash */
} TombstoneLook;

/* A row to be stored */
typedef struct StoredRow
{
	Datum		values[Natts_tombstone];
	bool		nulls[Natts_tombstone];
} StoredRow;

/* Whether there is any tombstone at all is asked when so many keys had none, or had one */
#define MANY_READS 16

struct CdcTombstoneScan
{
	CdcKey	   *key;
	CdcClock	clock;
	TombstoneTable table;
	TombstoneLook look;
	int			nreads;
	bool		none;			/* of the whole table */
};

static void
open_table(TombstoneTable *table, LOCKMODE lockmode)
{
	table->rel = table_open(cdc_extension_table("tombstone_data"), lockmode);
	table->index = index_open(cdc_extension_table("tombstone_data_key"), lockmode);
	/* a superuser may have added an index, a trigger or a column; REINDEX CONCURRENTLY adds an index, too */
	table->as_made = lockmode == RowExclusiveLock &&
		RelationGetDescr(table->rel)->natts == Natts_tombstone && table->rel->trigdesc == NULL &&
		list_length(RelationGetIndexList(table->rel)) == 1;
}

/* Locks that are there already cost next to nothing: the next row will want them, too */
static void
close_table(TombstoneTable *table)
{
	index_close(table->index, NoLock);
	table_close(table->rel, NoLock);
}

/*
 * A serializable transaction would remember what it has looked at, pages that all tables
 * share, and fail for what others do to other keys.  What it meets here is committed or its
 * own, and no part of what it reads.  Without a snapshot a tombstone may slip by that is
 * replaced at this moment: the AFTER trigger looks again.
 */
static void
look_begin(TombstoneLook *look, const TombstoneTable *table, Oid relid)
{
	look->snapshot = IsolationIsSerializable() ? SnapshotSelf :
		RegisterSnapshot(GetLatestSnapshot());
	look->slot = table_slot_create(table->rel, NULL);
	look->scan = index_beginscan_compat(table->rel, table->index, look->snapshot,
										lengthof(look->keys), 0);
	ScanKeyInit(&look->keys[0], Anum_tombstone_relation, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&look->keys[1], Anum_tombstone_key_hash, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(0));
}

static void
look_end(TombstoneLook *look)
{
	index_endscan(look->scan);
	ExecDropSingleTupleTableSlot(look->slot);
	if (IsMVCCSnapshot(look->snapshot))
		UnregisterSnapshot(look->snapshot);
}

/* From here on next gives all that have this hash, then NULL */
static void
look_for(TombstoneLook *look, int64 hash)
{
	look->keys[1].sk_argument = Int64GetDatum(hash);
	index_rescan(look->scan, look->keys, lengthof(look->keys), NULL, 0);
}

static HeapTuple
look_next(TombstoneLook *look)
{
	bool		should_free;
	HeapTuple	tuple;

	if (!index_getnext_slot(look->scan, ForwardScanDirection, look->slot))
		return NULL;
	tuple = ExecFetchSlotHeapTuple(look->slot, false, &should_free);
	Assert(!should_free);
	return tuple;
}

/* Is there any of the table?  Visible or not: to look for a visible one could mean to go by any number of others */
static bool
finds_any(const TombstoneLook *look, const TombstoneTable *table)
{
	ScanKeyData relation = look->keys[0];
	IndexScanDesc scan = index_beginscan_compat(table->rel, table->index, SnapshotAny, 1, 0);
	bool		any;

	index_rescan(scan, &relation, 1, NULL, 0);
	any = index_getnext_slot(scan, ForwardScanDirection, look->slot);
	index_endscan(scan);
	return any;
}

/* A local delete under the commit clock has the time of its transaction, also when VACUUM has frozen the row */
static CdcVersion
row_version(CdcClock clock, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_tombstone_version, desc, &isnull);
	ReplOriginId writer;

	if (isnull && clock == CDC_CLOCK_COMMIT)
		return cdc_clock_of_commit(HeapTupleHeaderGetRawXmin(tuple->t_data), &writer);
	if (!isnull)
		datum = PointerGetDatum(PG_DETOAST_DATUM_COPY(datum));
	return cdc_clock_from_stored(clock, datum, isnull);
}

/* Is a stored tombstone of this key, by the equality of the key's index? */
static bool
row_is_of(CdcKey *key, const Datum *values, HeapTuple tuple, TupleDesc desc)
{
	Datum		stored[INDEX_MAX_KEYS];
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_tombstone_key, desc, &isnull);

	return cdc_key_from_jsonb(key, DatumGetJsonbP(datum), stored) &&
		cdc_key_compare(key, stored, values) == 0;
}

/* All columns; under the commit clock the version of a local delete is NULL until it is pruned */
static void
form_row(StoredRow *stored, CdcKey *key, CdcClock clock, const CdcTombstoneRow *row)
{
	memset(stored->nulls, false, sizeof(stored->nulls));
	stored->values[Anum_tombstone_relation - 1] = ObjectIdGetDatum(key->relid);
	stored->values[Anum_tombstone_key_hash - 1] = Int64GetDatum(cdc_key_hash(key, row->key));
	stored->values[Anum_tombstone_key - 1] = JsonbPGetDatum(cdc_key_to_jsonb(key, row->key));
	stored->values[Anum_tombstone_version - 1] =
		cdc_clock_to_stored(clock, &row->version, &stored->nulls[Anum_tombstone_version - 1]);
	stored->values[Anum_tombstone_peer - 1] = CStringGetTextDatum(row->peer);
	stored->values[Anum_tombstone_written_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
}

/* The key's, by its text or by its index's equality; of several any, as the newest counts */
static HeapTuple
find_old(TombstoneLook *look, CdcKey *key, const CdcTombstoneRow *row,
		 const StoredRow *stored, TupleDesc desc)
{
	Jsonb	   *text = DatumGetJsonbP(stored->values[Anum_tombstone_key - 1]);
	HeapTuple	tuple;

	look_for(look, DatumGetInt64(stored->values[Anum_tombstone_key_hash - 1]));
	while ((tuple = look_next(look)) != NULL)
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_tombstone_key, desc, &isnull);

		if (compareJsonbContainers(&DatumGetJsonbP(datum)->root, &text->root) == 0 ||
			row_is_of(key, row->key, tuple, desc))
			break;
	}
	return tuple;
}

/* A tombstone never goes back: two that are applied in another order leave the newer */
static bool
rises(CdcClock clock, const CdcTombstoneRow *row, HeapTuple old, TupleDesc desc)
{
	CdcVersion	version;

	/* a delete whose commit is still to come is later than all that are known */
	if (clock == CDC_CLOCK_COMMIT && !row->version.known)
		return true;
	version = row_version(clock, old, desc);
	return cdc_clock_compare(&row->version, &version) > 0;
}

/* Where a superuser has added something, which only a statement serves */
static void
write_by_statement(HeapTuple old, const StoredRow *stored)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.tombstone_data SET key_hash = $2, key = $3, version = $4, "
		"peer = $5, written_at = $6 WHERE ctid OPERATOR(pg_catalog.=) $7 "
		"AND relation OPERATOR(pg_catalog.=) $1",
		.nargs = Natts_tombstone + 1,
		.argtypes = {OIDOID, INT8OID, JSONBOID, NUMERICOID, TEXTOID, TIMESTAMPTZOID, TIDOID}
	};
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.tombstone_data (relation, key_hash, key, version, peer, "
		"written_at) VALUES ($1, $2, $3, $4, $5, $6)",
		.nargs = Natts_tombstone,
		.argtypes = {OIDOID, INT8OID, JSONBOID, NUMERICOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[Natts_tombstone + 1];
	char		nulls[Natts_tombstone + 2] = {0};

	for (int i = 0; i < Natts_tombstone; i++)
	{
		args[i] = stored->values[i];
		nulls[i] = stored->nulls[i] ? 'n' : ' ';
	}
	nulls[Natts_tombstone] = ' ';
	SPI_connect();
	SPI_processed = 0;
	if (old != NULL)
	{
		args[Natts_tombstone] = PointerGetDatum(&old->t_self);
		cdc_extension_execute(&update, args, nulls);
	}
	if (SPI_processed == 0)
		cdc_extension_execute(&insert, args, nulls);
	SPI_finish();
}

/* Freed with the slot */
static TupleTableSlot *
make_slot(Relation rel, StoredRow *stored)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), stored->values, stored->nulls);

	return ExecStoreHeapTuple(tuple, slot, true);
}

/* The only index, which is not unique: there is nothing to wait for */
static void
enter_into_index(const TombstoneTable *table, TupleTableSlot *slot, StoredRow *stored,
				 bool unchanged)
{
	(void) index_insert(table->index, stored->values, stored->nulls, &slot->tts_tid, table->rel,
						UNIQUE_CHECK_NO, unchanged, NULL);
}

/* Does not wait for anybody: false where somebody else is at it */
static bool
update_old(const TombstoneTable *table, HeapTuple old, Snapshot snapshot, StoredRow *stored)
{
	TupleTableSlot *slot = make_slot(table->rel, stored);
	TM_FailureData failure;
	LockTupleMode lockmode;
	TU_UpdateIndexes update_indexes;
	TM_Result	result;

	result = table_tuple_update_compat(table->rel, &old->t_self, slot, GetCurrentCommandId(true),
									   snapshot, InvalidSnapshot, false, &failure, &lockmode,
									   &update_indexes);
	if (result == TM_Ok && cdc_updates_indexes(update_indexes))
		enter_into_index(table, slot, stored, true);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

/*
 * Remember one delete, by the rules of cdc_tombstone_raise.  The caller makes it
 * visible (CommandCounterIncrement).
 */
static void
raise_one(const TombstoneTable *table, TombstoneLook *look, CdcKey *key,
						CdcClock clock, const CdcTombstoneRow *row)
{
	int			nestlevel = cdc_session_begin_texts();
	StoredRow	stored;
	HeapTuple	old;

	form_row(&stored, key, clock, row);
	old = find_old(look, key, row, &stored, RelationGetDescr(table->rel));
	if (old == NULL || rises(clock, row, old, RelationGetDescr(table->rel)))
	{
		if (!table->as_made)
			write_by_statement(old, &stored);
		else if (old == NULL || !update_old(table, old, look->snapshot, &stored))
		{
			/* it may be the second of its key */
			TupleTableSlot *slot = make_slot(table->rel, &stored);

			table_tuple_insert(table->rel, slot, GetCurrentCommandId(true), 0, NULL);
			enter_into_index(table, slot, &stored, false);
			ExecDropSingleTupleTableSlot(slot);
		}
	}
	cdc_session_end_texts(nestlevel);
}

CdcTombstoneScan *
cdc_tombstone_scan_begin(CdcKey *key, CdcClock clock)
{
	CdcTombstoneScan *scan = palloc0(sizeof(CdcTombstoneScan));

	scan->key = key;
	scan->clock = clock;
	open_table(&scan->table, AccessShareLock);
	look_begin(&scan->look, &scan->table, key->relid);
	return scan;
}

/* A tombstone with the same hash: take it if it is of this key and the newest so far */
static void
consider(CdcTombstone *best, CdcKey *key, CdcClock clock, const Datum *values,
		 HeapTuple tuple, TupleDesc desc)
{
	Datum		peer;
	CdcVersion	version;
	bool		isnull;

	if (!row_is_of(key, values, tuple, desc))
		return;
	version = row_version(clock, tuple, desc);
	if (best->found && cdc_clock_compare(&version, &best->version) <= 0)
		return;
	best->found = true;
	best->version = version;
	peer = heap_getattr(tuple, Anum_tombstone_peer, desc, &isnull);
	best->peer = isnull ? NULL : TextDatumGetCString(peer);
}

CdcTombstone
cdc_tombstone_scan_read(CdcTombstoneScan *scan, const Datum *values)
{
	CdcTombstone best = {0};
	HeapTuple	tuple;

	if (++scan->nreads == MANY_READS)
		scan->none = !finds_any(&scan->look, &scan->table);
	if (scan->none)
		return best;
	look_for(&scan->look, cdc_key_hash(scan->key, values));
	while ((tuple = look_next(&scan->look)) != NULL)
		consider(&best, scan->key, scan->clock, values, tuple, RelationGetDescr(scan->table.rel));
	return best;
}

void
cdc_tombstone_scan_end(CdcTombstoneScan *scan)
{
	look_end(&scan->look);
	close_table(&scan->table);
	pfree(scan);
}

/*
 * The newest tombstone of a key, as the newest committed state (and this transaction)
 * has it.  Its memory is CurrentMemoryContext.
 */
CdcTombstone
cdc_tombstone_read(CdcKey *key, CdcClock clock, const Datum *values)
{
	CdcTombstoneScan *scan = cdc_tombstone_scan_begin(key, clock);
	CdcTombstone tombstone = cdc_tombstone_scan_read(scan, values);

	cdc_tombstone_scan_end(scan);
	return tombstone;
}

/*
 * Remember deletes; a newer tombstone that is there already stays.  The keys of one
 * call are distinct.
 */
void
cdc_tombstone_raise(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows, int nrows)
{
	TombstoneTable table;
	TombstoneLook look;

	if (nrows == 0)
		return;
	open_table(&table, RowExclusiveLock);
	look_begin(&look, &table, key->relid);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		raise_one(&table, &look, key, clock, &rows[i]);
	}
	look_end(&look);
	close_table(&table);
	/* whoever looks next, also within the same statement, must see them */
	CommandCounterIncrement();
}
