/*
 * apply_table.c
 *		One table's events of one transaction: read, decide, write.
 *
 * The events are sorted by key, in the order of the key's index, and by their place in
 * the log.  The keys' rows are read with one statement; then each key's events are
 * decided one after the other on the row in memory; at last the net effect of each key
 * is written, with one statement per kind of write.
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
#include "guc.h"
#include "row.h"
#include "tombstone.h"
#include "write.h"

/* One key, from the first of its events to the net effect */
typedef struct KeyState
{
	Datum	   *key;
	int			first;			/* its events in the sorted array */
	int			end;
	CdcRow		stored;			/* as the table has it */
	CdcRow		row;			/* in memory, after the events so far */
	CdcVersion	stored_version;
	CdcVersion	version;		/* of row */
	bool		tombstone_read;
	CdcTombstone tombstone;
	bool		tombstone_rose;
	const CdcApplyItem *last_delete;
	CdcVersion	delete_version; /* of last_delete */
	CdcNet		net;
	CdcWrite	write;
} KeyState;

/* An event with its key, for sorting */
typedef struct KeyedItem
{
	CdcApplyItem *item;
	Datum	   *key;
	int			seq;
} KeyedItem;

typedef struct TableApply
{
	CdcTableChanges *changes;
	CdcRelation *rel;
	KeyedItem  *items;
	int			nkeys;
	KeyState   *keys;
	bool		horizon_read;
	CdcVersion	horizon;
} TableApply;

/* For writes in a subtransaction */
typedef struct WriteArgs
{
	TableApply *ta;
	KeyState  **keys;
	int			nkeys;
} WriteArgs;

const CdcMessage *cdc_apply_current_message = NULL;

static void collect_keys(TableApply *ta);
static void item_key(TableApply *ta, KeyedItem *keyed);
static bool image_key(CdcRelation *rel, const CdcImage *image, bool of_key,
					  const CdcProducer *producer, Datum *key);
static int	compare_items(const void *a, const void *b, void *arg);
static void read_rows(TableApply *ta);
static void take_row(TableApply *ta, KeyState *ks, HeapTuple tuple, TupleDesc desc);
static void decide_key(TableApply *ta, KeyState *ks);
static void decide_upsert(TableApply *ta, KeyState *ks, CdcApplyItem *item);
static void decide_delete(TableApply *ta, KeyState *ks, CdcApplyItem *item);
static void decide_null_value(TableApply *ta, KeyState *ks, CdcApplyItem *item);
static void conclude(TableApply *ta, KeyState *ks, CdcApplyItem *item,
					 const CdcSituation *s, const CdcRow *after, const CdcVersion *version);
static void check_complete(TableApply *ta, const KeyState *ks, const CdcRow *after);
static void compare_to_row(KeyState *ks, CdcSituation *s, const CdcVersion *version);
static void compare_to_tombstone(TableApply *ta, KeyState *ks, CdcSituation *s,
								 const CdcApplyItem *item, const CdcVersion *version);
static bool behind_horizon(TableApply *ta, const CdcVersion *version);
static CdcVersion before_version(TableApply *ta, const CdcApplyItem *item);
static bool before_is_row(TableApply *ta, KeyState *ks, const CdcApplyItem *item);
static void count(TableApply *ta, CdcAction action, bool had_row, CdcConflictType conflict);
static void write_net(TableApply *ta);
static bool needs_lift(const KeyState *ks);
static void write_deletes(TableApply *ta);
static void write_updates(TableApply *ta);
static void write_inserts(TableApply *ta);
static void write_refusable(TableApply *ta, bool (*wanted) (TableApply *, KeyState *),
							void (*write) (void *), void (*refused) (WriteArgs *));
static bool wants_lift(TableApply *ta, KeyState *ks);
static bool wants_through(TableApply *ta, KeyState *ks);
static void write_lifted(void *arg);
static void write_unlifted(WriteArgs *args);
static void write_through(void *arg);
static void write_not_through(WriteArgs *args);
static void delete_keys(WriteArgs *args);
static void write_tombstones(TableApply *ta);
static void check_count(TableApply *ta, uint64 written, int wanted);
static int	order_of(int comparison);

void
cdc_apply_table(CdcTableChanges *changes)
{
	TableApply	ta = {.changes = changes, .rel = changes->rel};

	collect_keys(&ta);
	read_rows(&ta);
	for (int i = 0; i < ta.nkeys; i++)
		decide_key(&ta, &ta.keys[i]);
	cdc_apply_current_message = NULL;
	write_net(&ta);
	write_tombstones(&ta);
}

void
cdc_apply_table_truncate(CdcRelation *rel)
{
	cdc_write_truncate(rel);
}

/* ---- keys ---- */

