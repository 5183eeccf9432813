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
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/ticks.h"
#include "shared/control.h"
#include "shared/control_slot.h"

#define CONTROL_TRANCHE "cdcsync_control"

/* Pauses before a worker that failed is started again */
#define RESTART_PAUSE_MIN	1000
#define RESTART_PAUSE_MAX	60000

/* What all slots of a database come to */
typedef struct CdcDatabase
{
	int			nattached;
	bool		held;
	bool		has_errors;
	int			shortages;
	CdcOwnTopics own_topics;
} CdcDatabase;

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

	cdc_control = ShmemInitStruct("cdcsync control", shmem_size(), &found);
	cdc_control_lock = &GetNamedLWLockTranche(CONTROL_TRANCHE)->lock;
	if (found)
		return;
	memset(cdc_control, 0, shmem_size());
	ConditionVariableInit(&cdc_control->progress);
	cdc_control->nslots = MaxBackends;
	for (int i = 0; i < cdc_control->nslots; i++)
		pg_atomic_init_u64(&cdc_control->slots[i].applying, 0);
}

/* Raises an error, with the way out, unless the server has preloaded the library */
void
cdc_control_require(void)
{
	if (cdc_control == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cdcsync must be loaded through \"shared_preload_libraries\""),
				 errhint("Add cdcsync to \"shared_preload_libraries\" and restart the server.")));
}

/*
 * Is there room for a notice?  Who asks while his transaction can still fail need not fail
 * at its commit.  The slot is not kept: another may take it, for there are as many as
 * backends.
 */
bool
cdc_control_reserve(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	slot = cdc_control_take_slot(dboid, CDC_FIRST_WORKER);
	LWLockRelease(cdc_control_lock);
	return slot != NULL;
}

/* What kept it from running may be mended by that */
static void
renew_generation(CdcSlot *slot)
{
	slot->generation = ++cdc_control->counter;
	slot->due = 0;
	slot->pause = 0;
}

/*
 * The configuration of a database has changed: its workers read it anew, and where there is
 * none one is started, without the pause of one that failed.  False if no slot is free.
 */
bool
cdc_control_notify(Oid dboid)
{
	CdcSlot    *first;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	first = cdc_control_take_slot(dboid, CDC_FIRST_WORKER);
	for_slots_of(dboid, slot)
	{
		renew_generation(slot);
		cdc_control_wake_slot(slot);
	}
	if (first != NULL)
		cdc_control_want_slot(first);
	LWLockRelease(cdc_control_lock);
	return first != NULL;
}

/* A user's DDL, of what may concern nobody here: what is tried again waits its time */
void
cdc_control_note_ddl(Oid dboid)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	for_slots_of(dboid, slot)
	{
		slot->ddl = ++cdc_control->counter;
		cdc_control_wake_slot(slot);
	}
	LWLockRelease(cdc_control_lock);
}

/*
 * For the first worker: there are new partitions for the others.  A ticket that they have
 * answered is answered no more, for its partitions were not all of them.
 */
void
cdc_control_notify_others(void)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	for_slots_of(MyDatabaseId, slot)
	{
		if (slot == cdc_control_own.slot)
			continue;
		renew_generation(slot);
		slot->ticket_answered = 0;
		cdc_control_wake_slot(slot);
	}
	LWLockRelease(cdc_control_lock);
}

