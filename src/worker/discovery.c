/*
 * discovery.c
 *		What is subscribed and what the broker has -> partitions.
 *
 * Topics and partitions are looked for again and again, for Debezium makes a topic with
 * its first event.  What is subscribed and not there is shown in stat_subscription by a
 * row without a partition.
 *
 * Where a database has several workers, each finds its own partitions.  The first one
 * finds those of the others too, to store where they begin: that is decided once.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/ticks.h"
#include "base/topic_partition.h"
#include "base/unixtime.h"
#include "kafka/consumer_query.h"
#include "shared/control.h"
#include "shared/stat.h"
#include "stored/offset.h"
#include "stored/topic_name.h"
#include "worker/discovery.h"
#include "worker/partition.h"

#define RETENTION_INTERVAL_MS 60000
#define MAX_TYPOS			3
#define HEARTBEAT_PREFIX	"__debezium-heartbeat."

/* Something subscribed that is not there (yet) */
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

/* One that another worker reads, as the first knows it */
typedef struct Others
{
	CdcTopicPartition key;
	CdcSubscription *sub;
} Others;

static List *configured = NIL;	/* of CdcSubscription * */
static List *placeholders = NIL;	/* of Placeholder * */
static HTAB *others = NULL;		/* of Others, of the present configuration */
static bool all_taken = true;	/* at the last look */

static void
forget_others(void)
{
	if (others)
		hash_destroy(others);
	others = cdc_topic_partition_hash("cdcsync partitions of others", sizeof(Others));
}

static void
keep_placeholders(bool wanted)
{
	ListCell   *lc;

	foreach(lc, placeholders)
		((Placeholder *) lfirst(lc))->wanted = wanted;
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

/* Take over the configuration, of CdcSubscription *, which stays the caller's until the next call */
void
cdc_discovery_configure(List *subscriptions)
{
	configured = subscriptions;
	forget_others();
	keep_placeholders(false);
	drop_unwanted_placeholders();
}

static bool
any_of_others(const CdcSubscription *sub)
{
	HASH_SEQ_STATUS status;
	const Others *o;

	hash_seq_init(&status, others);
	while ((o = hash_seq_search(&status)) != NULL)
	{
		if (o->sub != sub)
			continue;
		hash_seq_term(&status);
		return true;
	}
	return false;
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
	return any_of_others(sub);
}

static void
want_placeholder(CdcSubscription *sub, const char *topic, const CdcError *error)
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
			if (ph->stat < 0)
				ph->stat = cdc_stat_partition_acquire(sub->name, topic, -1);
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

/* The client is in trouble: subscriptions of which no partition is known say so */
void
cdc_discovery_client_error(const CdcError *error)
{
	ListCell   *lc;

	if (!cdc_control_is_first())
		return;
	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (sub->enabled && !has_partition(sub))
			want_placeholder(sub, NULL, error);
	}
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

/* The partitions of a topic fall to different workers */
static bool
is_mine(const char *topic, int32 partition)
{
	return cdc_control_is_mine(hash_bytes((const unsigned char *) topic, strlen(topic)) + partition);
}

/* Where it begins is no concern of this worker */
static bool
is_known(const char *topic, int32 partition)
{
	if (is_mine(topic, partition))
		return cdc_partition_find(topic, partition) != NULL;
	return !cdc_control_is_first() ||
		cdc_topic_partition_search(others, topic, partition, HASH_FIND, NULL) != NULL;
}

/* A name that Kafka does not allow is a broker's that is none */
static List *
find_new(List *topics, const char *cluster_id)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, topics)
	{
		CdcTopic   *topic = lfirst(lc);
		bool		usable = topic->error == NULL && cdc_topic_is_name(topic->name);
		CdcSubscription *sub = usable ? match_subscription(topic->name) : NULL;

		for (int i = 0; sub && i < topic->npartitions; i++)
		{
			Found	   *f;

			if (is_known(topic->name, i))
				continue;
			f = palloc0(sizeof(Found));
			f->sub = sub;
			f->offset.subscription = sub->name;
			f->offset.topic = topic->name;
			f->offset.partition = i;
			f->offset.next_offset = -1;
			f->offset.record_time = -1;
			f->offset.rewind_to = -1;
			f->offset.cluster_id = unconstify(char *, cluster_id);
			ItemPointerSetInvalid(&f->offset.tid);
			found = lappend(found, f);
		}
	}
	return found;
}

static void
find_stored(List *found)
{
	MemoryContext context = cdc_extension_begin();
	List	   *stored;
	ListCell   *f;
	ListCell   *s;

	MemoryContextSwitchTo(context);
	stored = cdc_offset_load_all();
	cdc_extension_commit(context);

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
	if (n > 0 && !cdc_consumer_query_offsets(positions, n, time, &error))
	{
		CdcError	trouble = cdc_error_own(error, NULL);

		cdc_partition_client_error(&trouble);
		cdc_discovery_client_error(&trouble);
		return false;
	}
	for (int i = 0; i < n; i++)
	{
		if (positions[i].error == NULL)
			asked[i]->offset.next_offset = positions[i].offset;
	}
	return true;
}

