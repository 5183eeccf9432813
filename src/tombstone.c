/*
 * tombstone.c
 *		Remembered deletes: read, raise, prune.
 *
 * cdcsync.tombstone_data holds, for every key that was deleted, the version that
 * everybody will compute for that delete.  Remote deletes are written by apply, local
 * ones by the trigger here.  A key is found by a hash that agrees with its equality
 * and then compared, for the text of a key is no identity.
 *
 * Pruning forgets tombstones that were written here long enough ago, and remembers per
 * table the newest version forgotten, the horizon: an older change of a key with
 * neither row nor tombstone may be of a deleted one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "compat.h"
#include "guc.h"
#include "registered.h"
#include "session.h"
#include "tombstone.h"

/* Columns of cdcsync.tombstone_data */
#define Anum_tombstone_relation		1
#define Anum_tombstone_key_hash		2
#define Anum_tombstone_key			3
#define Anum_tombstone_version		4
#define Anum_tombstone_peer			5

/* The version of a local delete under the commit clock, as the others are stored */
#define COMMIT_VERSION \
	"(EXTRACT(epoch FROM pg_catalog.pg_xact_commit_timestamp(t.xmin)) " \
	"OPERATOR(pg_catalog.*) 1000000)"

struct CdcTombstoneScan
{
	CdcKey	   *key;
	CdcClock	clock;
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	Snapshot	snapshot;
	IndexScanDesc scan;
	ScanKeyData keys[2];
};

static void consider(CdcTombstone *best, CdcKey *key, CdcClock clock, const Datum *values,
					 HeapTuple tuple, TupleDesc desc);
static void keep_commit_times(void);
static CdcVersion stored_version(CdcClock clock, HeapTuple tuple, TupleDesc desc);
static Datum *stored_column(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows,
							int nrows, int column, bool *nulls);

CdcTombstoneScan *
cdc_tombstone_scan_begin(CdcKey *key, CdcClock clock)
{
	CdcTombstoneScan *scan = palloc(sizeof(CdcTombstoneScan));
	Oid			schema = get_namespace_oid("cdcsync", false);

	scan->key = key;
	scan->clock = clock;
	scan->rel = table_open(get_relname_relid("tombstone_data", schema), AccessShareLock);
	scan->index = index_open(RelationGetPrimaryKeyIndex_compat(scan->rel), AccessShareLock);
	scan->slot = table_slot_create(scan->rel, NULL);
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->scan = index_beginscan_compat(scan->rel, scan->index, scan->snapshot,
										lengthof(scan->keys), 0);
	ScanKeyInit(&scan->keys[0], Anum_tombstone_relation, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key->relid));
	ScanKeyInit(&scan->keys[1], Anum_tombstone_key_hash, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(0));
	return scan;
}

CdcTombstone
cdc_tombstone_scan_read(CdcTombstoneScan *scan, const Datum *values)
{
	CdcTombstone best = {0};

	scan->keys[1].sk_argument = Int64GetDatum(cdc_key_hash(scan->key, values));
	index_rescan(scan->scan, scan->keys, lengthof(scan->keys), NULL, 0);
	while (index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
	{
		bool		should_free;
		HeapTuple	tuple = ExecFetchSlotHeapTuple(scan->slot, false, &should_free);

		consider(&best, scan->key, scan->clock, values, tuple, RelationGetDescr(scan->rel));
		Assert(!should_free);
	}
	return best;
}

void
cdc_tombstone_scan_end(CdcTombstoneScan *scan)
{
	index_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, AccessShareLock);
	table_close(scan->rel, AccessShareLock);
	pfree(scan);
}

CdcTombstone
cdc_tombstone_read(CdcKey *key, CdcClock clock, const Datum *values)
{
	CdcTombstoneScan *scan = cdc_tombstone_scan_begin(key, clock);
	CdcTombstone tombstone = cdc_tombstone_scan_read(scan, values);

	cdc_tombstone_scan_end(scan);
	return tombstone;
}

