/*
 * apply_table.c
 *		One table's events of one transaction: read, decide, write.
 *
 * The events are sorted by key, in the order of the key's index, and by their place in
 * the log.  The keys' rows are read with one statement; then each key's events are
 * decided one after the other on the row in memory; at last net.c writes the net effect
 * of each key.
 *
 * Rows are read without locks at first: an UPDATE or DELETE addresses the row version
 * that was read, and an INSERT leaves a key alone that is there by now, so a row that
 * changed in between is noticed by the count.  Then everything is rolled back and
 * repeated with the rows locked.  What is decided to write nothing needs no lock: it
 * stands as if it had come before the other change.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/rel.h"

#include "apply_table.h"
#include "net.h"
#include "owner.h"
#include "row.h"
#include "tombstone.h"
#include "write.h"

const CdcMessage *cdc_apply_current_message = NULL;

static void collect_keys(CdcTableApply *ta);
static void item_key(CdcTableApply *ta, CdcKeyedItem *keyed);
static bool image_key(CdcRelation *rel, const CdcImage *image, bool of_key,
					  const CdcProducer *producer, Datum *key);
static int	compare_items(const void *a, const void *b, void *arg);
static void read_rows(CdcTableApply *ta);
static void take_row(CdcTableApply *ta, CdcKeyState *ks, HeapTuple tuple, TupleDesc desc);
static void decide_key(CdcTableApply *ta, CdcKeyState *ks);
static void decide_upsert(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item);
static void decide_delete(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item);
static void decide_null_value(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item);
static void conclude(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item,
					 const CdcSituation *s, const CdcRow *after, const CdcVersion *version);
static void check_complete(CdcTableApply *ta, const CdcKeyState *ks, const CdcRow *after);
static void compare_to_row(CdcKeyState *ks, CdcSituation *s, const CdcVersion *version);
static void compare_to_tombstone(CdcTableApply *ta, CdcKeyState *ks, CdcSituation *s,
								 const CdcApplyItem *item, const CdcVersion *version);
static bool behind_horizon(CdcTableApply *ta, const CdcVersion *version);
static CdcVersion before_version(CdcTableApply *ta, const CdcApplyItem *item);
static bool before_is_row(CdcTableApply *ta, CdcKeyState *ks, const CdcApplyItem *item);
static void count(CdcTableApply *ta, CdcAction action, bool had_row, CdcConflictType conflict);
static int	order_of(int comparison);

void
cdc_apply_table(CdcTableChanges *changes)
{
	CdcTableApply ta = {.changes = changes, .rel = changes->rel};
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, changes->rel->owner);
	collect_keys(&ta);
	ta.ended_before = cdc_net_transactions_ended();
	read_rows(&ta);
	for (int i = 0; i < ta.nkeys; i++)
		decide_key(&ta, &ta.keys[i]);
	cdc_apply_current_message = NULL;
	cdc_net_write(&ta);
	cdc_owner_end(&scope);
}

void
cdc_apply_table_truncate(CdcRelation *rel)
{
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, rel->owner);
	cdc_write_truncate(rel);
	cdc_owner_end(&scope);
}

/* ---- keys ---- */

static void
collect_keys(CdcTableApply *ta)
{
	int			n = ta->changes->nitems;

	ta->items = palloc_extended(sizeof(CdcKeyedItem) * n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		ta->items[i].item = ta->changes->items[i];
		ta->items[i].seq = i;
		item_key(ta, &ta->items[i]);
	}
	qsort_arg(ta->items, n, sizeof(CdcKeyedItem), compare_items, ta->rel->key);

	ta->keys = palloc_extended(sizeof(CdcKeyState) * n, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || cdc_key_compare(ta->rel->key, ta->items[i - 1].key,
									  ta->items[i].key) != 0)
		{
			ta->keys[ta->nkeys].key = ta->items[i].key;
			ta->keys[ta->nkeys++].first = i;
		}
		ta->keys[ta->nkeys - 1].end = i + 1;
	}
}

/*
 * A row is identified by after where there is one; a delete by the message's key, or by
 * before where the key has other columns than the table's key here.
 */
static void
item_key(CdcTableApply *ta, CdcKeyedItem *keyed)
{
	const CdcEvent *event = keyed->item->event;
	const CdcProducer *producer = keyed->item->producer;
	CdcRelation *rel = ta->rel;

	cdc_apply_current_message = event->message;
	keyed->key = palloc(sizeof(Datum) * rel->key->ncolumns);
	if (image_key(rel, &event->after, false, producer, keyed->key) ||
		image_key(rel, &event->key, true, producer, keyed->key) ||
		image_key(rel, &event->before, false, producer, keyed->key))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("event has no key of table %s", rel->qualified_name),
			 errhint("Set REPLICA IDENTITY FULL on the source table, or message.key.columns in the connector.")));
}

static bool
image_key(CdcRelation *rel, const CdcImage *image, bool of_key, const CdcProducer *producer,
		  Datum *key)
{
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		bool		isnull;

		if (!cdc_row_decode_column(rel, image, rel->key_column[i], of_key, producer, &key[i],
								   &isnull) || isnull)
			return false;
	}
	return true;
}

