/*
 * control.c
 *		Which database has a worker: shared slots, wake-ups.
 *
 * A slot belongs to a database in which a worker is wanted, runs or must not run; a
 * slot of none of these is free for another database.  There are as many as backends:
 * each use of a slot is a worker's or a holding transaction's, so holds find one even
 * where every worker slot of the server is taken.
 *
 *	idle --notice, probe, ticket--> wanted --launcher--> registered --attach--> attached
 *	attached --finish--> idle;  attached or registered --any other exit--> wanted
 *
 * Only the launcher starts workers, and only in wanted slots without hold or worker.
 * It learns of exits from the postmaster, so that a worker that never came to attach
 * is seen too.
 *
 * Generations and tickets are drawn from one counter for the whole cluster: a slot
 * that is given away and taken again never shows a number it has shown before.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "control.h"
#include "ticks.h"

#define CONTROL_TRANCHE "cdcsync_control"

/* Pauses before a worker that failed is started again */
#define RESTART_PAUSE_MIN	1000
#define RESTART_PAUSE_MAX	60000

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
	bool		wanted;			/* a worker should run here */
	bool		registered;		/* the launcher started one that has not exited */
	int			holds;			/* transactions that want it away */
	int			pid;			/* of the attached worker, or 0 */
	Latch	   *latch;			/* of the attached worker */
	CdcLeave	leave;
	bool		has_errors;
	bool		has_unseen;		/* partitions that found no place in stat */
	CdcOwnTopics own_topics;
	uint64		generation;
	uint64		ticket_drawn;	/* the highest */
	uint64		ticket_answered;
	int64		started_at;		/* in ticks */
	int64		due;			/* no start before, likewise */
	int			pause;			/* ms, before the last restart */
} CdcSlot;

typedef struct CdcControl
{
	ConditionVariable progress; /* commits, answers, exits, of all workers */
	Latch	   *launcher;		/* NULL while there is none */
	uint64		counter;		/* the last generation or ticket */
	int			nslots;
	CdcSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} CdcControl;

static CdcControl *control = NULL;
static LWLock *control_lock = NULL;

/* in the worker */
static CdcSlot *my_slot = NULL;
static uint64 generation_read = 0;	/* the last one that was asked for */

static CdcSlot read_slot(Oid dboid);
static CdcSlot *find_slot(Oid dboid);
static CdcSlot *take_slot(Oid dboid);
static bool is_free(const CdcSlot *slot);
static void want_slot(CdcSlot *slot);
static void wake_launcher(void);
static void worker_detach(int code, Datum arg);
static void launcher_detach(int code, Datum arg);

static Size
shmem_size(void)
{
	return add_size(offsetof(CdcControl, slots), mul_size(MaxBackends, sizeof(CdcSlot)));
}

void
cdc_control_shmem_request(void)
{
	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche(CONTROL_TRANCHE, 1);
}

void
cdc_control_shmem_init(void)
{
	bool		found;

	control = ShmemInitStruct("cdcsync control", shmem_size(), &found);
	control_lock = &GetNamedLWLockTranche(CONTROL_TRANCHE)->lock;
	if (found)
		return;
	memset(control, 0, shmem_size());
	ConditionVariableInit(&control->progress);
	control->nslots = MaxBackends;
}

void
cdc_control_require(void)
{
	if (control == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cdcsync must be loaded through \"shared_preload_libraries\""),
				 errhint("Add cdcsync to \"shared_preload_libraries\" and restart the server.")));
}

bool
cdc_control_reserve(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid);
	LWLockRelease(control_lock);
	return slot != NULL;
}

bool
cdc_control_notify(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid);
	if (slot != NULL)
	{
		slot->generation = ++control->counter;
		slot->due = 0;
		slot->pause = 0;
		want_slot(slot);
	}
	LWLockRelease(control_lock);
	return slot != NULL;
}

bool
cdc_control_hold_place(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid);
	if (slot != NULL)
	{
		slot->holds++;
		if (slot->pid != 0)
		{
			slot->leave = CDC_LEAVE_DISMISSED;
			kill(slot->pid, SIGTERM);
		}
	}
	LWLockRelease(control_lock);
	return slot != NULL;
}

void
cdc_control_hold_release(Oid dboid)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	find_slot(dboid)->holds--;
	wake_launcher();
	LWLockRelease(control_lock);
}

bool
cdc_control_has_worker(Oid dboid)
{
	return read_slot(dboid).pid != 0;
}

