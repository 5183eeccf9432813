/*
 * table_access.h
 *		The rows of plain tables, read and written through the table's access method.
 */
#ifndef CDC_TABLE_ACCESS_H
#define CDC_TABLE_ACCESS_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "rows/row.h"

/*
 * Read rows by their keys, as the active snapshot shows them.  A row's memory is
 * CurrentMemoryContext.  False if there is none.
 */
typedef struct CdcTableScan CdcTableScan;

extern CdcTableScan *cdc_table_scan_begin(CdcRelation *rel);
extern bool cdc_table_scan_read(CdcTableScan *scan, const Datum *key, CdcRow *row);
extern void cdc_table_scan_end(CdcTableScan *scan);

/*
 * Write rows and return how many were: an update or delete addresses the row version that
 * was read, and passes over those that somebody else has changed since.  The snapshot that
 * they were read with is still active.  An insert, which gives all columns a value, raises
 * unique_violation for a key that is there.  The caller has taken the owner's rights.
 */
extern uint64 cdc_table_insert(CdcRelation *rel, const CdcRow *rows, int nrows);
extern uint64 cdc_table_update(CdcRelation *rel, const CdcRow *rows, int nrows);
extern uint64 cdc_table_delete(CdcRelation *rel, const CdcRow *rows, int nrows);

#endif							/* CDC_TABLE_ACCESS_H */
