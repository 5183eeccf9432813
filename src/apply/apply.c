/*
 * apply.c
 *		Change events -> the tables, inside one transaction.
 *
 * Events are taken table by table: the order of a key's events is kept, the order
 * between tables does not matter, for foreign keys are not checked.  A truncate is a
 * barrier: what comes before it is written first.
 *
 * The version of a row under the commit clock is its transaction's commit time.  So a
 * transaction that touches such a table has events of one time only, with which it is
 * stamped; and an event from the future waits until this node's clock has passed it, for
 * a local change made after it must be the newer one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply/admission.h"
#include "apply/apply.h"
#include "apply/apply_table.h"
#include "apply/peer.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/unixtime.h"
#include "event/decode.h"
#include "shared/apply_context.h"
#include "shared/stat.h"
#include "stored/conflict_log.h"
#include "table/origin.h"

/* A table of the events between two barriers */
typedef struct CdcTableGroup
{
	const char *schema;
	const char *table;
	CdcTableChanges changes;
} CdcTableGroup;

/* For cdc_apply_count */
typedef struct Counted
{
	Oid			relid;
	int64		counters[CDC_NCOUNTERS];
} Counted;

struct CdcApply
{
	CdcApplyItem **items;
	int			nitems;
	int			nmet;			/* of them, from the first, have their table */
	CdcApplyHow how;
	List	   *groups;			/* of CdcTableGroup *, every table of the transaction */
	CdcTableGroup *last;		/* that was asked for */
	CdcApplied *applied;
};

/* Rows of a snapshot do not say when they were written: as old as can be */
#define SNAPSHOT_TIME (CDC_UNIX_EPOCH_USECS + 1)

static void
count_later(CdcApply *apply, Oid relid, const int64 *counters)
{
	MemoryContext old = MemoryContextSwitchTo(apply->applied->context);
	Counted    *counted = palloc(sizeof(Counted));

	counted->relid = relid;
	memcpy(counted->counters, counters, sizeof(counted->counters));
	apply->applied->counted = lappend(apply->applied->counted, counted);
	MemoryContextSwitchTo(old);
}

/* Counted under the table, or under none */
static void
skip(CdcApply *apply, CdcTableGroup *group, CdcApplyItem *item, const char *outcome)
{
	int64		counters[CDC_NCOUNTERS] = {[CDC_COUNT_EVENTS] = 1,[CDC_COUNT_SKIPPED] = 1};

	item->outcome = outcome;
	count_later(apply, group->changes.rel ? group->changes.rel->relid : InvalidOid, counters);
}

/* add_table would refuse it, and its root is registered already */
static bool
is_partition_here(const CdcEvent *event)
{
	Oid			schema;
	Oid			relid;
	ListCell   *lc;

	if (!IsTransactionState() || !OidIsValid(schema = get_namespace_oid(event->schema, true)))
		return false;
	relid = get_relname_relid(event->table, schema);
	if (!OidIsValid(relid) || !get_rel_relispartition(relid))
		return false;
	foreach(lc, get_partition_ancestors(relid))
	{
		if (cdc_table_rule_for_relation(lfirst_oid(lc)))
			return true;
	}
	return false;
}

pg_noreturn static void
refuse_unknown(const CdcEvent *event)
{
	bool		is_null = event->op == CDC_OP_NULL_VALUE;

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 event->table[0] == '\0' ?
			 errmsg("null value in topic \"%s\" does not say of which table it is",
					event->message->topic) :
			 errmsg("no table is registered for \"%s.%s\"", event->schema, event->table),
			 event->table[0] == '\0' ?
			 errdetail("The topic's events, or names, are of several tables.") :
			 is_null ? errdetail("Of a null value only the topic tells the table.") : 0,
			 is_null ?
			 errhint("Where several connectors write to one topic, set tombstones.on.delete=false in them; set on_unknown_table => 'skip' with cdcsync.alter_subscription to get past it.") :
			 is_partition_here(event) ?
			 errhint("It is a partition of a table that is registered: on the node that sent it, run ALTER PUBLICATION cdcsync SET (publish_via_partition_root = true); get past events that were sent already with cdcsync.skip.") :
			 errhint("Register it with cdcsync.add_table, or set on_unknown_table => 'skip' with cdcsync.alter_subscription.")));
}

