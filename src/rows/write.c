/*
 * write.c
 *		Reads and writes a batch of rows of a mapped relation.
 *
 * The rows of a batch are handed to a statement as an ephemeral named relation over a
 * tuplestore: one statement for any number of rows, planned once per relation.  Those of
 * a plain table are written without a statement (table_access.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/heap.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/table_name.h"
#include "rows/deparse.h"
#include "rows/table_access.h"
#include "rows/write.h"
#include "table/writing.h"

CdcRowSet *
cdc_write_begin(CdcRelation *rel)
{
	CdcRowSet  *set = palloc0(sizeof(CdcRowSet));

	set->rel = rel;
	return set;
}

void
cdc_write_add(CdcRowSet *set, const CdcRow *row)
{
	if (set->nrows == set->max_rows)
	{
		set->max_rows = Max(16, set->max_rows * 2);
		set->rows = set->rows ? repalloc_huge(set->rows, sizeof(CdcRow) * set->max_rows) :
			palloc(sizeof(CdcRow) * set->max_rows);
	}
	set->rows[set->nrows++] = *row;
}

void
cdc_write_add_key(CdcRowSet *set, const Datum *key)
{
	const CdcRelation *rel = set->rel;
	CdcRow		row = {.values = palloc(sizeof(Datum) * rel->ncolumns),
	.nulls = palloc(sizeof(bool) * rel->ncolumns)};

	memset(row.nulls, true, sizeof(bool) * rel->ncolumns);
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		row.values[rel->key_column[i]] = key[i];
		row.nulls[rel->key_column[i]] = false;
	}
	cdc_write_add(set, &row);
}

static void
end_set(CdcRowSet *set)
{
	if (set->rows)
		pfree(set->rows);
	pfree(set);
}

static uint64
execute_direct(CdcRowSet *set, uint64 (*write) (CdcRelation *, const CdcRow *, int))
{
	uint64		written = set->nrows > 0 ? write(set->rel, set->rows, set->nrows) : 0;

	end_set(set);
	return written;
}

static Tuplestorestate *
make_store(const CdcRowSet *set)
{
	TupleDesc	desc = set->rel->batch_desc;
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * desc->natts);

	for (int i = 0; i < set->nrows; i++)
	{
		const CdcRow *row = &set->rows[i];

		values[CDC_BATCH_N] = Int32GetDatum(i);
		values[CDC_BATCH_TID] = PointerGetDatum(&row->tid);
		nulls[CDC_BATCH_TID] = !ItemPointerIsValid(&row->tid);
		values[CDC_BATCH_XID] = TransactionIdGetDatum(row->xmin);
		memcpy(values + CDC_BATCH_FIRST, row->values, sizeof(Datum) * set->rel->ncolumns);
		memcpy(nulls + CDC_BATCH_FIRST, row->nulls, sizeof(bool) * set->rel->ncolumns);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	pfree(values);
	pfree(nulls);
	return store;
}

/*
 * One row is what the planner is to expect, always: it then takes the rows one by one
 * and looks each up, whatever the table looked like when the plan was made.
 */
static Tuplestorestate *
register_set(const CdcRowSet *set)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	int			result;

	enr->md.name = CDC_BATCH_NAME;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = set->rel->batch_desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = 1;
	enr->reldata = make_store(set);
	/* a subtransaction that failed may have left its batch */
	(void) SPI_unregister_relation(CDC_BATCH_NAME);
	result = SPI_register_relation(enr);
	if (result != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register batch: %s", SPI_result_code_string(result));
	return enr->reldata;
}

static SPIPlanPtr
prepare(const char *sql)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

pg_noreturn static void
refuse_changed(CdcRelation *rel, const CdcRow *row, int column)
{
	Datum		key[INDEX_MAX_KEYS];

	for (int i = 0; i < rel->key->ncolumns; i++)
		key[i] = row->values[rel->key_column[i]];
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a trigger changed column \"%s\" of a row of table %s that is applied",
					rel->columns[column].name, rel->qualified_name),
			 errdetail("The row has key %s.", cdc_key_to_string(rel->key, key)),
			 errhint("Make the one that did it fire for local writes alone: %s.", rel->fires_before)));
}

static void
check_row(const CdcRowSet *set, HeapTuple tuple, int n, int first)
{
	const CdcRow *row = &set->rows[n];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	CdcRow		decided = *row;
	CdcRow		written;

	written.values = palloc(sizeof(Datum) * desc->natts);
	written.nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(tuple, desc, written.values, written.nulls);
	written.values += first;
	written.nulls += first;
	if (row->decided)
		decided.present = row->decided;
	if (cdc_row_equal(set->rel, &written, &decided))
		return;
	for (int i = -1; (i = bms_next_member(decided.present, i)) >= 0;)
	{
		CdcRow		column = decided;

		column.present = bms_make_singleton(i);
		if (!cdc_row_equal(set->rel, &written, &column))
			refuse_changed(set->rel, row, i);
	}
}

/*
 * Is what was written what was decided?  A trigger of users may have changed it: then this
 * node's log says something else than the event, for ever back and forth with who else
 * does so.  Columns that the events do not have are nobody else's.
 */
static void
check_written(const CdcRowSet *set)
{
	SPITupleTable *table = SPI_tuptable;
	int			first = table->tupdesc->natts - set->rel->ncolumns; /* a row's place comes first */

	for (uint64 i = 0; i < table->numvals; i++)
	{
		bool		isnull;

		if (first > 0)
			check_row(set, table->vals[i],
					  DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull)),
					  first);
		else if (table->numvals == set->nrows)	/* else some are missing, which is an error of its own */
			check_row(set, table->vals[i], i, first);
	}
	SPI_freetuptable(table);
}

