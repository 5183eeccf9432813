/*
 * table_lift.h
 *		Gives a row that this transaction has just written another value in one column.
 */
#ifndef CDC_TABLE_LIFT_H
#define CDC_TABLE_LIFT_H

#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

extern TupleTableSlot *cdc_table_lift_find(Relation rel, const ItemPointerData *tid);
extern void cdc_table_lift(Relation rel, TupleTableSlot *old, AttrNumber column, Datum value);

#endif							/* CDC_TABLE_LIFT_H */