static void
skip_unknown(CdcApply *apply, CdcTableGroup *group, CdcApplyItem *item)
{
	const CdcEvent *event = item->event;

	/* a connector's own: in a topic of several tables */
	if (strcmp(event->schema, "cdcsync") == 0 && strcmp(event->table, "signal") == 0)
	{
		skip(apply, group, item, "signal of a connector, skipped");
		return;
	}
	if (!item->options->skip_unknown)
	{
		cdc_apply_context_set(event->message);
		refuse_unknown(event);
	}
	skip(apply, group, item, "table is not registered, skipped");
}

/*
 * False for a null value in a topic that is not its peer's, where such are skipped; other
 * events of those who may not speak there are errors.
 */
static bool
may_speak(CdcEvent *event, const CdcApplyOptions *options, const CdcLogTail *tail)
{
	bool		is_null = event->op == CDC_OP_NULL_VALUE;

	if (is_null)
		cdc_log_tail_name_table(tail, event);
	if (options->subscription == NULL)
		return true;
	if (is_null && !cdc_admission_allows(options, event->message->topic, event->peer))
	{
		if (!options->skip_unknown)
			refuse_unknown(event);
		return false;
	}
	cdc_admission_check(options, event);
	return true;
}

/*
 * What a peer forwards has its author's time already, whatever the topic says; another
 * one each time it goes round would never let it rest.
 */
static int64
time_of(const CdcEvent *event, const CdcApplyOptions *options)
{
	bool		of_record = event->op == CDC_OP_NULL_VALUE ||
		(options->record_time && event->origin == NULL);

	if (of_record && event->message->timestamp >= 0)
		return event->message->timestamp * 1000;
	return event->time;
}

/* This node's own log, in a topic of several nodes */
static bool
is_own_log(const CdcEvent *event)
{
	return event->peer && cdc_node_name && strcmp(event->peer, cdc_node_name) == 0;
}

/*
 * Decode a message.  NULL if there is nothing to apply: not a change of a row, skipped
 * by the options, or the null value after its delete.  tail is what the log ended with
 * before this message and is moved on.  The result is in CurrentMemoryContext.
 */
CdcApplyItem *
cdc_apply_prepare(CdcMessage *message, const CdcApplyOptions *options, CdcLogTail *tail)
{
	CdcApplyItem *item;
	CdcEvent   *event;

	if (message->marker)
		return NULL;
	cdc_apply_context_set(message);
	event = cdc_decode_message(message);
	if (event->op == CDC_OP_NULL_VALUE && cdc_log_tail_follows_delete(tail, message))
		event->op = CDC_OP_IGNORED;
	if (event->op == CDC_OP_DELETE)
		cdc_log_tail_note_delete(tail, message);
	if (message->applied || event->op == CDC_OP_IGNORED || !may_speak(event, options, tail))
		event = NULL;
	cdc_log_tail_note_table(tail, message, event);
	cdc_apply_context_clear();
	if (event == NULL)
		return NULL;

	item = palloc0(sizeof(CdcApplyItem));
	item->event = event;
	item->options = options;
	item->time = time_of(event, options);
	item->own_echo = event->origin && cdc_origin_is_own(event->origin);
	item->own = item->own_echo || is_own_log(event);
	item->skip = options->origin_none && event->origin && !item->own_echo;
	return item;
}

/* ---- the transaction ---- */

CdcApply *
cdc_apply_begin(CdcApplyItem **items, int nitems, CdcApplyHow how)
{
	CdcApply   *apply = palloc0(sizeof(CdcApply));

	apply->items = items;
	apply->nitems = nitems;
	apply->how = how;
	return apply;
}

/*
 * Debezium names a topic after its table, with another letter for each that a topic cannot
 * have: "my notes" and my_notes share one.  So a table that is registered under such a name
 * may be meant, if it is the only one.
 */
static void
find_table_by_name(CdcEvent *event)
{
	CdcTableRule *rule;
	int			n;

	cdc_apply_context_set(event->message);
	rule = cdc_table_rule_for_topic(event->message->topic, &n);
	cdc_apply_context_clear();
	if (n > 1)
		event->schema = event->table = "";	/* neither */
	/* with dots, its peer is another than the one that the topic was read for */
	else if (n == 1 && strchr(rule->source_schema, '.') == NULL && strchr(rule->source_table, '.') == NULL)
	{
		event->schema = rule->source_schema;
		event->table = rule->source_table;
	}
}

