/*
 * partition.c
 *		The topic-partitions of this worker: found, read, stopped, tried again.
 *
 *		STARTING --first message or end--> STREAMING
 *		STARTING, STREAMING --transient fault--> WAITING --pause over--> STARTING
 *		STARTING, STREAMING --data error--> ERROR --any cdcsync command--> STARTING
 *		any --pause()--> PAUSED --resume()--> STARTING
 *
 * Only set_state changes the state.  A partition is read from its stored offset, and
 * what was fetched of it before a stop never arrives: stopping is unassigning.
 *
 * Before a log is read on it is recognised: by its cluster, and by the time of the last
 * record applied, which is read again where the broker still has it.  That record also
 * tells whether a null value that follows belongs to a delete.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "consumer.h"
#include "control.h"
#include "partition.h"

#define RETRY_FIRST_MS		100
#define RETRY_LAST_MS		30000
#define QUERY_TIMEOUT_MS	1000

/* Something subscribed that is not there (yet): a row of stat_subscription without partition */
typedef struct Placeholder
{
	char	   *subscription;
	char	   *topic;			/* NULL: nothing matches the subscription */
	int			stat;
	bool		wanted;			/* by the present round */
} Placeholder;

/* A partition found, on its way to become one of ours */
typedef struct Found
{
	CdcSubscription *sub;
	CdcOffset	offset;			/* next_offset -1 until it is known */
	bool		stored;
} Found;

List	   *cdc_partition_list = NIL;

static List *configured = NIL;	/* of CdcSubscription * */
static List *placeholders = NIL;	/* of Placeholder * */
static char *current_cluster = NULL;
static CdcPartition *last_found = NULL; /* by cdc_partition_find */

static CdcSubscription *find_subscription(const char *name);
static void adopt(CdcPartition *p, CdcSubscription *sub);
static void release(CdcPartition *p);
static void set_state(CdcPartition *p, CdcPartitionState state, const char *error);
static void publish_errors(void);
static void unassign(CdcPartition *p);
static void start(CdcPartition *p);
static void take_end(CdcPartition *p, int64 end_offset);
static List *find_new(List *topics);
static bool any_not_started(void);
static CdcSubscription *match_subscription(const char *topic);
static void find_stored(List *found);
static bool find_starts(List *found);
static bool query_starts(List *found, CdcSubscription *sub, int64 time);
static void store_found(List *found);
static void make_partition(Found *f);
static void renew_placeholders(List *topics);
static bool topic_listed(List *topics, const char *name, const char **error);
static void want_placeholder(CdcSubscription *sub, const char *topic, const char *error);
static bool has_partition(const CdcSubscription *sub);
static void drop_unwanted_placeholders(void);

/* ---- configuration ---- */

void
cdc_partition_configure(List *subscriptions)
{
	List	   *partitions = list_copy(cdc_partition_list);
	ListCell   *lc;

	configured = subscriptions;
	foreach(lc, partitions)
	{
		CdcPartition *p = lfirst(lc);
		CdcSubscription *sub = find_subscription(p->offset.subscription);

		if (sub == NULL || !cdc_subscription_matches(sub, p->offset.topic))
			release(p);
		else
			adopt(p, sub);
	}
	list_free(partitions);
	foreach(lc, placeholders)
		((Placeholder *) lfirst(lc))->wanted = false;
	drop_unwanted_placeholders();
	publish_errors();
}

static CdcSubscription *
find_subscription(const char *name)
{
	ListCell   *lc;

	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (strcmp(sub->name, name) == 0)
			return sub;
	}
	return NULL;
}

static void
adopt(CdcPartition *p, CdcSubscription *sub)
{
	p->sub = sub;
	p->options.producer = sub->producer;
	p->options.origin_none = sub->origin_none;
	p->options.skip_unknown = sub->on_unknown_table == CDC_UNKNOWN_TABLE_SKIP;
	if (!sub->enabled)
	{
		unassign(p);
		set_state(p, CDC_PARTITION_PAUSED, NULL);
	}
	else if (!p->assigned)
	{
		p->retries = 0;
		p->retry_at = 0;
		set_state(p, CDC_PARTITION_STARTING, NULL);
	}
}

