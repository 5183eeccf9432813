/*
 * decide.c
 *		Events meet their key: what conflict.c needs to know, and what it decides.
 *
 * Here things are compared and decisions carried out, on the row in memory; the rules
 * are conflict.c's.  What costs something is looked up only where a rule asks for it:
 * tombstones for keys without a row, the row's last writer and the whole of "before"
 * where there may be a conflict.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply/decide.h"
#include "apply/handler.h"
#include "apply/unique.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/unixtime.h"
#include "rows/image_row.h"
#include "rows/row.h"
#include "rows/row_json.h"
#include "shared/apply_context.h"
#include "stored/conflict_log.h"
#include "table/origin.h"

/* An event and the state of its key */
typedef struct Meeting
{
	CdcTableApply *ta;
	CdcRelation *rel;
	CdcKeyState *ks;
	CdcApplyItem *item;
	CdcKeyedItem *keyed;		/* the same with its rows */
	CdcSituation s;
	CdcVersion	version;		/* the event's */
	CdcRow		after;			/* of an upsert */
	List	   *others;			/* of CdcKeyState *: rows that have its unique values */
} Meeting;

static CdcVersion
time_version(const Meeting *m)
{
	TimestampTz time = cdc_unixtime_to_timestamptz(m->item->time);
	TimestampTz now = GetCurrentTimestamp();

	if (time > TimestampTzPlusMilliseconds(now, cdc_max_clock_skew))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("event of table %s is of the future: %s is ahead of this node's clock by more than cdcsync.max_clock_skew",
						m->rel->qualified_name, timestamptz_to_str(time)),
				 errdetail("Key %s.", cdc_key_to_string(m->rel->key, m->ks->key)),
				 errhint("Set the clocks of both nodes right, then run cdcsync.resume.")));
	return cdc_clock_of_time(time);
}

/* The row had no version, or Debezium says NULL for what the log does not have */
pg_noreturn static void
refuse_delete(const Meeting *m, bool is_null)
{
	const CdcRelation *rel = m->rel;

	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("delete event does not say the version of the row it deleted"),
			 is_null ?
			 errdetail("Column \"%s\" is NULL in \"before\": the row had no version, or its table is not REPLICA IDENTITY FULL.",
					   rel->columns[rel->version].remote_name) :
			 errdetail("Column \"%s\" is not in \"before\".",
					   rel->columns[rel->version].remote_name),
			 errhint("At its author, run SELECT cdcsync.alter_table_rule(%s), which gives rows their versions and sets REPLICA IDENTITY FULL.  Here, delete the row if it is gone there, and leave the event out with cdcsync.skip.",
					 quote_literal_cstr(rel->source_name))));
}

/* The version that a delete's author saw; unknown values cannot come from a full image */
static CdcVersion
before_version(const Meeting *m)
{
	CdcRelation *rel = m->rel;
	CdcVersion	version;
	Datum		value;
	bool		isnull;

	bool		is_shown = cdc_image_row_column(&m->keyed->before, rel->version, true, &value,
											&isnull);

	if (!is_shown || isnull)
		refuse_delete(m, is_shown);
	version = cdc_clock_read(rel->clock, value, false);
	version.deleted = true;
	return version;
}

static CdcVersion
after_version(const Meeting *m)
{
	const CdcRelation *rel = m->rel;

	if (!bms_is_member(rel->version, m->after.present))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("event has no version column \"%s\" of table %s",
						rel->columns[rel->version].remote_name, rel->qualified_name),
				 errhint("The column must be part of the source table and of its publication.")));
	return cdc_clock_read(rel->clock, m->after.values[rel->version],
						  m->after.nulls[rel->version]);
}

static CdcVersion
event_version(const Meeting *m)
{
	const CdcEvent *event = m->item->event;

	if (m->s.commit_clock)
		return time_version(m);
	if (event->op == CDC_OP_NULL_VALUE)
		return (CdcVersion){0};	/* it does not say what was deleted */
	return event->op == CDC_OP_DELETE ? before_version(m) : after_version(m);
}

static CdcOrder
order_of(int comparison)
{
	return comparison < 0 ? CDC_OLDER : comparison > 0 ? CDC_NEWER : CDC_SAME;
}

static bool
written_by_peer(const Meeting *m)
{
	const char *writer = cdc_key_state_writer(m->ks);

	return writer && strcmp(writer, m->item->event->peer) == 0;
}

