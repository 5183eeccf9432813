/*
 * conflict_limit.c
 *		How many records of conflicts there may be of a table.
 *
 * Who may write to a topic can make as many as he likes, and the worker forgets what is old
 * only now and then.  So who writes records looks after them: beyond cdcsync.max_conflicts
 * the oldest of the table go, a tenth at a time.  How many there are is counted only when
 * that may have been reached.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/extension.h"
#include "base/guc.h"
#include "stored/conflict_limit.h"

/* Records that one transaction forgets besides as many as it has written */
#define FORGET_AT_ONCE (10 * CDC_PRUNE_AT_ONCE)

/* At most so many are there; a transaction that is undone leaves it too high, which does no harm */
typedef struct Estimate
{
	Oid			relid;
	int64		nrecords;
} Estimate;

static HTAB *estimates = NULL;

static Estimate *
find_estimate(Oid relid)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Estimate),.hcxt = TopMemoryContext};
	Estimate   *e;
	bool		found;

	if (estimates == NULL)
		estimates = hash_create("cdcsync records of conflicts", 16, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	e = hash_search(estimates, &relid, HASH_ENTER, &found);
	if (!found)
		e->nrecords = PG_INT32_MAX;	/* not counted yet */
	return e;
}

/* As far as it matters */
static int64
count(Oid relid, int64 bound)
{
	static CdcStatement select = {
		.sql = "SELECT pg_catalog.count(*) FROM (SELECT FROM cdcsync.conflict_data AS c "
		"WHERE c.relation OPERATOR(pg_catalog.=) $1 LIMIT $2) AS n",
		.nargs = 2,
		.argtypes = {OIDOID, INT8OID}
	};
	Datum		args[2] = {ObjectIdGetDatum(relid), Int64GetDatum(bound)};
	bool		isnull;

	cdc_extension_execute(&select, args, NULL);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static int64
forget(Oid relid, int64 n)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.conflict_data AS d WHERE d.id OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT c.id FROM cdcsync.conflict_data AS c WHERE c.relation OPERATOR(pg_catalog.=) $1 "
		"ORDER BY c.id LIMIT $2 FOR UPDATE SKIP LOCKED))",
		.nargs = 2,
		.argtypes = {OIDOID, INT8OID}
	};
	Datum		args[2] = {ObjectIdGetDatum(relid), Int64GetDatum(n)};

	cdc_extension_execute(&delete, args, NULL);
	return SPI_processed;
}

/* So many records of a table have just been written: forget its oldest, if there are too many */
void
cdc_conflict_limit_keep(Oid relid, int64 nwritten)
{
	Estimate   *e = find_estimate(relid);
	int64		at_once = FORGET_AT_ONCE + nwritten;

	if (cdc_max_conflicts < 0)
		return;
	e->nrecords += nwritten;
	if (e->nrecords <= cdc_max_conflicts)
		return;
	e->nrecords = count(relid, cdc_max_conflicts + at_once);
	if (e->nrecords > cdc_max_conflicts)
		e->nrecords -= forget(relid, Min(e->nrecords - (cdc_max_conflicts - cdc_max_conflicts / 10),
										 at_once));
}
