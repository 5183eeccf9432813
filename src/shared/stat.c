/*
 * stat.c
 *		State and counters in shared memory, behind the stat_ views.
 *
 * Two arrays, of partitions and of tables, for all databases.  One lock suffices: a
 * worker writes once per batch and partition, readers are people and wait_for.  A
 * partition's entry lives as long as its worker holds it, a table's until its rule
 * goes.  Nothing survives a restart of the server.
 */
#include "postgres.h"

#include "common/int.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/guc.h"
#include "shared/control.h"
#include "shared/share.h"
#include "shared/stat.h"

#define STAT_TRANCHE "cdcsync_stat"

#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

#define NPARTITION_COLUMNS	14
#define NTABLE_COLUMNS		(CDC_NCOUNTERS + 2)

typedef struct CdcTableStat
{
	Oid			dboid;			/* InvalidOid: free */
	Oid			relid;
	int64		counters[CDC_NCOUNTERS];
	TimestampTz since;
} CdcTableStat;

static const char *const state_names[] = {
	[CDC_PARTITION_STARTING] = "starting",
	[CDC_PARTITION_STREAMING] = "streaming",
	[CDC_PARTITION_WAITING] = "waiting",
	[CDC_PARTITION_PAUSED] = "paused",
	[CDC_PARTITION_ERROR] = "error",
};

static LWLock *stat_lock = NULL;
static CdcPartitionStat *partitions = NULL;
static CdcTableStat *tables = NULL;

PG_FUNCTION_INFO_V1(cdcsync_stat_partitions);
PG_FUNCTION_INFO_V1(cdcsync_stat_tables);

static Size
partitions_size(void)
{
	return mul_size(cdc_max_partitions, sizeof(CdcPartitionStat));
}

static Size
tables_size(void)
{
	return mul_size(cdc_max_tables, sizeof(CdcTableStat));
}

void
cdc_stat_shmem_request(void)
{
	RequestAddinShmemSpace(add_size(partitions_size(), tables_size()));
	RequestNamedLWLockTranche(STAT_TRANCHE, 1);
}

void
cdc_stat_shmem_init(void)
{
	bool		found;

	partitions = ShmemInitStruct("cdcsync partitions", partitions_size(), &found);
	if (!found)
		memset(partitions, 0, partitions_size());
	tables = ShmemInitStruct("cdcsync tables", tables_size(), &found);
	if (!found)
		memset(tables, 0, tables_size());
	stat_lock = &GetNamedLWLockTranche(STAT_TRANCHE)->lock;
}

/* NULL becomes an empty text */
static void
copy_text(char *dst, const char *src, int size)
{
	int			len = src ? pg_mbcliplen(src, strlen(src), size - 1) : 0;

	if (len > 0)
		memcpy(dst, src, len);
	dst[len] = '\0';
}

static void
fill_partition(CdcPartitionStat *stat, const char *subscription, const char *topic,
			   int32 partition)
{
	memset(stat, 0, sizeof(CdcPartitionStat));
	stat->dboid = MyDatabaseId;
	stat->pid = MyProcPid;
	copy_text(stat->subscription, subscription, CDC_STAT_SUBSCRIPTION_SIZE);
	copy_text(stat->topic, topic, CDC_STAT_TOPIC_SIZE);
	stat->partition = partition;
	stat->state = CDC_PARTITION_STARTING;
	stat->next_offset = -1;
	stat->end_offset = -1;
	stat->retention_ms = -1;
	stat->last_event_at = DT_NOBEGIN;
	stat->last_apply_at = DT_NOBEGIN;
	stat->last_error_at = DT_NOBEGIN;
}

static int
find_partition(const char *subscription, const char *topic, int32 partition)
{
	CdcPartitionStat key;

	fill_partition(&key, subscription, topic, partition);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		CdcPartitionStat *stat = &partitions[i];

		if (stat->dboid == key.dboid && stat->pid == key.pid &&
			stat->partition == key.partition && strcmp(stat->topic, key.topic) == 0 &&
			strcmp(stat->subscription, key.subscription) == 0)
			return i;
	}
	return -1;
}