bool
cdc_control_is_held(Oid dboid)
{
	return read_slot(dboid).holds > 0;
}

bool
cdc_control_is_worker(void)
{
	return my_slot != NULL;
}

/*
 * It stays true after the worker's exit until the next one attaches: DDL that mends
 * what makes the worker fail need not wait for the end of the pause.
 */
bool
cdc_control_has_errors(Oid dboid)
{
	return control != NULL && read_slot(dboid).has_errors;
}

void
cdc_control_set_errors(bool has_errors)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->has_errors = has_errors;
	LWLockRelease(control_lock);
}

bool
cdc_control_has_unseen(Oid dboid)
{
	return read_slot(dboid).has_unseen;
}

void
cdc_control_set_unseen(void)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->has_unseen = true;
	LWLockRelease(control_lock);
}

CdcOwnTopics
cdc_control_own_topics(Oid dboid)
{
	CdcSlot		slot = read_slot(dboid);

	return slot.pid == 0 ? CDC_OWN_TOPICS_UNKNOWN : slot.own_topics;
}

void
cdc_control_set_own_topics(bool seen)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->own_topics = seen ? CDC_OWN_TOPICS_SEEN : CDC_OWN_TOPICS_MISSING;
	LWLockRelease(control_lock);
}

bool
cdc_control_is_loaded(void)
{
	return control != NULL;
}

bool
cdc_control_attach(void)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(MyDatabaseId);
	if (slot != NULL && slot->holds > 0)
		slot->leave = CDC_LEAVE_DISMISSED;
	else if (slot != NULL && slot->pid == 0)
	{
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->has_errors = false;
		slot->has_unseen = false;
		slot->own_topics = CDC_OWN_TOPICS_UNKNOWN;
		slot->ticket_answered = 0;
		my_slot = slot;
	}
	LWLockRelease(control_lock);

	if (my_slot == NULL)
		return false;
	on_shmem_exit(worker_detach, (Datum) 0);
	return true;
}

/* All that was set up after attach (origin, stat, consumer) has been let go by now */
static void
worker_detach(int code, Datum arg)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->pid = 0;
	my_slot->latch = NULL;
	my_slot = NULL;
	wake_launcher();
	LWLockRelease(control_lock);
	ConditionVariableBroadcast(&control->progress);
}

uint64
cdc_control_generation(void)
{
	LWLockAcquire(control_lock, LW_SHARED);
	generation_read = my_slot->generation;
	LWLockRelease(control_lock);
	return generation_read;
}

bool
cdc_control_finish(uint64 generation)
{
	bool		finished;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	finished = my_slot->generation == generation;
	if (finished)
	{
		my_slot->wanted = false;
		my_slot->has_errors = false;
		my_slot->leave = CDC_LEAVE_FINISHED;
	}
	LWLockRelease(control_lock);
	return finished;
}

/*
 * A ticket wants a worker: a database can have subscriptions without the launcher
 * knowing (it was made as the copy of another).
 */
uint64
cdc_control_draw_ticket(void)
{
	CdcSlot    *slot;
	uint64		ticket;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	ticket = ++control->counter;
	slot = take_slot(MyDatabaseId);
	if (slot != NULL)
	{
		slot->ticket_drawn = ticket;
		want_slot(slot);
	}
	LWLockRelease(control_lock);
	return ticket;
}

/*
 * Who calls resume() and then wait_for() must not be answered by a worker that has not
 * seen the resume() yet: while there is an unread notice, no ticket is pending.
 */
uint64
cdc_control_pending_ticket(void)
{
	uint64		ticket;

	LWLockAcquire(control_lock, LW_SHARED);
	ticket = my_slot->generation == generation_read ? my_slot->ticket_drawn :
		my_slot->ticket_answered;
	LWLockRelease(control_lock);
	return ticket;
}

uint64
cdc_control_answered_ticket(void)
{
	return read_slot(MyDatabaseId).ticket_answered;
}

void
cdc_control_answer_ticket(uint64 ticket)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->ticket_answered = ticket;
	LWLockRelease(control_lock);
	cdc_control_progress();
}

void
cdc_control_progress(void)
{
	ConditionVariableBroadcast(&control->progress);
}

void
cdc_control_progress_prepare(void)
{
	ConditionVariablePrepareToSleep(&control->progress);
}

