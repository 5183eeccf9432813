/*
 * control.c
 *		Which database has which workers: shared slots, wake-ups.
 *
 * A slot belongs to a worker of a database, by its number: one that is wanted, runs or
 * must not run; a slot of none of these is free for another.  There are as many as
 * backends: each use of a slot is a worker's or a holding transaction's, so holds find
 * one even where every worker slot of the server is taken.
 *
 * A database's first worker is the one that is wanted by notices and held; as long as it
 * finds work it wants the others, up to cdcsync.apply_workers.  All that run in a
 * database at a time agree about that number, by which they share the partitions: none
 * is started while another of an older number is still there.  The launcher says what
 * the number is: a worker's own setting can be older or newer than what it was started
 * for.
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

#include "fmgr.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/ticks.h"
#include "shared/control.h"

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
	CdcOwnTopics own_topics;
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

static CdcControl *control = NULL;
static LWLock *control_lock = NULL;

/* What all slots of a database come to */
typedef struct CdcDatabase
{
	int			nattached;
	bool		held;
	bool		has_errors;
	int			shortages;
	CdcOwnTopics own_topics;
} CdcDatabase;

/* NOLINTBEGIN(bugprone-macro-parentheses): slot is declared here */
#define for_slots_of(dboid, slot) \
	for (CdcSlot *slot = next_slot((dboid), NULL); slot != NULL; slot = next_slot((dboid), slot))
/* NOLINTEND(bugprone-macro-parentheses) */

/* in the worker */
static CdcSlot *my_slot = NULL;
static uint64 generation_read = 0;	/* the last one that was asked for */
static uint64 ddl_read = 0;		/* likewise */

static CdcSlot *next_slot(Oid dboid, CdcSlot *slot);

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
	for (int i = 0; i < control->nslots; i++)
		pg_atomic_init_u64(&control->slots[i].applying, 0);
}

/* Raises an error, with the way out, unless the server has preloaded the library */
void
cdc_control_require(void)
{
	if (control == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cdcsync must be loaded through \"shared_preload_libraries\""),
				 errhint("Add cdcsync to \"shared_preload_libraries\" and restart the server.")));
}

/* The following are called with the lock held, those that write, exclusively */
static CdcSlot *
find_slot(Oid dboid, int number)
{
	for_slots_of(dboid, slot)
	{
		if (slot->number == number)
			return slot;
	}
	return NULL;
}

static bool
is_free(const CdcSlot *slot)
{
	return !slot->wanted && !slot->registered && slot->pid == 0 && slot->holds == 0;
}

/* The worker's slot, or a free one that becomes it, or NULL */
static CdcSlot *
take_slot(Oid dboid, int number)
{
	CdcSlot    *slot = find_slot(dboid, number);

	for (int i = 0; slot == NULL && i < control->nslots; i++)
	{
		if (is_free(&control->slots[i]))
		{
			slot = &control->slots[i];
			memset(slot, 0, sizeof(CdcSlot));
			slot->dboid = dboid;
			slot->number = number;
			slot->generation = ++control->counter;
		}
	}
	return slot;
}

bool
cdc_control_reserve(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid, CDC_FIRST_WORKER);
	LWLockRelease(control_lock);
	return slot != NULL;
}

/* What kept it from running may be mended by that */
static void
renew_generation(CdcSlot *slot)
{
	slot->generation = ++control->counter;
	slot->due = 0;
	slot->pause = 0;
}

static void
wake_launcher(void)
{
	if (control->launcher != NULL)
		SetLatch(control->launcher);
}

/* The worker, or who starts one */
static void
wake_slot(CdcSlot *slot)
{
	if (slot->latch != NULL)
		SetLatch(slot->latch);
	else if (slot->wanted)
		wake_launcher();
}

static void
want_slot(CdcSlot *slot)
{
	slot->wanted = true;
	wake_slot(slot);
}

bool
cdc_control_notify(Oid dboid)
{
	CdcSlot    *first;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	first = take_slot(dboid, CDC_FIRST_WORKER);
	for_slots_of(dboid, slot)
	{
		renew_generation(slot);
		wake_slot(slot);
	}
	if (first != NULL)
		want_slot(first);
	LWLockRelease(control_lock);
	return first != NULL;
}

/* A user's DDL, of what may concern nobody here: what is tried again waits its time */
void
cdc_control_note_ddl(Oid dboid)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	for_slots_of(dboid, slot)
	{
		slot->ddl = ++control->counter;
		wake_slot(slot);
	}
	LWLockRelease(control_lock);
}

