/*
 * give_way.c
 *		A worker whose transaction takes long gives way to commands that wait for its tables.
 *
 * As autovacuum does.  DDL asks for a lock that excludes writers: only who owns the table
 * can, so nobody else holds up the worker by it.  The worker begins again a moment later,
 * behind the command.
 */
#include "postgres.h"

#include <signal.h>

#include "nodes/pg_list.h"
#include "storage/lock.h"

#include "base/ticks.h"
#include "shared/control.h"
#include "worker/give_way.h"

#define LOOK_INTERVAL_MS 1000

static bool
has_waiter(const LockData *locks, const LockInstanceData *held)
{
	if (held->locktag.locktag_type != LOCKTAG_RELATION)
		return false;
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *l = &locks->locks[i];

		if (l->waitLockMode >= ShareLock &&
			memcmp(&l->locktag, &held->locktag, sizeof(LOCKTAG)) == 0)
			return true;
	}
	return false;
}

static bool
blocks_command(const LockData *locks, int pid)
{
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *l = &locks->locks[i];

		if (l->pid == pid && l->holdMask != 0 && has_waiter(locks, l))
			return true;
	}
	return false;
}

/*
 * For the launcher: interrupt the workers that have been in a transaction for long, and
 * have a lock that somebody waits for.  When it is to be called again, in ticks.
 */
int64
cdc_give_way_look(int64 now)
{
	List	   *pids = cdc_control_long_applying();
	LockData   *locks;
	ListCell   *lc;

	if (pids == NIL)
		return CDC_TICKS_NEVER;
	locks = GetLockStatusData();
	foreach(lc, pids)
	{
		if (blocks_command(locks, lfirst_int(lc)))
			kill(lfirst_int(lc), SIGINT);
	}
	return now + LOOK_INTERVAL_MS;
}
