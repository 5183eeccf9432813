/*
 * apply_table.c
 *		One table's events of one transaction: read, decide, write.
 *
 * The events are sorted by key, in the order of the key's index, and by their place in
 * the log.  The keys' rows are read with one statement; then each key's events are
 * decided one after the other on the row in memory (decide.c); at last effect.c writes the
 * net effect of each key.
 *
 * Rows are read without locks at first: an UPDATE or DELETE addresses the row version
 * that was read, and an INSERT leaves a key alone that is there by now, or fails, so a row
 * that changed in between is noticed.  Then everything is rolled back and repeated with
 * the rows locked.  What is decided to write nothing needs no lock: it
 * stands as if it had come before the other change.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "apply/apply_table.h"
#include "apply/decide.h"
#include "apply/effect.h"
#include "base/owner.h"
#include "rows/image_row.h"
#include "rows/row.h"
#include "rows/table_access.h"
#include "rows/write.h"
#include "shared/apply_context.h"

static void
refuse_foreign_key(const CdcRelation *rel, const CdcShape *shape)
{
	if (shape->foreign_column)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("key of the event has column \"%s\", which is not in the key of table %s",
						shape->foreign_column, rel->qualified_name),
				 errdetail("Rows that are two at their author would be one here."),
				 errhint("Change the key here as it was changed there; or name the columns of the key here in message.key.columns of the author's connector.")));
}

static bool
row_key(CdcRelation *rel, const CdcRow *row, Datum *key)
{
	if (!row->exists)
		return false;
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		if (row->nulls[rel->key_column[i]])
			return false;		/* or not present */
		key[i] = row->values[rel->key_column[i]];
	}
	return true;
}

static bool
image_key(CdcRelation *rel, const CdcImage *image, bool of_key, const CdcProducer *producer,
		  Datum *key)
{
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		bool		isnull;

		if (!cdc_image_decode_column(rel, image, rel->key_column[i], of_key, producer, &key[i],
								   &isnull) || isnull)
			return false;
	}
	return true;
}

static bool
before_key(CdcImageRow *before, Datum *key)
{
	for (int i = 0; i < before->rel->key->ncolumns; i++)
	{
		bool		isnull;

		if (!cdc_image_row_column(before, before->rel->key_column[i], true, &key[i], &isnull) ||
			isnull)
			return false;
	}
	return true;
}

/* A delete of one row that shows another says nothing that could be applied */
static void
refuse_other_key(CdcTableApply *ta, CdcKeyedItem *keyed)
{
	CdcRelation *rel = ta->rel;
	Datum		key[INDEX_MAX_KEYS];

	if (!before_key(&keyed->before, key) ||
		cdc_key_compare(rel->key, key, keyed->key) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("message key and \"before\" of table %s are of two rows", rel->qualified_name),
			 errdetail("The key is %s, that of \"before\" is %s.",
					   cdc_key_to_string(rel->key, keyed->key),
					   cdc_key_to_string(rel->key, key)),
			 errhint("Look for a transformation of the connector that changes one of the two.")));
}

/*
 * A row is identified by after where there is one; a delete by the message's key, or by
 * before where the key has other columns than the table's key here.
 */
static void
item_key(CdcTableApply *ta, CdcKeyedItem *keyed)
{
	const CdcEvent *event = keyed->item->event;
	const CdcProducer *producer = keyed->item->options->producer;
	CdcRelation *rel = ta->rel;

	cdc_apply_context_set(event->message);
	keyed->key = palloc(sizeof(Datum) * rel->key->ncolumns);
	keyed->after.exists = false;
	cdc_image_row_init(&keyed->before, rel, &event->before, producer, ta->changes->how.alone);
	if (event->op != CDC_OP_DELETE && event->op != CDC_OP_NULL_VALUE)
		cdc_image_decode(&keyed->after, rel, &event->after, producer);
	if (event->key.present)
		refuse_foreign_key(rel, cdc_relation_shape(rel, &event->key, true));
	if (row_key(rel, &keyed->after, keyed->key))
		return;
	if (image_key(rel, &event->key, true, producer, keyed->key))
	{
		refuse_other_key(ta, keyed);
		return;
	}
	if (before_key(&keyed->before, keyed->key))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("event has no key of table %s", rel->qualified_name),
			 errhint("Set REPLICA IDENTITY FULL on the source table, or message.key.columns in the connector.")));
}

static int
compare_items(const void *a, const void *b, void *arg)
{
	const CdcKeyedItem *x = a;
	const CdcKeyedItem *y = b;
	int			order = cdc_key_compare(arg, x->key, y->key);

	return order ? order : x->seq - y->seq;
}

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

static void
scan_rows(CdcTableApply *ta)
{
	CdcTableScan *scan = cdc_table_scan_begin(ta->rel);

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcRow		row;

		if (cdc_table_scan_read(scan, ta->keys[i].key, &row))
			cdc_key_state_take_row(&ta->keys[i], ta->rel, &row);
	}
	cdc_table_scan_end(scan);
}

