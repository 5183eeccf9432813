/*
 * control_slot.h
 *		The slots of the workers: found, taken, wanted, woken.
 *
 * For control.c and ticket.c alone.  Everything here is read and written under the lock, but for a slot's "applying" and the
 * own slot's "shortages", which only its worker writes.
 */
#ifndef CDC_CONTROL_SLOT_H
#define CDC_CONTROL_SLOT_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

/* How a worker left, or is about to */
typedef enum CdcLeave
{
	CDC_LEAVE_FAILED,			/* by an error: started again after a pause */
	CDC_LEAVE_DISMISSED,		/* for a hold: started again after it */
	CDC_LEAVE_FINISHED			/* nothing to do: started again at the next notice */
} CdcLeave;

typedef struct CdcSlot
{
	Oid			dboid;			/* InvalidOid: never used */
	int			number;			/* of the worker, from CDC_FIRST_WORKER */
	int			nworkers;		/* of the database, as the present worker was told */
	bool		wanted;			/* a worker should run here */
	bool		registered;		/* the launcher started one that has not exited */
	int			holds;			/* transactions that want all away; in the first worker's */
	int			pid;			/* of the attached worker, or 0 */
	Latch	   *latch;			/* of the attached worker */
	CdcLeave	leave;
	bool		has_errors;
	int			shortages;		/* CdcShortage, of the attached worker */
	int			own_topics;		/* CdcOwnTopics, of the attached worker */
	uint64		generation;
	uint64		ddl;			/* of the last command that may have mended something */
	uint64		ticket_drawn;	/* the highest */
	uint64		ticket_answered;
	int64		started_at;		/* in ticks */
	int64		due;			/* no start before, likewise */
	int			pause;			/* ms, before the last restart */
	pg_atomic_uint64 applying;	/* since when, of a transaction that takes long; else 0 */
} CdcSlot;

typedef struct CdcControl
{
	ConditionVariable progress; /* commits, answers, exits, of all workers */
	Latch	   *launcher;		/* NULL while there is none */
	int			nworkers;		/* a database is to have */
	uint64		counter;		/* the last generation or ticket */
	int			nslots;
	CdcSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} CdcControl;

/* Of this process, if it is a worker */
typedef struct CdcOwnSlot
{
	CdcSlot    *slot;			/* NULL: it is none, or has not attached yet */
	uint64		generation_read;	/* the last one that was asked for */
	uint64		ddl_read;		/* likewise */
} CdcOwnSlot;

extern CdcControl *cdc_control; /* NULL: the library is not preloaded */
extern LWLock *cdc_control_lock;
extern CdcOwnSlot cdc_control_own;

/* With the lock held, those that write, exclusively */
extern CdcSlot *cdc_control_next_slot(Oid dboid, CdcSlot *slot);
extern CdcSlot *cdc_control_find_slot(Oid dboid, int number);
extern CdcSlot *cdc_control_take_slot(Oid dboid, int number);
extern void cdc_control_want_slot(CdcSlot *slot);
extern void cdc_control_wake_slot(CdcSlot *slot);
extern void cdc_control_wake_launcher(void);

/* NOLINTBEGIN(bugprone-macro-parentheses): slot is declared here */
#define for_slots_of(dboid, slot) \
	for (CdcSlot *slot = cdc_control_next_slot((dboid), NULL); slot != NULL; \
		 slot = cdc_control_next_slot((dboid), slot))
/* NOLINTEND(bugprone-macro-parentheses) */

#endif							/* CDC_CONTROL_SLOT_H */
