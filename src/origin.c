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
#include "unixtime.h"

#define ORIGIN_PREFIX "cdcsync:"

static char *current_name = NULL;	/* of the origin that is acquired, or NULL */
static ReplOriginId current_id = InvalidReplOriginId;
static int	created_level = 0;	/* nesting of the transaction that created it, or 0 */
static bool begun = false;		/* the current transaction runs under it */

static void acquire(const char *name, const char *peer);
static void check_name(const char *name, const char *peer);
static ReplOriginId find_or_create(const char *name);
static void clear_session_variables(void);
static void at_xact_end(XactEvent event, void *arg);
static void at_subxact_end(SubXactEvent event, SubTransactionId mySubid,
						   SubTransactionId parentSubid, void *arg);

void
cdc_origin_begin(int worker, const char *peer)
{
	char	   *name = psprintf(ORIGIN_PREFIX "%u:%d:%s", MyDatabaseId, worker, peer);

	if (current_name == NULL || strcmp(current_name, name) != 0)
	{
		cdc_origin_reset();
		acquire(name, peer);
	}
	cdc_xact_origin = current_id;
	begun = true;
	pfree(name);
}

/* The server's own message says which setting limits the number of origins */
static void
acquire(const char *name, const char *peer)
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
	check_name(name, peer);
	kept = MemoryContextStrdup(TopMemoryContext, name);
	PG_TRY();
	{
		id = find_or_create(name);
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

/* A colon in the peer's name would let it pass for another node, or for this one */
static void
check_name(const char *name, const char *peer)
{
	if (peer[0] == '\0' || strchr(peer, ':') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid name of a peer: \"%s\"", peer),
				 errdetail("The name in source.name is empty or holds a colon."),
				 errhint("Give the peer's connector another topic.prefix.")));
	if (strlen(name) > MAX_RONAME_LEN_COMPAT)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("replication origin name \"%s\" is too long", name),
				 errhint("Give the peer's connector a shorter topic.prefix.")));
}

static ReplOriginId
find_or_create(const char *name)
{
	ReplOriginId id = replorigin_by_name(unconstify(char *, name), true);

	if (id == InvalidReplOriginId)
	{
		id = replorigin_create(unconstify(char *, name));
		created_level = GetCurrentTransactionNestLevel();
	}
	return id;
}

/* To the server, the time 0 (2000-01-01) says that there is none */
void
cdc_origin_stamp(int64 next_offset, int64 source_time)
{
	TimestampTz time = cdc_unixtime_to_timestamptz(source_time);

	cdc_xact_origin_lsn = (XLogRecPtr) next_offset;
	cdc_xact_origin_timestamp = time != 0 ? time : 1;
}

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

/* At the process's exit the server itself lets go of it, too */
void
cdc_origin_reset(void)
{
	if (current_name == NULL)
		return;
	clear_session_variables();
	pfree(current_name);
	current_name = NULL;
	current_id = InvalidReplOriginId;
	created_level = 0;
	replorigin_session_reset();
}

static void
clear_session_variables(void)
{
	cdc_xact_origin = InvalidReplOriginId;
	cdc_xact_origin_lsn = InvalidXLogRecPtr;
	cdc_xact_origin_timestamp = 0;
	begun = false;
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

bool
cdc_origin_is_own(const char *origin)
{
	const char *last_colon = strrchr(origin, ':');

	return strncmp(origin, ORIGIN_PREFIX, strlen(ORIGIN_PREFIX)) == 0 &&
		cdc_node_name != NULL && cdc_node_name[0] != '\0' &&
		strcmp(last_colon + 1, cdc_node_name) == 0;
}

const char *
cdc_origin_last_node(const char *origin)
{
	const char *last_colon = strrchr(origin, ':');

	return last_colon ? last_colon + 1 : origin;
}

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

void
cdc_origin_drop_all(Oid dboid)
{
	char	   *prefix = psprintf(ORIGIN_PREFIX "%u:", dboid);
	Relation	rel = table_open(ReplicationOriginRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	cdc_origin_reset();
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
		replorigin_drop_by_name(lfirst(lc), true, true);	/* error if one is in use */
}