static void
meet_upsert(Meeting *m)
{
	m->s.equal = cdc_row_equal(m->rel, &m->ks->row, &m->after);
	if (!m->s.equal && m->s.to_row == CDC_SAME)
	{
		m->s.text_order = cdc_row_text_order(m->rel, &m->after, &m->ks->row);
		m->s.same_writer = written_by_peer(m);
	}
}

/* This costs less, and tells most rows apart */
static bool
before_has_version_of_row(Meeting *m)
{
	CdcVersion	version;
	Datum		value;
	bool		isnull;

	if (!cdc_image_row_column(&m->keyed->before, m->rel->version, false, &value, &isnull))
		return false;
	version = cdc_clock_read(m->rel->clock, value, isnull);
	return cdc_clock_compare(&version, &m->ks->version) == 0;
}

/*
 * Did the author of the event see the row that is here?  Two rows of one version need not
 * be the same: those that a table had before it got its version column all have one, and
 * so have the two of a tie.  What cannot be read of "before" cannot be known to be the row.
 */
static bool
before_is_row(Meeting *m)
{
	const CdcRow *before;

	if (!m->s.commit_clock && m->s.preset == CDC_PRESET_NONE && !before_has_version_of_row(m))
		return false;
	before = cdc_image_row(&m->keyed->before);
	return before->exists && m->keyed->before.unread == NULL &&
		cdc_row_equal(m->rel, &m->ks->row, before);
}

/*
 * Without REPLICA IDENTITY FULL the log has but the key of a deleted row, and Debezium
 * makes up the rest.  That it deleted a row older than the one it wrote itself may also
 * be because the log is read again; with just that version it is hardly.
 */
static bool
is_made_up(const Meeting *m)
{
	return !m->s.commit_clock && m->s.to_row == CDC_OLDER &&
		cdc_clock_is_made_up(m->rel->clock, &m->version);
}

static bool
is_respelled(const Meeting *m)
{
	const CdcRow *before = cdc_image_row(&m->keyed->before);

	return before->exists && !cdc_row_same_key_text(m->rel, before, &m->ks->row);
}

static void
meet_row(Meeting *m)
{
	m->s.to_row = order_of(cdc_clock_compare(&m->version, &m->ks->version));
	if (m->after.exists)
		meet_upsert(m);
	if (m->s.equal)
		return;
	if (!m->s.own || m->s.preset != CDC_PRESET_NONE)
		m->s.before_is_row = before_is_row(m);
	if (!m->s.own && !m->s.before_is_row)
		m->s.same_writer = written_by_peer(m);
	if (m->s.op == CDC_OP_DELETE)
		m->s.made_up = is_made_up(m);
	if (m->s.commit_clock && m->s.to_row == CDC_SAME && !m->after.exists)
		m->s.respelled = is_respelled(m);
}

static bool
behind_horizon(const Meeting *m)
{
	CdcTableApply *ta = m->ta;

	if (!ta->horizon_read)
	{
		ta->horizon = cdc_tombstone_horizon(ta->rel->relid, ta->rel->clock);
		ta->horizon_read = true;
	}
	return ta->horizon.known && cdc_clock_compare(&m->version, &ta->horizon) <= 0;
}

static void
meet_tombstone(Meeting *m)
{
	CdcKeyState *ks = m->ks;

	if (!ks->tombstone_read)
	{
		ks->tombstone = cdc_tombstone_read(m->rel->key, m->rel->clock, ks->key);
		ks->tombstone_read = true;
	}
	m->s.tombstone = ks->tombstone.found;
	if (m->s.tombstone)
		m->s.to_tombstone = order_of(cdc_clock_compare(&m->version, &ks->tombstone.version));
	if (m->s.tombstone && !m->s.row)
		m->s.same_writer = ks->tombstone.peer &&
			strcmp(ks->tombstone.peer, m->item->event->peer) == 0;
	if (!m->s.tombstone && !m->s.row)
		m->s.behind_horizon = behind_horizon(m);
}