/* Once per process: the view is short of rows, nothing else */
static void
warn_full(bool *warned, const char *what, const char *setting)
{
	if (*warned)
		return;
	*warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many %s to show in the statistics views of cdcsync", what),
			 errdetail("A database may have three times as many as the others leave free."),
			 errhint("Increase \"%s\" and restart the server.", setting)));
}

/* Acquiring the same again gives the same handle */
int
cdc_stat_partition_acquire(const char *subscription, const char *topic, int32 partition)
{
	static bool warned = false;
	int			handle;

	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	handle = find_partition(subscription, topic, partition);
	if (handle < 0 &&
		(handle = cdc_share_find(partitions, sizeof(CdcPartitionStat), cdc_max_partitions)) >= 0)
		fill_partition(&partitions[handle], subscription, topic, partition);
	LWLockRelease(stat_lock);

	if (handle < 0)
		warn_full(&warned, "partitions", "cdcsync.max_partitions");
	return handle;
}

/* False, without the lock, where there is nothing to write to */
static bool
lock_partition(int handle)
{
	if (handle < 0)
		return false;
	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	return true;
}

/* The place is anybody's from here on: the handle must not be used again */
void
cdc_stat_partition_release(int handle)
{
	if (!lock_partition(handle))
		return;
	partitions[handle].dboid = InvalidOid;
	LWLockRelease(stat_lock);
}

/* At the worker's exit, however it comes about */
void
cdc_stat_partition_release_all(void)
{
	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		if (partitions[i].pid == MyProcPid)
			partitions[i].dboid = InvalidOid;
	}
	LWLockRelease(stat_lock);
}

/* wait_for then knows that what it sees of the subscription is not all */
void
cdc_stat_partition_set_unseen(int handle, bool unseen)
{
	if (!lock_partition(handle))
		return;
	partitions[handle].unseen = unseen;
	LWLockRelease(stat_lock);
}

/* What was wrong last stays readable */
void
cdc_stat_partition_state(int handle, CdcPartitionState state)
{
	cdc_stat_partition_error(handle, state, NULL);
}

/* A hint that is cut would be another command */
static void
copy_error(CdcStatError *dst, const CdcError *src)
{
	bool		whole = src->hint && strlen(src->hint) < CDC_STAT_HINT_SIZE;

	dst->sqlstate = src->sqlstate;
	dst->own = src->own;
	dst->relid = src->relid;
	dst->own_hint = src->own_hint && whole;
	copy_text(dst->message, src->message, CDC_STAT_MESSAGE_SIZE);
	copy_text(dst->detail, src->detail, CDC_STAT_DETAIL_SIZE);
	copy_text(dst->hint, whole ? src->hint : NULL, CDC_STAT_HINT_SIZE);
	copy_text(dst->context, src->context, CDC_STAT_CONTEXT_SIZE);
}

/* error NULL keeps the last one readable: last_error and last_error_at stay */
void
cdc_stat_partition_error(int handle, CdcPartitionState state, const CdcError *error)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!lock_partition(handle))
		return;
	partitions[handle].state = state;
	if (error != NULL)
	{
		copy_error(&partitions[handle].last_error, error);
		partitions[handle].last_error_at = now;
	}
	LWLockRelease(stat_lock);
}

/* A peer's time can be anything; what is no timestamp here is DT_NOBEGIN */
static TimestampTz
from_unix_usecs(int64 usecs)
{
	int64		result;

	if (pg_sub_s64_overflow(usecs, UNIX_EPOCH_USECS, &result) || !IS_VALID_TIMESTAMP(result))
		return DT_NOBEGIN;
	return result;
}

/*
 * After a commit, and when an end is heard of; see the header for what leaves a value as it
 * is.  The end of the last commit goes along: who waits makes sure that it is on disk.
 */
