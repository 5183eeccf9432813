/*
 * write.c
 *		Runs the statements of a mapped relation over a batch of rows.
 *
 * The rows of a batch are handed to a statement as an ephemeral named relation over a
 * tuplestore: one statement for any number of rows, planned once per relation.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "deparse.h"
#include "write.h"

static uint64 execute(CdcRowSet *set, SPIPlanPtr *plan, char *(*text) (CdcRowSet *, const void *),
					  const void *arg);
static char *statement_text(CdcRowSet *set, const void *kind);
static char *insert_text(CdcRowSet *set, const void *present);
static SPIPlanPtr prepare(const char *sql);
static CdcInsert *find_insert(CdcRelation *rel, Bitmapset *present);
static void register_set(CdcRowSet *set);
static void end_set(CdcRowSet *set);

CdcRowSet *
cdc_write_begin(CdcRelation *rel)
{
	CdcRowSet  *set = palloc0(sizeof(CdcRowSet));

	set->rel = rel;
	set->store = tuplestore_begin_heap(false, false, work_mem);
	set->values = palloc0(sizeof(Datum) * rel->batch_desc->natts);
	set->nulls = palloc(sizeof(bool) * rel->batch_desc->natts);
	return set;
}

void
cdc_write_add(CdcRowSet *set, int n, const CdcRow *row)
{
	set->values[CDC_BATCH_N] = Int32GetDatum(n);
	set->values[CDC_BATCH_TID] = PointerGetDatum(&row->tid);
	set->nulls[CDC_BATCH_N] = false;
	set->nulls[CDC_BATCH_TID] = !ItemPointerIsValid(&row->tid);
	set->values[CDC_BATCH_XID] = TransactionIdGetDatum(row->xmin);
	set->nulls[CDC_BATCH_XID] = false;
	memcpy(set->values + CDC_BATCH_FIRST, row->values, sizeof(Datum) * set->rel->ncolumns);
	memcpy(set->nulls + CDC_BATCH_FIRST, row->nulls, sizeof(bool) * set->rel->ncolumns);
	tuplestore_putvalues(set->store, set->rel->batch_desc, set->values, set->nulls);
	set->nrows++;
}

void
cdc_write_add_key(CdcRowSet *set, int n, const Datum *key)
{
	memset(set->nulls, true, sizeof(bool) * set->rel->batch_desc->natts);
	set->values[CDC_BATCH_N] = Int32GetDatum(n);
	set->nulls[CDC_BATCH_N] = false;
	for (int i = 0; i < set->rel->key->ncolumns; i++)
	{
		int			column = CDC_BATCH_FIRST + set->rel->key_column[i];

		set->values[column] = key[i];
		set->nulls[column] = false;
	}
	tuplestore_putvalues(set->store, set->rel->batch_desc, set->values, set->nulls);
	set->nrows++;
}

uint64
cdc_write_execute(CdcRowSet *set, CdcStatementKind kind)
{
	return execute(set, &set->rel->plans[kind], statement_text, &kind);
}

uint64
cdc_write_insert(CdcRowSet *set, Bitmapset *present)
{
	return execute(set, &find_insert(set->rel, present)->plan, insert_text, present);
}

uint64
cdc_write_query(CdcRowSet *set, const char *sql)
{
	uint64		processed;
	int			result;

	register_set(set);
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	processed = SPI_processed;
	SPI_unregister_relation(CDC_BATCH_NAME);
	end_set(set);
	return processed;
}

void
cdc_write_truncate(CdcRelation *rel)
{
	int			result = SPI_execute(cdc_deparse_truncate(rel), false, 0);

	if (result < 0)
		elog(ERROR, "could not truncate: %s", SPI_result_code_string(result));
}

static uint64
execute(CdcRowSet *set, SPIPlanPtr *plan, char *(*text) (CdcRowSet *, const void *),
		const void *arg)
{
	uint64		processed = 0;
	int			result;

	if (set->nrows > 0)
	{
		register_set(set);
		if (*plan == NULL)
			*plan = prepare(text(set, arg));
		result = SPI_execute_plan(*plan, NULL, NULL, false, 0);
		if (result < 0)
			elog(ERROR, "could not write: %s", SPI_result_code_string(result));
		processed = SPI_processed;
		SPI_unregister_relation(CDC_BATCH_NAME);
	}
	end_set(set);
	return processed;
}

static void
end_set(CdcRowSet *set)
{
	tuplestore_end(set->store);
	pfree(set->values);
	pfree(set->nulls);
	pfree(set);
}

static char *
statement_text(CdcRowSet *set, const void *kind)
{
	return cdc_deparse_statement(set->rel, *(const CdcStatementKind *) kind);
}

static char *
insert_text(CdcRowSet *set, const void *present)
{
	return cdc_deparse_insert(set->rel, present);
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
	old = MemoryContextSwitchTo(rel->context);
	insert = palloc0(sizeof(CdcInsert));
	insert->present = bms_copy(present);
	rel->inserts = lappend(rel->inserts, insert);
	MemoryContextSwitchTo(old);
	return insert;
}

/*
 * One row is what the planner is to expect, always: it then takes the rows one by one
 * and looks each up, whatever the table looked like when the plan was made.
 */
static void
register_set(CdcRowSet *set)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	int			result;

	enr->md.name = CDC_BATCH_NAME;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = set->rel->batch_desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = 1;
	enr->reldata = set->store;
	/* a subtransaction that failed may have left its batch */
	(void) SPI_unregister_relation(CDC_BATCH_NAME);
	result = SPI_register_relation(enr);
	if (result != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register batch: %s", SPI_result_code_string(result));
}
