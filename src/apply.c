/*
 * apply.c
 *		Change events -> the tables, inside one transaction.
 *
 * Events are taken table by table: the order of a key's events is kept, the order
 * between tables does not matter, for foreign keys are not checked.  A truncate is a
 * barrier: what comes before it is written first.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "apply.h"
#include "decode.h"
#include "guc.h"
#include "origin.h"
#include "stat.h"

/* A table of the events between two barriers */
typedef struct TableGroup
{
	const char *schema;
	const char *table;
	CdcTableChanges changes;
} TableGroup;

/* For cdc_apply_count */
typedef struct Counted
{
	Oid			relid;
	int64		counters[CDC_NCOUNTERS];
} Counted;

typedef struct ApplyState
{
	bool		write_through;
	bool		lock;
	List	   *groups;			/* of TableGroup *, every table of the transaction */
	int			nitems;
	MemoryContext context;		/* of counted */
	List	  **counted;
} ApplyState;

static bool follows_delete(CdcMessage *message, CdcLogTail *tail);
static bool take_delete(CdcLogTail *tail, const CdcMessage *message);
static void note_delete(CdcLogTail *tail, CdcMessage *message);
static bool is_own(const CdcEvent *event);
static void name_table_by_topic(CdcEvent *event);
static TableGroup *find_group(ApplyState *state, const CdcApplyItem *item);
static void take_item(ApplyState *state, CdcApplyItem *item);
static void take_truncate(ApplyState *state, TableGroup *group, CdcApplyItem *item);
static void skip_unknown(ApplyState *state, TableGroup *group, CdcApplyItem *item);
static void skip(ApplyState *state, TableGroup *group, CdcApplyItem *item, const char *outcome);
static void flush_groups(ApplyState *state);
static void count_later(ApplyState *state, Oid relid, const int64 *counters);

CdcApplyItem *
cdc_apply_prepare(CdcMessage *message, const CdcApplyOptions *options, CdcLogTail *tail)
{
	CdcApplyItem *item;
	CdcEvent   *event;

	if (message->marker)
		return NULL;
	cdc_apply_current_message = message;
	event = cdc_decode_message(message);
	if (event->op == CDC_OP_NULL_VALUE && follows_delete(message, tail))
		event->op = CDC_OP_IGNORED;
	if (event->op == CDC_OP_DELETE)
		note_delete(tail, message);
	cdc_apply_current_message = NULL;

	if (message->applied || event->op == CDC_OP_IGNORED)
		return NULL;
	if (event->op == CDC_OP_NULL_VALUE)
		name_table_by_topic(event);

	item = palloc0(sizeof(CdcApplyItem));
	item->event = event;
	item->producer = options->producer;
	item->skip_unknown = options->skip_unknown;
	item->own = is_own(event);
	item->skip = options->origin_none && event->origin && !cdc_origin_is_own(event->origin);
	return item;
}

/*
 * Messages may be prepared more than once, when a batch is repeated in parts: what was
 * seen the first time, in the log's order, holds.
 */
static bool
follows_delete(CdcMessage *message, CdcLogTail *tail)
{
	if (!message->tail_known && message->key)
		message->after_delete = take_delete(tail, message);
	message->tail_known = true;
	return message->after_delete;
}

static bool
take_delete(CdcLogTail *tail, const CdcMessage *message)
{
	for (int i = 0; i < CDC_TAIL_DELETES; i++)
	{
		if (tail->deletes[i].key && tail->deletes[i].len == message->key_len &&
			memcmp(tail->deletes[i].key, message->key, message->key_len) == 0)
		{
			pfree(tail->deletes[i].key);
			tail->deletes[i].key = NULL;
			return true;
		}
	}
	return false;
}

static void
note_delete(CdcLogTail *tail, CdcMessage *message)
{
	int			i = tail->next;

	if (message->tail_known || message->key == NULL)
		return;
	message->tail_known = true;
	if (tail->deletes[i].key)
		pfree(tail->deletes[i].key);
	tail->deletes[i].key = MemoryContextAlloc(TopMemoryContext, message->key_len + 1);
	tail->deletes[i].len = message->key_len;
	memcpy(tail->deletes[i].key, message->key, message->key_len);
	tail->next = (i + 1) % CDC_TAIL_DELETES;
}

void
cdc_apply_tail_reset(CdcLogTail *tail)
{
	for (int i = 0; i < CDC_TAIL_DELETES; i++)
	{
		if (tail->deletes[i].key)
			pfree(tail->deletes[i].key);
		tail->deletes[i].key = NULL;
	}
	tail->next = 0;
}

/* What this node wrote itself: its own log in a shared topic, or its echo from a peer */
static bool
is_own(const CdcEvent *event)
{
	if (event->peer && cdc_node_name && strcmp(event->peer, cdc_node_name) == 0)
		return true;
	return event->origin && cdc_origin_is_own(event->origin);
}