/* For the first worker, as long as it finds work; raises an error if there are no slots for all */
void
cdc_control_want_others(void)
{
	bool		complete = true;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	for (int number = CDC_FIRST_WORKER + 1; number <= cdc_control_own.slot->nworkers; number++)
	{
		CdcSlot    *slot = cdc_control_take_slot(MyDatabaseId, number);

		if (slot == NULL)
			complete = false;
		else if (!slot->wanted)
		{
			/* of a ticket that was drawn before, too, all answers are waited for */
			slot->ticket_drawn = Max(slot->ticket_drawn, cdc_control_own.slot->ticket_drawn);
			cdc_control_want_slot(slot);
		}
	}
	LWLockRelease(cdc_control_lock);
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

/*
 * From here to the release no worker is started in this database, and those that run are
 * told to leave: wait until count_workers is 0.  False if no slot is free: then none runs.
 */
bool
cdc_control_hold_place(Oid dboid)
{
	CdcSlot    *first;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	first = cdc_control_take_slot(dboid, CDC_FIRST_WORKER);
	if (first != NULL)
		first->holds++;
	(void) send_away(dboid);
	LWLockRelease(cdc_control_lock);
	return first != NULL;
}

/* Its workers' transactions end in an error at the next chance, and what they were at is read again */
void
cdc_control_interrupt(Oid dboid)
{
	LWLockAcquire(cdc_control_lock, LW_SHARED);
	for_slots_of(dboid, slot)
	{
		if (slot->pid != 0)
			kill(slot->pid, SIGINT);
	}
	LWLockRelease(cdc_control_lock);
}

/* For the worker, also in a signal handler: its transaction takes long (0: no more) */
void
cdc_control_set_applying(TimestampTz since)
{
	Latch	   *launcher = cdc_control->launcher;

	if (cdc_control_own.slot == NULL || pg_atomic_read_u64(&cdc_control_own.slot->applying) == (uint64) since)
		return;
	pg_atomic_write_u64(&cdc_control_own.slot->applying, (uint64) since);
	if (since != 0 && launcher != NULL)
		SetLatch(launcher);
}

/* The oldest such transaction of a database's workers; 0: none */
TimestampTz
cdc_control_applying_since(Oid dboid)
{
	TimestampTz oldest = 0;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	for_slots_of(dboid, slot)
	{
		TimestampTz since = (TimestampTz) pg_atomic_read_u64(&slot->applying);

		if (since != 0 && (oldest == 0 || since < oldest))
			oldest = since;
	}
	LWLockRelease(cdc_control_lock);
	return oldest;
}

/* For the launcher: the pids of such workers, in CurrentMemoryContext */
List *
cdc_control_long_applying(void)
{
	List	   *pids = NIL;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	for (int i = 0; i < cdc_control->nslots; i++)
	{
		if (cdc_control->slots[i].pid != 0 && pg_atomic_read_u64(&cdc_control->slots[i].applying) != 0)
			pids = lappend_int(pids, cdc_control->slots[i].pid);
	}
	LWLockRelease(cdc_control_lock);
	return pids;
}

/* One of the holds; the launcher starts again what was wanted when the last is gone */
void
cdc_control_hold_release(Oid dboid)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_find_slot(dboid, CDC_FIRST_WORKER)->holds--;
	cdc_control_wake_launcher();
	LWLockRelease(cdc_control_lock);
}

static bool
is_held(Oid dboid)
{
	const CdcSlot *first = cdc_control_find_slot(dboid, CDC_FIRST_WORKER);

	return first != NULL && first->holds > 0;
}

static CdcDatabase
read_database(Oid dboid)
{
	CdcDatabase database = {0};

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	database.held = is_held(dboid);
	for_slots_of(dboid, slot)
	{
		database.nattached += slot->pid != 0 ? 1 : 0;
		database.has_errors |= slot->has_errors;
		database.shortages |= slot->pid != 0 ? slot->shortages : 0;
		if (slot->number == CDC_FIRST_WORKER && slot->pid != 0)
			database.own_topics = slot->own_topics;
	}
	LWLockRelease(cdc_control_lock);
	return database;
}

/* Attached ones; one that has been registered and is on its way is not among them, and will find the hold */
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
	return cdc_control_own.slot != NULL;
}

/*
 * It stays true after the worker's exit until the next one attaches: DDL that mends
 * what makes the worker fail need not wait for the end of the pause.
 */
bool
cdc_control_has_errors(Oid dboid)
{
	return cdc_control != NULL && read_database(dboid).has_errors;
}

/* For the worker: is there a partition that DDL may mend? */
void
cdc_control_set_errors(bool has_errors)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->has_errors = has_errors;
	LWLockRelease(cdc_control_lock);
}

/* Of one of these? */
bool
cdc_control_is_short(Oid dboid, int shortages)
{
	return cdc_control != NULL && (read_database(dboid).shortages & shortages) != 0;
}

/* For the worker, which alone writes its own; others apply by hand, and nobody waits for them */
void
cdc_control_set_short(CdcShortage shortage, bool yes)
{
	if (cdc_control_own.slot == NULL || ((cdc_control_own.slot->shortages & shortage) != 0) == yes)
		return;
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->shortages ^= shortage;
	LWLockRelease(cdc_control_lock);
}

