/*
 * control_xact.c
 *		What a transaction asks of the workers: notices and holds.
 *
 * Notices are kept in "pending" and given when the transaction commits.  A notice of
 * a subtransaction that was rolled back is given too: once too often does no harm.
 *
 * Holds act at once and end with the transaction, however it ends: a backend that dies
 * of a FATAL error aborts its transaction on the way, one that is killed takes the
 * shared memory with it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/extension.h"
#include "shared/control.h"
#include "shared/ticket.h"

/* What this transaction has asked for; the lists are in TopTransactionContext */
typedef struct CdcPending
{
	bool		notify;			/* a cdcsync function changed something */
	bool		retry;			/* a user's DDL did, to a registered table; */
	bool		ddl;			/* or to something else */
	bool		interrupt;		/* what is applied now is not to be waited for */
	List	   *probes;			/* databases to look into */
	List	   *holds;			/* databases held */
	List	   *gone;			/* those of them that this transaction dropped */
} CdcPending;

static CdcPending pending;

/* COMMIT PREPARED may come years later, in another process */
static void
refuse_prepare(void)
{
	if (pending.notify || pending.holds != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has changed the set-up of cdcsync")));
}

static void
remember(List **list, Oid dboid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	*list = lappend_oid(*list, dboid);
	MemoryContextSwitchTo(old);
}

/* A worker in a dropped database, or without the extension, need not be started again */
static void
note_gone(void)
{
	ListCell   *lc;

	foreach(lc, pending.holds)
	{
		Oid			dboid = lfirst_oid(lc);
		bool		exists;

		if (dboid == MyDatabaseId)
			exists = OidIsValid(cdc_extension_oid());
		else
			exists = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(dboid));
		if (!exists)
			remember(&pending.gone, dboid);
	}
}

static void
give_notices(void)
{
	ListCell   *lc;

	if (pending.interrupt)
		cdc_control_interrupt(MyDatabaseId);
	if ((pending.notify || pending.retry) && !cdc_control_notify(MyDatabaseId))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many databases want a cdcsync worker"),
				 errhint("Increase \"max_worker_processes\" and restart the server.")));
	else if (pending.ddl)
		cdc_control_note_ddl(MyDatabaseId);
	foreach(lc, pending.probes)
		(void) cdc_control_want(lfirst_oid(lc));
	foreach(lc, pending.gone)
		cdc_control_forget(lfirst_oid(lc));
}

static void
release_holds(void)
{
	ListCell   *lc;

	foreach(lc, pending.holds)
		cdc_control_hold_release(lfirst_oid(lc));
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			return;
		case XACT_EVENT_PRE_COMMIT:
			note_gone();
			return;
		case XACT_EVENT_COMMIT:
			give_notices();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			break;
	}
	release_holds();
	memset(&pending, 0, sizeof(pending));
}

static void
watch_transaction(void)
{
	static bool watching = false;

	if (!watching)
		RegisterXactCallback(at_transaction_end, NULL);
	watching = true;
}

/* A want of slots is an error here, where the transaction can still fail */
void
cdc_control_notify_at_commit(void)
{
	cdc_control_require();
	if (!cdc_control_reserve(MyDatabaseId))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many databases want a cdcsync worker"),
				 errhint("Increase \"max_worker_processes\" and restart the server.")));
	watch_transaction();
	pending.notify = true;
}

/*
 * The same for DDL of users, which concerns a worker with a partition in error only; at
 * once if it was of a registered table.  The rest may be anybody's (CREATE TEMP TABLE):
 * it brings the next try, but not before its time.
 */
void
cdc_control_retry_at_commit(bool concerned)
{
	if (cdc_control_is_worker() || !cdc_control_has_errors(MyDatabaseId))
		return;
	watch_transaction();
	pending.retry |= concerned;
	pending.ddl = true;
}

/* At once, too: a transaction of the worker may have a lock that this one is about to need */
void
cdc_control_interrupt_at_commit(void)
{
	cdc_control_require();
	watch_transaction();
	pending.interrupt = true;
	cdc_control_interrupt(MyDatabaseId);
}

/* At commit let the launcher look into a database that could not be looked into before */
void
cdc_control_probe_at_commit(Oid dboid)
{
	watch_transaction();
	remember(&pending.probes, dboid);
}

/*
 * Where no slot is left the database has no worker.  (Then one could still be started
 * in it; the commands that need to be alone wait five seconds themselves.)
 */
void
cdc_control_hold(Oid dboid)
{
	watch_transaction();
	if (!list_member_oid(pending.holds, dboid))
	{
		remember(&pending.holds, dboid);
		if (!cdc_control_hold_place(dboid))
		{
			pending.holds = list_delete_last(pending.holds);
			return;
		}
	}

	cdc_progress_prepare();
	while (cdc_control_count_workers(dboid) > 0)
		cdc_progress_wait(-1);
	cdc_progress_cancel();
}
