/*
 * wait_for.c
 *		Waiting until all that is in the subscribed topics now is applied.
 *
 * Only the worker can ask the broker for the ends of the partitions.  The backend
 * draws a ticket; when the worker has answered it, the ends in stat are not older than
 * the ticket, and what is to be reached.  States are looked at only after the answer:
 * before it they may be from before a resume() that the worker has not seen yet.
 *
 * Nothing is held while waiting but what the caller's transaction holds.  That can be a
 * lock for which a DROP EXTENSION waits, which keeps the worker away meanwhile, and no
 * deadlock detector sees that: who waits gives up when the worker is held for long.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "shared/control.h"
#include "shared/stat.h"
#include "shared/ticket.h"
#include "stored/subscription.h"

#define HOLD_PATIENCE_MS 1000

typedef struct Wait
{
	List	   *subscriptions;
	TimestampTz deadline;		/* DT_NOEND: none */
	TimestampTz held_since;		/* 0: the worker is not held */
} Wait;

PG_FUNCTION_INFO_V1(cdcsync_wait_for);

/* In floating point, which no interval overflows */
static TimestampTz
deadline_after(const Interval *timeout)
{
	double		days = (double) timeout->month * DAYS_PER_MONTH + timeout->day;
	double		usecs = days * USECS_PER_DAY + timeout->time;
	TimestampTz now = GetCurrentTimestamp();

	if (usecs <= 0)
		return now;
	if (usecs >= (double) (END_TIMESTAMP - now))
		return DT_NOEND;
	return now + (TimestampTz) usecs;
}

static void
check_enabled(const CdcSubscription *sub)
{
	if (!sub->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription \"%s\" is paused", sub->name),
				 errhint("Run SELECT cdcsync.resume(%s).", quote_literal_cstr(sub->name))));
}

/* The one of that name, or all */
static List *
waited_subscriptions(const char *name)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, cdc_subscription_load_all())
	{
		CdcSubscription *sub = lfirst(lc);

		if (name != NULL && strcmp(sub->name, name) != 0)
			continue;
		check_enabled(sub);
		result = lappend(result, sub);
	}
	if (name != NULL && result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" does not exist", name)));
	return result;
}

static List *
partitions_of(List *subscriptions)
{
	List	   *result = cdc_stat_partition_list();
	ListCell   *lc;

	foreach(lc, result)
	{
		CdcPartitionStat *stat = lfirst(lc);
		bool		wanted = false;
		ListCell   *ls;

		foreach(ls, subscriptions)
			wanted |= strcmp(((CdcSubscription *) lfirst(ls))->name, stat->subscription) == 0;
		if (!wanted)
		{
			result = foreach_delete_current(result, lc);
			pfree(stat);
		}
	}
	return result;
}

/*
 * Where one worker reads all, an entry says what its subscription has besides; what has no
 * entry at all, or may have others in another worker, is taken to have some.
 */
static bool
is_unseen(const CdcSubscription *sub, List *partitions, bool database_short, bool several)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, partitions)
	{
		const CdcPartitionStat *stat = lfirst(lc);

		if (strcmp(stat->subscription, sub->name) != 0)
			continue;
		if (stat->unseen)
			return true;
		found = true;
	}
	return database_short && (several || !found);
}

static void
check_unseen(List *partitions, List *subscriptions)
{
	bool		database_short = cdc_control_is_short(MyDatabaseId, CDC_SHORT_OF_PARTITIONS);
	bool		several = cdc_control_count_workers(MyDatabaseId) > 1;
	ListCell   *lc;

	foreach(lc, subscriptions)
	{
		const CdcSubscription *sub = lfirst(lc);

		if (is_unseen(sub, partitions, database_short, several))
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("too many partitions to wait for"),
					 errdetail("Some of subscription \"%s\" find no place in the statistics.", sub->name),
					 errhint("Increase \"cdcsync.max_partitions\" and restart the server.")));
	}
}

static bool
covers(List *partitions, List *subscriptions)
{
	ListCell   *ls;

	foreach(ls, subscriptions)
	{
		CdcSubscription *sub = lfirst(ls);
		bool		found = false;
		ListCell   *lc;

		foreach(lc, partitions)
			found |= strcmp(((CdcPartitionStat *) lfirst(lc))->subscription, sub->name) == 0;
		if (!found)
			return false;
	}
	return true;
}

