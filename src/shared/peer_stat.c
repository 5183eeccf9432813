/*
 * peer_stat.c
 *		What the workers have learned of peers, in shared memory.
 *
 * An entry is of a peer, a table and the worker that reads it, and lives as long as the
 * worker.  Only that worker writes it, once per batch and where something has changed;
 * check() reads.  What the signs mean, and when they are set, is apply/peer.c's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/guc.h"
#include "shared/control.h"
#include "shared/peer_stat.h"
#include "shared/share.h"

#define PEER_TRANCHE "cdcsync_peer"
#define NPEER_COLUMNS 9

#define SIGN(sign)		(1u << (sign))

static const char *const sign_names[CDC_NSIGNS] = {
	[CDC_SIGN_NO_SCHEMA] = "no_schema",
	[CDC_SIGN_TEXT_BYTES] = "text_bytes",
	[CDC_SIGN_CONNECT_TIMES] = "connect_times",
	[CDC_SIGN_DOUBLE_DECIMALS] = "double_decimals",
	[CDC_SIGN_DEFAULTS] = "defaults",
	[CDC_SIGN_NO_BEFORE] = "no_before",
	[CDC_SIGN_BLIND_DELETES] = "blind_deletes",
	[CDC_SIGN_TRUNCATES] = "truncates",
	[CDC_SIGN_TWO_LOGS] = "two_logs",
	[CDC_SIGN_OWN_NAME] = "own_name",
	[CDC_SIGN_OWN_NEWS] = "own_news",
};

static LWLock *peer_lock = NULL;
static CdcPeerStat *shared_peers = NULL;

PG_FUNCTION_INFO_V1(cdcsync_stat_peers);

/* A topic per peer and table is the rule: as many as there may be partitions */
static Size
shmem_size(void)
{
	return mul_size(cdc_max_partitions, sizeof(CdcPeerStat));
}

void
cdc_peer_stat_shmem_request(void)
{
	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche(PEER_TRANCHE, 1);
}

void
cdc_peer_stat_shmem_init(void)
{
	bool		found;

	shared_peers = ShmemInitStruct("cdcsync peers", shmem_size(), &found);
	if (!found)
		memset(shared_peers, 0, shmem_size());
	peer_lock = &GetNamedLWLockTranche(PEER_TRANCHE)->lock;
}

/*
 * Show it: in the place that it had before, or, where that is -1, in one that is free, which
 * is told.  False if this database has all the places that it may have.
 */
bool
cdc_peer_stat_put(const CdcPeerStat *stat, int *place)
{
	LWLockAcquire(peer_lock, LW_EXCLUSIVE);
	if (*place < 0)
		*place = cdc_share_find(shared_peers, sizeof(CdcPeerStat), cdc_max_partitions);
	if (*place >= 0)
		shared_peers[*place] = *stat;
	LWLockRelease(peer_lock);
	return *place >= 0;
}

/* At the worker's exit: all that it has shown */
void
cdc_peer_stat_forget(void)
{
	LWLockAcquire(peer_lock, LW_EXCLUSIVE);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		if (shared_peers[i].pid == MyProcPid)
			memset(&shared_peers[i], 0, sizeof(CdcPeerStat));
	}
	LWLockRelease(peer_lock);
}

/* The database or its extension goes */
void
cdc_peer_stat_forget_database(Oid dboid)
{
	LWLockAcquire(peer_lock, LW_EXCLUSIVE);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		if (shared_peers[i].dboid == dboid)
			memset(&shared_peers[i], 0, sizeof(CdcPeerStat));
	}
	LWLockRelease(peer_lock);
}

/* ---- SQL interface: the function behind check() ---- */

static Datum
signs_datum(uint32 signs)
{
	Datum		names[CDC_NSIGNS];
	int			n = 0;

	for (int i = 0; i < CDC_NSIGNS; i++)
	{
		if (signs & SIGN(i))
			names[n++] = CStringGetTextDatum(sign_names[i]);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_peer(ReturnSetInfo *result, const CdcPeerStat *stat)
{
	Datum		values[NPEER_COLUMNS];
	bool		nulls[NPEER_COLUMNS] = {0};
	Interval	ahead = {.time = stat->ahead};

	values[0] = CStringGetTextDatum(stat->peer);
	values[1] = CStringGetTextDatum(quote_qualified_identifier(stat->schema, stat->table));
	values[2] = CStringGetTextDatum(stat->subscription);
	values[3] = CStringGetTextDatum(stat->version);
	values[4] = CStringGetTextDatum(stat->database);
	values[5] = IntervalPGetDatum(&ahead);
	values[6] = signs_datum(stat->signs);
	values[7] = CStringGetTextDatum(stat->missing);
	values[8] = TimestampTzGetDatum(stat->seen_at);
	nulls[3] = stat->version[0] == '\0';
	nulls[4] = stat->database[0] == '\0';
	nulls[7] = stat->missing[0] == '\0';
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
cdcsync_stat_peers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	cdc_control_require();
	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(peer_lock, LW_SHARED);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		if (shared_peers[i].dboid == MyDatabaseId)
			put_peer(result, &shared_peers[i]);
	}
	LWLockRelease(peer_lock);
	return (Datum) 0;
}