static void
query_rows(CdcTableApply *ta)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);
	bool		lock = ta->changes->how.lock || ta->rel->partitioned;
	uint64		nrows;

	for (int i = 0; i < ta->nkeys; i++)
		cdc_write_add_key(set, ta->keys[i].key);
	nrows = cdc_write_execute(set, lock ? CDC_SQL_LOCK : CDC_SQL_READ);
	for (uint64 i = 0; i < nrows; i++)
	{
		CdcRow		row;
		int			n = cdc_write_take_row(&row, ta->rel, SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc);

		/* the values stay in SPI's memory, which lasts as long as the transaction's work */
		cdc_key_state_take_row(&ta->keys[n], ta->rel, &row);
	}
}

/* Of the keys without a row: every event of such a key asks for it */
static void
read_tombstones(CdcTableApply *ta)
{
	CdcTombstoneScan *scan = NULL;

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];

		if (ks->stored.exists)
			continue;
		if (scan == NULL)
			scan = cdc_tombstone_scan_begin(ta->rel->key, ta->rel->clock);
		ks->tombstone = cdc_tombstone_scan_read(scan, ks->key);
		ks->tombstone_read = true;
	}
	if (scan)
		cdc_tombstone_scan_end(scan);
}

static void
read_rows(CdcTableApply *ta)
{
	if (ta->rel->plain && !ta->changes->how.lock)
		scan_rows(ta);
	else
		query_rows(ta);
	for (int i = 0; i < ta->nkeys; i++)
		cdc_key_state_begin(&ta->keys[i]);
	read_tombstones(ta);
}

/* Rows that have lost their unique values to others of this transaction */
static void
delete_displaced(CdcTableApply *ta)
{
	CdcTableApply displaced = {.changes = ta->changes, .rel = ta->rel,
	.ended_before = ta->ended_before, .nkeys = list_length(ta->displaced)};

	if (displaced.nkeys == 0)
		return;
	displaced.keys = palloc(sizeof(CdcKeyState) * displaced.nkeys);
	for (int i = 0; i < displaced.nkeys; i++)
		displaced.keys[i] = *(CdcKeyState *) list_nth(ta->displaced, i);
	cdc_effect_write(&displaced);
}

/*
 * Apply; SPI is connected, the session is set up for applying.  Raises
 * serialization_failure when a row changed after it was read, which cannot be when
 * it was locked, or a key appeared: to be repeated at once.  unique_violation when rows
 * have the same value in a unique index other than the key's: to be repeated one by one,
 * and so that they are looked for.
 */
void
cdc_apply_table(CdcTableChanges *changes)
{
	CdcTableApply ta = {.changes = changes, .rel = changes->rel};
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, changes->rel->owner);
	collect_keys(&ta);
	ta.ended_before = cdc_effect_transactions_ended();
	PushActiveSnapshot(GetTransactionSnapshot());
	read_rows(&ta);
	for (int i = 0; i < ta.nkeys; i++)
		cdc_decide_key(&ta, &ta.keys[i]);
	cdc_apply_context_clear();
	delete_displaced(&ta);
	cdc_effect_write(&ta);
	PopActiveSnapshot();
	cdc_owner_end(&scope);
}

/* Empty a table, as a truncate event says */
void
cdc_apply_table_truncate(CdcRelation *rel)
{
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, rel->owner);
	cdc_write_truncate(rel);
	cdc_owner_end(&scope);
}

/* Does the image have all columns of the key? */
static bool
key_is_shown(CdcRelation *rel, const CdcImage *image)
{
	CdcShape   *shape;

	if (!image->present)
		return false;
	shape = cdc_relation_shape(rel, image, true);
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		if (shape->field[rel->key_column[i]] < 0)
			return false;
	}
	return true;
}

/*
 * Does an update change the key, without Debezium having made a delete and a create of
 * it?  It does so where the message's key changes: without a primary key that need not
 * have the columns of the key here.
 */
bool
cdc_apply_table_moves(CdcRelation *rel, const CdcApplyItem *item)
{
	const CdcEvent *event = item->event;
	Datum		old_key[INDEX_MAX_KEYS];
	Datum		new_key[INDEX_MAX_KEYS];
	CdcOwnerScope scope;
	bool		moves;

	if (event->op != CDC_OP_UPDATE || !event->before.present || key_is_shown(rel, &event->key))
		return false;
	cdc_owner_begin(&scope, rel->owner);
	moves = image_key(rel, &event->before, false, item->options->producer, old_key) &&
		image_key(rel, &event->after, false, item->options->producer, new_key) &&
		cdc_key_compare(rel->key, old_key, new_key) != 0;
	cdc_owner_end(&scope);
	return moves;
}
