/*
 * table_access.c
 *		The rows of plain tables, read and written through the table's access method.
 *
 * It does what the executor does for INSERT, UPDATE and DELETE (constraints, the row, its
 * index entries) and leaves out what has no effect there, in half the time or less:
 * queries, triggers, rules, defaults.  The triggers that add_table made are such, for
 * they pass over what is applied.  Rows of one set are written in one command.
 *
 * A row version is addressed by its place alone.  The snapshot it was read with stays
 * active meanwhile, so that VACUUM does not free the place for another row.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/table_write.h"
#include "rows/table_access.h"

/* Rows that are handed to the access method at once */
#define INSERT_AT_ONCE	500

struct CdcTableScan
{
	CdcRelation *rel;
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData keys[INDEX_MAX_KEYS];
};

/* ---- read ---- */

static void
scan_key_init(CdcTableScan *scan, int n)
{
	const CdcKeyColumn *col = &scan->rel->key->columns[n];

	ScanKeyEntryInitialize(&scan->keys[n], 0, n + 1, BTEqualStrategyNumber,
						   scan->index->rd_opcintype[n], col->collation,
						   get_opcode(col->equality), (Datum) 0);
}

CdcTableScan *
cdc_table_scan_begin(CdcRelation *rel)
{
	CdcTableScan *scan = palloc(sizeof(CdcTableScan));

	scan->rel = rel;
	scan->table = table_open(rel->relid, NoLock);
	scan->index = index_open(rel->key->index, AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = index_beginscan_compat(scan->table, scan->index, GetActiveSnapshot(),
										rel->key->ncolumns, 0);
	for (int i = 0; i < rel->key->ncolumns; i++)
		scan_key_init(scan, i);
	return scan;
}

static void
take_tuple(CdcRow *row, const CdcRelation *rel, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	/* columns that take part come in the table's order, without those that do not */
	for (int i = 0; i < rel->ncolumns; i++)
	{
		values[i] = values[rel->columns[i].attnum - 1];
		nulls[i] = nulls[rel->columns[i].attnum - 1];
	}
	*row = (CdcRow){.exists = true, .tid = tuple->t_self, .values = values, .nulls = nulls,
	.xmin = HeapTupleHeaderGetRawXmin(tuple->t_data), .present = rel->all_columns};
}

bool
cdc_table_scan_read(CdcTableScan *scan, const Datum *key, CdcRow *row)
{
	int			nkeys = scan->rel->key->ncolumns;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < nkeys; i++)
		scan->keys[i].sk_argument = key[i];
	index_rescan(scan->scan, scan->keys, nkeys, NULL, 0);
	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	take_tuple(row, scan->rel, ExecCopySlotHeapTuple(scan->slot), RelationGetDescr(scan->table));
	return true;
}

void
cdc_table_scan_end(CdcTableScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
	table_close(scan->table, NoLock);
	pfree(scan);
}

/* ---- write ---- */

static void
store_row(TupleTableSlot *slot, const CdcRelation *rel, const CdcRow *row)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < rel->ncolumns; i++)
	{
		int			attribute = rel->columns[i].attnum - 1;

		slot->tts_values[attribute] = row->values[i];
		slot->tts_isnull[attribute] = row->nulls[i];
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = rel->relid;
}

static void
check_row(CdcTableWrite *w, TupleTableSlot *slot)
{
	if (RelationGetDescr(w->table)->constr)
		ExecConstraints(w->result, slot, w->estate);
	ResetPerTupleExprContext(w->estate);
}

static void
insert_rows(CdcTableWrite *w, TupleTableSlot **slots, const CdcRelation *rel, const CdcRow *rows,
			int nrows)
{
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < nrows; i++)
	{
		store_row(slots[i], rel, &rows[i]);
		check_row(w, slots[i]);
	}
	/* what this leaves in memory, the batch's limits bound */
	table_multi_insert(w->table, slots, nrows, w->cid, 0, NULL);
	for (int i = 0; i < nrows; i++)
		cdc_table_write_entries(w, slots[i], false, false);
}

uint64
cdc_table_insert(CdcRelation *rel, const CdcRow *rows, int nrows)
{
	int			nslots = Min(nrows, INSERT_AT_ONCE);
	TupleTableSlot **slots = palloc(sizeof(TupleTableSlot *) * nslots);
	CdcTableWrite w;

	cdc_table_write_begin(&w, rel->relid, CMD_INSERT, "INSERT");
	for (int i = 0; i < nslots; i++)
		slots[i] = table_slot_create(w.table, NULL);
	for (int i = 0; i < nrows; i += nslots)
		insert_rows(&w, slots, rel, rows + i, Min(nslots, nrows - i));
	for (int i = 0; i < nslots; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	cdc_table_write_end(&w);
	return nrows;
}

uint64
cdc_table_update(CdcRelation *rel, const CdcRow *rows, int nrows)
{
	uint64		written = 0;
	TupleTableSlot *slot;
	CdcTableWrite w;

	cdc_table_write_begin(&w, rel->relid, CMD_UPDATE, "UPDATE");
	slot = table_slot_create(w.table, NULL);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		store_row(slot, rel, &rows[i]);
		check_row(&w, slot);
		written += cdc_table_write_update(&w, &rows[i].tid, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	cdc_table_write_end(&w);
	return written;
}

uint64
cdc_table_delete(CdcRelation *rel, const CdcRow *rows, int nrows)
{
	uint64		written = 0;
	CdcTableWrite w;

	cdc_table_write_begin(&w, rel->relid, CMD_DELETE, "DELETE");
	for (int i = 0; i < nrows; i++)
	{
		ItemPointerData tid = rows[i].tid;
		TM_FailureData failure;

		CHECK_FOR_INTERRUPTS();
		written += table_tuple_delete_compat(w.table, &tid, w.cid, GetActiveSnapshot(),
											 InvalidSnapshot, true, &failure) == TM_Ok;
	}
	cdc_table_write_end(&w);
	return written;
}
