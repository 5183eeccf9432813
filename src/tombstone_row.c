/*
 * tombstone_row.c
 *		Rows of cdcsync.tombstone_data, found and written without a statement.
 *
 * The triggers come here for every row of a local writer.  What they do is what a
 * statement INSERT ... ON CONFLICT DO UPDATE would do where nobody else is at the same
 * key: insert speculatively, or update the row that is there.  Whatever else there may
 * be (somebody who is at the key, a transaction that must not see what it found, indexes
 * and triggers that are not cdcsync's) is left to the statement.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "session.h"
#include "tombstone_row.h"

/* A row to be stored */
typedef struct StoredRow
{
	Datum		values[Natts_tombstone];
	bool		nulls[Natts_tombstone];
} StoredRow;

/*
 * Deletes come in bulk: what the last one met, a tombstone of its key or none, is what
 * the next one expects.
 */
static bool expect_tombstone = false;

static void form_row(StoredRow *stored, CdcKey *key, CdcClock clock,
					 const CdcTombstoneRow *row);
static bool is_as_made(Relation rel);
static bool insert_new(const CdcTombstoneTable *table, StoredRow *stored);
static bool raise_old(const CdcTombstoneTable *table, CdcClock clock,
					  const CdcTombstoneRow *row, StoredRow *stored);
static HeapTuple find_old(CdcTombstoneLook *look, TupleDesc desc, Datum key);
static bool rises(CdcClock clock, const CdcTombstoneRow *row, HeapTuple old, TupleDesc desc);
static bool update_old(const CdcTombstoneTable *table, HeapTuple old, Snapshot snapshot,
				   StoredRow *stored);
static TupleTableSlot *make_slot(Relation rel, StoredRow *stored);

void
cdc_tombstone_table_open(CdcTombstoneTable *table, LOCKMODE lockmode)
{
	table->rel = table_open(cdc_catalog_table("tombstone_data"), lockmode);
	table->index = index_open(RelationGetPrimaryKeyIndex_compat(table->rel), lockmode);
	table->as_made = lockmode == RowExclusiveLock && is_as_made(table->rel);
}

/* Locks that are there already cost next to nothing: the next row will want them, too */
void
cdc_tombstone_table_close(CdcTombstoneTable *table)
{
	index_close(table->index, NoLock);
	table_close(table->rel, NoLock);
}

void
cdc_tombstone_look_begin(CdcTombstoneLook *look, const CdcTombstoneTable *table, Oid relid)
{
	look->snapshot = RegisterSnapshot(GetLatestSnapshot());
	look->slot = table_slot_create(table->rel, NULL);
	look->scan = index_beginscan_compat(table->rel, table->index, look->snapshot,
										lengthof(look->keys), 0);
	ScanKeyInit(&look->keys[0], Anum_tombstone_relation, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&look->keys[1], Anum_tombstone_key_hash, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(0));
}

void
cdc_tombstone_look_end(CdcTombstoneLook *look)
{
	index_endscan(look->scan);
	ExecDropSingleTupleTableSlot(look->slot);
	UnregisterSnapshot(look->snapshot);
}

void
cdc_tombstone_look_for(CdcTombstoneLook *look, int64 hash)
{
	look->keys[1].sk_argument = Int64GetDatum(hash);
	index_rescan(look->scan, look->keys, lengthof(look->keys), NULL, 0);
}

HeapTuple
cdc_tombstone_look_next(CdcTombstoneLook *look)
{
	bool		should_free;
	HeapTuple	tuple;

	if (!index_getnext_slot(look->scan, ForwardScanDirection, look->slot))
		return NULL;
	tuple = ExecFetchSlotHeapTuple(look->slot, false, &should_free);
	Assert(!should_free);
	return tuple;
}

/* Visible or not: to look for a visible one could mean to go by any number of others */
bool
cdc_tombstone_look_finds_any(const CdcTombstoneLook *look, const CdcTombstoneTable *table)
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
CdcVersion
cdc_tombstone_row_version(CdcClock clock, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_tombstone_version, desc, &isnull);
	RepOriginId writer;

	if (isnull && clock == CDC_CLOCK_COMMIT)
		return cdc_clock_of_commit(HeapTupleHeaderGetRawXmin(tuple->t_data), &writer);
	if (!isnull)
		datum = PointerGetDatum(PG_DETOAST_DATUM_COPY(datum));
	return cdc_clock_from_stored(clock, datum, isnull);
}

Datum
cdc_tombstone_row_column(CdcKey *key, CdcClock clock, const CdcTombstoneRow *row,
						 AttrNumber column, bool *isnull)
{
	switch (column)
	{
		case Anum_tombstone_key_hash:
			return Int64GetDatum(cdc_key_hash(key, row->key));
		case Anum_tombstone_key:
			return JsonbPGetDatum(cdc_key_to_jsonb(key, row->key));
		case Anum_tombstone_version:
			return cdc_clock_to_stored(clock, &row->version, isnull);
		default:
			return CStringGetTextDatum(row->peer);
	}
}