/* As the first worker has seen at its last look; not known without one */
CdcOwnTopics
cdc_control_own_topics(Oid dboid)
{
	return read_database(dboid).own_topics;
}

void
cdc_control_set_own_topics(bool seen)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->own_topics = seen ? CDC_OWN_TOPICS_SEEN : CDC_OWN_TOPICS_MISSING;
	LWLockRelease(cdc_control_lock);
}

/* Has the server preloaded the library? */
bool
cdc_control_is_loaded(void)
{
	return cdc_control != NULL;
}

/* Do workers run in its database that share its partitions by another number? */
static bool
others_disagree(const CdcSlot *slot)
{
	for_slots_of(slot->dboid, other)
	{
		if (other != slot && (other->pid != 0 || other->registered) &&
			other->nworkers != cdc_control->nworkers)
			return true;
	}
	return false;
}

static bool
may_attach(const CdcSlot *slot)
{
	return slot->pid == 0 && slot->number <= cdc_control->nworkers && !others_disagree(slot);
}

/* The database's last first worker may have wanted more */
static void
forget_above(Oid dboid)
{
	for_slots_of(dboid, slot)
	{
		if (slot->number > cdc_control->nworkers)
			slot->wanted = false;
	}
}

/* All that was set up after attach (origin, stat, consumer) has been let go by now */
static void
worker_detach(int code, Datum arg)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->pid = 0;
	cdc_control_own.slot->latch = NULL;
	pg_atomic_write_u64(&cdc_control_own.slot->applying, 0);
	cdc_control_own.slot = NULL;
	cdc_control_wake_launcher();
	LWLockRelease(cdc_control_lock);
	ConditionVariableBroadcast(&cdc_control->progress);
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

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	slot = cdc_control_take_slot(MyDatabaseId, number);
	if (slot != NULL && (is_held(MyDatabaseId) || nworkers != cdc_control->nworkers))
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
		cdc_control_own.slot = slot;
		if (number == CDC_FIRST_WORKER)
			forget_above(MyDatabaseId);
	}
	LWLockRelease(cdc_control_lock);

	if (cdc_control_own.slot == NULL)
		return false;
	on_shmem_exit(worker_detach, (Datum) 0);
	return true;
}

/* Is another number of workers wanted by now? */
bool
cdc_control_is_outdated(void)
{
	bool		outdated;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	outdated = cdc_control_own.slot->nworkers != cdc_control->nworkers;
	LWLockRelease(cdc_control_lock);
	return outdated;
}

/* The worker is about to exit without a failure, and to be started again at once */
void
cdc_control_dismiss(void)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control_own.slot->leave = CDC_LEAVE_DISMISSED;
	LWLockRelease(cdc_control_lock);
}

/* For the worker: of the last notice; reading it comes before reading the configuration, never after */
uint64
cdc_control_generation(void)
{
	LWLockAcquire(cdc_control_lock, LW_SHARED);
	cdc_control_own.generation_read = cdc_control_own.slot->generation;
	LWLockRelease(cdc_control_lock);
	return cdc_control_own.generation_read;
}

/* For the worker: has there been any since the last call? */
bool
cdc_control_take_ddl(void)
{
	uint64		last = cdc_control_own.ddl_read;

	LWLockAcquire(cdc_control_lock, LW_SHARED);
	cdc_control_own.ddl_read = cdc_control_own.slot->ddl;
	LWLockRelease(cdc_control_lock);
	return cdc_control_own.ddl_read != last;
}

/* For a worker that has nothing to do; false if there was a notice since that generation was read */
bool
cdc_control_finish(uint64 generation)
{
	bool		finished;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	finished = cdc_control_own.slot->generation == generation;
	if (finished)
	{
		cdc_control_own.slot->wanted = false;
		cdc_control_own.slot->has_errors = false;
		cdc_control_own.slot->leave = CDC_LEAVE_FINISHED;
	}
	LWLockRelease(cdc_control_lock);
	return finished;
}

bool
cdc_control_is_first(void)
{
	return cdc_control_own.slot->number == CDC_FIRST_WORKER;
}