static void
collect_keys(TableApply *ta)
{
	int			n = ta->changes->nitems;

	ta->items = palloc_extended(sizeof(KeyedItem) * n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		ta->items[i].item = ta->changes->items[i];
		ta->items[i].seq = i;
		item_key(ta, &ta->items[i]);
	}
	qsort_arg(ta->items, n, sizeof(KeyedItem), compare_items, ta->rel->key);

	ta->keys = palloc_extended(sizeof(KeyState) * n, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
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
item_key(TableApply *ta, KeyedItem *keyed)
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
	const KeyedItem *x = a;
	const KeyedItem *y = b;
	int			order = cdc_key_compare(arg, x->key, y->key);

	return order ? order : x->seq - y->seq;
}

/* ---- read ---- */

static void
read_rows(TableApply *ta)
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
		KeyState   *ks = &ta->keys[i];

		ks->row = ks->stored;
		ks->version = ks->stored_version;
		cdc_conflict_net_begin(&ks->net, ks->stored.exists);
	}
}

/* The values stay in SPI's memory, which lasts as long as the transaction's work */
static void
take_row(TableApply *ta, KeyState *ks, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	ks->stored.exists = true;
	ks->stored.tid = *(ItemPointer) DatumGetPointer(values[CDC_BATCH_TID]);
	ks->stored.values = values + CDC_BATCH_FIRST;
	ks->stored.nulls = nulls + CDC_BATCH_FIRST;
	ks->stored.present = bms_add_range(NULL, 0, ta->rel->ncolumns - 1);
	ks->stored_version = cdc_clock_read(ta->rel->clock, ks->stored.values[ta->rel->version],
										ks->stored.nulls[ta->rel->version]);
}

/* ---- decide ---- */

static void
decide_key(TableApply *ta, KeyState *ks)
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
decide_upsert(TableApply *ta, KeyState *ks, CdcApplyItem *item)
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
decide_delete(TableApply *ta, KeyState *ks, CdcApplyItem *item)
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
decide_null_value(TableApply *ta, KeyState *ks, CdcApplyItem *item)
{
	CdcSituation s = {.op = CDC_OP_NULL_VALUE, .row = ks->row.exists};

	conclude(ta, ks, item, &s, NULL, NULL);
}

/* Decide, and carry the decision out in memory */
static void
conclude(TableApply *ta, KeyState *ks, CdcApplyItem *item, const CdcSituation *s,
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
					 errhint("Change the row here as it should be, or delete it, and run cdcsync.resume.")));
	}
	cdc_conflict_net_add(&ks->net, decision.action);
	count(ta, decision.action, s->row, decision.conflict);
	item->outcome = decision.reason;
}

/* A new row cannot be made of an event that leaves out what did not change */
static void
check_complete(TableApply *ta, const KeyState *ks, const CdcRow *after)
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
compare_to_row(KeyState *ks, CdcSituation *s, const CdcVersion *version)
{
	s->row = ks->row.exists;
	if (s->row)
		s->to_row = order_of(cdc_clock_compare(version, &ks->version));
}

static void
compare_to_tombstone(TableApply *ta, KeyState *ks, CdcSituation *s, const CdcApplyItem *item,
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
behind_horizon(TableApply *ta, const CdcVersion *version)
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
before_version(TableApply *ta, const CdcApplyItem *item)
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
before_is_row(TableApply *ta, KeyState *ks, const CdcApplyItem *item)
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
count(TableApply *ta, CdcAction action, bool had_row, CdcConflictType conflict)
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

/* ---- write ---- */

/* Deletes come first: they free unique values that updates and inserts may take */
static void
write_net(TableApply *ta)
{
	write_refusable(ta, wants_lift, write_lifted, write_unlifted);
	write_deletes(ta);
	write_updates(ta);
	write_inserts(ta);
	if (ta->changes->write_through)
		write_refusable(ta, wants_through, write_through, write_not_through);
}

static void
write_deletes(TableApply *ta)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);
	int			n = 0;

	for (int i = 0; i < ta->nkeys; i++)
	{
		KeyState   *ks = &ta->keys[i];

		if (ks->write == CDC_WRITE_DELETE && !needs_lift(ks))
			cdc_write_add(set, n++, &ks->stored);
	}
	check_count(ta, cdc_write_execute(set, ta->rel->partitioned ? CDC_SQL_DELETE_KEY :
									  CDC_SQL_DELETE), n);
}

static void
write_updates(TableApply *ta)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);
	int			n = 0;

	for (int i = 0; i < ta->nkeys; i++)
	{
		if (ta->keys[i].write == CDC_WRITE_UPDATE)
			cdc_write_add(set, n++, &ta->keys[i].row);
	}
	check_count(ta, cdc_write_execute(set, ta->rel->partitioned ? CDC_SQL_UPDATE_KEY :
									  CDC_SQL_UPDATE), n);
}

/* One statement per set of columns: a column that no event named gets its default */
static void
write_inserts(TableApply *ta)
{
	bool	   *done = palloc0(sizeof(bool) * ta->nkeys);

	for (int first = 0; first < ta->nkeys; first++)
	{
		Bitmapset  *present = ta->keys[first].row.present;
		CdcRowSet  *set;
		int			n = 0;

		if (ta->keys[first].write != CDC_WRITE_INSERT || done[first])
			continue;
		set = cdc_write_begin(ta->rel);
		for (int i = first; i < ta->nkeys; i++)
		{
			KeyState   *ks = &ta->keys[i];

			if (ks->write != CDC_WRITE_INSERT || done[i] ||
				(ks->row.present != present && !bms_equal(ks->row.present, present)))
				continue;
			cdc_write_add(set, n++, &ks->row);
			done[i] = true;
		}
		check_count(ta, cdc_write_insert(set, present), n);
	}
	pfree(done);
}

