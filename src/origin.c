/*
 * origin.c
 *		The replication origin of the apply worker's transactions.
 *
 * Origins are cluster-wide and exclusive, so a name holds the database, the worker and
 * the peer: cdcsync:<database oid>:<worker>:<peer>.  It ends in the peer, for that is
 * what other nodes read in source.origin: a topic.prefix holds no colon.
 *
 * The session keeps the origin it has set up until another peer's turn comes.  What was
 * created in a transaction that aborts never was: then the session lets go of it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_replication_origin.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "origin.h"

#define ORIGIN_PREFIX "cdcsync:"
#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static char *current_name = NULL;	/* of the origin that is set up, or NULL */
static bool created_here = false;	/* by the transaction in progress */

static void set_up(const char *name);
static RepOriginId find_or_create(char *name);
static void at_xact_end(XactEvent event, void *arg);

void
cdc_origin_begin(int worker, const char *peer)
{
	char	   *name = psprintf(ORIGIN_PREFIX "%u:%d:%s", MyDatabaseId, worker, peer);

	if (current_name == NULL || strcmp(current_name, name) != 0)
	{
		cdc_origin_reset();
		set_up(name);
	}
	pfree(name);
}

static void
set_up(const char *name)
{
	static bool registered = false;
	RepOriginId id;

	if (!registered)
	{
		RegisterXactCallback(at_xact_end, NULL);
		registered = true;
	}
	if (strlen(name) > MAX_RONAME_LEN_COMPAT)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("replication origin name \"%s\" is too long", name),
				 errhint("Give the peer's connector a shorter topic.prefix.")));
	id = find_or_create(unconstify(char *, name));
	replorigin_session_setup_compat(id);
	replorigin_session_origin = id;
	current_name = MemoryContextStrdup(TopMemoryContext, name);
}

static RepOriginId
find_or_create(char *name)
{
	RepOriginId id = replorigin_by_name(name, true);

	if (id == InvalidRepOriginId)
	{
		id = replorigin_create(name);
		created_here = true;
	}
	return id;
}

static void
at_xact_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT)
		return;
	if (event == XACT_EVENT_ABORT && created_here)
		cdc_origin_reset();
	created_here = false;
}

void
cdc_origin_stamp(int64 next_offset, int64 source_time)
{
	TimestampTz time = source_time - UNIX_EPOCH_USECS;

	replorigin_session_origin_lsn = (XLogRecPtr) next_offset;
	replorigin_session_origin_timestamp = IS_VALID_TIMESTAMP(time) ? time : 0;
}

void
cdc_origin_reset(void)
{
	if (current_name == NULL)
		return;
	pfree(current_name);
	current_name = NULL;
	replorigin_session_reset();
	replorigin_session_origin = InvalidRepOriginId;
	replorigin_session_origin_lsn = InvalidXLogRecPtr;
	replorigin_session_origin_timestamp = 0;
}

bool
cdc_origin_is_own(const char *origin)
{
	const char *name = strrchr(origin, ':');

	return strncmp(origin, ORIGIN_PREFIX, strlen(ORIGIN_PREFIX)) == 0 && cdc_node_name &&
		strcmp(name + 1, cdc_node_name) == 0;
}

void
cdc_origin_drop_all(Oid dboid)
{
	char	   *prefix = psprintf(ORIGIN_PREFIX "%u:", dboid);
	Relation	rel = table_open(ReplicationOriginRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		roname = heap_getattr(tuple, Anum_pg_replication_origin_roname,
										  RelationGetDescr(rel), &isnull);
		char	   *name = TextDatumGetCString(roname);

		if (strncmp(name, prefix, strlen(prefix)) == 0)
			names = lappend(names, name);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	foreach(lc, names)
		replorigin_drop_by_name(lfirst(lc), true, true);
}