int
cdc_control_number(void)
{
	return cdc_control_own.slot->number;
}

/*
 * Does what has this hash fall to this worker?  All workers of a database were told the
 * same number of workers, so that each hash is exactly one's.
 */
bool
cdc_control_is_mine(uint32 hash)
{
	return hash % cdc_control_own.slot->nworkers == cdc_control_own.slot->number - CDC_FIRST_WORKER;
}

static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control->launcher = NULL;
	LWLockRelease(cdc_control_lock);
}

/*
 * Workers outlive a launcher, their handles do not: of a worker that the last launcher
 * registered and that has not attached yet, nothing is known any more.  Should it come
 * after the one that is started instead, it is turned away.
 */
void
cdc_control_launcher_attach(void)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control->launcher = MyLatch;
	for (int i = 0; i < cdc_control->nslots; i++)
		cdc_control->slots[i].registered = false;
	LWLockRelease(cdc_control_lock);
	on_shmem_exit(launcher_detach, (Datum) 0);
}

/*
 * For the launcher.  Workers that were started for another number see by their wake-up that
 * they are outdated and leave; none of the new number attaches before the last has left.
 */
void
cdc_control_set_nworkers(int nworkers)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	cdc_control->nworkers = nworkers;
	for (int i = 0; i < cdc_control->nslots; i++)
	{
		if (cdc_control->slots[i].pid != 0 && cdc_control->slots[i].nworkers != nworkers)
			cdc_control_wake_slot(&cdc_control->slots[i]);
	}
	LWLockRelease(cdc_control_lock);
}

/* The worker that is started finds out whether there is anything to do */
bool
cdc_control_want(Oid dboid)
{
	CdcSlot    *slot;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	slot = cdc_control_take_slot(dboid, CDC_FIRST_WORKER);
	if (slot != NULL)
		cdc_control_want_slot(slot);
	LWLockRelease(cdc_control_lock);
	return slot != NULL;
}

/* Nothing is started there before the next notice */
void
cdc_control_forget(Oid dboid)
{
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	for_slots_of(dboid, slot)
		slot->wanted = false;
	LWLockRelease(cdc_control_lock);
}

static bool
may_start(const CdcSlot *slot)
{
	return slot->wanted && !slot->registered && !is_held(slot->dboid) && may_attach(slot);
}

/*
 * Of those that are wanted, may start and are due at this time; with InvalidOid, when the
 * next one will be (CDC_TICKS_NEVER: a wake-up comes first).
 */
CdcWorkerId
cdc_control_next_wanted(int64 now, int64 *next_due)
{
	CdcWorkerId worker = {0};

	*next_due = CDC_TICKS_NEVER;
	LWLockAcquire(cdc_control_lock, LW_SHARED);
	for (int i = 0; i < cdc_control->nslots; i++)
	{
		CdcSlot    *slot = &cdc_control->slots[i];

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
	LWLockRelease(cdc_control_lock);
	return worker;
}

/* The launcher has registered a worker; it may have come and gone already */
void
cdc_control_started(CdcWorkerId worker, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	slot = cdc_control_find_slot(worker.dboid, worker.number);
	if (slot != NULL)
	{
		slot->registered = true;
		slot->nworkers = cdc_control->nworkers;
		slot->started_at = now;
	}
	LWLockRelease(cdc_control_lock);
}

/*
 * By what it left in its slot the exit was a failure or not: what never came to attach, or
 * died of a signal, has left nothing, and counts as one.  Pauses double up to a minute, and
 * begin anew after a worker that ran that long.
 */
void
cdc_control_exited(CdcWorkerId worker, int64 now)
{
	CdcSlot    *slot;

	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	slot = cdc_control_find_slot(worker.dboid, worker.number);
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
	LWLockRelease(cdc_control_lock);
}

/* ---- SQL interface ---- */

/* Returns the number of workers that are to leave */
PG_FUNCTION_INFO_V1(cdcsync_restart_workers);
Datum
cdcsync_restart_workers(PG_FUNCTION_ARGS)
{
	int			n;

	cdc_control_require();
	LWLockAcquire(cdc_control_lock, LW_EXCLUSIVE);
	n = send_away(MyDatabaseId);
	LWLockRelease(cdc_control_lock);
	PG_RETURN_INT32(n);
}
