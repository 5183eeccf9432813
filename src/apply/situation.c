/*
 * situation.c
 *		What the rules are told of an event and the row or tombstone of its key.
 *
 * All comparing is done here, so that the rules (conflict.c) are pure.  What costs something
 * is looked up only where a rule asks for it: tombstones for keys without a row, the row's
 * last writer and the whole of "before" where there may be a conflict.  Values are compared
 * with the rights of the table's owner, which are in force, for their types may be users'.
 *
 * The order matters: the tombstone of an own event is needed beside its row (rule 1), and
 * rows that have its unique values concern only what would be put.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "apply/meeting.h"
#include "apply/unique.h"
#include "base/guc.h"
#include "base/unixtime.h"
#include "rows/image_row.h"
#include "rows/row.h"

static CdcVersion
time_version(const CdcMeeting *m)
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
refuse_delete(const CdcMeeting *m, bool is_null)
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
before_version(const CdcMeeting *m)
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
after_version(const CdcMeeting *m)
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
event_version(const CdcMeeting *m)
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
written_by_peer(const CdcMeeting *m)
{
	const char *writer = cdc_key_state_writer(m->ks);

	return writer && strcmp(writer, m->item->event->peer) == 0;
}

static void
compare_after(CdcMeeting *m)
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
before_has_version_of_row(CdcMeeting *m)
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
before_is_row(CdcMeeting *m)
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
is_made_up(const CdcMeeting *m)
{
	return !m->s.commit_clock && m->s.to_row == CDC_OLDER &&
		cdc_clock_is_made_up(m->rel->clock, &m->version);
}

static bool
is_respelled(const CdcMeeting *m)
{
	const CdcRow *before = cdc_image_row(&m->keyed->before);

	return before->exists && !cdc_row_same_key_text(m->rel, before, &m->ks->row);
}

static void
compare_row(CdcMeeting *m)
{
	m->s.to_row = order_of(cdc_clock_compare(&m->version, &m->ks->version));
	if (m->after.exists)
		compare_after(m);
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
behind_horizon(const CdcMeeting *m)
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
compare_tombstone(CdcMeeting *m)
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
check_room(const CdcMeeting *m)
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
order_to_unique_row(const CdcMeeting *m, const CdcRow *row, CdcKeyState *other)
{
	int			order = cdc_clock_compare(&m->version, &other->stored_version);

	return order_of(order ? order : cdc_row_text_order(m->rel, row, &other->stored));
}

/* The newest of the rows that have its unique values is the one to be compared with */
void
cdc_situation_compare_unique(CdcMeeting *m)
{
	CdcRow		row = cdc_row_overlay(m->rel, &m->ks->row, &m->after);
	ListCell   *lc;

	m->unique_rows = cdc_unique_find(m->ta, m->ks->key, &row);
	m->s.unique_rows = list_length(m->unique_rows);
	m->s.to_unique_rows = CDC_NEWER;
	foreach(lc, m->unique_rows)
	{
		if (order_to_unique_row(m, &row, lfirst(lc)) != CDC_NEWER)
			m->s.to_unique_rows = CDC_OLDER;
	}
}

/*
 * All but who has its unique values is known at any time; those are looked for where a batch
 * has met them.  Raises a data error where the event has no version that can be decided by.
 */
void
cdc_situation_fill(CdcMeeting *m)
{
	m->s.op = m->item->event->op;
	m->s.table_by_name = m->item->event->table_by_name;
	m->s.own = m->item->own;
	m->s.own_echo = m->item->own_echo;
	m->s.commit_clock = m->rel->clock == CDC_CLOCK_COMMIT;
	m->s.preset = cdc_conflict_rules_preset(m->rel->rule->conflicts, m->item->options->conflicts);
	m->s.row = m->ks->row.exists;

	m->version = event_version(m);
	if (m->s.row)
		compare_row(m);
	if (!m->s.row || m->s.own)
		compare_tombstone(m);
	if (!m->s.commit_clock && !m->s.own)
		check_room(m);
	if (m->ta->changes->how.unique && m->after.exists && !m->s.equal)
		cdc_situation_compare_unique(m);
}
