/*
 * apply_item.h
 *		Events on their way through apply, with what is wanted and what became of them.
 */
#ifndef CDC_APPLY_ITEM_H
#define CDC_APPLY_ITEM_H

#include "apply/conflict.h"
#include "event/event.h"
#include "shared/stat.h"
#include "stored/subscription.h"
#include "table/relation.h"

/* An event on its way through apply, with what became of it */
typedef struct CdcApplyItem
{
	CdcEvent   *event;
	const CdcApplyOptions *options;
	struct CdcTableGroup *group;	/* of apply.c: its table */
	int64		time;			/* µs since 1970: when it was written, as far as is known */
	bool		own;			/* own event or own echo */
	bool		own_echo;		/* the latter */
	bool		skip;			/* what its subscription leaves out */
	bool		counts;			/* neither that, nor of a table that is not registered */
	bool		changed;		/* it changed something, when it is decided */
	bool		blind;			/* a delete that does not show its row, likewise */
	const char *outcome;		/* a phrase for people, when it is decided */
} CdcApplyItem;

/* How a batch is tried; each costs more than the one before */
typedef struct CdcApplyHow
{
	bool		impatient;		/* wait for locks a short time only */
	bool		lock;			/* lock the rows that are read */
	bool		unique;			/* look for rows that have a unique value of a new one */
	bool		alone;			/* one message: what it does not need must not stop it */
} CdcApplyHow;

/* What is told after the commit; its lists live in context */
typedef struct CdcApplied
{
	MemoryContext context;
	List	   *counted;		/* apply.c's */
	List	   *conflicts;		/* of CdcConflictRecord * */
} CdcApplied;

typedef struct CdcTableChanges
{
	CdcRelation *rel;
	int			nitems;
	int			max_items;		/* allocated */
	CdcApplyItem **items;		/* in the order of the log; no truncates */
	CdcApplyHow how;
	int64		counters[CDC_NCOUNTERS];
	CdcApplied *applied;
} CdcTableChanges;

#endif							/* CDC_APPLY_ITEM_H */