static void
check_hold(Wait *wait, TimestampTz now)
{
	if (!cdc_control_is_held(MyDatabaseId))
		wait->held_since = 0;
	else if (wait->held_since == 0)
		wait->held_since = now;
	else if (TimestampDifferenceExceeds(wait->held_since, now, HOLD_PATIENCE_MS))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the apply worker of this database is kept away by another command"),
				 errdetail("The command may be waiting for a lock of this transaction."),
				 errhint("Try again when the command, such as DROP EXTENSION, has ended.")));
}

/* False when the time is over */
static bool
wait_for_progress(Wait *wait)
{
	TimestampTz now = GetCurrentTimestamp();
	long		timeout = HOLD_PATIENCE_MS;

	check_hold(wait, now);
	if (wait->deadline != DT_NOEND)
		timeout = Min(timeout, TimestampDifferenceMilliseconds(now, wait->deadline));
	if (timeout <= 0)
		return false;
	cdc_progress_wait(timeout);
	return true;
}

/*
 * Returns the partitions with the ends to reach, or NIL at the deadline.  A worker
 * that exits takes its entries along, and the next one has answered no ticket: the
 * copy is good if the ticket is still answered after it, and every subscription is
 * in it.
 */
static List *
wait_for_answer(Wait *wait)
{
	uint64		ticket = cdc_ticket_draw();

	do
	{
		if (cdc_ticket_is_answered(ticket))
		{
			List	   *partitions = partitions_of(wait->subscriptions);

			check_unseen(partitions, wait->subscriptions);
			if (cdc_ticket_is_answered(ticket) &&
				covers(partitions, wait->subscriptions))
				return partitions;
			list_free_deep(partitions);
		}
	} while (wait_for_progress(wait));
	return NIL;
}

static void
check_state(const CdcPartitionStat *stat)
{
	char	   *quoted;

	if (stat->state != CDC_PARTITION_PAUSED && stat->state != CDC_PARTITION_ERROR)
		return;
	quoted = quote_literal_cstr(stat->subscription);
	if (stat->state == CDC_PARTITION_PAUSED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription \"%s\" is paused", stat->subscription),
				 errhint("Run SELECT cdcsync.resume(%s).", quoted)));
	if (stat->partition < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription \"%s\" has stopped at an error", stat->subscription),
				 errdetail("%s", cdc_stat_shown_error(stat)),
				 errhint("Mend the cause, then run SELECT cdcsync.resume(%s).", quoted)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("subscription \"%s\" has stopped at an error in partition %d of topic \"%s\"",
					stat->subscription, stat->partition, stat->topic),
			 errdetail("%s", cdc_stat_shown_error(stat)),
			 errhint("Mend the cause, then run SELECT cdcsync.resume(%s).", quoted)));
}

/*
 * Nothing is in a topic without partitions.  An end that was not known is known when
 * the partition's entry has one.
 */
static bool
is_reached(const CdcPartitionStat *target, List *partitions)
{
	ListCell   *lc;

	if (target->partition < 0)
		return true;
	foreach(lc, partitions)
	{
		const CdcPartitionStat *stat = lfirst(lc);

		if (stat->partition == target->partition && strcmp(stat->topic, target->topic) == 0 &&
			strcmp(stat->subscription, target->subscription) == 0)
		{
			int64		end = target->end_offset >= 0 ? target->end_offset : stat->end_offset;

			if (end < 0 || stat->next_offset < end)
				return false;
			/* commits are asynchronous: what is said to be applied survives a crash */
			XLogFlush(stat->commit_end);
			return true;
		}
	}
	return false;
}

static bool
wait_for_targets(Wait *wait, List *targets)
{
	do
	{
		List	   *partitions = partitions_of(wait->subscriptions);
		ListCell   *lc;

		foreach(lc, partitions)
			check_state(lfirst(lc));
		foreach(lc, targets)
		{
			if (is_reached(lfirst(lc), partitions))
				targets = foreach_delete_current(targets, lc);
		}
		list_free_deep(partitions);
	} while (targets != NIL && wait_for_progress(wait));
	return targets == NIL;
}

Datum
cdcsync_wait_for(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Wait		wait = {.deadline = DT_NOEND};
	List	   *targets;
	bool		reached;

	cdc_control_require();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errdetail("Nothing is applied before the end of recovery.")));

	if (!PG_ARGISNULL(1))
		wait.deadline = deadline_after(PG_GETARG_INTERVAL_P(1));
	wait.subscriptions = waited_subscriptions(name);
	if (wait.subscriptions == NIL)
		PG_RETURN_BOOL(true);

	cdc_progress_prepare();
	targets = wait_for_answer(&wait);
	reached = targets != NIL && wait_for_targets(&wait, targets);
	cdc_progress_cancel();
	PG_RETURN_BOOL(reached);
}
