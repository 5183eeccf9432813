/*
 * partition.c
 *		The topic-partitions of this worker: found, read, stopped, tried again.
 *
 *		STARTING --first message or end--> STREAMING
 *		STARTING, STREAMING --transient fault--> WAITING, read again after a pause
 *		WAITING --a message applied, or the end--> STREAMING
 *		STARTING, STREAMING --data error--> ERROR --any cdcsync command--> STARTING
 *		ERROR --any DDL, after a pause that grows--> STARTING
 *		any --pause()--> PAUSED --resume()--> STARTING
 *
 * Only set_state changes the state.  A partition is read from its stored offset, and
 * what was fetched of it before a stop never arrives: stopping is unassigning.
 *
 * Before a log is read on it is recognised: by its cluster, and by the time of the last
 * record applied, which is read again where the broker still has it.  That record also
 * tells whether a null value that follows belongs to a delete; therefore it is read also
 * where it was not applied but passed over (skip(), rewind()).
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/session.h"
#include "base/subxact.h"
#include "base/ticks.h"
#include "base/topic_partition.h"
#include "kafka/consumer.h"
#include "kafka/consumer_query.h"
#include "shared/control.h"
#include "shared/ticket.h"
#include "worker/partition.h"

#define RETRY_FIRST_MS		100
#define RETRY_LAST_MS		30000
#define HOLD_MS				1000

List	   *cdc_partition_list = NIL;

static char *current_cluster = NULL;
static CdcPartition *last_found = NULL; /* by cdc_partition_find */
static HTAB *by_name = NULL;	/* of PartitionEntry: a hub reads thousands */

/* For a subtransaction */
typedef struct Rewinding
{
	CdcOffset  *offset;
	bool		stored;
} Rewinding;

typedef struct PartitionEntry
{
	CdcTopicPartition key;
	CdcPartition *partition;
} PartitionEntry;

/* ---- configuration ---- */

static void
unassign(CdcPartition *p)
{
	if (p->assigned)
		cdc_consumer_unassign(p->offset.topic, p->offset.partition);
	p->assigned = false;
	p->verifying = false;
	cdc_log_tail_reset(&p->tail);
}

static void
release(CdcPartition *p)
{
	unassign(p);
	cdc_stat_partition_release(p->stat);
	cdc_partition_list = list_delete_ptr(cdc_partition_list, p);
	(void) cdc_topic_partition_search(by_name, p->offset.topic, p->offset.partition, HASH_REMOVE, NULL);
	last_found = NULL;
	pfree(p->offset.subscription);
	pfree(p->offset.topic);
	pfree(p);
}

static void
set_position(CdcPartition *p, const CdcOffset *stored)
{
	unassign(p);
	p->offset.next_offset = stored->next_offset;
	p->offset.record_time = stored->record_time;
	p->offset.rewind_to = stored->rewind_to;
	p->offset.tid = stored->tid;
	p->nothing_before = false;
	p->position = stored->next_offset;
	p->failed_at = -1;
	cdc_stat_partition_position(p->stat, p->offset.next_offset, p->end_offset, 0);
}

/* Somebody may have moved it: skip(), rewind() */
static void
take_position(CdcPartition *p, List *offsets)
{
	ListCell   *lc;

	foreach(lc, offsets)
	{
		CdcOffset  *stored = lfirst(lc);

		if (stored->partition != p->offset.partition ||
			strcmp(stored->topic, p->offset.topic) != 0 ||
			strcmp(stored->subscription, p->offset.subscription) != 0)
			continue;
		if (stored->next_offset != p->offset.next_offset ||
			stored->rewind_to != p->offset.rewind_to)
			set_position(p, stored);
		return;
	}
}

#define FROM(state) (1 << CDC_PARTITION_##state)
#define FROM_READ (FROM(STARTING) | FROM(STREAMING) | FROM(WAITING))