/* A tombstone with the same hash: take it if it is of this key and the newest so far */
static void
consider(CdcTombstone *best, CdcKey *key, CdcClock clock, const Datum *values,
		 HeapTuple tuple, TupleDesc desc)
{
	Datum		stored_key[INDEX_MAX_KEYS];
	Datum		datum;
	CdcVersion	version;
	bool		isnull;

	datum = heap_getattr(tuple, Anum_tombstone_key, desc, &isnull);
	cdc_key_from_jsonb(key, DatumGetJsonbP(datum), stored_key);
	if (cdc_key_compare(key, stored_key, values) != 0)
		return;
	version = stored_version(clock, tuple, desc);
	if (best->found && cdc_clock_compare(&version, &best->version) <= 0)
		return;
	best->found = true;
	best->version = version;
	datum = heap_getattr(tuple, Anum_tombstone_peer, desc, &isnull);
	best->peer = isnull ? NULL : TextDatumGetCString(datum);
}

/* A local delete under the commit clock has the time of its transaction, also when VACUUM has frozen the row */
static CdcVersion
stored_version(CdcClock clock, HeapTuple tuple, TupleDesc desc)
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

void
cdc_tombstone_raise(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows, int nrows)
{
	static CdcStatement raise = {
		.sql =
		"INSERT INTO cdcsync.tombstone_data AS t (relation, key_hash, key, version, peer) "
		"SELECT $1, n.key_hash, n.key, n.version, n.peer "
		"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), "
		"pg_catalog.unnest($4), pg_catalog.unnest($5)) AS n (key_hash, key, version, peer) "
		"ON CONFLICT (relation, key_hash, key) DO UPDATE "
		"SET version = excluded.version, peer = excluded.peer, "
		"written_at = excluded.written_at "
		"WHERE excluded.version IS NULL AND $6 OR excluded.version OPERATOR(pg_catalog.>) "
		"COALESCE(t.version, CASE WHEN $6 THEN " COMMIT_VERSION " END, '-Infinity')",
		.nargs = 6,
		.argtypes = {OIDOID, INT8ARRAYOID, JSONBARRAYOID, NUMERICARRAYOID, TEXTARRAYOID, BOOLOID}
	};
	static const Oid types[] = {INT8OID, JSONBOID, NUMERICOID, TEXTOID};
	Datum		args[6];
	int			nestlevel;

	if (nrows == 0)
		return;
	nestlevel = cdc_session_begin_texts();
	args[0] = ObjectIdGetDatum(key->relid);
	for (int i = 0; i < lengthof(types); i++)
	{
		bool	   *nulls = palloc0(sizeof(bool) * nrows);
		Datum	   *values = stored_column(key, clock, rows, nrows, i, nulls);

		args[i + 1] = cdc_catalog_array(values, nulls, nrows, types[i]);
	}
	cdc_session_end_texts(nestlevel);
	args[5] = BoolGetDatum(clock == CDC_CLOCK_COMMIT);
	cdc_catalog_execute(&raise, args, NULL);
}

/* One column of the rows to store, in the order of cdc_tombstone_raise's types */
static Datum *
stored_column(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows, int nrows,
			  int column, bool *nulls)
{
	Datum	   *values = palloc(sizeof(Datum) * nrows);

	for (int i = 0; i < nrows; i++)
	{
		switch (column)
		{
			case 0:
				values[i] = Int64GetDatum(cdc_key_hash(key, rows[i].key));
				break;
			case 1:
				values[i] = JsonbPGetDatum(cdc_key_to_jsonb(key, rows[i].key));
				break;
			case 2:
				values[i] = cdc_clock_to_stored(clock, &rows[i].version, &nulls[i]);
				break;
			default:
				values[i] = CStringGetTextDatum(rows[i].peer);
				break;
		}
	}
	return values;
}

CdcVersion
cdc_tombstone_horizon(Oid relid, CdcClock clock)
{
	static CdcStatement horizon = {
		.sql = "SELECT version FROM cdcsync.tombstone_horizon "
		"WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		args[1] = {ObjectIdGetDatum(relid)};
	CdcVersion	version = {0};

	cdc_catalog_execute(&horizon, args, NULL);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		stored = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										   &isnull);

		version = cdc_clock_from_stored(clock, isnull ? stored :
										SPI_datumTransfer(stored, false, -1), isnull);
	}
	return version;
}

/* Commit times are forgotten in the end: keep those of local deletes */
static void
keep_commit_times(void)
{
	static CdcStatement keep = {
		.sql = "UPDATE cdcsync.tombstone_data AS t SET version = " COMMIT_VERSION " "
		"FROM cdcsync.table_rule AS r WHERE r.relation OPERATOR(pg_catalog.=) t.relation "
		"AND r.version_column IS NULL AND t.version IS NULL"
	};

	if (cdc_clock_has_commit_times())
		cdc_catalog_execute(&keep, NULL, NULL);
}

