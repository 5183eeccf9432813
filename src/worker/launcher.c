/*
 * launcher.c
 *		The process that starts the apply workers.
 *
 * The launcher cannot look into databases, so at its start it wants a worker in each
 * of them; a worker that finds nothing to do exits and is not started again.
 * After that it starts what control.c says is wanted: because of a notice, or again
 * after a failure.  And from time to time one in each once more, for retention: also
 * without a subscription there are deletes that were remembered long enough.  It sleeps while there is nothing to start; its latch is set by
 * notices and by the postmaster when a worker has exited.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/ticks.h"
#include "shared/control.h"
#include "worker/give_way.h"
#include "worker/launcher.h"
#include "worker/worker.h"

#define LAUNCHER_RESTART_SECONDS	5
#define PROBE_INTERVAL_MS			(60 * 60 * 1000)

/* Pauses after the server had no worker slot: a probe may soon free one */
#define FIRST_REFUSAL_PAUSE			1000
#define REFUSAL_PAUSE				10000

typedef struct Database
{
	Oid			oid;
	NameData	name;
	bool		template;
} Database;

typedef struct StartedWorker
{
	CdcWorkerId id;
	BackgroundWorkerHandle *handle;
} StartedWorker;

/* These lists live in TopMemoryContext */
static List *unprobed = NIL;	/* databases still to be probed */
static int64 probe_due = 0;		/* in ticks: when all are probed again */
static List *started_workers = NIL; /* of StartedWorker *, those not seen to have exited */

static int	refusals = 0;		/* of a worker slot, in a row */
static int64 refused_until = 0;	/* in ticks */

/* While the library is preloaded: let the postmaster run the launcher */
void
cdc_launcher_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = LAUNCHER_RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "cdcsync", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "cdc_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "cdcsync launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "cdcsync launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

static void
reload_if_asked(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	cdc_control_set_nworkers(cdc_apply_workers);
}

/* An exit may have made room for a worker that had none */
static void
reap_workers(void)
{
	ListCell   *lc;

	foreach(lc, started_workers)
	{
		StartedWorker *worker = lfirst(lc);
		pid_t		pid;

		if (GetBackgroundWorkerPid(worker->handle, &pid) != BGWH_STOPPED)
			continue;
		cdc_control_exited(worker->id, cdc_ticks_now());
		started_workers = foreach_delete_current(started_workers, lc);
		pfree(worker->handle);
		pfree(worker);
		refused_until = 0;
	}
}

/*
 * All databases one can connect to: a list of Database in CurrentMemoryContext.  A
 * process without a database has no catalog caches to ask.
 */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;
		Database   *database;

		if (!form->datallowconn || form->datconnlimit == DATCONNLIMIT_INVALID_DB)
			continue;
		old = MemoryContextSwitchTo(caller);
		database = palloc(sizeof(Database));
		database->oid = form->oid;
		database->name = form->datname;
		database->template = form->datistemplate;
		result = lappend(result, database);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return result;
}

static void
find_unprobed(void)
{
	ListCell   *lc;

	foreach(lc, list_databases())
	{
		Database   *database = lfirst(lc);
		MemoryContext old;

		if (database->template)
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		unprobed = list_append_unique_oid(unprobed, database->oid);
		MemoryContextSwitchTo(old);
	}
	probe_due = cdc_ticks_now() + PROBE_INTERVAL_MS;
}

/* The rest waits until slots become free */
static void
probe_databases(void)
{
	while (unprobed != NIL && cdc_control_want(linitial_oid(unprobed)))
		unprobed = list_delete_first(unprobed);
}

static uint32
wait_event(void)
{
	static uint32 event = 0;

	if (event == 0)
		event = cdc_wait_event_new("CdcsyncLauncherMain");
	return event;
}

static void
wait_until(int64 due)
{
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
	long		timeout = -1;

	if (due != CDC_TICKS_NEVER)
	{
		events |= WL_TIMEOUT;
		timeout = Max(due - cdc_ticks_now(), 0);
	}
	(void) WaitLatch(MyLatch, events, timeout, wait_event());
}

/* NULL if nobody can connect to it */
static Database *
find_database(Oid dboid)
{
	ListCell   *lc;

	foreach(lc, list_databases())
	{
		Database   *database = lfirst(lc);

		if (database->oid == dboid)
			return database;
	}
	return NULL;
}

/* Returns a handle in TopMemoryContext, or NULL */
static BackgroundWorkerHandle *
register_worker(const Database *database, int number)
{
	BackgroundWorker worker = {0};
	CdcWorkerStart start = {.number = number, .nworkers = cdc_apply_workers};
	BackgroundWorkerHandle *handle;
	MemoryContext old;
	bool		registered;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database->oid);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "cdcsync", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "cdc_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "cdcsync apply worker", sizeof(worker.bgw_type));
	StaticAssertStmt(sizeof(start) <= sizeof(worker.bgw_extra), "no room for the start's data");
	memcpy(worker.bgw_extra, &start, sizeof(start));
	if (number == CDC_FIRST_WORKER)
		snprintf(worker.bgw_name, sizeof(worker.bgw_name),
				 "cdcsync apply worker for database %s", NameStr(database->name));
	else
		snprintf(worker.bgw_name, sizeof(worker.bgw_name),
				 "cdcsync apply worker %d for database %s", number, NameStr(database->name));

	old = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(old);
	return registered ? handle : NULL;
}

/* Probes come and go: only what lasts is worth a warning, once */
static void
note_refusal(void)
{
	refusals++;
	refused_until = cdc_ticks_now() + (refusals == 1 ? FIRST_REFUSAL_PAUSE : REFUSAL_PAUSE);
	if (refusals == 2)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("out of background worker slots for the apply workers of cdcsync"),
				 errhint("Increase \"max_worker_processes\" and restart the server, or decrease \"cdcsync.apply_workers\".")));
}

static void
note_start(CdcWorkerId id, BackgroundWorkerHandle *handle)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	StartedWorker *worker = palloc(sizeof(StartedWorker));

	worker->id = id;
	worker->handle = handle;
	started_workers = lappend(started_workers, worker);
	MemoryContextSwitchTo(old);
	cdc_control_started(id, cdc_ticks_now());
	refusals = 0;
}

/* False if the server has no slot for one more worker */
static bool
start_worker(CdcWorkerId id)
{
	Database   *database = find_database(id.dboid);
	BackgroundWorkerHandle *handle;

	if (database == NULL)
	{
		cdc_control_forget(id.dboid);
		return true;
	}
	handle = register_worker(database, id.number);
	if (handle == NULL)
	{
		note_refusal();
		return false;
	}
	note_start(id, handle);
	return true;
}

/* Returns when the next is due, as far as is known now */
static int64
start_workers(void)
{
	for (;;)
	{
		int64		now = cdc_ticks_now();
		int64		due;
		CdcWorkerId id = cdc_control_next_wanted(now, &due);

		if (!OidIsValid(id.dboid))
			return due;
		if (now < refused_until || !start_worker(id))
			return refused_until;
	}
}

void
cdc_launcher_main(Datum main_arg)
{
	MemoryContext round_context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	round_context = AllocSetContextCreate(TopMemoryContext, "cdcsync launcher",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round_context);
	cdc_control_launcher_attach();
	cdc_control_set_nworkers(cdc_apply_workers);

	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		reload_if_asked();
		reap_workers();
		if (probe_due <= cdc_ticks_now())
			find_unprobed();
		probe_databases();
		wait_until(Min(Min(start_workers(), probe_due), cdc_give_way_look(cdc_ticks_now())));
		MemoryContextReset(round_context);
	}
}
