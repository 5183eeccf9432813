/*
 * stat.h
 *		State and counters in shared memory, behind the stat_ views.
 */
#ifndef CDC_STAT_H
#define CDC_STAT_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "shared/error.h"

/* Sizes of the texts, with their NUL; longer ones are cut at a character */
#define CDC_STAT_SUBSCRIPTION_SIZE	256
#define CDC_STAT_TOPIC_SIZE			250
#define CDC_STAT_MESSAGE_SIZE		400
#define CDC_STAT_DETAIL_SIZE		400
#define CDC_STAT_HINT_SIZE			800 /* holds a command with the longest names */
#define CDC_STAT_CONTEXT_SIZE		300

typedef enum CdcPartitionState
{
	CDC_PARTITION_STARTING,
	CDC_PARTITION_STREAMING,	/* also when idle */
	CDC_PARTITION_WAITING,		/* retrying a transient fault, topic unknown */
	CDC_PARTITION_PAUSED,		/* by pause() */
	CDC_PARTITION_ERROR			/* stopped at a message */
} CdcPartitionState;

/* What an applied or skipped event did, in the order of stat_table's columns */
typedef enum CdcCounter
{
	CDC_COUNT_EVENTS,
	CDC_COUNT_INSERTED,
	CDC_COUNT_UPDATED,
	CDC_COUNT_DELETED,
	CDC_COUNT_UNCHANGED,
	CDC_COUNT_SKIPPED,
	CDC_COUNT_CONFLICT			/* first of the conflict types, see conflict.h */
} CdcCounter;

#define CDC_NCOUNTERS	(CDC_COUNT_CONFLICT + 9)

/* A CdcError; empty texts stand for NULL */
typedef struct CdcStatError
{
	int			sqlstate;
	bool		own;
	bool		own_hint;
	Oid			relid;
	char		message[CDC_STAT_MESSAGE_SIZE];
	char		detail[CDC_STAT_DETAIL_SIZE];
	char		hint[CDC_STAT_HINT_SIZE];
	char		context[CDC_STAT_CONTEXT_SIZE];
} CdcStatError;

/* A partition's entry; of times, DT_NOBEGIN means never, of offsets, -1 means unknown */
typedef struct CdcPartitionStat
{
	Oid			dboid;			/* InvalidOid: free */
	int			pid;			/* the worker's */
	char		subscription[CDC_STAT_SUBSCRIPTION_SIZE];
	char		topic[CDC_STAT_TOPIC_SIZE]; /* empty: none known */
	int32		partition;		/* -1: none known */
	bool		unseen;			/* its worker has others of the subscription that have no entry */
	CdcPartitionState state;
	int64		next_offset;
	XLogRecPtr	commit_end;		/* of the transaction that stored it */
	int64		end_offset;
	int64		retention_ms;	/* how long records are kept; -1 for ever, less: unknown */
	TimestampTz last_event_at;
	TimestampTz last_apply_at;
	TimestampTz last_error_at;
	CdcStatError last_error;
} CdcPartitionStat;

/* cdcsync.c: in the hooks of these names */
extern void cdc_stat_shmem_request(void);
extern void cdc_stat_shmem_init(void);

/*
 * Entries of this database's partitions: the worker acquires one per partition
 * and releases all at exit.  topic NULL and partition -1 stand for a subscription
 * or topic of which no partition is known.  Returns a handle, or -1 when this database
 * has its share of cdcsync.max_partitions (a WARNING has said so): all other functions
 * ignore -1.
 */
extern int	cdc_stat_partition_acquire(const char *subscription, const char *topic,
									   int32 partition);
extern void cdc_stat_partition_release(int handle);
extern void cdc_stat_partition_release_all(void);
extern void cdc_stat_partition_set_unseen(int handle, bool unseen);
extern void cdc_stat_partition_state(int handle, CdcPartitionState state);
extern char *cdc_stat_shown_error(const CdcPartitionStat *stat);
extern void cdc_stat_partition_error(int handle, CdcPartitionState state,
									 const CdcError *error);

/* offsets: -1 keeps what stands there; event_time µs since 1970, 0 keeps */
extern void cdc_stat_partition_position(int handle, int64 next_offset, int64 end_offset,
										int64 event_time);
extern void cdc_stat_partition_retention(int handle, int64 ms);
extern void cdc_stat_partition_applied(int handle, TimestampTz at);
extern List *cdc_stat_partition_list(void);

/* Add to a table's counters; entries are released when the table rule goes */
extern void cdc_stat_table_add(Oid relid, const int64 *counters);
extern bool cdc_stat_table_has_room(void);
extern void cdc_stat_table_forget(Oid relid);
extern void cdc_stat_forget_database(Oid dboid);

#endif							/* CDC_STAT_H */
