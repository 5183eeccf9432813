/*
 * table_lift.h
 *		Gives a row that this transaction has just written another value in one column.
 */
#ifndef CDC_TABLE_LIFT_H
#define CDC_TABLE_LIFT_H

#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

/*
 * The latest version of a row that this transaction has written at tid, in a slot that the
 * caller drops; NULL if it is gone, or was moved to another partition, as a new row.
 */
extern TupleTableSlot *cdc_table_lift_find(Relation rel, const ItemPointerData *tid);

/*
 * Change that row; in an AFTER trigger, with the rights of the table's owner.  The value is
 * not null.  Constraints, generated columns and foreign keys hold; no trigger of users
 * fires.
 */
extern void cdc_table_lift(Relation rel, TupleTableSlot *old, AttrNumber column, Datum value);

#endif							/* CDC_TABLE_LIFT_H */