/* An event may not make a key unwritable; its value is not for everybody to read */
static void
check_room(const Meeting *m)
{
	CdcVersion	floor = {0};

	if (m->s.row)
		floor = m->ks->version;
	if (m->s.tombstone && cdc_clock_compare(&m->ks->tombstone.version, &floor) > 0)
		floor = m->ks->tombstone.version;
	if (!cdc_clock_leaves_room(m->rel->clock, &m->version, &floor))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("version of an event of table %s leaves no room for later ones",
						m->rel->qualified_name),
				 errdetail("It is too long, or too near to the largest value of its type."),
				 errhint("Write a smaller version at the event's author, and leave the event out with cdcsync.skip.")));
}

static CdcOrder
order_to_other(const Meeting *m, const CdcRow *row, CdcKeyState *other)
{
	int			order = cdc_clock_compare(&m->version, &other->stored_version);

	return order_of(order ? order : cdc_row_text_order(m->rel, row, &other->stored));
}

/* The newest of the rows that have its unique values is the one to be compared with */
static void
meet_others(Meeting *m)
{
	CdcRow		row = cdc_row_overlay(m->rel, &m->ks->row, &m->after);
	ListCell   *lc;

	m->others = cdc_unique_find(m->ta, m->ks->key, &row);
	m->s.unique_rows = list_length(m->others);
	m->s.to_unique_rows = CDC_NEWER;
	foreach(lc, m->others)
	{
		if (order_to_other(m, &row, lfirst(lc)) != CDC_NEWER)
			m->s.to_unique_rows = CDC_OLDER;
	}
}

/* What is known of an event without its row */
static CdcConflictRecord *
begin_record(const CdcApplyItem *item, const CdcDecision *decision)
{
	CdcConflictRecord *record = palloc0(sizeof(CdcConflictRecord));
	const CdcEvent *event = item->event;

	record->type = decision->conflict;
	record->resolution = decision->resolution;
	record->remote_origin = event->origin ? cdc_origin_last_node(event->origin) : event->peer;
	record->subscription = item->options->subscription;
	record->topic = event->message->topic;
	record->partition = event->message->partition;
	record->offset = event->message->offset;
	return record;
}

/* As the row has it, that is with its numbers as numbers */
static Jsonb *
key_jsonb(const Meeting *m)
{
	CdcRow		row = {.exists = true};

	row.values = palloc0(sizeof(Datum) * m->rel->ncolumns);
	row.nulls = palloc0(sizeof(bool) * m->rel->ncolumns);
	for (int i = 0; i < m->rel->key->ncolumns; i++)
	{
		row.values[m->rel->key_column[i]] = m->ks->key[i];
		row.present = bms_add_member(row.present, m->rel->key_column[i]);
	}
	return cdc_row_to_jsonb(m->rel, &row);
}

