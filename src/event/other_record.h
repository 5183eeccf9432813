/*
 * other_record.h
 *		Values that are no change of a row.
 */
#ifndef CDC_OTHER_RECORD_H
#define CDC_OTHER_RECORD_H

#include "base/compat.h"
#include "event/format.h"

extern bool cdc_other_record_is_known(const CdcTree *tree, const CdcImage *key);
pg_noreturn extern void cdc_other_record_refuse(const CdcTree *tree);

#endif							/* CDC_OTHER_RECORD_H */
