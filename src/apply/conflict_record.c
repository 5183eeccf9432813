/*
 * conflict_record.c
 *		The record of a conflict: both sides, what the author had seen, and who wrote them.
 *
 * It serves people and handlers, and decides nothing: so a value of "before" that cannot be
 * decoded is shown as it came, where the event by itself is applied.  A handler is given the
 * rows whole; what is kept of large ones is a part.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "apply/meeting.h"
#include "rows/image_row.h"
#include "rows/row.h"
#include "rows/row_json.h"
#include "table/origin.h"

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
key_jsonb(const CdcMeeting *m)
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
before_or_null(CdcMeeting *m)
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
CdcConflictRecord *
cdc_conflict_record_make(CdcMeeting *m, const CdcDecision *d)
{
	CdcConflictRecord *record = begin_record(m->item, d);
	CdcKeyState *local = m->unique_rows && cdc_conflict_is_unique(&m->s, d->conflict) ?
		linitial(m->unique_rows) : m->ks;
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

/* What is kept of large rows, after whoever handles the conflict has seen them whole */
void
cdc_conflict_record_cut(CdcConflictRecord *record)
{
	Jsonb	  **rows[] = {&record->local_row, &record->remote_row, &record->before_row};

	for (int i = 0; i < lengthof(rows); i++)
	{
		if (*rows[i] != NULL)
			*rows[i] = cdc_row_json_cut(*rows[i]);
	}
}

/*
 * To be written when the batch is, from a copy: rows may be large, and conflicts many.  Frees
 * the rows of this one.
 */
void
cdc_conflict_record_keep(CdcMeeting *m, CdcConflictRecord *record)
{
	CdcApplied *applied = m->ta->changes->applied;
	Jsonb	   *rows[] = {record->local_row, record->remote_row, record->before_row};
	MemoryContext old = MemoryContextSwitchTo(applied->context);

	applied->conflicts = lappend(applied->conflicts, cdc_conflict_log_copy(record));
	MemoryContextSwitchTo(old);
	for (int i = 0; i < lengthof(rows); i++)
	{
		if (rows[i])
			pfree(rows[i]);
	}
}
