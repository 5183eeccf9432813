/*
 * effect.c
 *		Writes the net effect that a batch has on each key.
 *
 * One set of rows per kind of write, over all keys of the batch.  The rows are addressed
 * as they were read: fewer rows written than meant says that somebody came in between, and
 * so does a unique violation of new ones, if rows are not locked.
 * A key without a row has nothing to address: who inserted and deleted it meanwhile has
 * left its tombstone alone, and that is looked for after the insert.
 *
 * Two writes may be refused by a constraint without harm, for they only serve those who
 * read this node's log: they run in subtransactions.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "apply/effect.h"
#include "base/compat.h"
#include "base/subxact.h"
#include "rows/row.h"
#include "rows/write.h"
#include "table/writing.h"

/* For writes in a subtransaction */
typedef struct WriteArgs
{
	CdcTableApply *ta;
	CdcKeyState **keys;
	int			nkeys;
} WriteArgs;

/* False if a constraint refused it */
static bool
attempt(void (*write) (void *), WriteArgs *args)
{
	ErrorData  *error = cdc_subxact_attempt(write, args, cdc_subxact_is_constraint);

	if (error == NULL)
		return true;
	FreeErrorData(error);
	return false;
}

/* What a constraint may refuse is tried for all keys, then for each */
static void
write_refusable(CdcTableApply *ta, bool (*wanted) (CdcTableApply *, CdcKeyState *),
				void (*write) (void *), void (*refused) (WriteArgs *))
{
	WriteArgs	all = {.ta = ta, .keys = palloc(sizeof(CdcKeyState *) * ta->nkeys)};

	for (int i = 0; i < ta->nkeys; i++)
	{
		if (wanted(ta, &ta->keys[i]))
			all.keys[all.nkeys++] = &ta->keys[i];
	}
	if (all.nkeys > 0 && !attempt(write, &all))
	{
		for (int i = 0; i < all.nkeys; i++)
		{
			WriteArgs	one = {.ta = ta, .keys = &all.keys[i], .nkeys = 1};

			if (!attempt(write, &one))
				refused(&one);
		}
	}
	pfree(all.keys);
}

/*
 * Rule 7, last part: where the row's version is not the one its deleter saw, the row is
 * first made what the deleter saw, so that the delete that goes on from here carries it.
 * Under the commit clock the stamp says it all.
 */
static bool
needs_version_seen(const CdcTableApply *ta, const CdcKeyState *ks)
{
	CdcVersion	seen = ks->delete_version;

	if (ta->rel->clock == CDC_CLOCK_COMMIT)
		return false;
	seen.deleted = false;
	return cdc_clock_compare(&seen, &ks->stored_version) != 0;
}

static bool
wants_version_seen(CdcTableApply *ta, CdcKeyState *ks)
{
	return ks->write == CDC_WRITE_DELETE && needs_version_seen(ta, ks);
}

/*
 * What an update does not set stays as it is, to the byte: the same value in another form,
 * as when it is compressed, would count as a change of what foreign keys may point to.
 */
static void
keep_columns(const CdcRelation *rel, CdcRow *row, const CdcRow *stored, bool all)
{
	for (int i = 0; i < rel->ncolumns; i++)
	{
		const CdcColumn *col = &rel->columns[i];

		if (col->updatable && (all || !col->referable))
			continue;
		row->values[i] = stored->values[i];
		row->nulls[i] = stored->nulls[i];
	}
}

/* About the data: the batch is taken in halves, and each message by itself is applied to what the trigger left */
pg_noreturn static void
changed_by_trigger(CdcTableApply *ta, int wanted, uint64 written)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a trigger keeps rows of table %s from being written, or writes them itself",
					ta->rel->qualified_name),
			 errdetail("Of %d rows, " UINT64_FORMAT " were written as they were to be.", wanted, written),
			 errhint("Make the one that did it fire for local writes alone: %s.", ta->rel->fires)));
}

pg_noreturn static void
changed_concurrently(CdcTableApply *ta, int wanted, uint64 written)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("rows of table %s were changed concurrently", ta->rel->qualified_name),
			 errdetail("Of %d rows, " UINT64_FORMAT " were written.", wanted, written)));
}

/* Rows that are locked only this transaction can have changed */
pg_noreturn static void
not_as_read(CdcTableApply *ta, int wanted, uint64 written)
{
	if (ta->changes->how.lock && ta->rel->fires)
		changed_by_trigger(ta, wanted, written);
	changed_concurrently(ta, wanted, written);
}

static void
check_count(CdcTableApply *ta, uint64 written, int wanted)
{
	if (written != wanted)
		not_as_read(ta, wanted, written);
}

static void
write_set(CdcTableApply *ta, CdcRowSet *set, CdcStatementKind kind)
{
	int			wanted = set->nrows;

	check_count(ta, cdc_write_execute(set, kind), wanted);
}