static void
release(CdcPartition *p)
{
	unassign(p);
	cdc_stat_partition_release(p->stat);
	cdc_partition_list = list_delete_ptr(cdc_partition_list, p);
	last_found = NULL;
	pfree(p->offset.subscription);
	pfree(p->offset.topic);
	pfree(p);
}

/* ---- states ---- */

static void
set_state(CdcPartition *p, CdcPartitionState state, const char *error)
{
	p->state = state;
	if (error)
		cdc_stat_partition_error(p->stat, state, error);
	else
		cdc_stat_partition_state(p->stat, state);
}

/* DDL of users concerns a worker with a partition in error */
static void
publish_errors(void)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
		any |= ((CdcPartition *) lfirst(lc))->state == CDC_PARTITION_ERROR;
	cdc_control_set_errors(any);
}

static void
unassign(CdcPartition *p)
{
	if (p->assigned)
		cdc_consumer_unassign(p->offset.topic, p->offset.partition);
	p->assigned = false;
	p->verifying = false;
	p->tail.was_delete = false;
}

/*
 * The first failure of a message is tried again once: DDL that mends it may have
 * committed before this worker was known to have an error, and then nobody says so.
 */
void
cdc_partition_stop(CdcPartition *p, const char *error)
{
	if (p->failed_at != p->offset.next_offset)
	{
		p->failed_at = p->offset.next_offset;
		cdc_control_set_errors(true);
		cdc_partition_wait(p, error);
		return;
	}
	unassign(p);
	set_state(p, CDC_PARTITION_ERROR, error);
	publish_errors();
	ereport(LOG,
			(errmsg("subscription \"%s\" stopped at topic \"%s\" partition %d offset " INT64_FORMAT,
					p->offset.subscription, p->offset.topic, p->offset.partition,
					p->offset.next_offset),
			 errdetail("%s", error)));
	cdc_control_progress();
}

void
cdc_partition_wait(CdcPartition *p, const char *error)
{
	int			delay = RETRY_LAST_MS;

	unassign(p);
	if (p->retries < 9)
		delay = Min(RETRY_FIRST_MS << p->retries, RETRY_LAST_MS);
	p->retries++;
	p->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	set_state(p, CDC_PARTITION_WAITING, error);
}

void
cdc_partition_client_error(const char *error)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->state == CDC_PARTITION_STREAMING || p->state == CDC_PARTITION_STARTING)
			set_state(p, CDC_PARTITION_WAITING, error);
	}
	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (sub->enabled && !has_partition(sub))
			want_placeholder(sub, NULL, error);
	}
}

void
cdc_partition_client_ok(void)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->assigned && p->state == CDC_PARTITION_WAITING)
			set_state(p, CDC_PARTITION_STREAMING, NULL);
	}
}

void
cdc_partition_unassigned_all(const char *error)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (!p->assigned)
			continue;
		p->assigned = false;	/* went with the client */
		unassign(p);
		cdc_partition_wait(p, error);
	}
}

/* ---- reading ---- */

void
cdc_partition_start_due(TimestampTz now)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->assigned)
			continue;
		if (p->state == CDC_PARTITION_STARTING ||
			(p->state == CDC_PARTITION_WAITING && p->retry_at <= now))
			start(p);
	}
}

TimestampTz
cdc_partition_next_due(void)
{
	TimestampTz due = DT_NOEND;
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (!p->assigned && p->state == CDC_PARTITION_WAITING)
			due = Min(due, p->retry_at);
	}
	return due;
}

static void
start(CdcPartition *p)
{
	char	   *error;
	int64		from = p->offset.next_offset;

	if (p->offset.cluster_id && current_cluster &&
		strcmp(p->offset.cluster_id, current_cluster) != 0)
	{
		cdc_partition_stop(p, psprintf("the broker belongs to cluster %s, the stored offset to cluster %s\n"
									   "HINT: Check cdcsync.bootstrap_servers; to begin anew, unsubscribe and subscribe.",
									   current_cluster, p->offset.cluster_id));
		return;
	}
	p->verifying = p->offset.record_time >= 0 && from > 0;
	p->position = from;
	if (!cdc_consumer_assign(p->offset.topic, p->offset.partition,
							 p->verifying ? from - 1 : from, &error))
	{
		cdc_partition_wait(p, error);
		return;
	}
	p->assigned = true;
	set_state(p, CDC_PARTITION_STARTING, NULL);
}