int64
cdc_tombstone_prune(void)
{
	/*
	 * Versions of integer and numeric clocks do not grow with time: a key used again
	 * after its tombstone is gone would start below it, so these stay.
	 */
	static CdcStatement prune = {
		.sql =
		"WITH old AS (DELETE FROM cdcsync.tombstone_data AS d USING ("
		"  SELECT t.relation, t.key_hash, t.key FROM cdcsync.tombstone_data AS t"
		"  LEFT JOIN cdcsync.table_rule AS r ON r.relation OPERATOR(pg_catalog.=) t.relation"
		"  LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relation"
		"  LEFT JOIN pg_catalog.pg_attribute AS a"
		"    ON a.attrelid OPERATOR(pg_catalog.=) r.relation"
		"   AND a.attname OPERATOR(pg_catalog.=) r.version_column"
		"  WHERE c.oid IS NULL OR ($1 OPERATOR(pg_catalog.>=) 0"
		"   AND (r.version_column IS NULL"
		"     OR a.atttypid OPERATOR(pg_catalog.=) ANY (ARRAY[1114, 1184]::pg_catalog.oid[]))"
		"   AND t.written_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-)"
		"       pg_catalog.make_interval(mins => $1)))"
		"  LIMIT " CppAsString2(CDC_PRUNE_AT_ONCE) ") AS o"
		"  WHERE d.relation OPERATOR(pg_catalog.=) o.relation"
		"    AND d.key_hash OPERATOR(pg_catalog.=) o.key_hash"
		"    AND d.key OPERATOR(pg_catalog.=) o.key"
		"  RETURNING d.relation, d.version), "
		"horizon AS (INSERT INTO cdcsync.tombstone_horizon AS h (relation, version)"
		"  SELECT o.relation, pg_catalog.max(o.version) FROM old AS o JOIN pg_catalog.pg_class AS c"
		"    ON c.oid OPERATOR(pg_catalog.=) o.relation GROUP BY o.relation"
		"  ON CONFLICT (relation) DO UPDATE SET version ="
		"    GREATEST(h.version, excluded.version)) "
		"SELECT pg_catalog.count(*) FROM old",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	Datum		args[1] = {Int32GetDatum(cdc_tombstone_retention)};
	bool		isnull;

	keep_commit_times();
	cdc_catalog_execute(&prune, args, NULL);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
									   &isnull));
}

/*
 * AFTER DELETE, AFTER UPDATE of the key, each row: remembers a local delete with the
 * version of the row that went.
 */
PG_FUNCTION_INFO_V1(cdcsync_tombstone_trigger);
Datum
cdcsync_tombstone_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	CdcRegistered *reg;
	CdcTombstoneRow row;
	Datum		key[INDEX_MAX_KEYS];
	Datum		version;
	bool		isnull;

	cdc_registered_check_trigger(fcinfo, "tombstone_trigger");
	reg = cdc_session_applying ? NULL : cdc_registered_open(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(NULL);

	desc = RelationGetDescr(trigdata->tg_relation);
	if (!cdc_registered_key(reg, trigdata->tg_trigtuple, desc, key))
		PG_RETURN_POINTER(NULL);
	row.key = key;
	row.version = (CdcVersion){0};	/* the commit clock's is known when we have committed */
	row.peer = cdc_node_name;
	if (reg->clock != CDC_CLOCK_COMMIT)
	{
		version = heap_getattr(trigdata->tg_trigtuple, reg->version_attnum, desc, &isnull);
		row.version = cdc_clock_read(reg->clock, version, isnull);
		row.version.deleted = true;
	}

	SPI_connect();
	cdc_tombstone_raise(reg->key, reg->clock, &row, 1);
	SPI_finish();
	PG_RETURN_POINTER(NULL);
}

/* prune_tombstones(): by hand, all that is due */
PG_FUNCTION_INFO_V1(cdcsync_prune_tombstones);
Datum
cdcsync_prune_tombstones(PG_FUNCTION_ARGS)
{
	int64		total = 0;
	int64		pruned;

	SPI_connect();
	do
	{
		pruned = cdc_tombstone_prune();
		total += pruned;
	} while (pruned == CDC_PRUNE_AT_ONCE);
	SPI_finish();
	PG_RETURN_INT64(total);
}