static Jsonb *
row_or_null(CdcRelation *rel, const CdcRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	Jsonb	   *jsonb;

	if (!row->exists)
		return NULL;
	scratch = AllocSetContextCreate(caller, "cdcsync row of a record", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	jsonb = cdc_row_to_jsonb(rel, row);
	MemoryContextSwitchTo(caller);
	jsonb = DatumGetJsonbPCopy(JsonbPGetDatum(jsonb));
	MemoryContextDelete(scratch);
	return jsonb;
}

/* With what it cannot show, as it came */
static Jsonb *
before_or_null(Meeting *m)
{
	CdcImageRow *before = &m->keyed->before;
	Jsonb	   *object = row_or_null(m->rel, cdc_image_row(before));

	for (int i = -1; (i = bms_next_member(before->unread, i)) >= 0;)
		object = cdc_row_json_merge(object,
									cdc_row_json_undecodable(m->rel->columns[i].name,
															 cdc_image_row_token(before, i)));
	return object;
}

/* In a conflict of unique values the local row is the first one that has them */
static CdcConflictRecord *
make_record(Meeting *m, const CdcDecision *d)
{
	CdcConflictRecord *record = begin_record(m->item, d);
	CdcKeyState *local = m->others && cdc_conflict_is_unique(&m->s, d->conflict) ?
		linitial(m->others) : m->ks;
	CdcVersion	version = local->row.exists ? local->version : local->tombstone.version;
	CdcVersion	remote = m->version;

	if (m->s.made_up)
		record->hint = "The delete does not show the row it deleted: set REPLICA IDENTITY FULL at its author, by cdcsync.alter_table_rule, and delete the row here if it is gone there.";
	record->relation = m->rel->relid;
	record->key = key_jsonb(m);
	record->table_name = m->rel->qualified_name;
	record->key_text = cdc_key_to_string(m->rel->key, m->ks->key);
	record->local_row = row_or_null(m->rel, &local->row);
	record->remote_row = row_or_null(m->rel, &m->after);
	record->before_row = before_or_null(m);
	if (local->row.exists || local->tombstone.found)
		record->local_version = cdc_clock_to_text(m->rel->clock, &version);
	record->remote_version = cdc_clock_to_text(m->rel->clock, &remote);
	record->local_origin = local->row.exists ? cdc_key_state_writer(local) :
		local->tombstone.found ? local->tombstone.peer : NULL;
	return record;
}

/* Columns that the handler's row leaves out are the local row's, or else the remote one's */
static CdcRow
row_to_merge(Meeting *m)
{
	if (m->ks->row.exists)
		return m->ks->row;
	return m->after.exists ? m->after : *cdc_image_row(&m->keyed->before);
}

/* Newer than both sides, and the same wherever the same two meet */
static void
stamp_merged_row(Meeting *m)
{
	CdcRelation *rel = m->rel;
	CdcVersion	newest = m->version;
	CdcVersion	given = cdc_clock_read(rel->clock, m->after.values[rel->version],
									   m->after.nulls[rel->version]);

	if (m->s.row && cdc_clock_compare(&m->ks->version, &newest) > 0)
		newest = m->ks->version;
	if (!m->s.row && m->s.tombstone &&
		cdc_clock_compare(&m->ks->tombstone.version, &newest) > 0)
		newest = m->ks->tombstone.version;
	newest.deleted = false;
	m->version = cdc_clock_successor(rel->clock, &newest);
	if (cdc_clock_compare(&given, &m->version) > 0)
		m->version = given;
	m->after.values[rel->version] = cdc_clock_to_datum(rel->clock, &m->version);
	m->after.nulls[rel->version] = false;
}

static void
take_merged_row(Meeting *m, Jsonb *object)
{
	CdcRow		row = cdc_row_from_jsonb(m->rel, object);
	CdcRow		base = row_to_merge(m);

	m->after = cdc_row_overlay(m->rel, &base, &row);
	m->after.unchanged = base.unchanged &&
		bms_num_members(m->after.present) < m->rel->ncolumns;
	for (int i = 0; i < m->rel->key->ncolumns; i++)
	{
		m->after.values[m->rel->key_column[i]] = m->ks->key[i];
		m->after.nulls[m->rel->key_column[i]] = false;
		m->after.present = bms_add_member(m->after.present, m->rel->key_column[i]);
	}
	if (!m->s.commit_clock)
		stamp_merged_row(m);
}

static CdcDecision
ask_handler(Meeting *m, CdcDecision d, const char *function, CdcConflictRecord *record)
{
	CdcHandlerAnswer answer = cdc_handler_call(function, record);

	if (answer.row == NULL)
		return cdc_conflict_handle(&m->s, d, answer.handling);
	take_merged_row(m, answer.row);
	d.action = CDC_ACTION_PUT;
	d.resolution = CDC_RESOLUTION_MERGE;
	d.reason = "conflict, merged by the handler";
	return d;
}

static CdcDecision
handle(Meeting *m, CdcDecision d, CdcConflictRecord *record)
{
	const char *function;
	CdcHandling handling = cdc_conflict_rules_handling(m->rel->rule->conflicts,
													   m->item->options->conflicts,
													   d.conflict, &function);

	if (handling == CDC_HANDLING_FUNCTION)
		return ask_handler(m, d, function, record);
	return cdc_conflict_handle(&m->s, d, handling);
}

static bool
has_row(const List *keys, const CdcRow *row)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		CdcKeyState *ks = lfirst(lc);

		if (ItemPointerEquals(&ks->stored.tid, unconstify(ItemPointerData *, &row->tid)))
			return true;
	}
	return false;
}

/* Does the merged row take unique values of rows that the handler was not asked about? */
static bool
takes_more(Meeting *m)
{
	List	   *asked = m->others;
	ListCell   *lc;

	if (!m->ta->changes->how.unique)
		return false;
	meet_others(m);
	foreach(lc, m->others)
	{
		if (!has_row(asked, &((CdcKeyState *) lfirst(lc))->stored))
			return true;
	}
	return false;
}

