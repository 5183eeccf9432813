/*
 * origin.c
 *		The replication origin of the apply worker's transactions.
 *
 * Origins are cluster-wide and exclusive, so a name holds the database, the worker and
 * the peer: cdcsync:<database oid>:<worker>:<peer>.  It ends in the peer, for that is
 * what other nodes read in source.origin: a topic.prefix holds no colon.
 *
 * The session keeps the origin it has acquired until another peer's turn comes, but
 * writes under it only in the transactions that begin it: when one ends, the variables
 * that the server reads at commit are cleared.  An origin that was created in a
 * (sub)transaction that aborts never was: then the session lets go of it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_replication_origin.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/result.h"
#include "base/guc.h"
#include "base/unixtime.h"
#include "table/origin.h"

#define ORIGIN_PREFIX "cdcsync:"

static char *current_name = NULL;	/* of the origin that is acquired, or NULL */
static ReplOriginId current_id = InvalidReplOriginId;
static Bitmapset *known_ids = NULL;	/* of origins that had room, in TopMemoryContext */
static int	created_level = 0;	/* nesting of the transaction that created it, or 0 */
static bool begun = false;		/* the current transaction runs under it */
static bool mixed = false;		/* and has local changes as well */

/* What the server stamps a commit with, and sends with it */
static void
clear_session_variables(void)
{
	cdc_xact_origin = InvalidReplOriginId;
	cdc_xact_origin_lsn = InvalidXLogRecPtr;
	cdc_xact_origin_timestamp = 0;
	begun = false;
	mixed = false;
}

/* A prepared transaction may abort later, without us */
static void
at_xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			if (created_level > 0)
				cdc_origin_reset();
			pg_fallthrough;
		case XACT_EVENT_COMMIT:
			if (current_name != NULL)
				clear_session_variables();
			created_level = 0;
			break;
		default:
			break;
	}
}

/* An origin that a subtransaction made is its parent's when it commits */
static void
at_subxact_end(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid,
			   void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (created_level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		cdc_origin_reset();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		created_level = level - 1;
}

/* What the names of this database's origins begin with */
static char *
database_prefix(Oid dboid)
{
	return psprintf(ORIGIN_PREFIX "%u:", dboid);
}

/* Those of this database that have one of the server's places */
static int64
origins_in_use(ReplOriginId but)
{
	static CdcStatement count = {
		.sql = "SELECT pg_catalog.count(*) AS n FROM pg_catalog.pg_show_replication_origin_status() AS s "
		"WHERE pg_catalog.starts_with(s.external_id, $1) "
		"AND s.local_id OPERATOR(pg_catalog.<>) $2",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};
	MemoryContext caller = CurrentMemoryContext;
	Datum		args[2] = {CStringGetTextDatum(database_prefix(MyDatabaseId)), ObjectIdGetDatum(but)};

	cdc_extension_execute(&count, args, NULL);
	MemoryContextSwitchTo(caller);
	return cdc_result_int8(0, "n", 0);
}

static int
limit_of_origins(void)
{
	int			all = max_active_replication_origins_compat;

	return cdc_max_origins >= 0 ? cdc_max_origins : all - all / 4;
}

/* What this database has must leave some to other databases and to native subscriptions */
static void
check_room(ReplOriginId id)
{
	MemoryContext old;

	if (bms_is_member(id, known_ids))
		return;
	if (origins_in_use(id) >= limit_of_origins())
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("this database has all of the replication origins that it may have: %d",
						limit_of_origins()),
				 errdetail("Each peer has one for each apply worker."),
				 errhint("cdcsync.stat_origin lists them: free those of peers that are gone with cdcsync.drop_origin, or increase cdcsync.max_origins.")));
	old = MemoryContextSwitchTo(TopMemoryContext);
	known_ids = bms_add_member(known_ids, id);
	MemoryContextSwitchTo(old);
}

