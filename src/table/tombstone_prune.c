/*
 * tombstone_prune.c
 *		Deletes that were remembered long enough are forgotten.
 *
 * What is forgotten of a table leaves the newest version of it behind, the horizon: an
 * older change of a key with neither row nor tombstone may be of a deleted one.
 *
 * The table is gone through a few blocks at a time, in its own order.  An index by time
 * would cost every delete an entry more, and a key that is deleted again could not be
 * updated in place.  Rows that somebody else is at stay for the next time.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/result.h"
#include "table/clock.h"
#include "table/tombstone.h"

#define BLOCKS_AT_ONCE 64		/* some thousands of tombstones */

/* The commit time of a local delete, as versions are stored */
#define COMMIT_VERSION \
	"(EXTRACT(epoch FROM pg_catalog.pg_xact_commit_timestamp(t.xmin)) " \
	"OPERATOR(pg_catalog.*) 1000000)"

#define BETWEEN_BLOCKS \
	"t.ctid OPERATOR(pg_catalog.>=) $1 AND t.ctid OPERATOR(pg_catalog.<) $2 "

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
		Datum		stored = cdc_result(0, "version", &isnull);

		version = cdc_clock_from_stored(clock, isnull ? stored :
										SPI_datumTransfer(stored, false, -1), isnull);
	}
	return version;
}

/* Commit times are forgotten in the end: those of local deletes are kept in the tombstones */
static void
keep_commit_times(Datum *blocks)
{
	static CdcStatement keep = {
		.sql = "UPDATE cdcsync.tombstone_data AS t SET version = " COMMIT_VERSION " "
		"WHERE t.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT t.ctid FROM cdcsync.tombstone_data AS t WHERE " BETWEEN_BLOCKS
		"AND t.version IS NULL AND pg_catalog.pg_xact_commit_timestamp(t.xmin) IS NOT NULL "
		"AND t.relation OPERATOR(pg_catalog.=) ANY ("
		"SELECT r.relation FROM cdcsync.table_rule AS r WHERE r.version_column IS NULL) "
		/* what a dump has brought waits for resume() */
		"AND EXISTS (SELECT FROM cdcsync.local_identity AS l WHERE l.xmin OPERATOR(pg_catalog.=) l.written_by) "
		"FOR UPDATE OF t SKIP LOCKED))",
		.nargs = 2,
		.argtypes = {TIDOID, TIDOID}
	};

	if (cdc_clock_has_commit_times())
		cdc_extension_execute(&keep, blocks, NULL);
}

/*
 * Versions of integer and numeric clocks do not grow with time: a key used again after
 * its tombstone is gone would start below it, so these stay.
 */
static int64
forget(Datum *blocks)
{
	static CdcStatement forget = {
		.sql = "WITH old AS (DELETE FROM cdcsync.tombstone_data AS d "
		"WHERE d.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT t.ctid FROM cdcsync.tombstone_data AS t WHERE " BETWEEN_BLOCKS
		"AND ($3 OPERATOR(pg_catalog.>=) 0 "
		"AND t.written_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) "
		"pg_catalog.make_interval(mins => $3)) "
		"AND t.relation OPERATOR(pg_catalog.=) ANY ("
		"SELECT r.relation FROM cdcsync.table_rule AS r "
		"LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) r.relation "
		"AND a.attname OPERATOR(pg_catalog.=) r.version_column WHERE r.version_column IS NULL "
		"OR a.atttypid OPERATOR(pg_catalog.=) ANY (ARRAY[1114, 1184]::pg_catalog.oid[])) "
		"OR NOT (t.relation OPERATOR(pg_catalog.=) ANY ("
		"SELECT r.relation FROM cdcsync.table_rule AS r JOIN pg_catalog.pg_class AS c "
		"ON c.oid OPERATOR(pg_catalog.=) r.relation))) "
		"FOR UPDATE OF t SKIP LOCKED)) "
		"RETURNING d.relation, d.version), "
		"horizon AS (INSERT INTO cdcsync.tombstone_horizon AS h (relation, version) "
		"SELECT o.relation, pg_catalog.max(o.version) FROM old AS o JOIN pg_catalog.pg_class AS c "
		"ON c.oid OPERATOR(pg_catalog.=) o.relation GROUP BY o.relation "
		"ON CONFLICT (relation) DO UPDATE SET version = GREATEST(h.version, excluded.version)) "
		"SELECT pg_catalog.count(*) AS n FROM old",
		.nargs = 3,
		.argtypes = {TIDOID, TIDOID, INT4OID}
	};
	Datum		args[3] = {blocks[0], blocks[1], Int32GetDatum(cdc_tombstone_retention)};

	cdc_extension_execute(&forget, args, NULL);
	return cdc_result_int8(0, "n", 0);
}

/*
 * Forget tombstones that were written longer ago than cdcsync.tombstone_retention, and
 * those of tables that are gone, in some blocks of their table from *next; and copy the
 * commit times of local deletes there.  Returns how many were forgotten; *next is where
 * to go on, 0 at the end.  SPI is connected by the caller.
 */
int64
cdc_tombstone_prune(BlockNumber *next)
{
	Relation	rel = table_open(cdc_extension_table("tombstone_data"), AccessShareLock);
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	ItemPointerData first;
	ItemPointerData end;
	Datum		blocks[2] = {PointerGetDatum(&first), PointerGetDatum(&end)};
	int64		pruned;

	table_close(rel, AccessShareLock);
	ItemPointerSet(&first, *next, 0);
	*next = nblocks - *next > BLOCKS_AT_ONCE ? *next + BLOCKS_AT_ONCE : nblocks;
	ItemPointerSet(&end, *next, 0);
	keep_commit_times(blocks);
	pruned = forget(blocks);
	if (*next >= nblocks)
		*next = 0;
	return pruned;
}

/* prune_tombstones(): by hand, all that is due */
PG_FUNCTION_INFO_V1(cdcsync_prune_tombstones);
Datum
cdcsync_prune_tombstones(PG_FUNCTION_ARGS)
{
	BlockNumber next = 0;
	int64		total = 0;

	SPI_connect();
	do
	{
		CHECK_FOR_INTERRUPTS();
		total += cdc_tombstone_prune(&next);
	} while (next > 0);
	SPI_finish();
	PG_RETURN_INT64(total);
}
