/*
 * table_lift.c
 *		Gives a row that this transaction has just written another value in one column.
 *
 * It is the executor's update of a single row, as native logical replication does it, with
 * no trigger but those of foreign keys: their check of the row that was written passes over
 * it when it is no longer there, and relies on the update's.  They are queued for the
 * statement at work, and so run with the rights, and at the time, that they would have had.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/table_lift.h"

/*
 * The latest version of a row that this transaction has written at tid, in a slot that the
 * caller drops; NULL if it is gone, or was moved to another partition, as a new row.
 */
TupleTableSlot *
cdc_table_lift_find(Relation rel, const ItemPointerData *tid)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ItemPointerData place = *tid;
	Snapshot	snapshot;
	TableScanDesc scan;

	CommandCounterIncrement();	/* the row is older than the look at it */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan_tid(rel, snapshot);
	table_tuple_get_latest_tid(scan, &place);
	if (!table_tuple_fetch_row_version(rel, &place, snapshot, slot))
	{
		ExecDropSingleTupleTableSlot(slot);
		slot = NULL;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return slot;
}

/* Of this copy; there is one, for the caller is a trigger */
static void
keep_foreign_keys(TriggerDesc *desc)
{
	int			n = 0;

	for (int i = 0; i < desc->numtriggers; i++)
	{
		if (RI_FKey_trigger_type(desc->triggers[i].tgfoid) != RI_TRIGGER_NONE)
			desc->triggers[n++] = desc->triggers[i];
	}
	desc->numtriggers = n;
	desc->trig_update_before_row = false;
	desc->trig_update_instead_row = false;
	desc->trig_update_new_table = false;
	desc->trig_update_old_table = false;
}

/*
 * Change that row; in an AFTER trigger, with the rights of the table's owner.  The value is
 * not null.  Constraints, generated columns and foreign keys hold; no trigger of users
 * fires.
 */
void
cdc_table_lift(Relation rel, TupleTableSlot *old, AttrNumber column, Datum value)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *new = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);

	estate->es_snapshot = GetActiveSnapshot();
	InitResultRelInfo(result, rel, 0, NULL, 0);
	keep_foreign_keys(result->ri_TrigDesc);
	ExecCopySlot(new, old);
	new->tts_values[column - 1] = value;
	new->tts_isnull[column - 1] = false;
	new->tts_tableOid = RelationGetRelid(rel);

	ExecOpenIndices(result, false);
	ExecSimpleRelationUpdate(result, estate, NULL, old, new);	/* no BEFORE trigger asks for the state */
	ExecCloseIndices(result);
	ExecDropSingleTupleTableSlot(new);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	CommandCounterIncrement();
}
