/*
 * partition.h
 *		The topic-partitions of this worker: found, read, stopped, tried again.
 */
#ifndef CDC_PARTITION_H
#define CDC_PARTITION_H

#include "apply/apply.h"
#include "shared/stat.h"
#include "stored/offset.h"
#include "stored/subscription.h"

typedef struct CdcPartition
{
	CdcOffset	offset;			/* as stored; names, next offset, last record's time */
	CdcSubscription *sub;		/* of the present configuration */
	CdcPartitionState state;
	bool		assigned;		/* the consumer reads it */
	bool		verifying;		/* reads the record before the next again, to know the log */
	bool		nothing_before; /* the broker does not have that one any more */
	int64		position;		/* offset after the last message handed to the batch */
	int64		end_offset;		/* the log's end as last heard of, or -1 */
	CdcLogTail	tail;
	int			retries;
	int64		retry_at;		/* of a waiting one, in ticks; of a stopped one, if maybe_mended */
	int64		failed_at;		/* offset that failed once and is tried again, or -1 */
	int			ddl_retries;	/* since it stopped, for DDL that may have mended it */
	bool		maybe_mended;	/* by DDL since the last of them */
	int			order;			/* place among the partitions, to sort a batch by */
	int			stat;			/* handle in stat.c */
} CdcPartition;

/* All of them, of CdcPartition *, for the life of the worker */
extern List *cdc_partition_list;

extern void cdc_partition_configure(List *subscriptions, List *offsets);
extern bool cdc_partition_seek_places(void);
extern void cdc_partition_note_ddl(void);
extern void cdc_partition_add(const CdcOffset *offset, CdcSubscription *sub);
extern void cdc_partition_set_cluster(const char *cluster_id);
extern CdcPartition *cdc_partition_find(const char *topic, int32 partition);

/* Assign what is to be read and is not; when the next one is due, CDC_TICKS_NEVER if none */
extern void cdc_partition_start_due(int64 now);
extern int64 cdc_partition_next_due(void);
extern bool cdc_partition_accept(CdcPartition *p, CdcMessage *message);
extern bool cdc_partition_at_end(CdcPartition *p, int64 offset);
extern void cdc_partition_out_of_range(CdcPartition *p);
extern void cdc_partition_applied(CdcPartition *p, const CdcOffset *stored, int64 event_time,
								  TimestampTz now);
extern void cdc_partition_set_offset(CdcPartition *p, const CdcOffset *stored);
extern void cdc_partition_passed(CdcPartition *p, const CdcOffset *stored, const CdcError *error);

/* Stop at a message until someone mends it; or wait for a while */
extern void cdc_partition_stop(CdcPartition *p, const CdcError *error);
extern void cdc_partition_wait(CdcPartition *p, const CdcError *error);
extern void cdc_partition_missing(CdcPartition *p, const CdcError *error);

/* Go on at a time: the next event is from the future */
extern void cdc_partition_hold(CdcPartition *p, TimestampTz until);

/* The client is in trouble, or no longer; what is assigned stays so */
extern void cdc_partition_client_error(const CdcError *error);
extern void cdc_partition_client_ok(void);
extern void cdc_partition_unassigned_all(const CdcError *error);
extern bool cdc_partition_query_ends(List *topics, bool *known, char **error);

#endif							/* CDC_PARTITION_H */