/*
 * That a partition existed when its subscription was first looked at cannot be seen later:
 * where the broker that leads it is away, the time is stored from which to read it, as
 * by rewind().
 */
static void
postpone_starts(List *found, const CdcSubscription *sub, int64 time)
{
	ListCell   *lc;

	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (f->sub != sub || f->offset.next_offset >= 0)
			continue;
		f->offset.next_offset = 0;
		f->offset.rewind_to = time;
	}
}

/*
 * Where to begin: what existed at subscribe where start_at says, what came later at its
 * beginning.  The first look at the broker counts as the time of subscribe.
 */
static bool
find_starts(List *found)
{
	int64		now = cdc_unixtime_from_timestamptz(GetCurrentTimestamp()) / 1000;
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
		if (start_at != CDC_OFFSET_BEGINNING)
			postpone_starts(found, sub, start_at >= 0 ? start_at : now);
	}
	return true;
}

static bool
is_concerned(const CdcSubscription *sub, List *found)
{
	ListCell   *lc;

	foreach(lc, found)
	{
		if (((Found *) lfirst(lc))->sub == sub && !((Found *) lfirst(lc))->stored)
			return true;
	}
	return !sub->started;
}

/* Without those that were removed meanwhile: where another of the name begins is its own affair */
static List *
keep_concerned(List *found)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, configured)
	{
		CdcSubscription *sub = lfirst(lc);

		if (is_concerned(sub, found) && cdc_subscription_keep(sub))
			kept = lappend(kept, sub);
	}
	return kept;
}

static void
store_found(List *found)
{
	MemoryContext context = cdc_extension_begin();
	bool		any_new_of_others = false;
	List	   *kept;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	kept = keep_concerned(found);
	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (f->offset.next_offset < 0 || f->stored || !list_member_ptr(kept, f->sub))
			continue;
		cdc_offset_create(&f->offset);
		f->stored = true;
		any_new_of_others |= !is_mine(f->offset.topic, f->offset.partition);
	}
	foreach(lc, kept)
	{
		CdcSubscription *sub = lfirst(lc);

		if (!sub->started)
			cdc_subscription_mark_started(sub);
	}
	cdc_extension_commit(context);

	foreach(lc, kept)
		((CdcSubscription *) lfirst(lc))->started = true;
	if (any_new_of_others)
		cdc_control_notify_others();
}

static void
note_others(const Found *f)
{
	Others	   *o = cdc_topic_partition_search(others, f->offset.topic, f->offset.partition, HASH_ENTER, NULL);

	o->sub = f->sub;
}

/* Read what is this worker's and has a beginning */
static void
take_found(List *found)
{
	ListCell   *lc;

	all_taken = true;
	foreach(lc, found)
	{
		Found	   *f = lfirst(lc);

		if (!f->stored)
			all_taken &= !f->sub->enabled;
		else if (is_mine(f->offset.topic, f->offset.partition))
			cdc_partition_add(&f->offset, f->sub);
		else
			note_others(f);
	}
}

/* NULL if none is */
static const char *
similar_topic(List *topics, const char *name)
{
	const char *nearest = NULL;
	int			bound = Min(MAX_TYPOS, strlen(name) / 4);
	ListCell   *lc;

	foreach(lc, topics)
	{
		const char *other = ((CdcTopic *) lfirst(lc))->name;
		int			distance;

		if (!cdc_topic_is_name(other))
			continue;
		distance = varstr_levenshtein_less_equal(name, strlen(name), other, strlen(other), 1, 1, 1, bound, true);
		if (distance > bound)
			continue;
		nearest = other;
		bound = distance - 1;
		if (bound < 0)
			break;
	}
	return nearest;
}

/* What is not there (yet), and what may be meant */
static CdcError
missing_error(CdcSubscription *sub, List *topics, const char *name)
{
	const char *similar = similar_topic(topics, name);
	const char *reset = cdc_subscription_reset_command(sub->name);

	return cdc_error_own("the topic does not exist (yet)", similar ?
						 psprintf("Perhaps the topic \"%s\" is meant: see cdcsync.alter_subscription.", similar) :
						 psprintf("Debezium makes a topic with its first event.  If it was there and was deleted, restart the connector that writes to it, then run %s.", reset));
}

