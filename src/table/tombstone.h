/*
 * tombstone.h
 *		Remembered deletes: read, raise, prune.
 */
#ifndef CDC_TOMBSTONE_H
#define CDC_TOMBSTONE_H

#include "storage/block.h"

#include "table/clock.h"
#include "table/key.h"
#include "table/tombstone_row.h"

typedef struct CdcTombstone
{
	bool		found;
	CdcVersion	version;
	char	   *peer;			/* who deleted it: a peer's name, or this node's */
} CdcTombstone;

/*
 * The newest tombstone of a key, as the newest committed state (and this transaction)
 * has it.  Its memory is CurrentMemoryContext.
 */
extern CdcTombstone cdc_tombstone_read(CdcKey *key, CdcClock clock, const Datum *values);

/* The same for many keys, of one state */
typedef struct CdcTombstoneScan CdcTombstoneScan;

extern CdcTombstoneScan *cdc_tombstone_scan_begin(CdcKey *key, CdcClock clock);
extern CdcTombstone cdc_tombstone_scan_read(CdcTombstoneScan *scan, const Datum *values);
extern void cdc_tombstone_scan_end(CdcTombstoneScan *scan);

/*
 * Remember deletes; a newer tombstone that is there already stays.  The keys of one
 * call are distinct.
 */
extern void cdc_tombstone_raise(CdcKey *key, CdcClock clock, const CdcTombstoneRow *rows,
								int nrows);

/*
 * The newest version that was pruned of a table; known is false if none was.
 * SPI is connected by the caller.
 */
extern CdcVersion cdc_tombstone_horizon(Oid relid, CdcClock clock);

/*
 * Forget tombstones that were written longer ago than cdcsync.tombstone_retention, and
 * those of tables that are gone, in some blocks of their table from *next; and copy the
 * commit times of local deletes there.  Returns how many were forgotten; *next is where
 * to go on, 0 at the end.  SPI is connected by the caller.
 */
extern int64 cdc_tombstone_prune(BlockNumber *next);

#endif							/* CDC_TOMBSTONE_H */
