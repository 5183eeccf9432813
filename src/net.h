/*
 * net.h
 *		Writes the net effect that a batch has on each key.
 */
#ifndef CDC_NET_H
#define CDC_NET_H

#include "apply_table.h"
#include "tombstone.h"
#include "write.h"

/* One key, from the first of its events to the net effect */
typedef struct CdcKeyState
{
	Datum	   *key;
	int			first;			/* its events in the sorted array */
	int			end;
	CdcRow		stored;			/* as the table has it */
	CdcRow		row;			/* in memory, after the events so far */
	CdcVersion	stored_version;
	CdcVersion	version;		/* of row */
	bool		tombstone_read;
	CdcTombstone tombstone;
	bool		tombstone_rose;
	const CdcApplyItem *last_delete;
	CdcVersion	delete_version; /* of last_delete */
	CdcNet		net;
	CdcWrite	write;
} CdcKeyState;

/* An event with its key, for sorting */
typedef struct CdcKeyedItem
{
	CdcApplyItem *item;
	Datum	   *key;
	int			seq;
} CdcKeyedItem;

typedef struct CdcTableApply
{
	CdcTableChanges *changes;
	CdcRelation *rel;
	CdcKeyedItem  *items;
	int			nkeys;
	CdcKeyState   *keys;
	bool		horizon_read;
	CdcVersion	horizon;
	uint64		ended_before;	/* transactions, before the first tombstone was read */
} CdcTableApply;

/*
 * Write what the keys' events come to, and their tombstones.  Raises
 * serialization_failure when a row is no longer what was read.
 */
extern void cdc_net_write(CdcTableApply *ta);

/* How many transactions that wrote anything have ended, for ended_before */
extern uint64 cdc_net_transactions_ended(void);

#endif							/* CDC_NET_H */