bool
cdc_partition_accept(CdcPartition *p, CdcMessage *message)
{
	if (!p->assigned)
		return false;
	if (p->state != CDC_PARTITION_STREAMING)
		set_state(p, CDC_PARTITION_STREAMING, NULL);
	if (message->offset < p->offset.next_offset)
	{
		if (message->timestamp != p->offset.record_time)
		{
			cdc_partition_stop(p, "the topic is not the one that was read before: its last applied record has another time\n"
							   "HINT: If the topic was deleted and created again, unsubscribe and subscribe.");
			return false;
		}
		p->verifying = false;
		message->applied = true;
		return true;
	}
	p->verifying = false;		/* compaction took the last applied record */
	if (message->offset < p->position)
		return false;
	p->position = message->offset + 1;
	take_end(p, cdc_consumer_cached_end(p->offset.topic, p->offset.partition));
	return true;
}

bool
cdc_partition_at_end(CdcPartition *p, int64 offset)
{
	bool		gap = offset > p->position;

	if (!p->assigned)
		return false;
	if (p->state != CDC_PARTITION_STREAMING)
		set_state(p, CDC_PARTITION_STREAMING, NULL);
	p->end_offset = offset;
	cdc_stat_partition_position(p->stat, -1, offset, 0);
	if (gap)
		p->position = offset;
	return gap;
}

static void
take_end(CdcPartition *p, int64 end_offset)
{
	p->end_offset = Max(p->end_offset, Max(end_offset, p->position));
}

void
cdc_partition_out_of_range(CdcPartition *p)
{
	CdcPosition low = {.topic = p->offset.topic, .partition = p->offset.partition};
	CdcPosition high = low;
	int64		next = p->offset.next_offset;
	char	   *error = NULL;

	if (!p->assigned)
		return;
	if (!cdc_consumer_query_offsets(&low, 1, CDC_OFFSET_BEGINNING, QUERY_TIMEOUT_MS, &error) ||
		!cdc_consumer_query_offsets(&high, 1, CDC_OFFSET_END, QUERY_TIMEOUT_MS, &error) ||
		(error = low.error) != NULL || (error = high.error) != NULL)
		cdc_partition_wait(p, error);
	else if (next < low.offset)
		cdc_partition_stop(p, psprintf(INT64_FORMAT " events are gone: the topic begins at offset " INT64_FORMAT
									   ", the next one to apply is " INT64_FORMAT "\n"
									   "HINT: Give the topic a longer retention; to go on without them, unsubscribe and subscribe.",
									   low.offset - next, low.offset, next));
	else if (next > high.offset)
		cdc_partition_stop(p, psprintf("the topic ends at offset " INT64_FORMAT
									   ", before the next one to apply, " INT64_FORMAT "\n"
									   "HINT: If the topic was deleted and created again, unsubscribe and subscribe.",
									   high.offset, next));
	else
	{
		/* only the last applied record is gone */
		unassign(p);
		p->offset.record_time = -1;
		start(p);
	}
}

void
cdc_partition_applied(CdcPartition *p, const CdcOffset *stored, int64 event_time,
					  TimestampTz now)
{
	p->offset = *stored;
	p->retries = 0;
	if (p->failed_at >= 0)
	{
		p->failed_at = -1;
		publish_errors();
	}
	take_end(p, p->offset.next_offset);
	cdc_stat_partition_position(p->stat, p->offset.next_offset, p->end_offset, event_time);
	if (event_time)
		cdc_stat_partition_applied(p->stat, now);
}

CdcPartition *
cdc_partition_find(const char *topic, int32 partition)
{
	ListCell   *lc;

	if (last_found && last_found->offset.partition == partition &&
		strcmp(last_found->offset.topic, topic) == 0)
		return last_found;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->offset.partition == partition && strcmp(p->offset.topic, topic) == 0)
			return last_found = p;
	}
	return NULL;
}

bool
cdc_partition_query_ends(char **error)
{
	int			n = list_length(cdc_partition_list);
	CdcPosition *ends = palloc0(sizeof(CdcPosition) * Max(n, 1));
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		ends[foreach_current_index(lc)].topic = p->offset.topic;
		ends[foreach_current_index(lc)].partition = p->offset.partition;
	}
	if (n > 0 && !cdc_consumer_query_offsets(ends, n, CDC_OFFSET_END, QUERY_TIMEOUT_MS, error))
		return false;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);
		CdcPosition *end = &ends[foreach_current_index(lc)];

		if (end->error)
			continue;
		p->end_offset = end->offset;
		cdc_stat_partition_position(p->stat, -1, end->offset, 0);
	}
	return true;
}