/* Beyond this database's share the server's own message says what limits the number of origins */
static void
acquire(const char *name)
{
	static bool registered = false;
	char	   *kept;
	ReplOriginId id;

	if (!registered)
	{
		RegisterXactCallback(at_xact_end, NULL);
		RegisterSubXactCallback(at_subxact_end, NULL);
		registered = true;
	}
	kept = MemoryContextStrdup(TopMemoryContext, name);
	PG_TRY();
	{
		id = replorigin_by_name(kept, true);
		if (id == InvalidReplOriginId)
		{
			id = replorigin_create(kept);
			created_level = GetCurrentTransactionNestLevel();
		}
		check_room(id);
		replorigin_session_setup_compat(id);
	}
	PG_CATCH();
	{
		created_level = 0;
		pfree(kept);
		PG_RE_THROW();
	}
	PG_END_TRY();
	current_name = kept;
	current_id = id;
}

/*
 * Make the current transaction's changes those of a peer: sets up the session's
 * origin "cdcsync:<database oid>:<worker>:<peer>", made at first use.  Call it in a
 * transaction, with SPI connected; it stays until another peer is begun or
 * cdc_origin_reset.  Raises configuration_limit_exceeded with a hint when the server has
 * no free place, or this database has its share.
 */
void
cdc_origin_begin(int worker, const char *peer)
{
	char	   *name = psprintf(ORIGIN_PREFIX "%u:%d:%s", MyDatabaseId, worker, peer);

	if (current_name == NULL || strcmp(current_name, name) != 0)
	{
		cdc_origin_reset();
		acquire(name);
	}
	cdc_xact_origin = current_id;
	begun = true;
	pfree(name);
}

/* To the server, the time 0 (2000-01-01) says that there is none */
void
cdc_origin_stamp(int64 next_offset, int64 source_time)
{
	TimestampTz time = cdc_unixtime_to_timestamptz(source_time);

	cdc_xact_origin_lsn = (XLogRecPtr) next_offset;
	cdc_xact_origin_timestamp = time != 0 ? time : 1;
}

/* Code of users begins, within a transaction of a peer: what it writes in between is not the peer's */
void
cdc_origin_suspend(void)
{
	if (begun)
		cdc_xact_origin = InvalidReplOriginId;
}

void
cdc_origin_resume(void)
{
	if (begun)
		cdc_xact_origin = current_id;
}

/* Also outside of transactions that have an origin, where it does nothing */
void
cdc_origin_note_local(void)
{
	mixed = begun;
}

/* A commit has one origin or none; local changes must reach the peer, too, which would leave out what has its own */
void
cdc_origin_settle(void)
{
	if (mixed)
		clear_session_variables();
}

/* At the process's exit the server itself lets go of it, too */
void
cdc_origin_reset(void)
{
	if (current_name == NULL)
		return;
	clear_session_variables();
	if (created_level > 0)
		known_ids = bms_del_member(known_ids, current_id);
	pfree(current_name);
	current_name = NULL;
	current_id = InvalidReplOriginId;
	created_level = 0;
	replorigin_session_reset();
}

/* Does a source.origin end in this node's name: is the event our own echo? */
bool
cdc_origin_is_own(const char *origin)
{
	const char *last_colon = strrchr(origin, ':');

	return strncmp(origin, ORIGIN_PREFIX, strlen(ORIGIN_PREFIX)) == 0 &&
		cdc_node_name != NULL && cdc_node_name[0] != '\0' &&
		strcmp(last_colon + 1, cdc_node_name) == 0;
}

/* The node that a source.origin ends in; the whole of a name without colons */
const char *
cdc_origin_last_node(const char *origin)
{
	const char *last_colon = strrchr(origin, ':');

	return last_colon ? last_colon + 1 : origin;
}

/*
 * Who wrote what carries this origin: the peer of an origin of cdcsync, else this node.
 * In a transaction; the result is in CurrentMemoryContext.
 */
