/*
 * tombstone.h
 *		Remembered deletes: read, raise, prune.
 */
#ifndef CDC_TOMBSTONE_H
#define CDC_TOMBSTONE_H

#include "storage/block.h"

#include "table/clock.h"
#include "table/key.h"

/* One delete to remember */
typedef struct CdcTombstoneRow
{
	const Datum *key;
	CdcVersion	version;
	const char *peer;
} CdcTombstoneRow;

typedef struct CdcTombstone
{
	bool		found;
	CdcVersion	version;
	char	   *peer;			/* who deleted it: a peer's name, or this node's */
} CdcTombstone;

extern CdcTombstone cdc_tombstone_read(CdcKey *key, CdcClock clock, const Datum *values);

/* The same for many keys, of one state */
typedef struct CdcTombstoneScan CdcTombstoneScan;

extern CdcTombstoneScan *cdc_tombstone_scan_begin(CdcKey *key, CdcClock clock);
extern CdcTombstone cdc_tombstone_scan_read(CdcTombstoneScan *scan, const Datum *values);
extern void cdc_tombstone_scan_end(CdcTombstoneScan *scan);
extern void cdc_tombstone_raise(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows,
								int nrows);
extern CdcVersion cdc_tombstone_horizon(Oid relid, CdcClock clock);
extern int64 cdc_tombstone_prune(BlockNumber *next);

#endif							/* CDC_TOMBSTONE_H */
