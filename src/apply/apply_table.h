/*
 * apply_table.h
 *		One table's events of one transaction: read, decide, write.
 */
#ifndef CDC_APPLY_TABLE_H
#define CDC_APPLY_TABLE_H

#include "apply/apply_item.h"

extern void cdc_apply_table(CdcTableChanges *changes);
extern bool cdc_apply_table_moves(CdcRelation *rel, const CdcApplyItem *item);
extern void cdc_apply_table_truncate(CdcRelation *rel);

#endif							/* CDC_APPLY_TABLE_H */