/* From which states one may come, as the picture above has it; a state may always stay */
static const int predecessors[] PG_USED_FOR_ASSERTS_ONLY = {
	[CDC_PARTITION_STARTING] = FROM_READ | FROM(PAUSED) | FROM(ERROR),
	[CDC_PARTITION_STREAMING] = FROM_READ,
	[CDC_PARTITION_WAITING] = FROM_READ,
	[CDC_PARTITION_PAUSED] = FROM_READ | FROM(ERROR),
	[CDC_PARTITION_ERROR] = FROM_READ,
};

/* The only one that changes it; error NULL keeps what was said last */
static void
set_state(CdcPartition *p, CdcPartitionState state, const CdcError *error)
{
	Assert(p->state == state || (predecessors[state] & (1 << p->state)) != 0);
	p->state = state;
	if (error)
		cdc_stat_partition_error(p->stat, state, error);
	else
		cdc_stat_partition_state(p->stat, state);
}

static void
adopt(CdcPartition *p, CdcSubscription *sub)
{
	p->sub = sub;
	if (!sub->enabled)
	{
		unassign(p);
		set_state(p, CDC_PARTITION_PAUSED, NULL);
	}
	else if (!p->assigned)
	{
		p->retries = 0;
		p->retry_at = 0;
		p->ddl_retries = 0;
		p->maybe_mended = false;
		set_state(p, CDC_PARTITION_STARTING, NULL);
	}
}

/* DDL of users concerns a worker with a partition in error, also while that is tried once more */
static void
publish_errors(void)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		const CdcPartition *p = lfirst(lc);

		any |= p->state == CDC_PARTITION_ERROR || p->failed_at >= 0;
	}
	cdc_control_set_errors(any);
}

/* Somebody's DDL: it may have mended what has stopped, or is about to */
void
cdc_partition_note_ddl(void)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		p->maybe_mended |= p->state == CDC_PARTITION_ERROR || p->failed_at >= 0;
	}
}

/*
 * Take over the configuration, of CdcSubscription *, which stays the caller's until the
 * next call, and the stored positions, of CdcOffset *.  Partitions of subscriptions that
 * are gone are released, of paused ones stopped; those that were paused, in error or
 * waiting are tried at once, and those that were moved are read from there.
 */
void
cdc_partition_configure(List *subscriptions, List *offsets)
{
	List	   *partitions = list_copy(cdc_partition_list);
	ListCell   *lc;

	foreach(lc, partitions)
	{
		CdcPartition *p = lfirst(lc);
		CdcSubscription *sub = cdc_subscription_find(subscriptions, p->offset.subscription);

		/* one that was removed and made again under its name begins anew */
		if (sub == NULL || sub->created_at != p->sub->created_at ||
			!cdc_subscription_matches(sub, p->offset.topic))
			release(p);
		else
		{
			take_position(p, offsets);
			adopt(p, sub);
		}
	}
	list_free(partitions);
	publish_errors();
}

static void
enter(CdcPartition *p)
{
	PartitionEntry *entry;

	if (by_name == NULL)
		by_name = cdc_topic_partition_hash("cdcsync partitions", sizeof(PartitionEntry));
	entry = cdc_topic_partition_search(by_name, p->offset.topic, p->offset.partition, HASH_ENTER, NULL);
	entry->partition = p;
}

/* In stat, where somebody else may have left one; false if there is none */
static bool
seek_place(CdcPartition *p)
{
	p->stat = cdc_stat_partition_acquire(p->offset.subscription, p->offset.topic,
										 p->offset.partition);
	cdc_stat_partition_position(p->stat, p->offset.next_offset, p->end_offset, 0);
	cdc_stat_partition_state(p->stat, p->state);
	return p->stat >= 0;
}

/*
 * Those that found no place in stat look for one again; the entries of a subscription say
 * that some of it have none.  Returns whether there are such.
 */
bool
cdc_partition_seek_places(void)
{
	static bool before = false;
	List	   *subs = NIL;		/* of CdcSubscription * */
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->stat < 0 && !seek_place(p))
			subs = list_append_unique_ptr(subs, p->sub);
	}
	if (subs == NIL && !before)
		return false;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		cdc_stat_partition_set_unseen(p->stat, list_member_ptr(subs, p->sub));
	}
	before = subs != NIL;
	return before;
}

