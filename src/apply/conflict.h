/*
 * conflict.h
 *		The decision rules: pure functions, no server facility.
 */
#ifndef CDC_CONFLICT_H
#define CDC_CONFLICT_H

#include "event/conflict_type.h"
#include "event/event.h"

/* How one version stands to another */
typedef enum CdcOrder
{
	CDC_OLDER = -1,
	CDC_SAME = 0,
	CDC_NEWER = 1
} CdcOrder;

/* What is known when an event meets its key: everything already compared */
typedef struct CdcSituation
{
	CdcOp		op;				/* c u r d, or NULL_VALUE that follows no d */
	bool		commit_clock;	/* versions are commit times, not values of a column */
	CdcPreset	preset;
	bool		own;			/* own event or own echo (rule 1) */
	bool		own_echo;		/* the latter */
	bool		row;			/* there is a row */
	bool		tombstone;		/* the key is remembered as deleted */
	bool		behind_horizon; /* a tombstone this new may have been pruned */
	CdcOrder	to_row;			/* event's version against the row's, if row */
	CdcOrder	to_tombstone;	/* event's version against the tombstone's, if any */
	bool		equal;			/* upsert: after = row, as output text */
	bool		before_is_row;	/* update, delete: before = row, as output text */
	bool		table_by_name;	/* null value: its table follows from the topic's name alone */
	bool		made_up;		/* delete: its version is none that its author saw */
	bool		respelled;		/* delete: its key is equal to the row's, but another text */
	int			text_order;		/* upsert: canonical text of after against the row's:
								 * <0, 0, >0 */
	bool		same_writer;	/* the row (or tombstone) was last written by this peer */
	int			unique_rows;	/* upsert: other rows that have one of its unique values */
	CdcOrder	to_unique_rows; /* against the newest of them; never the same */
} CdcSituation;

/* What is to happen to the row in memory */
typedef enum CdcAction
{
	CDC_ACTION_NONE,			/* the row and the tombstone stay */
	CDC_ACTION_PUT,				/* the row becomes after */
	CDC_ACTION_MERGE,			/* the row becomes one that is made of both sides (merge.c) */
	CDC_ACTION_TOUCH,			/* the row is after already, and gets its version */
	CDC_ACTION_REMOVE,			/* the row goes, the tombstone becomes the event's */
	CDC_ACTION_RAISE,			/* no row; the tombstone becomes the event's, written through */
	CDC_ACTION_ERROR			/* nobody can know: the error way */
} CdcAction;

typedef struct CdcDecision
{
	CdcAction	action;
	CdcConflictType conflict;	/* CDC_CT_NONE if there was no conflict */
	CdcResolution resolution;	/* if there was one */
	const char *reason;			/* a phrase for people */
} CdcDecision;

extern CdcDecision cdc_conflict_decide(const CdcSituation *situation);

/* The rules of unique values: of a row that is put, and whether a conflict is about them */
extern CdcDecision cdc_conflict_decide_unique(const CdcSituation *situation,
											  CdcDecision decision);
extern bool cdc_conflict_is_unique(const CdcSituation *situation, CdcConflictType conflict);
extern CdcDecision cdc_conflict_handle(const CdcSituation *situation, CdcDecision decision,
									   CdcHandling handling);
extern CdcDecision cdc_conflict_merge(CdcDecision decision);

/* The history of one key inside a batch, for its net effect */
typedef struct CdcEffect
{
	bool		had_row;		/* a row when the batch began */
	bool		has_row;		/* a row now */
	bool		changed;		/* any put, touch or remove */
	bool		raised;			/* a tombstone rose without a row */
} CdcEffect;

typedef enum CdcWrite
{
	CDC_WRITE_NOTHING,
	CDC_WRITE_INSERT,
	CDC_WRITE_UPDATE,
	CDC_WRITE_DELETE,
	CDC_WRITE_THROUGH			/* insert the last delete's before and delete it (rule 6) */
} CdcWrite;

extern void cdc_conflict_effect_begin(CdcEffect *effect, bool had_row);
extern void cdc_conflict_effect_add(CdcEffect *effect, CdcAction action);
extern CdcWrite cdc_conflict_effect_write(const CdcEffect *effect);

#endif							/* CDC_CONFLICT_H */