static void
keep_record(Meeting *m, const CdcConflictRecord *record)
{
	CdcApplied *applied = m->ta->changes->applied;
	MemoryContext old = MemoryContextSwitchTo(applied->context);

	applied->conflicts = lappend(applied->conflicts, cdc_conflict_log_copy(record));
	MemoryContextSwitchTo(old);
}

static void
count_conflict(const Meeting *m, const CdcDecision *d)
{
	if (d->conflict != CDC_CT_NONE)
		m->ta->changes->counters[CDC_COUNT_CONFLICT + d->conflict]++;
}

/* What is kept of large rows, after whoever handles the conflict has seen them whole */
static void
cut_rows(CdcConflictRecord *record)
{
	Jsonb	  **rows[] = {&record->local_row, &record->remote_row, &record->before_row};

	for (int i = 0; i < lengthof(rows); i++)
	{
		if (*rows[i] != NULL)
			*rows[i] = cdc_row_json_cut(*rows[i]);
	}
}

pg_noreturn static void
refuse(const Meeting *m, const CdcDecision *d, bool undecidable)
{
	char	   *key = cdc_key_to_string(m->rel->key, m->ks->key);

	if (!undecidable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("conflict %s in table %s, whose handling is \"error\"",
						cdc_conflict_type_names[d->conflict], m->rel->qualified_name),
				 errdetail("Key %s.", key),
				 errhint("Mend the row here, or change conflicts with cdcsync.alter_subscription or cdcsync.alter_table_rule; then run cdcsync.resume.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot decide about a row of table %s: %s", m->rel->qualified_name, d->reason),
			 errdetail("Key %s.", key),
			 m->s.op == CDC_OP_NULL_VALUE ?
			 errhint("Delete the row here, then run cdcsync.resume.") :
			 errhint("Insert the row here, and delete it again if it should be gone; then run cdcsync.resume.")));
}

/* A new row cannot be made of an event that leaves out what did not change */
static void
check_complete(const Meeting *m)
{
	if (!m->after.unchanged || m->ks->row.exists || m->ks->stored.exists)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("event of table %s leaves out unchanged values, and there is no row here",
					m->rel->qualified_name),
			 errdetail("Key %s.", cdc_key_to_string(m->rel->key, m->ks->key)),
			 errhint("Set REPLICA IDENTITY FULL on the source table and update the row there.")));
}

/* They go as if their own version had been deleted, so that a newer edit of one survives */
static void
remove_others(Meeting *m)
{
	ListCell   *lc;

	foreach(lc, m->others)
	{
		CdcKeyState *other = lfirst(lc);

		other->delete_version = m->s.commit_clock ? m->version : other->stored_version;
		other->delete_version.deleted = !m->s.commit_clock;
		other->tombstone = (CdcTombstone){.found = true, .version = other->delete_version,
		.peer = unconstify(char *, m->item->event->peer)};
		other->tombstone_rose = true;
		other->write = CDC_WRITE_DELETE;
		m->ta->losers = lappend(m->ta->losers, other);
	}
}

static void
put(Meeting *m, const CdcRow *after)
{
	CdcKeyState *ks = m->ks;

	Bitmapset  *decided = ks->row.decided;

	if (m->rel->fires_before && m->after.exists)
		decided = bms_union(decided, m->after.present);
	/* a row that went in this batch and comes back is still the stored one */
	ks->row = cdc_row_overlay(m->rel, ks->row.exists ? &ks->row : &ks->stored, after);
	ks->row.decided = decided;
	ks->version = m->version;
	ks->writer = m->item->event->peer;
}

/* What a null value deletes, if its handling says so, is the row here */
static CdcVersion
deleted_version(const Meeting *m)
{
	CdcVersion	version = m->version;

	if (m->s.op == CDC_OP_NULL_VALUE && !m->s.commit_clock)
	{
		version = m->ks->version;
		version.deleted = true;
	}
	return version;
}

static void
remove_row(Meeting *m)
{
	CdcKeyState *ks = m->ks;

	ks->delete_version = deleted_version(m);
	ks->row.exists = false;
	ks->last_delete = m->keyed;
	ks->tombstone = (CdcTombstone){.found = true, .version = ks->delete_version,
	.peer = unconstify(char *, m->item->event->peer)};
	ks->tombstone_read = true;
	ks->tombstone_rose = true;
}

