/*
 * table_write.c
 *		Rows written through the table's access method: what the executor does, but for
 *		queries, triggers, rules and defaults.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/table_write.h"

void
cdc_table_write_begin(CdcTableWrite *w, Oid relid, CmdType command, const char *name)
{
	PreventCommandIfReadOnly(name);
	w->table = table_open(relid, RowExclusiveLock);
	CheckCmdReplicaIdentity(w->table, command);
	w->estate = CreateExecutorState();
	w->result = makeNode(ResultRelInfo);
	w->result->ri_RelationDesc = w->table;	/* no triggers, no range table: as for catalogs */
	w->indexes_open = false;
	w->cid = GetCurrentCommandId(true);
}

void
cdc_table_write_end(CdcTableWrite *w)
{
	if (w->indexes_open)
		ExecCloseIndices(w->result);
	FreeExecutorState(w->estate);
	table_close(w->table, NoLock);
	CommandCounterIncrement();
}

/* The index entries of a row that has just been written */
void
cdc_table_write_entries(CdcTableWrite *w, TupleTableSlot *slot, bool update, bool summarizing)
{
	if (!w->indexes_open)
		ExecOpenIndices(w->result, false);
	w->indexes_open = true;
	if (w->result->ri_NumIndices == 0)
		return;
	/* without a range table the executor tells indexes that no column has changed: a mere hint */
	(void) ExecInsertIndexTuples_compat(w->result, slot, w->estate, update, false, NULL, NIL,
										summarizing);
	ResetPerTupleExprContext(w->estate);
}

/*
 * The row version at tid becomes what the slot holds; the slot says where it is then.
 * False if somebody else has changed it since.
 */
bool
cdc_table_write_update(CdcTableWrite *w, const ItemPointerData *tid, TupleTableSlot *slot)
{
	ItemPointerData place = *tid;
	TM_FailureData failure;
	LockTupleMode mode;
	TU_UpdateIndexes indexes;

	if (table_tuple_update_compat(w->table, &place, slot, w->cid, GetActiveSnapshot(),
								  InvalidSnapshot, true, &failure, &mode, &indexes) != TM_Ok)
		return false;
	if (cdc_updates_indexes(indexes))
		cdc_table_write_entries(w, slot, true, cdc_updates_summarizing(indexes));
	return true;
}

/* The three of them, for one row as the active snapshot shows it */
bool
cdc_table_write_tuple(Relation table, const ItemPointerData *tid, TupleTableSlot *slot)
{
	bool		written;
	CdcTableWrite w;

	cdc_table_write_begin(&w, RelationGetRelid(table), CMD_UPDATE, "UPDATE");
	written = cdc_table_write_update(&w, tid, slot);
	cdc_table_write_end(&w);
	return written;
}