void
cdc_control_notify_others(void)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	for_slots_of(MyDatabaseId, slot)
	{
		if (slot == my_slot)
			continue;
		renew_generation(slot);
		slot->ticket_answered = 0;
		wake_slot(slot);
	}
	LWLockRelease(control_lock);
}

void
cdc_control_want_others(void)
{
	bool		complete = true;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	for (int number = CDC_FIRST_WORKER + 1; number <= my_slot->nworkers; number++)
	{
		CdcSlot    *slot = take_slot(MyDatabaseId, number);

		if (slot == NULL)
			complete = false;
		else if (!slot->wanted)
		{
			/* of a ticket that was drawn before, too, all answers are waited for */
			slot->ticket_drawn = Max(slot->ticket_drawn, my_slot->ticket_drawn);
			want_slot(slot);
		}
	}
	LWLockRelease(control_lock);
	if (!complete)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many apply workers are wanted"),
				 errhint("Decrease \"cdcsync.apply_workers\", or increase \"max_worker_processes\" and restart the server.")));
}

/* All of a database's workers, which did not fail; returns how many; under the lock */
static int
send_away(Oid dboid)
{
	int			n = 0;

	for_slots_of(dboid, slot)
	{
		if (slot->pid == 0)
			continue;
		slot->leave = CDC_LEAVE_DISMISSED;
		kill(slot->pid, SIGTERM);
		n++;
	}
	return n;
}

bool
cdc_control_hold_place(Oid dboid)
{
	CdcSlot    *first;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	first = take_slot(dboid, CDC_FIRST_WORKER);
	if (first != NULL)
		first->holds++;
	(void) send_away(dboid);
	LWLockRelease(control_lock);
	return first != NULL;
}

void
cdc_control_interrupt(Oid dboid)
{
	LWLockAcquire(control_lock, LW_SHARED);
	for_slots_of(dboid, slot)
	{
		if (slot->pid != 0)
			kill(slot->pid, SIGINT);
	}
	LWLockRelease(control_lock);
}

/* For the worker, also in a signal handler: its transaction takes long (0: no more) */
void
cdc_control_set_applying(TimestampTz since)
{
	Latch	   *launcher = control->launcher;

	if (my_slot == NULL || pg_atomic_read_u64(&my_slot->applying) == (uint64) since)
		return;
	pg_atomic_write_u64(&my_slot->applying, (uint64) since);
	if (since != 0 && launcher != NULL)
		SetLatch(launcher);
}

/* The oldest such transaction of a database's workers; 0: none */
TimestampTz
cdc_control_applying_since(Oid dboid)
{
	TimestampTz oldest = 0;

	LWLockAcquire(control_lock, LW_SHARED);
	for_slots_of(dboid, slot)
	{
		TimestampTz since = (TimestampTz) pg_atomic_read_u64(&slot->applying);

		if (since != 0 && (oldest == 0 || since < oldest))
			oldest = since;
	}
	LWLockRelease(control_lock);
	return oldest;
}

/* For the launcher: the pids of such workers, in CurrentMemoryContext */
List *
cdc_control_long_applying(void)
{
	List	   *pids = NIL;

	LWLockAcquire(control_lock, LW_SHARED);
	for (int i = 0; i < control->nslots; i++)
	{
		if (control->slots[i].pid != 0 && pg_atomic_read_u64(&control->slots[i].applying) != 0)
			pids = lappend_int(pids, control->slots[i].pid);
	}
	LWLockRelease(control_lock);
	return pids;
}

void
cdc_control_hold_release(Oid dboid)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	find_slot(dboid, CDC_FIRST_WORKER)->holds--;
	wake_launcher();
	LWLockRelease(control_lock);
}

static bool
is_held(Oid dboid)
{
	const CdcSlot *first = find_slot(dboid, CDC_FIRST_WORKER);

	return first != NULL && first->holds > 0;
}

static CdcDatabase
read_database(Oid dboid)
{
	CdcDatabase database = {0};

	LWLockAcquire(control_lock, LW_SHARED);
	database.held = is_held(dboid);
	for_slots_of(dboid, slot)
	{
		database.nattached += slot->pid != 0 ? 1 : 0;
		database.has_errors |= slot->has_errors;
		database.shortages |= slot->pid != 0 ? slot->shortages : 0;
		if (slot->number == CDC_FIRST_WORKER && slot->pid != 0)
			database.own_topics = slot->own_topics;
	}
	LWLockRelease(control_lock);
	return database;
}

int
cdc_control_count_workers(Oid dboid)
{
	return read_database(dboid).nattached;
}

bool
cdc_control_is_held(Oid dboid)
{
	return read_database(dboid).held;
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
	return control != NULL && read_database(dboid).has_errors;
}

void
cdc_control_set_errors(bool has_errors)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->has_errors = has_errors;
	LWLockRelease(control_lock);
}