/* ---- discovery ---- */

void
cdc_partition_discover(List *topics, const char *cluster_id)
{
	List	   *found;

	if (cluster_id && (current_cluster == NULL || strcmp(current_cluster, cluster_id) != 0))
		current_cluster = MemoryContextStrdup(TopMemoryContext, cluster_id);

	found = find_new(topics);
	if (found || any_not_started())
	{
		find_stored(found);
		if (find_starts(found))
			store_found(found);
	}
	renew_placeholders(topics);
}

static List *
find_new(List *topics)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, topics)
	{
		CdcTopic   *topic = lfirst(lc);
		CdcSubscription *sub = topic->error ? NULL : match_subscription(topic->name);

		for (int i = 0; sub && i < topic->npartitions; i++)
		{
			Found	   *f;

			if (cdc_partition_find(topic->name, i))
				continue;
			f = palloc0(sizeof(Found));
			f->sub = sub;
			f->offset.subscription = sub->name;
			f->offset.topic = topic->name;
			f->offset.partition = i;
			f->offset.next_offset = -1;
			f->offset.record_time = -1;
			f->offset.cluster_id = current_cluster;
			ItemPointerSetInvalid(&f->offset.tid);
			found = lappend(found, f);
		}
	}
	return found;
}

static bool
any_not_started(void)
{
	ListCell   *lc;

	foreach(lc, configured)
	{
		if (!((CdcSubscription *) lfirst(lc))->started)
			return true;
	}
	return false;
}

/* A topic that several subscriptions match is read by the oldest of them */
static CdcSubscription *
match_subscription(const char *topic)
{
	ListCell   *lc;

	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (cdc_subscription_matches(sub, topic))
			return sub;
	}
	return NULL;
}

static void
find_stored(List *found)
{
	MemoryContext old = CurrentMemoryContext;
	List	   *stored;
	ListCell   *f;
	ListCell   *s;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	MemoryContextSwitchTo(old);
	stored = cdc_offset_load_all();
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(old);

	foreach(f, found)
	{
		Found	   *new = lfirst(f);

		foreach(s, stored)
		{
			CdcOffset  *offset = lfirst(s);

			if (offset->partition == new->offset.partition &&
				strcmp(offset->topic, new->offset.topic) == 0 &&
				strcmp(offset->subscription, new->offset.subscription) == 0)
			{
				new->offset = *offset;
				new->stored = true;
			}
		}
	}
}

/*
 * Where to begin: what existed at subscribe where start_at says, what came later at its
 * beginning.  The first look at the broker counts as the time of subscribe.
 */
static bool
find_starts(List *found)
{
	ListCell   *lc;

	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);
		int64		start_at = sub->started ? CDC_OFFSET_BEGINNING : sub->start_at;

		if (!query_starts(found, sub, start_at))
			return false;
		/* no record as late as that time yet */
		if (start_at >= 0 && !query_starts(found, sub, CDC_OFFSET_END))
			return false;
	}
	return true;
}

/* Fill next_offset of a subscription's partitions that have none yet */
static bool
query_starts(List *found, CdcSubscription *sub, int64 time)
{
	CdcPosition *positions = palloc0(sizeof(CdcPosition) * list_length(found));
	Found	  **asked = palloc(sizeof(Found *) * list_length(found));
	int			n = 0;
	char	   *error;
	ListCell   *lc;

	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (f->sub != sub || f->offset.next_offset >= 0)
			continue;
		positions[n].topic = f->offset.topic;
		positions[n].partition = f->offset.partition;
		asked[n++] = f;
	}
	if (n > 0 && !cdc_consumer_query_offsets(positions, n, time, QUERY_TIMEOUT_MS, &error))
	{
		cdc_partition_client_error(error);
		return false;
	}
	for (int i = 0; i < n; i++)
	{
		if (positions[i].error == NULL)
			asked[i]->offset.next_offset = positions[i].offset;
	}
	return true;
}