static CdcStatementKind
update_kind(const CdcRelation *rel, bool all)
{
	if (rel->partitioned)
		return all ? CDC_SQL_UPDATE_KEY_ALL : CDC_SQL_UPDATE_KEY;
	return all ? CDC_SQL_UPDATE_ALL : CDC_SQL_UPDATE;
}

static void
delete_keys(WriteArgs *args)
{
	CdcRowSet  *set = cdc_write_begin(args->ta->rel);

	for (int i = 0; i < args->nkeys; i++)
		cdc_write_add_key(set, args->keys[i]->key);
	write_set(args->ta, set, CDC_SQL_DELETE_KEY);
}

static void
write_version_seen(void *arg)
{
	WriteArgs  *args = arg;
	CdcRelation *rel = args->ta->rel;
	CdcRowSet  *set = cdc_write_begin(rel);

	for (int i = 0; i < args->nkeys; i++)
	{
		CdcKeyState *ks = args->keys[i];
		const CdcRow *image = cdc_image_row(&ks->last_delete->before);
		CdcRow		before = cdc_row_overlay(rel, &ks->stored, image);

		before.decided = image->present;
		keep_columns(rel, &before, &ks->stored, true);
		cdc_write_add(set, &before);
	}
	write_set(args->ta, set, update_kind(rel, true));
	delete_keys(args);
}

static void
write_delete_alone(WriteArgs *args)
{
	delete_keys(args);
}

static void
write_deletes(CdcTableApply *ta)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];

		if (ks->write == CDC_WRITE_DELETE && !needs_version_seen(ta, ks))
			cdc_write_add(set, &ks->stored);
	}
	write_set(ta, set, ta->rel->partitioned ? CDC_SQL_DELETE_KEY : CDC_SQL_DELETE);
}

/*
 * An update that only spells the key otherwise (numeric 1.0 as 1.00) is read from the
 * log as a delete of the one and an insert of the other.  That delete comes just after
 * the version that the row had: after the insert's, unless the version grew with it.
 */
static bool
needs_lower_version(CdcTableApply *ta, const CdcKeyState *ks)
{
	return ks->write == CDC_WRITE_UPDATE && ta->rel->updatable &&
		ta->rel->clock != CDC_CLOCK_COMMIT &&
		cdc_clock_compare(&ks->version, &ks->stored_version) <= 0 &&
		!cdc_row_same_key_text(ta->rel, &ks->stored, &ks->row);
}

/* The stored row, with a version below the one it is to have: what the log's delete then carries */
static CdcRow
row_of_lower_version(CdcRelation *rel, const CdcKeyState *ks)
{
	CdcVersion	version = cdc_clock_predecessor(rel->clock, &ks->version);
	CdcRow		row = ks->stored;

	row.decided = ks->row.decided;
	row.values = palloc(sizeof(Datum) * rel->ncolumns);
	row.nulls = palloc(sizeof(bool) * rel->ncolumns);
	memcpy(row.values, ks->stored.values, sizeof(Datum) * rel->ncolumns);
	memcpy(row.nulls, ks->stored.nulls, sizeof(bool) * rel->ncolumns);
	row.values[rel->version] = cdc_clock_to_datum(rel->clock, &version);
	row.nulls[rel->version] = !version.known;
	return row;
}

/* So the row first gets a version below the new one, and the delete goes with that */
static void
write_respelled(CdcTableApply *ta)
{
	CdcRowSet  *lower = cdc_write_begin(ta->rel);
	CdcRowSet  *set = cdc_write_begin(ta->rel);

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];
		CdcRow		row;

		if (!needs_lower_version(ta, ks))
			continue;
		row = row_of_lower_version(ta->rel, ks);
		cdc_write_add(lower, &row);
		cdc_write_add(set, &ks->row);
		ks->write = CDC_WRITE_NOTHING;	/* done */
	}
	write_set(ta, lower, update_kind(ta->rel, true));
	write_set(ta, set, CDC_SQL_UPDATE_KEY_ALL);
}

/* Where no other column can be set, all are */
static bool
sets_all(CdcRelation *rel, const CdcKeyState *ks)
{
	return !rel->updatable_apart || !cdc_row_same_referable(rel, &ks->stored, &ks->row);
}

/* all: the rows in which a column changes that foreign keys may point to, or else the others */
static void
write_updates(CdcTableApply *ta, bool all)
{
	CdcRowSet  *set = cdc_write_begin(ta->rel);

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];

		if (ks->write != CDC_WRITE_UPDATE || !ta->rel->updatable || sets_all(ta->rel, ks) != all)
			continue;
		keep_columns(ta->rel, &ks->row, &ks->stored, all);
		cdc_write_add(set, &ks->row);
	}
	write_set(ta, set, update_kind(ta->rel, all));
}

