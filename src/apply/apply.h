/*
 * apply.h
 *		Change events -> the tables, inside one transaction.
 */
#ifndef CDC_APPLY_H
#define CDC_APPLY_H

#include "apply/apply_item.h"
#include "event/log_tail.h"

extern CdcApplyItem *cdc_apply_prepare(CdcMessage *message, const CdcApplyOptions *options,
									   CdcLogTail *tail);

typedef struct CdcApply CdcApply;

/*
 * Apply events in the order of their logs, in the current transaction; SPI is connected
 * and the session set up for applying.  extent says how many, from the first, may share
 * the transaction; execute applies so many.
 *
 * extent is 0 if the first one must not be applied before *hold_until.
 */
extern CdcApply *cdc_apply_begin(CdcApplyItem **items, int nitems, CdcApplyHow how);
extern int	cdc_apply_extent(CdcApply *apply, TimestampTz *hold_until);
extern void cdc_apply_execute(CdcApply *apply, int nitems, CdcApplied *applied);
extern void cdc_apply_count(const CdcApplied *applied);

#endif							/* CDC_APPLY_H */