static void
unregister_set(Tuplestorestate *store)
{
	SPI_unregister_relation(CDC_BATCH_NAME);
	tuplestore_end(store);
}

static uint64
execute(CdcRowSet *set, SPIPlanPtr *plan, char *(*text) (CdcRowSet *, const void *),
		const void *arg)
{
	uint64		processed = 0;
	int			result;

	if (set->nrows > 0)
	{
		Tuplestorestate *store = register_set(set);

		if (*plan == NULL)
			*plan = prepare(text(set, arg));
		result = SPI_execute_plan(*plan, NULL, NULL, false, 0);
		if (result < 0)
			elog(ERROR, "could not write: %s", SPI_result_code_string(result));
		processed = SPI_processed;
		if (set->rel->fires_before && SPI_tuptable && result != SPI_OK_SELECT)
			check_written(set);
		unregister_set(store);
	}
	end_set(set);
	return processed;
}

static char *
statement_text(CdcRowSet *set, const void *kind)
{
	return cdc_deparse_statement(set->rel, *(const CdcStatementKind *) kind);
}

static uint64
execute_for_peer(CdcRowSet *set, SPIPlanPtr *plan, char *(*text) (CdcRowSet *, const void *),
				 const void *arg)
{
	CdcWriting	outer = cdc_writing_begin(set->rel->relid);
	volatile uint64 written = 0;

	PG_TRY();
	{
		written = execute(set, plan, text, arg);
	}
	PG_FINALLY();
	{
		cdc_writing_end(outer);
	}
	PG_END_TRY();
	return written;
}

/*
 * Read or write, and free the set.  Returns the number of rows; of reads, SPI_tuptable
 * holds them, with their place in the set.  The caller has taken the owner's rights
 * (owner.h), and the snapshot that rows were read with is active.
 */
uint64
cdc_write_execute(CdcRowSet *set, CdcStatementKind kind)
{
	uint64		(*direct) (CdcRelation *, const CdcRow *, int) = NULL;

	if (set->rel->plain && (kind == CDC_SQL_UPDATE || kind == CDC_SQL_UPDATE_ALL))
		direct = cdc_table_update;
	else if (set->rel->plain && kind == CDC_SQL_DELETE)
		direct = cdc_table_delete;
	if (direct)
		return execute_direct(set, direct);
	if (kind == CDC_SQL_READ || kind == CDC_SQL_LOCK)
		return execute(set, &set->rel->plans[kind], statement_text, &kind);
	return execute_for_peer(set, &set->rel->plans[kind], statement_text, &kind);
}

/* A row as reads return it, and its place in the set; what it points to stays there */
int
cdc_write_take_row(CdcRow *row, const CdcRelation *rel, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	*row = (CdcRow){.exists = true, .present = rel->all_columns,
		.tid = *(ItemPointer) DatumGetPointer(values[CDC_BATCH_TID]),
		.xmin = DatumGetTransactionId(values[CDC_BATCH_XID]),
		.values = values + CDC_BATCH_FIRST, .nulls = nulls + CDC_BATCH_FIRST};
	return DatumGetInt32(values[CDC_BATCH_N]);
}

static CdcInsert *
find_insert(CdcRelation *rel, Bitmapset *present)
{
	MemoryContext old;
	CdcInsert  *insert;
	ListCell   *lc;

	foreach(lc, rel->inserts)
	{
		insert = lfirst(lc);
		if (bms_equal(insert->present, present))
			return insert;
	}
	old = MemoryContextSwitchTo(rel->table.context);
	insert = palloc0(sizeof(CdcInsert));
	insert->present = bms_copy(present);
	rel->inserts = lappend(rel->inserts, insert);
	MemoryContextSwitchTo(old);
	return insert;
}

static char *
insert_text(CdcRowSet *set, const void *present)
{
	return cdc_deparse_insert(set->rel, present);
}

/*
 * New rows with these columns.  A key that is there by now is left alone, or raises
 * unique_violation if may_fail, which is faster.
 */
uint64
cdc_write_insert(CdcRowSet *set, Bitmapset *present, bool may_fail)
{
	if (set->rel->plain && may_fail && bms_equal(present, set->rel->all_columns))
		return execute_direct(set, cdc_table_insert);
	return execute_for_peer(set, &find_insert(set->rel, present)->plan, insert_text, present);
}

/* The same for a statement that is not kept; it reads the rows as CDC_BATCH_NAME */
uint64
cdc_write_query(CdcRowSet *set, const char *sql)
{
	Tuplestorestate *store = register_set(set);
	int			result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	unregister_set(store);
	end_set(set);
	return SPI_processed;
}

/* What the server says of it, to use CASCADE, nobody can do here */
static void
check_not_referenced(const CdcRelation *rel)
{
	List	   *others = heap_truncate_find_FKs(lcons_oid(rel->relid, list_copy(rel->table.partitions)));

	if (others == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot truncate table %s, to which foreign keys point", rel->qualified_name),
			 errdetail("Table %s has one; a truncate event is of one table alone.",
					   cdc_table_name(linitial_oid(others))),
			 errhint("Empty here what was emptied at the author by one TRUNCATE, then leave the event out with cdcsync.skip.")));
}

void
cdc_write_truncate(CdcRelation *rel)
{
	CdcWriting	outer;

	check_not_referenced(rel);
	outer = cdc_writing_begin(rel->relid);

	PG_TRY();
	{
		int			result = SPI_execute(cdc_deparse_truncate(rel), false, 0);

		if (result < 0)
			elog(ERROR, "could not truncate: %s", SPI_result_code_string(result));
	}
	PG_FINALLY();
	{
		cdc_writing_end(outer);
	}
	PG_END_TRY();
}