/* Of one of these? */
bool
cdc_control_is_short(Oid dboid, int shortages)
{
	return control != NULL && (read_database(dboid).shortages & shortages) != 0;
}

/* For the worker, which alone writes its own; others apply by hand, and nobody waits for them */
void
cdc_control_set_short(CdcShortage shortage, bool yes)
{
	if (my_slot == NULL || ((my_slot->shortages & shortage) != 0) == yes)
		return;
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->shortages ^= shortage;
	LWLockRelease(control_lock);
}

CdcOwnTopics
cdc_control_own_topics(Oid dboid)
{
	return read_database(dboid).own_topics;
}

void
cdc_control_set_own_topics(bool seen)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->own_topics = seen ? CDC_OWN_TOPICS_SEEN : CDC_OWN_TOPICS_MISSING;
	LWLockRelease(control_lock);
}

/* Has the server preloaded the library? */
bool
cdc_control_is_loaded(void)
{
	return control != NULL;
}

/* Do workers run in its database that share its partitions by another number? */
static bool
others_disagree(const CdcSlot *slot)
{
	for_slots_of(slot->dboid, other)
	{
		if (other != slot && (other->pid != 0 || other->registered) &&
			other->nworkers != control->nworkers)
			return true;
	}
	return false;
}

static bool
may_attach(const CdcSlot *slot)
{
	return slot->pid == 0 && slot->number <= control->nworkers && !others_disagree(slot);
}

/* The database's last first worker may have wanted more */
static void
forget_above(Oid dboid)
{
	for_slots_of(dboid, slot)
	{
		if (slot->number > control->nworkers)
			slot->wanted = false;
	}
}

/* All that was set up after attach (origin, stat, consumer) has been let go by now */
static void
worker_detach(int code, Datum arg)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->pid = 0;
	my_slot->latch = NULL;
	pg_atomic_write_u64(&my_slot->applying, 0);
	my_slot = NULL;
	wake_launcher();
	LWLockRelease(control_lock);
	ConditionVariableBroadcast(&control->progress);
}

/*
 * For the worker.  attach takes this database's slot of that number and lets go of it
 * at exit; it returns false when another worker has it, the database is held, or there
 * are to be, or are, workers of another number of workers.  No generation is 0.
 *
 * A worker that finds nothing to do here (no extension, no subscription) says so
 * by finish, with the generation it had read before it looked, and exits: it is
 * not started again before the next notice.  When there was a notice meanwhile,
 * finish returns false: look again.  A worker that exits without it is started
 * again after a pause.
 */
bool
cdc_control_attach(int number, int nworkers)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(MyDatabaseId, number);
	if (slot != NULL && (is_held(MyDatabaseId) || nworkers != control->nworkers))
		slot->leave = CDC_LEAVE_DISMISSED;
	else if (slot != NULL && may_attach(slot))
	{
		slot->nworkers = nworkers;
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->has_errors = false;
		slot->shortages = 0;
		slot->own_topics = CDC_OWN_TOPICS_UNKNOWN;
		slot->ticket_answered = 0;
		my_slot = slot;
		if (number == CDC_FIRST_WORKER)
			forget_above(MyDatabaseId);
	}
	LWLockRelease(control_lock);

	if (my_slot == NULL)
		return false;
	on_shmem_exit(worker_detach, (Datum) 0);
	return true;
}

/* Is another number of workers wanted by now? */
bool
cdc_control_is_outdated(void)
{
	bool		outdated;

	LWLockAcquire(control_lock, LW_SHARED);
	outdated = my_slot->nworkers != control->nworkers;
	LWLockRelease(control_lock);
	return outdated;
}

/* The worker is about to exit without a failure, and to be started again at once */
void
cdc_control_dismiss(void)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	my_slot->leave = CDC_LEAVE_DISMISSED;
	LWLockRelease(control_lock);
}

uint64
cdc_control_generation(void)
{
	LWLockAcquire(control_lock, LW_SHARED);
	generation_read = my_slot->generation;
	LWLockRelease(control_lock);
	return generation_read;
}

