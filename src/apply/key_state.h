/*
 * key_state.h
 *		One key, from the row that is read to the net effect of its events.
 */
#ifndef CDC_KEY_STATE_H
#define CDC_KEY_STATE_H

#include "apply/apply_item.h"
#include "rows/image_row.h"
#include "rows/row.h"
#include "table/tombstone.h"

typedef struct CdcKeyState
{
	Datum	   *key;
	int			first;			/* its events in the sorted array */
	int			end;
	CdcRow		stored;			/* as the table has it */
	CdcRow		row;			/* in memory, after the events so far */
	CdcVersion	stored_version;
	CdcVersion	version;		/* of row */
	const char *writer;			/* of row; NULL: not looked for yet, see cdc_key_state_writer */
	bool		tombstone_read;
	CdcTombstone tombstone;
	bool		tombstone_rose;
	struct CdcKeyedItem *last_delete;
	CdcVersion	delete_version; /* of the last delete */
	CdcEffect	effect;
	CdcWrite	write;
} CdcKeyState;

/* An event with its key, for sorting */
typedef struct CdcKeyedItem
{
	CdcApplyItem *item;
	CdcRow		after;			/* exists is false of deletes */
	CdcImageRow before;
	Datum	   *key;
	int			seq;
} CdcKeyedItem;

typedef struct CdcTableApply
{
	CdcTableChanges *changes;
	CdcRelation *rel;
	CdcKeyedItem *items;
	int			nkeys;
	CdcKeyState *keys;
	List	   *displaced;		/* of CdcKeyState *: rows that lose their unique values */
	bool		horizon_read;
	CdcVersion	horizon;
	uint64		ended_before;	/* transactions, before the first tombstone was read */
} CdcTableApply;

extern void cdc_key_state_take_row(CdcKeyState *ks, const CdcRelation *rel, const CdcRow *row);
extern void cdc_key_state_begin(CdcKeyState *ks);
extern const char *cdc_key_state_writer(CdcKeyState *ks);

#endif							/* CDC_KEY_STATE_H */