/* A partition of a subscription, to be read from its offset; copies what it keeps */
void
cdc_partition_add(const CdcOffset *offset, CdcSubscription *sub)
{
	static int	order = 0;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	CdcPartition *p = palloc0(sizeof(CdcPartition));

	p->offset = *offset;
	p->offset.subscription = pstrdup(offset->subscription);
	p->offset.topic = pstrdup(offset->topic);
	if (offset->cluster_id)
		p->offset.cluster_id = pstrdup(offset->cluster_id);
	if (offset->table)
		p->tail.table = pstrdup(offset->table);
	p->offset.table = p->tail.table;
	p->position = p->offset.next_offset;
	p->end_offset = -1;
	p->failed_at = -1;
	p->order = order++;
	seek_place(p);
	cdc_partition_list = lappend(cdc_partition_list, p);
	enter(p);
	MemoryContextSwitchTo(old);
	adopt(p, sub);
}

/* The cluster that the client is connected to; NULL if it did not say */
void
cdc_partition_set_cluster(const char *cluster_id)
{
	if (cluster_id && (current_cluster == NULL || strcmp(current_cluster, cluster_id) != 0))
		current_cluster = MemoryContextStrdup(TopMemoryContext, cluster_id);
}

/* ---- states ---- */

static int
retry_delay(int retries)
{
	return retries < 9 ? Min(RETRY_FIRST_MS << retries, RETRY_LAST_MS) : RETRY_LAST_MS;
}

/*
 * The first failure of a message is tried again once: DDL that mends it may have
 * committed before this worker was known to have an error, and then nobody says so.
 */
void
cdc_partition_stop(CdcPartition *p, const CdcError *error)
{
	if (p->failed_at != p->offset.next_offset)
	{
		p->failed_at = p->offset.next_offset;
		cdc_control_set_errors(true);
		cdc_partition_wait(p, error);
		return;
	}
	unassign(p);
	p->retry_at = cdc_ticks_now() + retry_delay(p->ddl_retries++);
	set_state(p, CDC_PARTITION_ERROR, error);
	cdc_stat_partition_position(p->stat, -1, p->end_offset, 0);
	publish_errors();
	ereport(LOG,
			(errmsg("subscription \"%s\" stopped at topic \"%s\" partition %d offset " INT64_FORMAT,
					p->offset.subscription, p->offset.topic, p->offset.partition,
					p->offset.next_offset),
			 errdetail("%s", cdc_error_text(error))));
	cdc_progress();
}

/* Read it again from its position after a pause, which doubles from fault to fault up to 30 s */
void
cdc_partition_wait(CdcPartition *p, const CdcError *error)
{
	unassign(p);
	p->retry_at = cdc_ticks_now() + retry_delay(p->retries++);
	set_state(p, CDC_PARTITION_WAITING, error);
}

/* The broker has no such topic any more: the same, where it waits already */
void
cdc_partition_missing(CdcPartition *p, const CdcError *error)
{
	if (p->state == CDC_PARTITION_WAITING && !p->assigned)
		set_state(p, CDC_PARTITION_WAITING, error);
}

/* What is found out here rather than caught */
static void
stop_saying(CdcPartition *p, const char *message, const char *hint)
{
	CdcError	error = cdc_error_own(message, hint);

	cdc_partition_stop(p, &error);
}

static void
wait_saying(CdcPartition *p, const char *message)
{
	CdcError	error = cdc_error_own(message, NULL);

	cdc_partition_wait(p, &error);
}

/*
 * Not a fault, so the pauses between retries do not grow.  The clock is looked at again
 * after a while, for it may be set meanwhile.
 */
void
cdc_partition_hold(CdcPartition *p, TimestampTz until)
{
	CdcError	error = cdc_error_own(psprintf("the next event is of %s, which this node's clock has not reached yet",
											   timestamptz_to_str(until)), NULL);

	unassign(p);
	p->retry_at = cdc_ticks_now() +
		Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until), HOLD_MS);
	set_state(p, CDC_PARTITION_WAITING, &error);
}

