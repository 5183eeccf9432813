/*
 * decide.c
 *		Events meet their key, one after the other: decided, handled, carried out in memory.
 *
 * The rules are conflict.c's, what they are told situation.c's.  Nothing is written here:
 * what the events of a key come to is seen when all are decided (effect.c).  A conflict
 * is handled before anything is carried out, for its handling may be an error; the error
 * is raised here and not returned, since with it the whole transaction goes.
 */
#include "postgres.h"

#include "apply/decide.h"
#include "apply/handler.h"
#include "apply/meeting.h"
#include "rows/row.h"
#include "shared/apply_context.h"

static CdcDecision
ask_handler(CdcMeeting *m, CdcDecision d, const char *function, CdcConflictRecord *record)
{
	CdcHandlerAnswer answer = cdc_handler_call(function, record);

	if (answer.row == NULL)
		return cdc_conflict_handle(&m->s, d, answer.handling);
	m->merge_with = answer.row;
	return cdc_conflict_merge(d);
}

static CdcDecision
handle(CdcMeeting *m, CdcDecision d, CdcConflictRecord *record)
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
takes_more_values(CdcMeeting *m)
{
	List	   *asked = m->unique_rows;
	ListCell   *lc;

	if (!m->ta->changes->how.unique)
		return false;
	cdc_situation_compare_unique(m);
	foreach(lc, m->unique_rows)
	{
		if (!has_row(asked, &((CdcKeyState *) lfirst(lc))->stored))
			return true;
	}
	return false;
}

static void
count_conflict(const CdcMeeting *m, const CdcDecision *d)
{
	if (d->conflict != CDC_CT_NONE)
		m->ta->changes->counters[CDC_COUNT_CONFLICT + d->conflict]++;
}

pg_noreturn static void
refuse(const CdcMeeting *m, const CdcDecision *d, bool undecidable)
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

/*
 * The merge step, between what is decided and what is put.  The row to be may have unique
 * values of rows that its handler was not asked about: a conflict of its own, which the
 * rules decide.
 */
static CdcDecision
merge(CdcMeeting *m, CdcDecision d, CdcConflictRecord **record)
{
	cdc_merge_row(m);
	if (!takes_more_values(m))
		return d;
	cdc_conflict_record_keep(m, *record);
	count_conflict(m, &d);
	d = cdc_conflict_decide_unique(&m->s, d);
	*record = cdc_conflict_record_make(m, &d);
	return d;
}

/* A new row cannot be made of an event that leaves out what did not change */
static void
check_complete(const CdcMeeting *m)
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
remove_unique_rows(CdcMeeting *m)
{
	ListCell   *lc;

	foreach(lc, m->unique_rows)
	{
		CdcKeyState *other = lfirst(lc);

		other->delete_version = m->s.commit_clock ? m->version : other->stored_version;
		other->delete_version.deleted = !m->s.commit_clock;
		other->tombstone = (CdcTombstone){.found = true, .version = other->delete_version,
		.peer = unconstify(char *, m->item->event->peer)};
		other->tombstone_rose = true;
		other->write = CDC_WRITE_DELETE;
		m->ta->displaced = lappend(m->ta->displaced, other);
	}
}

static void
put(CdcMeeting *m, const CdcRow *after)
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
deleted_version(const CdcMeeting *m)
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
remove_row(CdcMeeting *m)
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
carry_out(CdcMeeting *m, const CdcDecision *d)
{
	switch (d->action)
	{
		case CDC_ACTION_PUT:
		case CDC_ACTION_MERGE:
			check_complete(m);
			remove_unique_rows(m);
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
	cdc_conflict_effect_add(&m->ks->effect, d->action);
}

static void
count(const CdcMeeting *m, const CdcDecision *d)
{
	int64	   *counters = m->ta->changes->counters;

	counters[CDC_COUNT_EVENTS]++;
	switch (d->action)
	{
		case CDC_ACTION_PUT:
		case CDC_ACTION_MERGE:
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

/* What became of it: counters of stat_table, and what is told of the event itself */
static void
report(const CdcMeeting *m, const CdcDecision *d)
{
	count(m, d);
	m->item->outcome = d->reason;
	m->item->blind = m->s.made_up;
	m->item->changed = d->action != CDC_ACTION_NONE;
}

/* Meet, decide, handle, merge, carry out, report */
static void
decide_item(CdcTableApply *ta, CdcKeyState *ks, CdcKeyedItem *keyed)
{
	CdcMeeting	m = {.ta = ta, .rel = ta->rel, .ks = ks, .item = keyed->item, .keyed = keyed,
	.after = keyed->after};
	CdcConflictRecord *record = NULL;
	CdcDecision d;
	bool		undecidable;

	cdc_apply_context_set(keyed->item->event->message);
	cdc_situation_fill(&m);
	d = cdc_conflict_decide(&m.s);
	undecidable = d.action == CDC_ACTION_ERROR;
	if (d.conflict != CDC_CT_NONE)
	{
		record = cdc_conflict_record_make(&m, &d);
		d = handle(&m, d, record);
		record->resolution = d.resolution;
		if (d.action == CDC_ACTION_MERGE)
			d = merge(&m, d, &record);
		cdc_conflict_record_cut(record);
	}
	if (d.action == CDC_ACTION_ERROR)
	{
		if (record)
			cdc_conflict_log_stash(record, m.item->event->message);
		refuse(&m, &d, undecidable);
	}
	carry_out(&m, &d);
	if (record)
		cdc_conflict_record_keep(&m, record);
	report(&m, &d);
}

/* Decide a key's events one after the other, on the row in memory; its write is set */
void
cdc_decide_key(CdcTableApply *ta, CdcKeyState *ks)
{
	for (int i = ks->first; i < ks->end; i++)
		decide_item(ta, ks, &ta->items[i]);
	ks->write = cdc_conflict_effect_write(&ks->effect);
}