/* For the worker: has there been any since the last call? */
bool
cdc_control_take_ddl(void)
{
	uint64		last = ddl_read;

	LWLockAcquire(control_lock, LW_SHARED);
	ddl_read = my_slot->ddl;
	LWLockRelease(control_lock);
	return ddl_read != last;
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

bool
cdc_control_is_first(void)
{
	return my_slot->number == CDC_FIRST_WORKER;
}

int
cdc_control_number(void)
{
	return my_slot->number;
}

bool
cdc_control_is_mine(uint32 hash)
{
	return hash % my_slot->nworkers == my_slot->number - CDC_FIRST_WORKER;
}

/*
 * A ticket wants a worker: a database can have subscriptions without the launcher
 * knowing (it was made as the copy of another).
 */
uint64
cdc_control_draw_ticket(void)
{
	CdcSlot    *first;
	uint64		ticket;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	ticket = ++control->counter;
	first = take_slot(MyDatabaseId, CDC_FIRST_WORKER);
	for_slots_of(MyDatabaseId, slot)
	{
		slot->ticket_drawn = ticket;
		wake_slot(slot);
	}
	if (first != NULL)
		want_slot(first);
	LWLockRelease(control_lock);
	return ticket;
}

/*
 * Who calls resume() and then wait_for() must not be answered by a worker that has not
 * seen the resume() yet: while there is an unread notice, no ticket is pending.  The same
 * goes for DDL that mends.
 */
uint64
cdc_control_pending_ticket(void)
{
	uint64		ticket = 0;

	LWLockAcquire(control_lock, LW_SHARED);
	if (my_slot->generation == generation_read && my_slot->ddl == ddl_read &&
		my_slot->ticket_drawn > my_slot->ticket_answered)
		ticket = my_slot->ticket_drawn;
	LWLockRelease(control_lock);
	return ticket;
}

bool
cdc_control_ticket_is_answered(uint64 ticket)
{
	CdcSlot    *first;
	bool		answered;

	LWLockAcquire(control_lock, LW_SHARED);
	first = find_slot(MyDatabaseId, CDC_FIRST_WORKER);
	answered = first != NULL && first->ticket_answered >= ticket;
	for_slots_of(MyDatabaseId, slot)
		answered &= !slot->wanted || slot->ticket_answered >= ticket;
	LWLockRelease(control_lock);
	return answered;
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

static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	control->launcher = NULL;
	LWLockRelease(control_lock);
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

void
cdc_control_set_nworkers(int nworkers)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	control->nworkers = nworkers;
	for (int i = 0; i < control->nslots; i++)
	{
		if (control->slots[i].pid != 0 && control->slots[i].nworkers != nworkers)
			wake_slot(&control->slots[i]);
	}
	LWLockRelease(control_lock);
}

bool
cdc_control_want(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = take_slot(dboid, CDC_FIRST_WORKER);
	if (slot != NULL)
		want_slot(slot);
	LWLockRelease(control_lock);
	return slot != NULL;
}

void
cdc_control_forget(Oid dboid)
{
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	for_slots_of(dboid, slot)
		slot->wanted = false;
	LWLockRelease(control_lock);
}

static bool
may_start(const CdcSlot *slot)
{
	return slot->wanted && !slot->registered && !is_held(slot->dboid) && may_attach(slot);
}

CdcWorkerId
cdc_control_next_wanted(int64 now, int64 *next_due)
{
	CdcWorkerId worker = {0};

	*next_due = CDC_TICKS_NEVER;
	LWLockAcquire(control_lock, LW_SHARED);
	for (int i = 0; i < control->nslots; i++)
	{
		CdcSlot    *slot = &control->slots[i];

		if (!may_start(slot))
			continue;
		if (slot->due <= now)
		{
			worker.dboid = slot->dboid;
			worker.number = slot->number;
			break;
		}
		*next_due = Min(*next_due, slot->due);
	}
	LWLockRelease(control_lock);
	return worker;
}

/* The launcher has registered a worker; it may have come and gone already */
void
cdc_control_started(CdcWorkerId worker, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = find_slot(worker.dboid, worker.number);
	if (slot != NULL)
	{
		slot->registered = true;
		slot->nworkers = control->nworkers;
		slot->started_at = now;
	}
	LWLockRelease(control_lock);
}

void
cdc_control_exited(CdcWorkerId worker, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	slot = find_slot(worker.dboid, worker.number);
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

/* Those of a database, one after the other; NULL is before the first and after the last */
static CdcSlot *
next_slot(Oid dboid, CdcSlot *slot)
{
	for (slot = slot ? slot + 1 : control->slots; slot < control->slots + control->nslots; slot++)
	{
		if (slot->dboid == dboid)
			return slot;
	}
	return NULL;
}

/* ---- SQL interface ---- */

/* Returns the number of workers that are to leave */
PG_FUNCTION_INFO_V1(cdcsync_restart_workers);
Datum
cdcsync_restart_workers(PG_FUNCTION_ARGS)
{
	int			n;

	cdc_control_require();
	LWLockAcquire(control_lock, LW_EXCLUSIVE);
	n = send_away(MyDatabaseId);
	LWLockRelease(control_lock);
	PG_RETURN_INT32(n);
}