bool
cdc_tombstone_row_raise(const CdcTombstoneTable *table, CdcKey *key, CdcClock clock,
						const CdcTombstoneRow *row)
{
	StoredRow	stored;
	bool		done = false;

	if (!table->as_made)
		return false;
	form_row(&stored, key, clock, row);
	for (int tries = 0; tries < 2 && !done; tries++)
	{
		done = expect_tombstone ? raise_old(table, clock, row, &stored) :
			insert_new(table, &stored);
		if (!done)
			expect_tombstone = !expect_tombstone;
	}
	return done;
}

static void
form_row(StoredRow *stored, CdcKey *key, CdcClock clock, const CdcTombstoneRow *row)
{
	int			nestlevel = cdc_session_begin_texts();

	memset(stored->nulls, false, sizeof(stored->nulls));
	stored->values[Anum_tombstone_relation - 1] = ObjectIdGetDatum(key->relid);
	for (AttrNumber i = Anum_tombstone_key_hash; i <= Anum_tombstone_peer; i++)
		stored->values[i - 1] = cdc_tombstone_row_column(key, clock, row, i,
														 &stored->nulls[i - 1]);
	stored->values[Anum_tombstone_written_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	cdc_session_end_texts(nestlevel);
}

/* A superuser may have added an index, a trigger or a column; REINDEX CONCURRENTLY adds an index, too */
static bool
is_as_made(Relation rel)
{
	return RelationGetDescr(rel)->natts == Natts_tombstone && rel->trigdesc == NULL &&
		list_length(RelationGetIndexList(rel)) == 1;
}

/*
 * Until it is complete, others who come to this key wait for the insertion, not for the
 * transaction.  If there is a tombstone of the key, or may be, it is as if never inserted.
 */
static bool
insert_new(const CdcTombstoneTable *table, StoredRow *stored)
{
	TupleTableSlot *slot = make_slot(table->rel, stored);
	TransactionId xid = GetCurrentTransactionId();
	uint32		token = SpeculativeInsertionLockAcquire(xid);
	bool		unique;

	table_tuple_insert_speculative(table->rel, slot, GetCurrentCommandId(true), 0, NULL, token);
	unique = index_insert(table->index, stored->values, stored->nulls, &slot->tts_tid,
						  table->rel, UNIQUE_CHECK_PARTIAL, false, NULL);
	table_tuple_complete_speculative(table->rel, slot, token, unique);
	SpeculativeInsertionLockRelease(xid);
	ExecDropSingleTupleTableSlot(slot);
	return unique;
}

/* False where there is no tombstone of the key, or it is not for us to say which */
static bool
raise_old(const CdcTombstoneTable *table, CdcClock clock, const CdcTombstoneRow *row,
		  StoredRow *stored)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	CdcTombstoneLook look;
	HeapTuple	old;
	bool		done;

	if (IsolationUsesXactSnapshot())
		return false;
	cdc_tombstone_look_begin(&look, table, DatumGetObjectId(stored->values[0]));
	cdc_tombstone_look_for(&look, DatumGetInt64(stored->values[Anum_tombstone_key_hash - 1]));
	old = find_old(&look, desc, stored->values[Anum_tombstone_key - 1]);
	done = old != NULL && (!rises(clock, row, old, desc) ||
						   update_old(table, old, look.snapshot, stored));
	cdc_tombstone_look_end(&look);
	return done;
}

/* The row with this very key, as the primary key compares it */
static HeapTuple
find_old(CdcTombstoneLook *look, TupleDesc desc, Datum key)
{
	HeapTuple	tuple;

	while ((tuple = cdc_tombstone_look_next(look)) != NULL)
	{
		bool		isnull;
		Datum		stored = heap_getattr(tuple, Anum_tombstone_key, desc, &isnull);

		if (compareJsonbContainers(&DatumGetJsonbP(stored)->root, &DatumGetJsonbP(key)->root) == 0)
			break;
	}
	return tuple;
}

static bool
rises(CdcClock clock, const CdcTombstoneRow *row, HeapTuple old, TupleDesc desc)
{
	CdcVersion	version;

	/* a delete whose commit is still to come is later than all that are known */
	if (clock == CDC_CLOCK_COMMIT && !row->version.known)
		return true;
	version = cdc_tombstone_row_version(clock, old, desc);
	return cdc_clock_compare(&row->version, &version) > 0;
}

/* Does not wait for anybody */
static bool
update_old(const CdcTombstoneTable *table, HeapTuple old, Snapshot snapshot, StoredRow *stored)
{
	TupleTableSlot *slot = make_slot(table->rel, stored);
	TM_FailureData failure;
	LockTupleMode lockmode;
	TU_UpdateIndexes update_indexes;
	TM_Result	result;

	result = table_tuple_update(table->rel, &old->t_self, slot, GetCurrentCommandId(true),
								snapshot, InvalidSnapshot, false, &failure, &lockmode,
								&update_indexes);
	if (result == TM_Ok && cdc_updates_indexes(update_indexes))
		(void) index_insert(table->index, stored->values, stored->nulls, &slot->tts_tid,
							table->rel, UNIQUE_CHECK_YES, true, NULL);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

static TupleTableSlot *
make_slot(Relation rel, StoredRow *stored)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), stored->values, stored->nulls);

	return ExecStoreHeapTuple(tuple, slot, true);
}