/* What is assigned stays so: the client goes on by itself, when the broker is back */
void
cdc_partition_client_error(const CdcError *error)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->state != CDC_PARTITION_PAUSED && p->state != CDC_PARTITION_ERROR)
			set_state(p, CDC_PARTITION_WAITING, error);
	}
}

/* Those that only waited for the client; others have a fault of their own to get over */
void
cdc_partition_client_ok(void)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (p->assigned && p->retries == 0 && p->state == CDC_PARTITION_WAITING)
			set_state(p, CDC_PARTITION_STREAMING, NULL);
	}
}

/* The client was closed: nothing is assigned any more, all is to be started again */
void
cdc_partition_unassigned_all(const CdcError *error)
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

static void
attempt_rewind(void *arg)
{
	Rewinding  *rewinding = arg;

	rewinding->stored = cdc_offset_rewind(rewinding->offset);
}

static bool
is_lock_timeout(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* Returns why not, in CurrentMemoryContext; NULL if it is stored */
static const char *
store_rewound(CdcPartition *p, CdcOffset *offset)
{
	Rewinding	rewinding = {.offset = offset};
	MemoryContext context;
	ErrorData  *error;

	cdc_session_set_patience(p->retries == 0);
	context = cdc_extension_begin();
	error = cdc_subxact_attempt(attempt_rewind, &rewinding, is_lock_timeout);
	cdc_extension_commit(context);
	return error ? "its position is locked by another session" :
		rewinding.stored ? NULL : "its position has just been changed";
}

/* False if the broker does not say where that is, or somebody has moved it again meanwhile, or is about to */
static bool
rewind_to_time(CdcPartition *p)
{
	CdcPosition position = {.topic = p->offset.topic, .partition = p->offset.partition};
	CdcOffset	offset = p->offset;
	char	   *error = NULL;
	const char *why;

	if (!cdc_consumer_query_offsets(&position, 1, p->offset.rewind_to, &error) ||
		(error = position.error) != NULL)
	{
		wait_saying(p, error);
		return false;
	}
	offset.next_offset = position.offset;
	why = store_rewound(p, &offset);
	if (why)
	{
		wait_saying(p, why);
		return false;
	}
	ereport(LOG,
			(errmsg("subscription \"%s\" reads topic \"%s\" partition %d again from offset " INT64_FORMAT,
					offset.subscription, offset.topic, offset.partition, offset.next_offset)));
	set_position(p, &offset);
	return true;
}

static void
start(CdcPartition *p)
{
	char	   *error;
	int64		from;

	p->maybe_mended = false;
	if (p->state == CDC_PARTITION_ERROR)
		set_state(p, CDC_PARTITION_STARTING, NULL);
	if (p->offset.cluster_id && current_cluster &&
		strcmp(p->offset.cluster_id, current_cluster) != 0)
	{
		stop_saying(p, psprintf("the broker belongs to cluster %s, the stored offset to cluster %s",
								current_cluster, p->offset.cluster_id),
					psprintf("Check cdcsync.bootstrap_servers; to begin anew in this cluster, run %s.",
							 cdc_subscription_reset_command(p->offset.subscription)));
		return;
	}
	if (p->offset.rewind_to >= 0 && !rewind_to_time(p))
		return;
	from = p->offset.next_offset;
	p->verifying = from > 0 && !p->nothing_before;
	p->position = from;
	if (!cdc_consumer_assign(p->offset.topic, p->offset.partition,
							 p->verifying ? from - 1 : from, &error))
	{
		wait_saying(p, error);
		return;
	}
	p->assigned = true;
	if (p->retries == 0)
		set_state(p, CDC_PARTITION_STARTING, NULL);
}

/* Is it to be read again at its time? */
static bool
has_time(const CdcPartition *p)
{
	return !p->assigned && (p->state == CDC_PARTITION_WAITING ||
							(p->state == CDC_PARTITION_ERROR && p->maybe_mended));
}

/* Only while the client is open: opening it is the look for topics' affair */
void
cdc_partition_start_due(int64 now)
{
	ListCell   *lc;

	if (!cdc_consumer_is_open())
		return;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if ((p->state == CDC_PARTITION_STARTING && !p->assigned) ||
			(has_time(p) && p->retry_at <= now))
			start(p);
	}
}