/* Of one that is not registered, find_group has said it */
static void
set_context_table(const CdcRelation *rel)
{
	if (rel)
		cdc_apply_context_set_table(rel->relid, rel->qualified_name, rel->source_name);
}

/* Each table is opened once in a transaction */
static CdcTableGroup *
find_group(CdcApply *apply, const CdcApplyItem *item)
{
	const CdcEvent *event = item->event;
	CdcTableGroup *group;
	ListCell   *lc;

	foreach(lc, apply->groups)
	{
		group = lfirst(lc);
		if (strcmp(group->table, event->table) == 0 && strcmp(group->schema, event->schema) == 0)
			return group;
	}
	cdc_apply_context_set(event->message);
	cdc_apply_context_set_table(InvalidOid, NULL, quote_qualified_identifier(event->schema, event->table));
	group = palloc0(sizeof(CdcTableGroup));
	group->schema = event->schema;
	group->table = event->table;
	group->changes.rel = cdc_relation_open(event->schema, event->table);
	group->changes.how = apply->how;
	group->changes.max_items = apply->nitems;
	group->changes.items = palloc_extended(sizeof(CdcApplyItem *) * apply->nitems,
										   MCXT_ALLOC_HUGE);
	set_context_table(group->changes.rel);
	apply->groups = lappend(apply->groups, group);
	cdc_apply_context_clear();
	return group;
}

/* Of the event before it, mostly */
static CdcTableGroup *
group_of(CdcApply *apply, const CdcApplyItem *item)
{
	CdcTableGroup *last = apply->last;

	if (last == NULL || strcmp(last->table, item->event->table) != 0 ||
		strcmp(last->schema, item->event->schema) != 0)
		apply->last = find_group(apply, item);
	return apply->last;
}

static bool
is_of_commit_clock(const CdcApplyItem *item)
{
	return item->counts && item->group->changes.rel->clock == CDC_CLOCK_COMMIT;
}

/* Only as many as are asked for: of a large batch each transaction may take but one */
static void
meet_items(CdcApply *apply, int nitems)
{
	TimestampTz now = GetCurrentTimestamp();

	for (; apply->nmet < nitems; apply->nmet++)
	{
		CdcApplyItem *item = apply->items[apply->nmet];

		if (item->event->table_by_name)
			find_table_by_name(item->event);
		item->group = group_of(apply, item);
		item->counts = !item->skip && item->group->changes.rel;
		if (item->group->changes.rel)
			cdc_peer_see(item, item->group->changes.rel, now);
		if (is_of_commit_clock(item) && item->event->op == CDC_OP_READ)
			item->time = SNAPSHOT_TIME;
	}
}

/* What is further ahead than a clock may be is not waited for: decide.c refuses it */
static bool
must_wait(const CdcApplyItem *item, TimestampTz now, TimestampTz *until)
{
	TimestampTz time = cdc_unixtime_to_timestamptz(item->time);

	*until = time + 1;
	return time >= now && time <= TimestampTzPlusMilliseconds(now, cdc_max_clock_skew);
}

int
cdc_apply_extent(CdcApply *apply, TimestampTz *hold_until)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		any_commit_clock = false;
	bool		one_time = true;
	int64		time = 0;

	for (int i = 0; i < apply->nitems; i++)
	{
		const CdcApplyItem *item = apply->items[i];
		bool		of_commit_clock;

		meet_items(apply, i + 1);
		of_commit_clock = is_of_commit_clock(item);
		if (!item->counts)
			continue;
		if (of_commit_clock && must_wait(item, now, hold_until))
			return i;
		if (time == 0)
			time = item->time;
		one_time &= item->time == time;
		any_commit_clock |= of_commit_clock;
		if (any_commit_clock && !one_time)
			return i;
	}
	return apply->nitems;
}

/* Events that may meet others' unique values are taken one by one: each may free them */
static void
apply_changes(CdcTableChanges *changes)
{
	CdcApplyItem **items = changes->items;
	int			nitems = changes->nitems;

	set_context_table(changes->rel);
	if (!changes->how.unique || changes->rel->unique_indexes == NIL)
	{
		cdc_apply_table(changes);
		return;
	}
	changes->nitems = 1;
	for (int i = 0; i < nitems; i++)
	{
		changes->items = &items[i];
		cdc_apply_table(changes);
	}
	changes->items = items;
}