/* Of those that were read, the Kafka client says only that it does not know them */
static void
tell_missing(List *topics)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		CdcPartition *p = lfirst(lc);

		if (cdc_consumer_find_topic(topics, p->offset.topic) == NULL)
		{
			CdcError	error = missing_error(p->sub, NIL, p->offset.topic);

			cdc_partition_missing(p, &error);
		}
	}
}

static void
want_missing(CdcSubscription *sub, const char *topic, const char *message)
{
	CdcError	error = cdc_error_own(message, NULL);

	want_placeholder(sub, topic, &error);
}

static void
renew_placeholders(List *topics)
{
	ListCell   *s;
	ListCell   *t;

	keep_placeholders(false);
	foreach(s, configured)
	{
		CdcSubscription *sub = lfirst(s);
		bool		named = false;

		foreach(t, sub->topics)
		{
			char	   *name = lfirst(t);
			const CdcTopic *found = cdc_consumer_find_topic(topics, name);

			if (cdc_topic_is_regex(name) || (found && found->error == NULL))
				continue;
			named = true;
			if (found)
				want_missing(sub, name, found->error);
			else
			{
				CdcError	error = missing_error(sub, topics, name);

				want_placeholder(sub, name, &error);
			}
		}
		if (!named && !has_partition(sub))
			want_missing(sub, NULL, "no topic matches yet");
	}
	drop_unwanted_placeholders();
}

static bool
any_unseen_placeholder(void)
{
	ListCell   *lc;

	foreach(lc, placeholders)
	{
		if (((const Placeholder *) lfirst(lc))->stat < 0)
			return true;
	}
	return false;
}

/* What has no place in the statistics may find one by now */
static void
look_for_places(void)
{
	bool		unseen = cdc_partition_seek_places();

	cdc_control_set_short(CDC_SHORT_OF_PARTITIONS, unseen || any_unseen_placeholder());
	if (cdc_control_is_short(MyDatabaseId, CDC_SHORT_OF_TABLES) && cdc_stat_table_has_room())
		cdc_control_set_short(CDC_SHORT_OF_TABLES, false);
}

/* A table's, or that of the heartbeats: the node's connector has been at work */
static bool
any_own_topic(List *topics)
{
	char	   *prefix = psprintf("%s.", cdc_node_name);
	char	   *heartbeat = psprintf(HEARTBEAT_PREFIX "%s", cdc_node_name);
	ListCell   *lc;

	foreach(lc, topics)
	{
		const char *name = ((CdcTopic *) lfirst(lc))->name;

		if (strncmp(name, prefix, strlen(prefix)) == 0 || strcmp(name, heartbeat) == 0)
			return true;
	}
	return false;
}

static void
set_retention(const CdcRetention *retention)
{
	ListCell   *lc;

	foreach(lc, cdc_partition_list)
	{
		const CdcPartition *p = lfirst(lc);

		if (strcmp(p->offset.topic, retention->topic) == 0)
			cdc_stat_partition_retention(p->stat, retention->ms);
	}
}

/* For check() only, so now and then is enough */
static void
look_at_retention(bool any_found)
{
	static int64 due = 0;
	int64		now = cdc_ticks_now();
	int			n = list_length(cdc_partition_list);
	CdcRetention *retentions;
	ListCell   *lc;

	if (n == 0 || (!any_found && now < due))
		return;
	due = now + RETENTION_INTERVAL_MS;
	retentions = palloc(sizeof(CdcRetention) * n);
	n = 0;
	foreach(lc, cdc_partition_list)
	{
		const CdcPartition *p = lfirst(lc);

		if (n == 0 || strcmp(retentions[n - 1].topic, p->offset.topic) != 0)
			retentions[n++].topic = p->offset.topic;
	}
	cdc_consumer_query_retention(retentions, n);
	for (int i = 0; i < n; i++)
		set_retention(&retentions[i]);
}

/*
 * What the broker has, of CdcTopic *: make a partition of each that a subscription
 * matches and that is new, beginning where it is stored or where the subscription says.
 * Asks the broker, then runs transactions of its own; none is open.  False if there are
 * some of which it is not known yet where they begin.
 */
bool
cdc_discovery_look(List *topics, const char *cluster_id)
{
	List	   *found = find_new(topics, cluster_id);

	cdc_partition_set_cluster(cluster_id);
	if (found)
		find_stored(found);
	if (cdc_control_is_first() && (found || any_not_started()) && find_starts(found))
		store_found(found);
	take_found(found);
	tell_missing(topics);
	if (cdc_control_is_first())
	{
		renew_placeholders(topics);
		cdc_control_set_own_topics(any_own_topic(topics));
	}
	look_for_places();
	look_at_retention(found != NIL);
	return all_taken;
}

/* ---- what is not there ---- */

/* Is there something subscribed that the broker did not have yet, or that cannot be begun yet? */
bool
cdc_discovery_incomplete(void)
{
	return placeholders != NIL || !all_taken;
}