void
cdc_control_progress_wait(long timeout_ms)
{
	static uint32 event = 0;

	if (event == 0)
		event = cdc_wait_event_new("CdcsyncProgress");
	(void) ConditionVariableTimedSleep(&control->progress, timeout_ms, event);
}

void
cdc_control_progress_cancel(void)
{
	ConditionVariableCancelSleep();
}

/*
 * Workers outlive a launcher, their handles do not: of a worker that the last launcher
 * registered and that has not attached yet, nothing is known any more.  Should it come
 * after the one that is started instead, it is turned away.
 */
void
cdc_control_launcher_attach(void)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	control->launcher = MyLatch;
	for (int i = 0; i < control->nslots; i++)
		control->slots[i].registered = false;
	LWLockRelease(control_lock);
	on_shmem_exit(launcher_detach, (Datum) 0);
}

static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	control->launcher = NULL;
	LWLockRelease(control_lock);
}

bool
cdc_control_want(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid);
	if (slot != NULL)
		want_slot(slot);
	LWLockRelease(control_lock);
	return slot != NULL;
}

void
cdc_control_forget(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = find_slot(dboid);
	if (slot != NULL)
		slot->wanted = false;
	LWLockRelease(control_lock);
}

/* A database whose worker is to be started now, or none, and when the next will be */
Oid
cdc_control_next_wanted(int64 now, int64 *next_due)
{
	Oid			dboid = InvalidOid;

	*next_due = CDC_TICKS_NEVER;
	LWLockAcquire(control_lock, LW_SHARED);
	for (int i = 0; i < control->nslots; i++)
	{
		CdcSlot    *slot = &control->slots[i];

		if (!slot->wanted || slot->registered || slot->pid != 0 || slot->holds > 0)
			continue;
		if (slot->due <= now)
		{
			dboid = slot->dboid;
			break;
		}
		*next_due = Min(*next_due, slot->due);
	}
	LWLockRelease(control_lock);
	return dboid;
}

/* The launcher has registered a worker; it may have come and gone already */
void
cdc_control_started(Oid dboid, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = find_slot(dboid);
	if (slot != NULL)
	{
		slot->registered = true;
		slot->started_at = now;
	}
	LWLockRelease(control_lock);
}

void
cdc_control_exited(Oid dboid, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = find_slot(dboid);
	if (slot != NULL)
	{
		slot->registered = false;
		if (slot->leave != CDC_LEAVE_FAILED ||
			now - slot->started_at >= RESTART_PAUSE_MAX)
			slot->pause = 0;
		if (slot->leave == CDC_LEAVE_FAILED)
		{
			slot->pause = Max(RESTART_PAUSE_MIN, Min(2 * slot->pause, RESTART_PAUSE_MAX));
			slot->due = now + slot->pause;
		}
		slot->leave = CDC_LEAVE_FAILED;
	}
	LWLockRelease(control_lock);
}

/* A copy of the database's slot, all zeros if it has none */
static CdcSlot
read_slot(Oid dboid)
{
	CdcSlot    *slot;
	CdcSlot		copy = {0};

	LWLockAcquire(control_lock, LW_SHARED);
	slot = find_slot(dboid);
	if (slot != NULL)
		copy = *slot;
	LWLockRelease(control_lock);
	return copy;
}

/* The following are called with the lock held, those that write, exclusively */
static CdcSlot *
find_slot(Oid dboid)
{
	for (int i = 0; i < control->nslots; i++)
	{
		if (control->slots[i].dboid == dboid)
			return &control->slots[i];
	}
	return NULL;
}

/* The database's slot, or a free one that becomes it, or NULL */
static CdcSlot *
take_slot(Oid dboid)
{
	CdcSlot    *slot = find_slot(dboid);

	for (int i = 0; slot == NULL && i < control->nslots; i++)
	{
		if (is_free(&control->slots[i]))
		{
			slot = &control->slots[i];
			memset(slot, 0, sizeof(CdcSlot));
			slot->dboid = dboid;
			slot->generation = ++control->counter;
		}
	}
	return slot;
}

static bool
is_free(const CdcSlot *slot)
{
	return !slot->wanted && !slot->registered && slot->pid == 0 && slot->holds == 0;
}

/* Wakes the worker, or who starts one */
static void
want_slot(CdcSlot *slot)
{
	slot->wanted = true;
	if (slot->latch != NULL)
		SetLatch(slot->latch);
	else
		wake_launcher();
}

static void
wake_launcher(void)
{
	if (control->launcher != NULL)
		SetLatch(control->launcher);
}