int64
cdc_partition_next_due(void)
{
	int64		due = CDC_TICKS_NEVER;
	ListCell   *lc;

	if (!cdc_consumer_is_open())
		return due;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (has_time(p))
			due = Min(due, p->retry_at);
	}
	return due;
}

/* After a fault that is when the message has been applied that stumbled over it */
static void
note_streaming(CdcPartition *p)
{
	p->retries = 0;
	if (p->state != CDC_PARTITION_STREAMING)
		set_state(p, CDC_PARTITION_STREAMING, NULL);
}

static char *
hint_anew(const CdcPartition *p)
{
	return psprintf("If the topic was deleted and created again, restart the connector that writes to it, then run %s.",
					cdc_subscription_reset_command(p->offset.subscription));
}

static void
take_end(CdcPartition *p, int64 end_offset)
{
	p->end_offset = Max(p->end_offset, Max(end_offset, p->position));
}

/*
 * A message has come: is it for the batch?  Of the last applied record, which is read
 * again to know the log, applied is set.
 */
bool
cdc_partition_accept(CdcPartition *p, CdcMessage *message)
{
	if (!p->assigned)
		return false;
	if (p->retries == 0)
		note_streaming(p);
	if (message->offset < p->offset.next_offset)
	{
		if (p->offset.record_time >= 0 && message->timestamp != p->offset.record_time)
		{
			stop_saying(p, "the topic is not the one that was read before: its last applied record has another time",
						hint_anew(p));
			return false;
		}
		p->verifying = false;
		message->applied = true;
		return true;
	}
	p->verifying = false;		/* compaction took the last applied record */
	p->nothing_before = false;
	if (message->offset < p->position)
		return false;
	p->position = message->offset + 1;
	take_end(p, message->end);
	return true;
}

static void
stop_short(CdcPartition *p, int64 end_offset)
{
	stop_saying(p, psprintf("the topic ends at offset " INT64_FORMAT
							", before the next one to apply, " INT64_FORMAT, end_offset, p->offset.next_offset),
				hint_anew(p));
}

/* The log's end is at offset: true if there is a gap that a marker must bridge */
bool
cdc_partition_at_end(CdcPartition *p, int64 offset)
{
	bool		gap = offset > p->position;

	if (!p->assigned)
		return false;
	if (offset < p->offset.next_offset)
	{
		stop_short(p, offset);
		return false;
	}
	if (p->retries == 0 || offset == p->offset.next_offset)
		note_streaming(p);
	p->end_offset = offset;
	cdc_stat_partition_position(p->stat, -1, offset, 0);
	if (gap)
		p->position = offset;
	return gap;
}

/* SELECT cdcsync.rewind(...), which moves this partition to the offset */
static char *
rewind_command(const CdcPartition *p, int64 offset)
{
	StringInfoData to;

	initStringInfo(&to);
	appendStringInfoChar(&to, '{');
	escape_json(&to, p->offset.topic);
	appendStringInfo(&to, ": {\"%d\": " INT64_FORMAT "}}", p->offset.partition, offset);
	return psprintf("SELECT cdcsync.rewind(%s, %s::jsonb)", quote_literal_cstr(p->offset.subscription),
					quote_literal_cstr(to.data));
}