static void
store_found(List *found)
{
	MemoryContext old = CurrentMemoryContext;
	ListCell   *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (f->offset.next_offset >= 0 && !f->stored)
			cdc_offset_store(&f->offset);
	}
	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (!sub->started)
			cdc_subscription_mark_started(sub->name);
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(old);

	foreach(lc, configured)
		((CdcSubscription *) lfirst(lc))->started = true;
	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (f->offset.next_offset >= 0)
			make_partition(f);
	}
}

static void
make_partition(Found *f)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	CdcPartition *p = palloc0(sizeof(CdcPartition));
	static int	order = 0;

	p->offset = f->offset;
	p->offset.subscription = pstrdup(f->offset.subscription);
	p->offset.topic = pstrdup(f->offset.topic);
	if (f->offset.cluster_id)
		p->offset.cluster_id = pstrdup(f->offset.cluster_id);
	p->position = p->offset.next_offset;
	p->end_offset = -1;
	p->failed_at = -1;
	p->order = order++;
	p->stat = cdc_stat_partition_acquire(p->offset.subscription, p->offset.topic,
										 p->offset.partition);
	cdc_stat_partition_position(p->stat, p->offset.next_offset, -1, 0);
	cdc_partition_list = lappend(cdc_partition_list, p);
	MemoryContextSwitchTo(old);
	adopt(p, f->sub);
}

/* ---- what is not there ---- */

bool
cdc_partition_incomplete(void)
{
	return placeholders != NIL;
}

static void
renew_placeholders(List *topics)
{
	ListCell   *s;
	ListCell   *t;

	foreach(s, placeholders)
		((Placeholder *) lfirst(s))->wanted = false;
	foreach(s, configured)
	{
		CdcSubscription *sub = lfirst(s);
		bool		named = false;

		foreach(t, sub->topics)
		{
			char	   *name = lfirst(t);
			const char *error = NULL;

			if (cdc_topic_is_regex(name))
				continue;
			if (!topic_listed(topics, name, &error))
			{
				want_placeholder(sub, name, error);
				named = true;
			}
		}
		if (!named && !has_partition(sub))
			want_placeholder(sub, NULL, "no topic matches yet");
	}
	drop_unwanted_placeholders();
}

static bool
topic_listed(List *topics, const char *name, const char **error)
{
	ListCell   *lc;

	*error = "the topic does not exist (yet)";
	foreach(lc, topics)
	{
		CdcTopic   *topic = lfirst(lc);

		if (strcmp(topic->name, name) != 0)
			continue;
		if (topic->error)
			*error = topic->error;
		return topic->error == NULL;
	}
	return false;
}

static void
want_placeholder(CdcSubscription *sub, const char *topic, const char *error)
{
	CdcPartitionState state = sub->enabled ? CDC_PARTITION_WAITING : CDC_PARTITION_PAUSED;
	MemoryContext old;
	Placeholder *ph;
	ListCell   *lc;

	foreach(lc, placeholders)
	{
		ph = lfirst(lc);
		if (strcmp(ph->subscription, sub->name) == 0 &&
			(topic == NULL ? ph->topic == NULL : ph->topic && strcmp(ph->topic, topic) == 0))
		{
			ph->wanted = true;
			cdc_stat_partition_error(ph->stat, state, error);
			return;
		}
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	ph = palloc0(sizeof(Placeholder));
	ph->subscription = pstrdup(sub->name);
	ph->topic = topic ? pstrdup(topic) : NULL;
	ph->stat = cdc_stat_partition_acquire(sub->name, topic, -1);
	ph->wanted = true;
	placeholders = lappend(placeholders, ph);
	MemoryContextSwitchTo(old);
	cdc_stat_partition_error(ph->stat, state, error);
}

static bool
has_partition(const CdcSubscription *sub)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		if (((CdcPartition *) lfirst(lc))->sub == sub)
			return true;
	}
	return false;
}

static void
drop_unwanted_placeholders(void)
{
	ListCell   *lc;

	foreach(lc, placeholders)
	{
		Placeholder *ph = lfirst(lc);

		if (ph->wanted)
			continue;
		cdc_stat_partition_release(ph->stat);
		placeholders = foreach_delete_current(placeholders, lc);
		pfree(ph->subscription);
		if (ph->topic)
			pfree(ph->topic);
		pfree(ph);
	}
}
