/*
 * meeting.h
 *		An event meets its key: what is known, decided and recorded of it.
 */
#ifndef CDC_MEETING_H
#define CDC_MEETING_H

#include "utils/jsonb.h"

#include "apply/key_state.h"
#include "stored/conflict_log.h"

/* It lasts while one event is decided; what it points to, as long as the transaction's work */
typedef struct CdcMeeting
{
	CdcTableApply *ta;
	CdcRelation *rel;
	CdcKeyState *ks;			/* the key's row and tombstone, after the events before this one */
	CdcApplyItem *item;
	CdcKeyedItem *keyed;		/* the same with its rows */
	CdcSituation s;				/* what the rules are told */
	CdcVersion	version;		/* the event's; after a merge the row's */
	CdcRow		after;			/* of an upsert; after a merge the row to be */
	List	   *unique_rows;	/* of CdcKeyState *: other rows that have its unique values */
	Jsonb	   *merge_with;		/* what CDC_ACTION_MERGE makes the row of */
} CdcMeeting;

/* situation.c */
extern void cdc_situation_fill(CdcMeeting *m);
extern void cdc_situation_compare_unique(CdcMeeting *m);

/* merge.c */
extern void cdc_merge_row(CdcMeeting *m);

/* conflict_record.c */
extern CdcConflictRecord *cdc_conflict_record_make(CdcMeeting *m, const CdcDecision *d);
extern void cdc_conflict_record_cut(CdcConflictRecord *record);
extern void cdc_conflict_record_keep(CdcMeeting *m, CdcConflictRecord *record);

#endif							/* CDC_MEETING_H */