/* The broker no longer has what was asked for */
void
cdc_partition_out_of_range(CdcPartition *p)
{
	CdcPosition low = {.topic = p->offset.topic, .partition = p->offset.partition};
	CdcPosition high = low;
	int64		next = p->offset.next_offset;
	char	   *error = NULL;

	if (!p->assigned)
		return;
	if (!cdc_consumer_query_offsets(&low, 1, CDC_OFFSET_BEGINNING, &error) ||
		!cdc_consumer_query_offsets(&high, 1, CDC_OFFSET_END, &error) ||
		(error = low.error) != NULL || (error = high.error) != NULL)
		wait_saying(p, error);
	else if (next < low.offset)
		stop_saying(p, psprintf(INT64_FORMAT " events are gone: the topic begins at offset " INT64_FORMAT
								", the next one to apply is " INT64_FORMAT, low.offset - next, low.offset, next),
					psprintf("Give the topic a longer retention; to go on without them, run %s.",
							 rewind_command(p, low.offset)));
	else if (next > high.offset)
		stop_short(p, high.offset);
	else if (p->verifying && next == low.offset)
	{
		/* only the last applied record is gone */
		unassign(p);
		p->nothing_before = true;
		p->offset.record_time = -1;
		start(p);
	}
	else if (p->offset.record_time >= 0)
		wait_saying(p, "the topic must be recognised again");
	else
	{
		/* not tried again: the next time would find nothing wrong */
		p->failed_at = next;
		stop_saying(p, psprintf("the topic had ended before the next one to apply, " INT64_FORMAT, next),
					hint_anew(p));
	}
}

/* After the commit of a new position */
void
cdc_partition_applied(CdcPartition *p, const CdcOffset *stored, int64 event_time,
					  TimestampTz now)
{
	p->offset = *stored;
	note_streaming(p);
	if (p->failed_at >= 0)
	{
		p->failed_at = -1;
		p->ddl_retries = 0;
		publish_errors();
	}
	take_end(p, p->offset.next_offset);
	cdc_stat_partition_position(p->stat, p->offset.next_offset, p->end_offset, event_time);
	if (event_time)
		cdc_stat_partition_applied(p->stat, now);
}

/* The same where nothing was applied: there is no record before it */
void
cdc_partition_set_offset(CdcPartition *p, const CdcOffset *stored)
{
	p->offset = *stored;
	cdc_stat_partition_position(p->stat, p->offset.next_offset, p->end_offset, 0);
}

/* The same where the message before that position could not be applied, and was kept */
void
cdc_partition_passed(CdcPartition *p, const CdcOffset *stored, const CdcError *error)
{
	cdc_partition_applied(p, stored, 0, 0);
	set_state(p, p->state, error);
}

/* NULL if it is not this worker's, or not known yet; messages come in runs of one, so the last is remembered */
CdcPartition *
cdc_partition_find(const char *topic, int32 partition)
{
	PartitionEntry *entry;

	if (last_found && last_found->offset.partition == partition &&
		strcmp(last_found->offset.topic, topic) == 0)
		return last_found;
	entry = by_name ? cdc_topic_partition_search(by_name, topic, partition, HASH_FIND, NULL) : NULL;
	if (entry)
		last_found = entry->partition;
	return entry ? entry->partition : NULL;
}

/* In a topic that is no longer there is nothing to be waited for */
static bool
is_known(const CdcPartition *p, const CdcPosition *end, List *topics)
{
	if (!p->sub->enabled || p->state == CDC_PARTITION_ERROR)
		return true;
	return p->offset.rewind_to < 0 &&
		(end->error == NULL || cdc_consumer_find_topic(topics, end->topic) == NULL);
}

/*
 * Ask the broker, which has these topics, for the ends of all logs and publish them; false
 * if it does not answer.  Are all known by now, and where they are to be read from?
 */
bool
cdc_partition_query_ends(List *topics, bool *known, char **error)
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
	if (n > 0 && !cdc_consumer_query_offsets(ends, n, CDC_OFFSET_END, error))
		return false;
	*known = true;
	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);
		CdcPosition *end = &ends[foreach_current_index(lc)];

		*known &= is_known(p, end, topics);
		if (end->error)
			continue;
		p->end_offset = end->offset;
		cdc_stat_partition_position(p->stat, -1, end->offset, 0);
	}
	return true;
}