/*
 * Rule 7, last part: where the row's version is not the one its deleter saw, the row is
 * first made what the deleter saw, so that the delete that goes on from here carries it.
 */
static bool
needs_lift(const KeyState *ks)
{
	CdcVersion	seen = ks->delete_version;

	seen.deleted = false;
	return cdc_clock_compare(&seen, &ks->stored_version) != 0;
}

/* What a constraint may refuse is tried for all keys, then for each */
static void
write_refusable(TableApply *ta, bool (*wanted) (TableApply *, KeyState *),
				void (*write) (void *), void (*refused) (WriteArgs *))
{
	WriteArgs	all = {.ta = ta, .keys = palloc(sizeof(KeyState *) * ta->nkeys)};

	for (int i = 0; i < ta->nkeys; i++)
	{
		if (wanted(ta, &ta->keys[i]))
			all.keys[all.nkeys++] = &ta->keys[i];
	}
	if (all.nkeys > 0 && !cdc_write_attempt(write, &all))
	{
		for (int i = 0; i < all.nkeys; i++)
		{
			WriteArgs	one = {.ta = ta, .keys = &all.keys[i], .nkeys = 1};

			if (!cdc_write_attempt(write, &one))
				refused(&one);
		}
	}
	pfree(all.keys);
}

static bool
wants_lift(TableApply *ta, KeyState *ks)
{
	return ks->write == CDC_WRITE_DELETE && needs_lift(ks);
}

static void
write_lifted(void *arg)
{
	WriteArgs  *args = arg;
	CdcRelation *rel = args->ta->rel;
	CdcRowSet  *set = cdc_write_begin(rel);

	for (int i = 0; i < args->nkeys; i++)
	{
		KeyState   *ks = args->keys[i];
		CdcRow		before;

		cdc_row_decode(&before, rel, &ks->last_delete->event->before,
					   ks->last_delete->producer);
		before = cdc_row_overlay(rel, &ks->stored, &before);
		cdc_write_add(set, i, &before);
	}
	check_count(args->ta, cdc_write_execute(set, rel->partitioned ? CDC_SQL_UPDATE_KEY :
											CDC_SQL_UPDATE), args->nkeys);
	delete_keys(args);
}

static void
write_unlifted(WriteArgs *args)
{
	delete_keys(args);
}

static void
delete_keys(WriteArgs *args)
{
	CdcRowSet  *set = cdc_write_begin(args->ta->rel);

	for (int i = 0; i < args->nkeys; i++)
		cdc_write_add_key(set, i, args->keys[i]->key);
	check_count(args->ta, cdc_write_execute(set, CDC_SQL_DELETE_KEY), args->nkeys);
}

static bool
wants_through(TableApply *ta, KeyState *ks)
{
	return ks->write == CDC_WRITE_THROUGH;
}

static void
write_through(void *arg)
{
	WriteArgs  *args = arg;
	CdcRelation *rel = args->ta->rel;

	for (int i = 0; i < args->nkeys; i++)
	{
		KeyState   *ks = args->keys[i];
		CdcRowSet  *set = cdc_write_begin(rel);
		CdcRow		before;

		cdc_row_decode(&before, rel, &ks->last_delete->event->before,
					   ks->last_delete->producer);
		cdc_write_add(set, i, &before);
		check_count(args->ta, cdc_write_insert(set, before.present), 1);
	}
	delete_keys(args);
}

/* The tombstone alone is raised: others will not learn of this delete from here */
static void
write_not_through(WriteArgs *args)
{
	ereport(LOG,
			(errmsg("delete of key %s of table %s is not passed on",
					cdc_key_to_string(args->ta->rel->key, args->keys[0]->key),
					args->ta->rel->qualified_name),
			 errdetail("A constraint refuses the deleted row.")));
}

static void
write_tombstones(TableApply *ta)
{
	CdcTombstoneRow *rows = palloc(sizeof(CdcTombstoneRow) * ta->nkeys);
	int			n = 0;

	for (int i = 0; i < ta->nkeys; i++)
	{
		KeyState   *ks = &ta->keys[i];

		if (ks->tombstone_rose)
			rows[n++] = (CdcTombstoneRow){.key = ks->key, .version = ks->tombstone.version,
			.peer = ks->tombstone.peer};
	}
	cdc_tombstone_raise(ta->rel->key, ta->rel->clock, rows, n);
	pfree(rows);
}

static void
check_count(TableApply *ta, uint64 written, int wanted)
{
	if (written == wanted)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("rows of table %s were changed concurrently", ta->rel->qualified_name),
			 errdetail("Of %d rows, " UINT64_FORMAT " were written.", wanted, written),
			 errhint("If this persists, look for a trigger of the table that is enabled always and keeps rows from being written.")));
}