void
cdc_stat_partition_position(int handle, int64 next_offset, int64 end_offset,
							int64 event_time)
{
	TimestampTz event_at = event_time == 0 ? DT_NOBEGIN : from_unix_usecs(event_time);

	if (!lock_partition(handle))
		return;
	if (next_offset >= 0)
	{
		partitions[handle].next_offset = next_offset;
		partitions[handle].commit_end = XactLastCommitEnd;
	}
	if (end_offset >= 0)
		partitions[handle].end_offset = end_offset;
	if (event_at != DT_NOBEGIN)
		partitions[handle].last_event_at = event_at;
	LWLockRelease(stat_lock);
}

/* How long the broker keeps the topic's records; -1: for ever */
void
cdc_stat_partition_retention(int handle, int64 ms)
{
	if (!lock_partition(handle))
		return;
	partitions[handle].retention_ms = ms;
	LWLockRelease(stat_lock);
}

void
cdc_stat_partition_applied(int handle, TimestampTz at)
{
	if (!lock_partition(handle))
		return;
	partitions[handle].last_apply_at = at;
	LWLockRelease(stat_lock);
}

/* Copies of all entries of this database: a list of CdcPartitionStat */
List *
cdc_stat_partition_list(void)
{
	List	   *result = NIL;

	LWLockAcquire(stat_lock, LW_SHARED);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		CdcPartitionStat *copy;

		if (partitions[i].dboid != MyDatabaseId)
			continue;
		copy = palloc(sizeof(CdcPartitionStat));
		*copy = partitions[i];
		result = lappend(result, copy);
	}
	LWLockRelease(stat_lock);
	return result;
}

static CdcTableStat *
find_table(Oid dboid, Oid relid)
{
	for (int i = 0; i < cdc_max_tables; i++)
	{
		if (tables[i].dboid == dboid && tables[i].relid == relid)
			return &tables[i];
	}
	return NULL;
}

/* Its entry, a new one if need be; NULL if there is none left for this database */
static CdcTableStat *
take_table(Oid relid)
{
	CdcTableStat *stat = find_table(MyDatabaseId, relid);
	int			place;

	if (stat != NULL)
		return stat;
	place = cdc_share_find(tables, sizeof(CdcTableStat), cdc_max_tables);
	if (place < 0)
		return NULL;
	stat = &tables[place];
	stat->dboid = MyDatabaseId;
	stat->relid = relid;
	stat->since = GetCurrentTimestamp();
	return stat;
}

/* Would another table find a place? */
bool
cdc_stat_table_has_room(void)
{
	int			place;

	LWLockAcquire(stat_lock, LW_SHARED);
	place = cdc_share_find(tables, sizeof(CdcTableStat), cdc_max_tables);
	LWLockRelease(stat_lock);
	return place >= 0;
}

/*
 * After the commit that they count; a transaction that fails is not counted.  Nothing
 * happens where the library is not preloaded, or there is no place for another table.
 */
void
cdc_stat_table_add(Oid relid, const int64 *counters)
{
	static bool warned = false;
	CdcTableStat *stat;

	if (stat_lock == NULL)
		return;					/* not preloaded, applied by hand */
	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	stat = take_table(relid);
	for (int i = 0; stat != NULL && i < CDC_NCOUNTERS; i++)
		stat->counters[i] += counters[i];
	LWLockRelease(stat_lock);

	if (stat != NULL)
		return;
	cdc_control_set_short(CDC_SHORT_OF_TABLES, true);
	warn_full(&warned, "tables", "cdcsync.max_tables");
}

/* Its rule is gone */
void
cdc_stat_table_forget(Oid relid)
{
	CdcTableStat *stat;

	if (stat_lock == NULL)
		return;
	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	stat = find_table(MyDatabaseId, relid);
	if (stat != NULL)
		memset(stat, 0, sizeof(CdcTableStat));
	LWLockRelease(stat_lock);
}

/* The database or its extension goes: release all its entries */
void
cdc_stat_forget_database(Oid dboid)
{
	LWLockAcquire(stat_lock, LW_EXCLUSIVE);
	for (int i = 0; i < cdc_max_partitions; i++)
	{
		if (partitions[i].dboid == dboid)
			partitions[i].dboid = InvalidOid;
	}
	for (int i = 0; i < cdc_max_tables; i++)
	{
		if (tables[i].dboid == dboid)
			memset(&tables[i], 0, sizeof(CdcTableStat));
	}
	LWLockRelease(stat_lock);
}