char *
cdc_origin_writer(ReplOriginId id)
{
	char	   *name = NULL;

	if (id != InvalidReplOriginId && id != DoNotReplicateId &&
		replorigin_by_oid(id, true, &name) &&
		strncmp(name, ORIGIN_PREFIX, strlen(ORIGIN_PREFIX)) == 0)
		return strrchr(name, ':') + 1;
	return pstrdup(cdc_node_name);
}

ReplOriginId
cdc_origin_session(void)
{
	return cdc_xact_origin;
}

TimestampTz
cdc_origin_commit_time(void)
{
	if (cdc_xact_origin != InvalidReplOriginId &&
		cdc_xact_origin_timestamp != 0)
		return cdc_xact_origin_timestamp;
	return GetCurrentTimestamp();
}

/* Their names */
static List *
origins_of_database(Oid dboid)
{
	char	   *prefix = database_prefix(dboid);
	Relation	rel = table_open(ReplicationOriginRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;

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
	return names;
}

/* Drop all origins of a database; in a transaction, no worker may hold one */
void
cdc_origin_drop_all(Oid dboid)
{
	ListCell   *lc;

	cdc_origin_reset();
	foreach(lc, origins_of_database(dboid))
		replorigin_drop_by_name(lfirst(lc), true, true);	/* error if one is in use */
}

/* As the server does it, but with this number */
static void
keep_name(ReplOriginId id, const char *name)
{
	Relation	rel = table_open(ReplicationOriginRelationId, RowExclusiveLock);
	Datum		values[Natts_pg_replication_origin];
	bool		nulls[Natts_pg_replication_origin] = {0};
	HeapTuple	tuple;

	values[Anum_pg_replication_origin_roident - 1] = ObjectIdGetDatum(id);
	values[Anum_pg_replication_origin_roname - 1] = CStringGetTextDatum(name);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
}

/*
 * Gives back the place that an origin has among those in use.  Its name keeps its number:
 * the server would give the number of one that is gone to the next, and old rows, and WAL
 * that is yet to be decoded, would carry another peer's name.  False if there is no such
 * origin by now.
 */
static bool
release(const char *name)
{
	ReplOriginId id = replorigin_by_name(unconstify(char *, name), true);

	if (id == InvalidReplOriginId)
		return false;
	replorigin_drop_by_name(unconstify(char *, name), true, true);	/* error if it is in use */
	CommandCounterIncrement();
	keep_name(id, name);
	return true;
}

/* ---- SQL interface ---- */

PG_FUNCTION_INFO_V1(cdcsync_stat_origins);
Datum
cdcsync_stat_origins(PG_FUNCTION_ARGS)
{
	static CdcStatement list = {
		.sql = "SELECT pg_catalog.split_part(s.external_id, ':', 4), "
		"pg_catalog.split_part(s.external_id, ':', 3)::pg_catalog.int4 "
		"FROM pg_catalog.pg_show_replication_origin_status() AS s "
		"WHERE pg_catalog.starts_with(s.external_id, $1) ORDER BY 1, 2",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		prefix = CStringGetTextDatum(database_prefix(MyDatabaseId));

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	cdc_extension_execute(&list, &prefix, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		values[2];
		bool		nulls[2];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/* drop_origin(peer): of all apply workers */
PG_FUNCTION_INFO_V1(cdcsync_drop_origin);
Datum
cdcsync_drop_origin(PG_FUNCTION_ARGS)
{
	char	   *peer = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		any = false;
	ListCell   *lc;

	foreach(lc, origins_of_database(MyDatabaseId))
	{
		const char *name = lfirst(lc);

		if (strcmp(cdc_origin_last_node(name), peer) == 0)
			any |= release(name);
	}
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("peer \"%s\" has no replication origin in this database", peer),
				 errhint("cdcsync.stat_origin lists those that have one.")));
	PG_RETURN_VOID();
}