/* A null value has nothing but its topic, <topic.prefix>.<schema>.<table> by default */
static void
name_table_by_topic(CdcEvent *event)
{
	char	   *topic = pstrdup(event->message->topic);
	char	   *table = strrchr(topic, '.');
	char	   *schema = NULL;

	if (table)
	{
		*table++ = '\0';
		schema = strrchr(topic, '.');
	}
	event->schema = schema ? schema + 1 : "";
	event->table = table ? table : topic;
}

void
cdc_apply_items(CdcApplyItem **items, int nitems, bool write_through, bool lock,
				MemoryContext context, List **counted)
{
	ApplyState	state = {.write_through = write_through, .lock = lock, .nitems = nitems,
	.context = context, .counted = counted};

	for (int i = 0; i < nitems; i++)
		take_item(&state, items[i]);
	flush_groups(&state);
	cdc_apply_current_message = NULL;
}

static void
take_item(ApplyState *state, CdcApplyItem *item)
{
	TableGroup *group = find_group(state, item);

	if (item->skip)
		skip(state, group, item, "written by another node, skipped");
	else if (group->changes.rel == NULL)
		skip_unknown(state, group, item);
	else if (item->event->op == CDC_OP_TRUNCATE)
		take_truncate(state, group, item);
	else
		group->changes.items[group->changes.nitems++] = item;
}

/* Each table is opened once in a transaction */
static TableGroup *
find_group(ApplyState *state, const CdcApplyItem *item)
{
	const CdcEvent *event = item->event;
	TableGroup *group;
	ListCell   *lc;

	foreach(lc, state->groups)
	{
		group = lfirst(lc);
		if (strcmp(group->table, event->table) == 0 && strcmp(group->schema, event->schema) == 0)
			return group;
	}
	cdc_apply_current_message = event->message;
	group = palloc0(sizeof(TableGroup));
	group->schema = event->schema;
	group->table = event->table;
	group->changes.rel = cdc_relation_open(event->schema, event->table);
	group->changes.write_through = state->write_through;
	group->changes.lock = state->lock;
	group->changes.items = palloc_extended(sizeof(CdcApplyItem *) * state->nitems,
										   MCXT_ALLOC_HUGE);
	state->groups = lappend(state->groups, group);
	cdc_apply_current_message = NULL;
	return group;
}

static void
take_truncate(ApplyState *state, TableGroup *group, CdcApplyItem *item)
{
	int64		counters[CDC_NCOUNTERS] = {[CDC_COUNT_EVENTS] = 1};

	if (!group->changes.rel->rule->truncate || item->own)
	{
		skip(state, group, item, "truncate not obeyed");
		return;
	}
	flush_groups(state);
	cdc_apply_current_message = item->event->message;
	cdc_apply_table_truncate(group->changes.rel);
	cdc_apply_current_message = NULL;
	item->outcome = "truncated";
	count_later(state, group->changes.rel->relid, counters);
}

static void
skip_unknown(ApplyState *state, TableGroup *group, CdcApplyItem *item)
{
	const CdcEvent *event = item->event;

	if (!item->skip_unknown)
	{
		cdc_apply_current_message = event->message;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("no table is registered for \"%s.%s\"", event->schema, event->table),
				 event->op == CDC_OP_NULL_VALUE ?
				 errdetail("Of a null value only the topic tells the table.") : 0,
				 event->op == CDC_OP_NULL_VALUE ?
				 errhint("Where several connectors write to one topic, set tombstones.on.delete=false in them; set on_unknown_table => 'skip' with cdcsync.alter_subscription to get past it.") :
				 errhint("Register it with cdcsync.add_table, or set on_unknown_table => 'skip' with cdcsync.alter_subscription.")));
	}
	skip(state, group, item, "table is not registered, skipped");
}

/* Counted under the table, or under none */
static void
skip(ApplyState *state, TableGroup *group, CdcApplyItem *item, const char *outcome)
{
	int64		counters[CDC_NCOUNTERS] = {[CDC_COUNT_EVENTS] = 1,[CDC_COUNT_SKIPPED] = 1};

	item->outcome = outcome;
	count_later(state, group->changes.rel ? group->changes.rel->relid : InvalidOid, counters);
}

static void
flush_groups(ApplyState *state)
{
	ListCell   *lc;

	foreach(lc, state->groups)
	{
		CdcTableChanges *changes = &((TableGroup *) lfirst(lc))->changes;

		if (changes->nitems == 0)
			continue;
		cdc_apply_table(changes);
		count_later(state, changes->rel->relid, changes->counters);
		changes->nitems = 0;
		memset(changes->counters, 0, sizeof(changes->counters));
	}
}

static void
count_later(ApplyState *state, Oid relid, const int64 *counters)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);
	Counted    *counted = palloc(sizeof(Counted));

	counted->relid = relid;
	memcpy(counted->counters, counters, sizeof(counted->counters));
	*state->counted = lappend(*state->counted, counted);
	MemoryContextSwitchTo(old);
}

void
cdc_apply_count(List *counted)
{
	ListCell   *lc;

	foreach(lc, counted)
	{
		Counted    *c = lfirst(lc);

		cdc_stat_table_add(c->relid, c->counters);
	}
}