/* SQL interface: the set-returning functions behind the views */

static Datum
null_if(bool unknown, Datum value, bool *isnull)
{
	*isnull = unknown;
	return value;
}

static void
put_partition(ReturnSetInfo *result, const CdcPartitionStat *stat)
{
	Datum		values[NPARTITION_COLUMNS];
	bool		nulls[NPARTITION_COLUMNS] = {0};
	const CdcStatError *error = &stat->last_error;
	bool		no_error = stat->last_error_at == DT_NOBEGIN;
	Interval	retention = {.time = Min(stat->retention_ms, PG_INT64_MAX / 1000) * 1000};

	values[0] = CStringGetTextDatum(stat->subscription);
	values[1] = null_if(stat->topic[0] == '\0', CStringGetTextDatum(stat->topic), &nulls[1]);
	values[2] = null_if(stat->partition < 0, Int32GetDatum(stat->partition), &nulls[2]);
	values[3] = CStringGetTextDatum(state_names[stat->state]);
	values[4] = Int32GetDatum(stat->pid);
	values[5] = null_if(stat->next_offset < 0, Int64GetDatum(stat->next_offset), &nulls[5]);
	values[6] = null_if(stat->end_offset < 0, Int64GetDatum(stat->end_offset), &nulls[6]);
	values[7] = null_if(stat->last_event_at == DT_NOBEGIN,
						TimestampTzGetDatum(stat->last_event_at), &nulls[7]);
	values[8] = null_if(stat->last_apply_at == DT_NOBEGIN,
						TimestampTzGetDatum(stat->last_apply_at), &nulls[8]);
	values[9] = null_if(no_error, CStringGetTextDatum(cdc_stat_shown_error(stat)), &nulls[9]);
	values[10] = null_if(no_error || error->sqlstate == 0,
						 CStringGetTextDatum(unpack_sql_state(error->sqlstate)), &nulls[10]);
	values[11] = null_if(no_error || !error->own_hint, CStringGetTextDatum(error->hint), &nulls[11]);
	values[12] = null_if(no_error, TimestampTzGetDatum(stat->last_error_at), &nulls[12]);
	values[13] = null_if(stat->retention_ms < 0, IntervalPGetDatum(&retention), &nulls[13]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
cdcsync_stat_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	cdc_control_require();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, cdc_stat_partition_list())
		put_partition(result, lfirst(lc));
	return (Datum) 0;
}

static const char *
text_or_null(const char *text)
{
	return *text ? text : NULL;
}

/* The last error as the current user may see it, in CurrentMemoryContext */
char *
cdc_stat_shown_error(const CdcPartitionStat *stat)
{
	const CdcStatError *last = &stat->last_error;
	CdcError	error = {
		.sqlstate = last->sqlstate,
		.own = last->own,
		.own_hint = last->own_hint,
		.relid = last->relid,
		.message = last->message,
		.detail = text_or_null(last->detail),
		.hint = text_or_null(last->hint),
		.context = text_or_null(last->context)
	};

	return cdc_error_shown_text(&error);
}

static void
put_table(ReturnSetInfo *result, const CdcTableStat *stat)
{
	Datum		values[NTABLE_COLUMNS];
	bool		nulls[NTABLE_COLUMNS] = {0};

	values[0] = ObjectIdGetDatum(stat->relid);
	for (int i = 0; i < CDC_NCOUNTERS; i++)
		values[1 + i] = Int64GetDatum(stat->counters[i]);
	values[1 + CDC_NCOUNTERS] = TimestampTzGetDatum(stat->since);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
cdcsync_stat_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	cdc_control_require();
	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(stat_lock, LW_SHARED);
	for (int i = 0; i < cdc_max_tables; i++)
	{
		if (tables[i].dboid == MyDatabaseId)
			put_table(result, &tables[i]);
	}
	LWLockRelease(stat_lock);
	return (Datum) 0;
}
