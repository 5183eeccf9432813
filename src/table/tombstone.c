/*
 * tombstone.c
 *		Remembered deletes: read, raise.
 *
 * cdcsync.tombstone_data holds, for every key that was deleted, the version that
 * everybody will compute for that delete.  Remote deletes are written by apply, local
 * ones by the trigger here.  A key is found by a hash that agrees with its equality
 * and then compared, for the text of a key is no identity.  What happens per row is
 * done by direct access (tombstone_row.c), for a statement costs many times as much.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/session.h"
#include "table/registered_table.h"
#include "table/tombstone.h"
#include "table/tombstone_row.h"

/* Whether there is any tombstone at all is asked when so many keys had none, or had one */
#define MANY_READS 16

struct CdcTombstoneScan
{
	CdcKey	   *key;
	CdcClock	clock;
	CdcTombstoneTable table;
	CdcTombstoneLook look;
	int			nreads;
	bool		none;			/* of the whole table */
};

CdcTombstoneScan *
cdc_tombstone_scan_begin(CdcKey *key, CdcClock clock)
{
	CdcTombstoneScan *scan = palloc0(sizeof(CdcTombstoneScan));

	scan->key = key;
	scan->clock = clock;
	cdc_tombstone_table_open(&scan->table, AccessShareLock);
	cdc_tombstone_look_begin(&scan->look, &scan->table, key->relid);
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

	if (!cdc_tombstone_row_is_of(key, values, tuple, desc))
		return;
	version = cdc_tombstone_row_version(clock, tuple, desc);
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
		scan->none = !cdc_tombstone_look_finds_any(&scan->look, &scan->table);
	if (scan->none)
		return best;
	cdc_tombstone_look_for(&scan->look, cdc_key_hash(scan->key, values));
	while ((tuple = cdc_tombstone_look_next(&scan->look)) != NULL)
		consider(&best, scan->key, scan->clock, values, tuple, RelationGetDescr(scan->table.rel));
	return best;
}

void
cdc_tombstone_scan_end(CdcTombstoneScan *scan)
{
	cdc_tombstone_look_end(&scan->look);
	cdc_tombstone_table_close(&scan->table);
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
	CdcTombstoneTable table;
	CdcTombstoneLook look;

	if (nrows == 0)
		return;
	cdc_tombstone_table_open(&table, RowExclusiveLock);
	cdc_tombstone_look_begin(&look, &table, key->relid);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		cdc_tombstone_row_raise(&table, &look, key, clock, &rows[i]);
	}
	cdc_tombstone_look_end(&look);
	cdc_tombstone_table_close(&table);
	/* whoever looks next, also within the same statement, must see them */
	CommandCounterIncrement();
}

/*
 * The newest version that was pruned of a table; known is false if none was.
 * SPI is connected by the caller.
 */
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

	cdc_extension_execute(&horizon, args, NULL);
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
	CdcRegisteredTable *reg;
	CdcTombstoneRow row;
	Datum		key[INDEX_MAX_KEYS];
	Datum		version;
	bool		isnull;

	cdc_registered_table_check_trigger(fcinfo, "tombstone_trigger");
	reg = cdc_registered_table_open_local(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(NULL);

	desc = RelationGetDescr(trigdata->tg_relation);
	if (!cdc_registered_table_key(reg, trigdata->tg_trigtuple, desc, key))
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

	cdc_tombstone_raise(reg->key, reg->clock, &row, 1);
	PG_RETURN_POINTER(NULL);
}
