/*
 * ticket.c
 *		Questions of waiting backends to the workers, and what wakes the former.
 *
 * wait_for: a backend draws a ticket and wakes the workers, each of which asks the
 * broker for the ends of its partitions, publishes them in stat and then answers the
 * highest ticket it had seen before it asked.  A ticket is answered when all have.
 * progress wakes the waiting backends after each commit.  A worker that has just
 * attached has answered none; one that has not read the newest generation has none
 * pending, which is 0; one that leaves takes its answer back, by answering 0.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "shared/control.h"
#include "shared/control_slot.h"
#include "shared/ticket.h"

/*
 * A ticket wants a worker: a database can have subscriptions without the launcher
 * knowing (it was made as the copy of another).
 */
uint64
cdc_ticket_draw(void)
{
	CdcSlot    *first;
	uint64		ticket;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	ticket = ++cdc_control->counter;
	first = cdc_control_take_slot(MyDatabaseId, CDC_FIRST_WORKER);
	for_slots_of(MyDatabaseId, slot)
	{
		slot->ticket_drawn = ticket;
		cdc_control_wake_slot(slot);
	}
	if (first != NULL)
		cdc_control_want_slot(first);
	LWLockRelease(cdc_control_lock);
	return ticket;
}

/*
 * Who calls resume() and then wait_for() must not be answered by a worker that has not
 * seen the resume() yet: while there is an unread notice, no ticket is pending.  The same
 * goes for DDL that mends.
 */
uint64
cdc_ticket_pending(void)
{
	uint64		ticket = 0;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	if (cdc_control_own.slot->generation == cdc_control_own.generation_read &&
		cdc_control_own.slot->ddl == cdc_control_own.ddl_read &&
		cdc_control_own.slot->ticket_drawn > cdc_control_own.slot->ticket_answered)
		ticket = cdc_control_own.slot->ticket_drawn;
	LWLockRelease(cdc_control_lock);
	return ticket;
}

/* By all workers that are wanted; one that is not wanted any more has no partitions to speak for */
bool
cdc_ticket_is_answered(uint64 ticket)
{
	CdcSlot    *first;
	bool		answered;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	first = cdc_control_find_slot(MyDatabaseId, CDC_FIRST_WORKER);
	answered = first != NULL && first->ticket_answered >= ticket;
	for_slots_of(MyDatabaseId, slot)
		answered &= !slot->wanted || slot->ticket_answered >= ticket;
	LWLockRelease(cdc_control_lock);
	return answered;
}

/* After the ends that it asks for stand in stat; 0 takes back what was answered, at the exit */
void
cdc_ticket_answer(uint64 ticket)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->ticket_answered = ticket;
	LWLockRelease(cdc_control_lock);
	cdc_progress();
}

/* Something has been applied, answered or stopped: whoever waits looks again */
void
cdc_progress(void)
{
	ConditionVariableBroadcast(&cdc_control->progress);
}

/* Before the first look at what is waited for, so that nothing is missed in between */
void
cdc_progress_prepare(void)
{
	ConditionVariablePrepareToSleep(&cdc_control->progress);
}

/* In an interruptible sleep */
void
cdc_progress_wait(long timeout_ms)
{
	static uint32 event = 0;

	if (event == 0)
		event = cdc_wait_event_new("CdcsyncProgress");
	(void) ConditionVariableTimedSleep(&cdc_control->progress, timeout_ms, event);
}

/* Also on the way out by an error the server does this itself */
void
cdc_progress_cancel(void)
{
	ConditionVariableCancelSleep();
}