static int
compare_items(const void *a, const void *b, void *arg)
{
	const CdcKeyedItem *x = a;
	const CdcKeyedItem *y = b;
	int			order = cdc_key_compare(arg, x->key, y->key);

	return order ? order : x->seq - y->seq;
}

/* ---- read ---- */

static void
read_rows(CdcTableApply *ta)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);
	bool		lock = ta->changes->lock || ta->rel->partitioned;
	uint64		nrows;

	for (int i = 0; i < ta->nkeys; i++)
		cdc_write_add_key(set, i, ta->keys[i].key);
	nrows = cdc_write_execute(set, lock ? CDC_SQL_LOCK : CDC_SQL_READ);
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int			n = DatumGetInt32(heap_getattr(tuple, CDC_BATCH_N + 1, desc, &isnull));

		take_row(ta, &ta->keys[n], tuple, desc);
	}
	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState   *ks = &ta->keys[i];

		ks->row = ks->stored;
		ks->version = ks->stored_version;
		cdc_conflict_net_begin(&ks->net, ks->stored.exists);
	}
}

/* The values stay in SPI's memory, which lasts as long as the transaction's work */
static void
take_row(CdcTableApply *ta, CdcKeyState *ks, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	ks->stored.exists = true;
	ks->stored.tid = *(ItemPointer) DatumGetPointer(values[CDC_BATCH_TID]);
	ks->stored.xmin = DatumGetTransactionId(values[CDC_BATCH_XID]);
	ks->stored.values = values + CDC_BATCH_FIRST;
	ks->stored.nulls = nulls + CDC_BATCH_FIRST;
	ks->stored.present = bms_add_range(NULL, 0, ta->rel->ncolumns - 1);
	ks->stored_version = cdc_clock_read(ta->rel->clock, ks->stored.values[ta->rel->version],
										ks->stored.nulls[ta->rel->version]);
}

/* ---- decide ---- */

static void
decide_key(CdcTableApply *ta, CdcKeyState *ks)
{
	for (int i = ks->first; i < ks->end; i++)
	{
		CdcApplyItem *item = ta->items[i].item;

		cdc_apply_current_message = item->event->message;
		if (item->event->op == CDC_OP_DELETE)
			decide_delete(ta, ks, item);
		else if (item->event->op == CDC_OP_NULL_VALUE)
			decide_null_value(ta, ks, item);
		else
			decide_upsert(ta, ks, item);
	}
	ks->write = cdc_conflict_net_write(&ks->net);
}

static void
decide_upsert(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item)
{
	CdcRelation *rel = ta->rel;
	CdcSituation s = {.op = item->event->op, .own = item->own};
	CdcVersion	version;
	CdcRow		after;

	cdc_row_decode(&after, rel, &item->event->after, item->producer);
	if (!bms_is_member(rel->version, after.present))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("event has no version column \"%s\" of table %s",
						rel->columns[rel->version].remote_name, rel->qualified_name),
				 errhint("The column must be part of the source table and of its publication.")));
	version = cdc_clock_read(rel->clock, after.values[rel->version], after.nulls[rel->version]);

	compare_to_row(ks, &s, &version);
	if (!s.row)
		compare_to_tombstone(ta, ks, &s, item, &version);
	else
	{
		s.equal = cdc_row_equal(rel, &ks->row, &after);
		s.before_is_row = !s.equal && before_is_row(ta, ks, item);
		if (!s.equal && s.to_row == CDC_SAME)
			s.text_order = cdc_row_text_order(rel, &after, &ks->row);
	}
	conclude(ta, ks, item, &s, &after, &version);
}

static void
decide_delete(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item)
{
	CdcSituation s = {.op = CDC_OP_DELETE, .own = item->own};
	CdcVersion	version = before_version(ta, item);

	version.deleted = true;
	compare_to_row(ks, &s, &version);
	if (s.row)
		s.before_is_row = before_is_row(ta, ks, item);
	else
		compare_to_tombstone(ta, ks, &s, item, &version);
	conclude(ta, ks, item, &s, NULL, &version);
}

static void
decide_null_value(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item)
{
	CdcSituation s = {.op = CDC_OP_NULL_VALUE, .row = ks->row.exists};

	conclude(ta, ks, item, &s, NULL, NULL);
}