static void
carry_out(Meeting *m, const CdcDecision *d)
{
	switch (d->action)
	{
		case CDC_ACTION_PUT:
			check_complete(m);
			remove_others(m);
			put(m, &m->after);
			break;
		case CDC_ACTION_TOUCH:
			put(m, &m->ks->row);
			break;
		case CDC_ACTION_REMOVE:
		case CDC_ACTION_RAISE:
			remove_row(m);
			break;
		case CDC_ACTION_NONE:
		case CDC_ACTION_ERROR:
			break;
	}
	cdc_conflict_net_add(&m->ks->net, d->action);
}

/* They may be large, and conflicts many: what is kept of them is a copy, of long values in part */
static void
free_rows(CdcConflictRecord *record)
{
	Jsonb	   *rows[] = {record->local_row, record->remote_row, record->before_row};

	for (int i = 0; i < lengthof(rows); i++)
	{
		if (rows[i])
			pfree(rows[i]);
	}
}

static void
count(const Meeting *m, const CdcDecision *d)
{
	int64	   *counters = m->ta->changes->counters;

	counters[CDC_COUNT_EVENTS]++;
	switch (d->action)
	{
		case CDC_ACTION_PUT:
			counters[m->s.row ? CDC_COUNT_UPDATED : CDC_COUNT_INSERTED]++;
			break;
		case CDC_ACTION_TOUCH:
			counters[CDC_COUNT_UPDATED]++;
			break;
		case CDC_ACTION_REMOVE:
			counters[CDC_COUNT_DELETED]++;
			break;
		default:
			counters[CDC_COUNT_UNCHANGED]++;
			break;
	}
	count_conflict(m, d);
}

static void
decide_item(CdcTableApply *ta, CdcKeyState *ks, CdcKeyedItem *keyed)
{
	CdcApplyItem *item = keyed->item;
	Meeting		m = {.ta = ta, .rel = ta->rel, .ks = ks, .item = item, .keyed = keyed,
	.after = keyed->after};
	CdcConflictRecord *record = NULL;
	CdcDecision d;
	bool		undecidable;

	cdc_apply_context_set(item->event->message);
	m.s.op = item->event->op;
	m.s.table_by_name = item->event->table_by_name;
	m.s.own = item->own;
	m.s.own_echo = item->own_echo;
	m.s.commit_clock = m.rel->clock == CDC_CLOCK_COMMIT;
	m.s.preset = cdc_conflict_rules_preset(m.rel->rule->conflicts, item->options->conflicts);
	m.s.row = ks->row.exists;

	m.version = event_version(&m);
	if (m.s.row)
		meet_row(&m);
	if (!m.s.row || m.s.own)
		meet_tombstone(&m);
	if (!m.s.commit_clock && !m.s.own)
		check_room(&m);
	if (ta->changes->how.unique && m.after.exists && !m.s.equal)
		meet_others(&m);

	d = cdc_conflict_decide(&m.s);
	undecidable = d.action == CDC_ACTION_ERROR;
	if (d.conflict != CDC_CT_NONE)
	{
		record = make_record(&m, &d);
		d = handle(&m, d, record);
		record->resolution = d.resolution;
		if (d.resolution == CDC_RESOLUTION_MERGE && takes_more(&m))
		{
			keep_record(&m, record);
			count_conflict(&m, &d);
			d = cdc_conflict_decide_unique(&m.s, d);
			record = make_record(&m, &d);
		}
	}
	if (record)
		cut_rows(record);
	if (d.action == CDC_ACTION_ERROR)
	{
		if (record)
			cdc_conflict_log_stash(record, item->event->message);
		refuse(&m, &d, undecidable);
	}
	carry_out(&m, &d);
	if (record)
	{
		keep_record(&m, record);
		free_rows(record);
	}
	count(&m, &d);
	item->outcome = d.reason;
	item->blind = m.s.made_up;
	item->news = d.action != CDC_ACTION_NONE;
}

/* Decide a key's events one after the other, on the row in memory; its write is set */
void
cdc_decide_key(CdcTableApply *ta, CdcKeyState *ks)
{
	for (int i = ks->first; i < ks->end; i++)
		decide_item(ta, ks, &ta->items[i]);
	ks->write = cdc_conflict_net_write(&ks->net);
}