static void
flush_groups(CdcApply *apply)
{
	ListCell   *lc;

	foreach(lc, apply->groups)
	{
		CdcTableChanges *changes = &((CdcTableGroup *) lfirst(lc))->changes;

		if (changes->nitems == 0)
			continue;
		changes->applied = apply->applied;
		apply_changes(changes);
		count_later(apply, changes->rel->relid, changes->counters);
		changes->nitems = 0;
		memset(changes->counters, 0, sizeof(changes->counters));
	}
}

static void
take_truncate(CdcApply *apply, CdcTableGroup *group, CdcApplyItem *item)
{
	int64		counters[CDC_NCOUNTERS] = {[CDC_COUNT_EVENTS] = 1};

	if (!group->changes.rel->rule->truncate || item->own)
	{
		skip(apply, group, item, "truncate not obeyed");
		return;
	}
	flush_groups(apply);
	cdc_apply_context_set(item->event->message);
	set_context_table(group->changes.rel);
	cdc_apply_table_truncate(group->changes.rel);
	cdc_apply_context_clear();
	item->outcome = "truncated";
	count_later(apply, group->changes.rel->relid, counters);
}

static bool
moves(const CdcTableGroup *group, const CdcApplyItem *item)
{
	bool		moved;

	cdc_apply_context_set(item->event->message);
	set_context_table(group->changes.rel);
	moved = cdc_apply_table_moves(group->changes.rel, item);
	cdc_apply_context_clear();
	return moved;
}

static void
take_change(CdcTableGroup *group, CdcApplyItem *item)
{
	CdcTableChanges *changes = &group->changes;

	if (changes->nitems == changes->max_items)
	{
		changes->max_items *= 2;
		changes->items = repalloc_huge(changes->items,
									   sizeof(CdcApplyItem *) * changes->max_items);
	}
	changes->items[changes->nitems++] = item;
}

static CdcApplyItem *
part_of(const CdcApplyItem *item, CdcOp op)
{
	CdcApplyItem *part = palloc(sizeof(CdcApplyItem));
	CdcEvent   *event = palloc(sizeof(CdcEvent));

	*event = *item->event;
	event->op = op;
	if (op == CDC_OP_DELETE)
		event->after.present = false;
	else
		event->before.present = false;
	*part = *item;
	part->event = event;
	return part;
}

/* An update that changes the key is a delete and a create, each decided alone */
static void
take_moved(CdcTableGroup *group, CdcApplyItem *item)
{
	take_change(group, part_of(item, CDC_OP_DELETE));
	take_change(group, part_of(item, CDC_OP_CREATE));
	item->outcome = "key changed, taken as a delete and a create";
}

static void
take_item(CdcApply *apply, CdcApplyItem *item)
{
	CdcTableGroup *group = item->group;

	if (item->skip)
		skip(apply, group, item, "written by another node, skipped");
	else if (group->changes.rel == NULL)
		skip_unknown(apply, group, item);
	else if (item->event->op == CDC_OP_TRUNCATE)
		take_truncate(apply, group, item);
	else if (moves(group, item))
		take_moved(group, item);
	else
		take_change(group, item);
}

/* Rows under the commit clock have no version but the stamp that comes with the origin */
static void
settle_origin(CdcApply *apply, int nitems)
{
	for (int i = 0; i < nitems; i++)
	{
		if (is_of_commit_clock(apply->items[i]))
			return;
	}
	cdc_origin_settle();
}

void
cdc_apply_execute(CdcApply *apply, int nitems, CdcApplied *applied)
{
	apply->applied = applied;
	meet_items(apply, nitems);
	for (int i = 0; i < nitems; i++)
		take_item(apply, apply->items[i]);
	flush_groups(apply);
	cdc_conflict_log_write(applied->conflicts);
	cdc_apply_context_clear();
	settle_origin(apply, nitems);
}

/* After the commit: counters go to stat_table */
void
cdc_apply_count(const CdcApplied *applied)
{
	ListCell   *lc;

	foreach(lc, applied->counted)
	{
		Counted    *c = lfirst(lc);

		cdc_stat_table_add(c->relid, c->counters);
	}
}