/* Decide, and carry the decision out in memory */
static void
conclude(CdcTableApply *ta, CdcKeyState *ks, CdcApplyItem *item, const CdcSituation *s,
		 const CdcRow *after, const CdcVersion *version)
{
	CdcDecision decision = cdc_conflict_decide(s);

	switch (decision.action)
	{
		case CDC_ACTION_PUT:
			check_complete(ta, ks, after);
			/* a row that went in this batch and comes back is still the stored one */
			ks->row = cdc_row_overlay(ta->rel, ks->row.exists ? &ks->row : &ks->stored, after);
			ks->version = *version;
			break;
		case CDC_ACTION_REMOVE:
		case CDC_ACTION_RAISE:
			ks->row.exists = false;
			ks->last_delete = item;
			ks->delete_version = *version;
			ks->tombstone = (CdcTombstone){.found = true, .version = *version,
			.peer = unconstify(char *, item->event->peer)};
			ks->tombstone_read = true;
			ks->tombstone_rose = true;
			break;
		case CDC_ACTION_NONE:
			break;
		case CDC_ACTION_ERROR:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot decide about key %s of table %s",
							cdc_key_to_string(ta->rel->key, ks->key), ta->rel->qualified_name),
					 errdetail("Reason: %s.", decision.reason),
					 s->op == CDC_OP_NULL_VALUE ?
					 errhint("Delete the row here, then run cdcsync.resume.") :
					 errhint("Insert the row here, and delete it again if it should be gone; then run cdcsync.resume.")));
	}
	cdc_conflict_net_add(&ks->net, decision.action);
	count(ta, decision.action, s->row, decision.conflict);
	item->outcome = decision.reason;
}

/* A new row cannot be made of an event that leaves out what did not change */
static void
check_complete(CdcTableApply *ta, const CdcKeyState *ks, const CdcRow *after)
{
	if (!after->unchanged || ks->row.exists || ks->stored.exists)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("event of key %s of table %s leaves out unchanged values, and there is no row here",
					cdc_key_to_string(ta->rel->key, ks->key), ta->rel->qualified_name),
			 errhint("Set REPLICA IDENTITY FULL on the source table and update the row there.")));
}

static void
compare_to_row(CdcKeyState *ks, CdcSituation *s, const CdcVersion *version)
{
	s->row = ks->row.exists;
	if (s->row)
		s->to_row = order_of(cdc_clock_compare(version, &ks->version));
}

static void
compare_to_tombstone(CdcTableApply *ta, CdcKeyState *ks, CdcSituation *s, const CdcApplyItem *item,
					 const CdcVersion *version)
{
	if (!ks->tombstone_read)
	{
		ks->tombstone = cdc_tombstone_read(ta->rel->key, ta->rel->clock, ks->key);
		ks->tombstone_read = true;
	}
	s->tombstone = ks->tombstone.found;
	if (s->tombstone)
	{
		s->to_tombstone = order_of(cdc_clock_compare(version, &ks->tombstone.version));
		s->same_writer = ks->tombstone.peer && strcmp(ks->tombstone.peer, item->event->peer) == 0;
	}
	else
		s->behind_horizon = behind_horizon(ta, version);
}

static bool
behind_horizon(CdcTableApply *ta, const CdcVersion *version)
{
	if (!ta->horizon_read)
	{
		ta->horizon = cdc_tombstone_horizon(ta->rel->relid, ta->rel->clock);
		ta->horizon_read = true;
	}
	return ta->horizon.known && cdc_clock_compare(version, &ta->horizon) <= 0;
}

/* The version that a delete's author saw; unknown values cannot come from a full image */
static CdcVersion
before_version(CdcTableApply *ta, const CdcApplyItem *item)
{
	CdcRelation *rel = ta->rel;
	Datum		value;
	bool		isnull;

	if (!cdc_row_decode_column(rel, &item->event->before, rel->version, false, item->producer,
							   &value, &isnull) || isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("delete event does not say the version of the row it deleted"),
				 errdetail("Column \"%s\" is missing or null in \"before\".",
						   rel->columns[rel->version].remote_name),
				 errhint("Set REPLICA IDENTITY FULL on the source table.")));
	return cdc_clock_read(rel->clock, value, false);
}

/*
 * Did the author of the event see the row that is here?  Two rows of one version are
 * the same but for a tie.  Decides nothing: rule 8 only says that there was no conflict.
 */
static bool
before_is_row(CdcTableApply *ta, CdcKeyState *ks, const CdcApplyItem *item)
{
	CdcVersion	version;
	Datum		value;
	bool		isnull;

	if (!cdc_row_decode_column(ta->rel, &item->event->before, ta->rel->version, false,
							   item->producer, &value, &isnull))
		return false;
	version = cdc_clock_read(ta->rel->clock, value, isnull);
	return cdc_clock_compare(&version, &ks->version) == 0;
}

static int
order_of(int comparison)
{
	return comparison < 0 ? CDC_OLDER : comparison > 0 ? CDC_NEWER : CDC_SAME;
}

static void
count(CdcTableApply *ta, CdcAction action, bool had_row, CdcConflictType conflict)
{
	int64	   *counters = ta->changes->counters;

	counters[CDC_COUNT_EVENTS]++;
	if (action == CDC_ACTION_PUT)
		counters[had_row ? CDC_COUNT_UPDATED : CDC_COUNT_INSERTED]++;
	else if (action == CDC_ACTION_REMOVE)
		counters[CDC_COUNT_DELETED]++;
	else
		counters[CDC_COUNT_UNCHANGED]++;
	if (conflict != CDC_CT_NONE)
		counters[CDC_COUNT_CONFLICT + conflict]++;
}