static void
insert_set(CdcTableApply *ta, CdcRowSet *set, Bitmapset *present, bool may_fail)
{
	int			wanted = set->nrows;

	check_count(ta, cdc_write_insert(set, present, may_fail), wanted);
}

/* One statement per set of columns: a column that no event named gets its default */
static void
write_inserts(CdcTableApply *ta)
{
	bool	   *done = palloc0(sizeof(bool) * ta->nkeys);

	for (int first = 0; first < ta->nkeys; first++)
	{
		Bitmapset  *present = ta->keys[first].row.present;
		CdcRowSet  *set;

		if (ta->keys[first].write != CDC_WRITE_INSERT || done[first])
			continue;
		set = cdc_write_begin(ta->rel);
		for (int i = first; i < ta->nkeys; i++)
		{
			CdcKeyState *ks = &ta->keys[i];

			if (ks->write != CDC_WRITE_INSERT || done[i] ||
				(ks->row.present != present && !bms_equal(ks->row.present, present)))
				continue;
			cdc_write_add(set, &ks->row);
			done[i] = true;
		}
		insert_set(ta, set, present, !ta->changes->how.lock);
	}
	pfree(done);
}

/* Was the row decided in the face of it, as under a preset or by a handling? */
static bool
was_met(const CdcKeyState *ks, const CdcTombstone *tombstone)
{
	return ks->tombstone_read && ks->tombstone.found &&
		cdc_clock_compare(&tombstone->version, &ks->tombstone.version) <= 0;
}

/* Has a row lost to a delete that could not be seen when the row was decided? */
static void
check_inserted(CdcTableApply *ta)
{
	CdcTombstoneScan *scan;

	if (cdc_effect_transactions_ended() == ta->ended_before)
		return;					/* nobody has committed anything since */
	scan = cdc_tombstone_scan_begin(ta->rel->key, ta->rel->clock);
	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];
		CdcTombstone tombstone;

		if (ks->write != CDC_WRITE_INSERT)
			continue;
		tombstone = cdc_tombstone_scan_read(scan, ks->key);
		if (tombstone.found && cdc_clock_compare(&tombstone.version, &ks->version) > 0 &&
			!was_met(ks, &tombstone))
			not_as_read(ta, 1, 0);
	}
	cdc_tombstone_scan_end(scan);
}

static bool
wants_through(CdcTableApply *ta, CdcKeyState *ks)
{
	/* a null value does not say what the row was */
	return ks->write == CDC_WRITE_THROUGH && ks->last_delete->item->event->before.present;
}

static void
write_through(void *arg)
{
	WriteArgs  *args = arg;
	CdcRelation *rel = args->ta->rel;

	for (int i = 0; i < args->nkeys; i++)
	{
		CdcKeyState *ks = args->keys[i];
		CdcRowSet  *set = cdc_write_begin(rel);
		const CdcRow *before = cdc_image_row(&ks->last_delete->before);

		cdc_write_add(set, before);
		insert_set(args->ta, set, before->present, false);
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

/*
 * Rows of partitions are addressed by their keys.  A trigger that wrote another row of the
 * table may have written one of these, after it was read.
 */
static void
check_touched(CdcTableApply *ta)
{
	if (ta->rel->partitioned && ta->nkeys > 1 && cdc_writing_touched(ta->rel->relid))
		not_as_read(ta, ta->nkeys, 0);
}

static void
write_tombstones(CdcTableApply *ta)
{
	CdcTombstoneRow *rows = palloc(sizeof(CdcTombstoneRow) * ta->nkeys);
	int			n = 0;

	for (int i = 0; i < ta->nkeys; i++)
	{
		CdcKeyState *ks = &ta->keys[i];

		if (ks->tombstone_rose)
			rows[n++] = (CdcTombstoneRow){.key = ks->key, .version = ks->tombstone.version,
			.peer = ks->tombstone.peer};
	}
	cdc_tombstone_raise(ta->rel->key, ta->rel->clock, rows, n);
	pfree(rows);
}

/* Deletes come first: they free unique values that updates and inserts may take */
void
cdc_effect_write(CdcTableApply *ta)
{
	cdc_writing_watch(ta->rel->relid);
	write_refusable(ta, wants_version_seen, write_version_seen, write_delete_alone);
	write_deletes(ta);
	write_respelled(ta);
	write_updates(ta, false);
	write_updates(ta, true);
	write_inserts(ta);
	check_inserted(ta);
	write_refusable(ta, wants_through, write_through, write_not_through);
	check_touched(ta);
	write_tombstones(ta);
}

/* How many transactions that wrote anything have ended, for ended_before */
uint64
cdc_effect_transactions_ended(void)
{
	return GetLatestSnapshot()->snapXactCompletionCount;
}
