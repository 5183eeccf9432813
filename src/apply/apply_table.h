/*
 * apply_table.h
 *		One table's events of one transaction: read, decide, write.
 */
#ifndef CDC_APPLY_TABLE_H
#define CDC_APPLY_TABLE_H

#include "apply/apply_item.h"

/*
 * Apply; SPI is connected, the session is set up for applying.  Raises
 * serialization_failure when a row changed after it was read, which cannot be when
 * it was locked, or a key appeared: to be repeated at once.  unique_violation when rows
 * have the same value in a unique index other than the key's: to be repeated one by one,
 * and so that they are looked for.
 */
extern void cdc_apply_table(CdcTableChanges *changes);

/*
 * Does an update change the key, without Debezium having made a delete and a create of
 * it?  It does so where the message's key changes: without a primary key that need not
 * have the columns of the key here.
 */
extern bool cdc_apply_table_moves(CdcRelation *rel, const CdcApplyItem *item);

/* Empty a table, as a truncate event says */
extern void cdc_apply_table_truncate(CdcRelation *rel);

#endif							/* CDC_APPLY_TABLE_H */
