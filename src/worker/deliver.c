/*
 * deliver.c
 *		A batch of messages -> local transactions, and what happens on errors.
 *
 * A local transaction holds changes of one peer, for it runs under that peer's
 * replication origin; it commits the rows and the positions of their partitions
 * together.  apply.c says how many of them it may hold.  What went wrong is judged by SQLSTATE, here and nowhere else:
 *
 *	- rows changed between reading and writing, or a unique value is taken, which can be
 *	  the key of a row that came in between: once more, with the rows locked;
 *	- transient (connection, deadlock, lock timeout, resources, shutdown): the
 *	  partitions concerned, which halves tell, wait and are read again, for ever, with
 *	  growing pauses;
 *	- everything else is about the data: the messages are taken in halves down to the
 *	  one.  If that hits a unique value it is tried once more, and the rows that have the
 *	  value are looked for; what is then still in the way may be on its way out through
 *	  another partition: some more tries, with pauses.  At last the message is kept as a
 *	  dead letter, if its subscription says so, or its partition stops there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/timestamp.h"

#include "apply/apply.h"
#include "apply/peer.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/log_limit.h"
#include "base/session.h"
#include "shared/apply_context.h"
#include "shared/control.h"
#include "shared/error.h"
#include "shared/ticket.h"
#include "stored/conflict_log.h"
#include "stored/dead_letter.h"
#include "table/origin.h"
#include "worker/apply_limit.h"
#include "worker/batch.h"
#include "worker/deliver.h"
#include "worker/partition.h"

#define UNIQUE_RETRIES 5		/* about 3 s */

/* Each try takes its time: fewer than by halves */
#define CDC_ERRCODE_TIMED_OUT ERRCODE_PROGRAM_LIMIT_EXCEEDED
#define TIMED_OUT_PARTS	16
#define HINT_RESUME "Mend the cause, then run cdcsync.resume."

/* A message on its way into a transaction, and what that does besides applying it */
typedef struct CdcDelivery
{
	CdcMessage *message;
	CdcPartition *partition;	/* whose position it moves; NULL: a dead letter's, which has passed it */
	const CdcSubscription *sub;
	CdcLogTail *tail;			/* what came before it in its log */
	bool		held;			/* a dead letter that has to wait for its time */
} CdcDelivery;

/* With what it decodes to; item is NULL if there is nothing to apply */
typedef struct Prepared
{
	CdcDelivery *delivery;
	CdcApplyItem *item;
} Prepared;

/* Messages that may share a transaction as far as their peers go, and their items alone */
typedef struct Run
{
	Prepared   *messages;
	int			n;
	CdcApplyItem **items;
	int			nitems;
	const char *peer;
} Run;

static void deliver_range(CdcDelivery **deliveries, int n, CdcApplyHow how);

/* Messages that a transaction before the error committed, and those of stopped partitions */
static int
leave_out_done(CdcDelivery **deliveries, int n, CdcDelivery **left)
{
	int			nleft = 0;

	for (int i = 0; i < n; i++)
	{
		const CdcMessage *m = deliveries[i]->message;
		const CdcPartition *p = deliveries[i]->partition;

		if (p->assigned && (m->applied || m->offset >= p->offset.next_offset))
			left[nleft++] = deliveries[i];
	}
	return nleft;
}

/* Has one of them waited already?  Then the others have, too */
static bool
waits_again(CdcDelivery **deliveries, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (deliveries[i]->partition && deliveries[i]->partition->retries > 0)
			return true;
	}
	return false;
}

static Prepared *
prepare(CdcDelivery **deliveries, int n)
{
	Prepared   *prepared = palloc_extended(sizeof(Prepared) * n, MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
	{
		CdcDelivery *d = deliveries[i];

		prepared[i].delivery = d;
		prepared[i].item = cdc_apply_prepare(d->message, &d->sub->apply, d->tail);
	}
	return prepared;
}

/* As many messages as hold events of one peer; those of which nothing is written go with any */
static int
run_length(const Prepared *prepared, int n, const char **peer)
{
	int			i;

	*peer = NULL;
	for (i = 0; i < n; i++)
	{
		const CdcApplyItem *item = prepared[i].item;
		const char *other = item && !item->skip ? item->event->peer : NULL;

		if (other == NULL)
			continue;
		if (*peer != NULL && strcmp(*peer, other) != 0)
			break;
		*peer = other;
	}
	return i;
}

/* What a transaction leaves of it is the next one's: so each message is looked at once */
static Run
take_run(Prepared *prepared, int n)
{
	Run			run = {.messages = prepared};

	run.n = run_length(prepared, n, &run.peer);
	run.items = palloc_extended(sizeof(CdcApplyItem *) * run.n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < run.n; i++)
	{
		if (prepared[i].item)
			run.items[run.nitems++] = prepared[i].item;
	}
	return run;
}

/* The messages before the first item that is too many; those without an item go along */
static int
messages_of_items(const Prepared *run, int n, int nitems)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (run[i].item && nitems-- == 0)
			break;
	}
	return i;
}

/*
 * A commit of version-column tables may hold many source times: the latest stands for
 * all.  It is known before anything is written, for rows of this transaction have it as
 * their version under the commit clock.  What is skipped has no part in it.
 */
static void
stamp(Prepared *run, int n)
{
	int64		latest = 0;

	for (int i = 0; i < n; i++)
	{
		if (run[i].item && run[i].item->counts)
			latest = Max(latest, run[i].item->time);
	}
	cdc_origin_stamp(run[n - 1].delivery->message->offset + 1, latest);
}

/* Returns the number of messages from the first that could share this transaction */
static int
apply_items(Run *run, CdcApplyHow how, CdcApplied *applied, TimestampTz *hold_until)
{
	CdcApply   *apply = cdc_apply_begin(run->items, run->nitems, how);
	int			nitems = cdc_apply_extent(apply, hold_until);
	int			n = messages_of_items(run->messages, run->n, nitems);

	if (nitems > 0)
	{
		stamp(run->messages, n);
		cdc_apply_execute(apply, nitems, applied);
	}
	run->messages += n;
	run->n -= n;
	run->items += nitems;
	run->nitems -= nitems;
	return n;
}

static CdcOffset *
offset_after(const CdcDelivery *d)
{
	const CdcMessage *m = d->message;
	CdcOffset  *offset = palloc(sizeof(CdcOffset));

	*offset = d->partition->offset;
	offset->next_offset = m->offset + 1;
	offset->record_time = m->marker ? -1 : m->timestamp;
	offset->table = m->log_table_known ? m->log_table : d->partition->tail.table;
	return offset;
}

/* The partitions' new positions: a list of CdcOffset in CurrentMemoryContext */
static List *
store_offsets(Prepared *run, int n)
{
	List	   *offsets = NIL;

	for (int i = 0; i < n; i++)
	{
		const CdcDelivery *d = run[i].delivery;
		bool		last = i + 1 == n || run[i + 1].delivery->partition != d->partition;
		CdcOffset  *offset;

		if (d->partition == NULL || !last || d->message->offset < d->partition->offset.next_offset)
			continue;
		offset = offset_after(d);
		cdc_offset_advance(offset, d->partition->offset.next_offset);
		offsets = lappend(offsets, offset);
	}
	return offsets;
}

static void
mark_dead_letters(Prepared *run, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (run[i].delivery->message->dead_letter)
			cdc_dead_letter_set_applied(run[i].delivery->message->dead_letter);
	}
}

static int64
last_event_time(Prepared *run, int n, const CdcPartition *p)
{
	for (int i = n - 1; i >= 0; i--)
	{
		if (run[i].delivery->partition == p && run[i].item && run[i].item->event->time)
			return run[i].item->event->time;
	}
	return 0;
}

static void
publish(Prepared *run, int n, List *offsets)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	for (int i = 0; i < n; i++)
	{
		if (run[i].item)
			cdc_peer_see_outcome(run[i].item);
	}
	foreach(lc, offsets)
	{
		CdcOffset  *offset = lfirst(lc);
		CdcPartition *p = cdc_partition_find(offset->topic, offset->partition);

		cdc_partition_applied(p, offset, last_event_time(run, n, p), now);
	}
	if (offsets)
		cdc_progress();
}

/* It must wait for its time */
static void
hold(CdcDelivery *d, TimestampTz until)
{
	d->held = true;
	if (d->partition)
		cdc_partition_hold(d->partition, until);
}

/* Returns how many messages are done, and takes them off: none if the first must wait for its time */
static int
apply_run(Run *run, CdcApplyHow how)
{
	CdcApplied	applied = {.context = cdc_batch_context};
	MemoryContext context = CurrentMemoryContext;
	Prepared   *messages = run->messages;
	TimestampTz hold_until = 0;
	List	   *offsets = NIL;
	int			n;

	cdc_apply_limit_begin();
	(void) cdc_extension_begin();
	if (run->peer)
		cdc_origin_begin(cdc_control_number(), run->peer);
	n = apply_items(run, how, &applied, &hold_until);
	MemoryContextSwitchTo(context);
	if (n > 0)
		offsets = store_offsets(messages, n);
	mark_dead_letters(messages, n);
	cdc_extension_commit(context);
	(void) cdc_apply_limit_end();

	if (n == 0)
		hold(messages[0].delivery, hold_until);
	cdc_apply_count(&applied);
	cdc_conflict_log_report(applied.conflicts);
	publish(messages, n, offsets);
	pgstat_report_stat(false);
	return n;
}

/* A partition whose next event must wait for its time is no longer read; nor is a dead letter that must */
static int
leave_out_held(Prepared *prepared, int n)
{
	int			nleft = 0;

	for (int i = 0; i < n; i++)
	{
		const CdcPartition *p = prepared[i].delivery->partition;

		if (p && p->assigned)
			prepared[nleft++] = prepared[i];
	}
	return nleft;
}

static void
apply_range(CdcDelivery **deliveries, int n, CdcApplyHow how)
{
	Prepared   *left = prepare(deliveries, n);
	Run			run = {0};

	while (n > 0)
	{
		int			done;

		if (run.n == 0)
			run = take_run(left, n);
		done = apply_run(&run, how);
		left += done;
		n -= done;
		if (done == 0)
		{
			n = leave_out_held(left, n);
			run.n = 0;
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/* The server knows but that it was told to cancel */
static void
say_why(ErrorData *error, CdcCancelled cancelled)
{
	error->domain = TEXTDOMAIN;
	if (cancelled == CDC_INTERRUPTED)
	{
		error->message = pstrdup("interrupted by a cdcsync function, or for a command that waits for the table");
		return;
	}
	error->sqlerrcode = CDC_ERRCODE_TIMED_OUT;
	error->message = psprintf("applying it took longer than %d ms", cdc_apply_timeout);
	error->hint = pstrdup("See the context: a trigger of the table, or a conflict handler, may wait for something.  If it needs the time, increase cdcsync.apply_timeout.");
}

/* Out of the transaction; a copy of its error in the context */
static ErrorData *
end_failed_try(MemoryContext context)
{
	CdcCancelled cancelled = cdc_apply_limit_end();
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	HOLD_INTERRUPTS();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	RESUME_INTERRUPTS();
	MemoryContextSwitchTo(context);
	cdc_apply_context_clear();
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && cancelled != CDC_NOT_CANCELLED)
		say_why(error, cancelled);
	return error;
}

/* NULL if all went well, else a copy of the error */
static ErrorData *
try_range(CdcDelivery **deliveries, int n, CdcApplyHow how)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	how.alone = n == 1;
	cdc_session_set_patience(!how.impatient && !waits_again(deliveries, n));
	cdc_apply_context_set_alone(how.alone ? deliveries[0]->message : NULL);
	cdc_apply_context_set_table(InvalidOid, NULL, NULL);
	PG_TRY();
	{
		apply_range(deliveries, n, how);
	}
	PG_CATCH();
	{
		error = end_failed_try(context);
	}
	PG_END_TRY();
	cdc_apply_context_set_alone(NULL);
	return error;
}

static bool
of_one_partition(CdcDelivery **deliveries, int n)
{
	for (int i = 1; i < n; i++)
	{
		if (deliveries[i]->partition != deliveries[0]->partition)
			return false;
	}
	return true;
}

static void
deliver_parts(CdcDelivery **deliveries, int n, CdcApplyHow how, int parts)
{
	int			size = (n + parts - 1) / parts;

	for (int i = 0; i < n; i += size)
		deliver_range(deliveries + i, Min(size, n - i), how);
}

static bool
is_transient(int sqlstate)
{
	static const int categories[] = {
		ERRCODE_CONNECTION_EXCEPTION,
		ERRCODE_TRANSACTION_ROLLBACK,
		ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_OPERATOR_INTERVENTION,
		ERRCODE_SYSTEM_ERROR,
	};

	for (int i = 0; i < lengthof(categories); i++)
	{
		if (ERRCODE_TO_CATEGORY(sqlstate) == categories[i])
			return true;
	}
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_OBJECT_IN_USE ||
		sqlstate == ERRCODE_READ_ONLY_SQL_TRANSACTION;
}

/*
 * Is what failed to be found in a part of them?  No origin is left for a peer: the others,
 * which have theirs, do not wait for that.  Nor do other partitions for one whose table has
 * code that fails so, or no room; but who cancels wants the whole to let go.
 */
static bool
is_of_some(CdcDelivery **deliveries, int n, int sqlstate)
{
	if (sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
		return n > 1;
	return sqlstate != ERRCODE_QUERY_CANCELED && !of_one_partition(deliveries, n);
}

static void
wait_range(CdcDelivery **deliveries, int n, const ErrorData *caught)
{
	CdcError	error = cdc_error_caught(caught, NULL);

	for (int i = 0; i < n; i++)
	{
		CdcPartition *p = deliveries[i]->partition;

		if (!p->assigned)
			continue;
		if (p->retries == 0)
			ereport(LOG,
					(errmsg("subscription \"%s\" will read topic \"%s\" partition %d again from offset " INT64_FORMAT,
							p->offset.subscription, p->offset.topic, p->offset.partition,
							p->offset.next_offset),
					 errdetail("%s", cdc_error_text(&error))));
		cdc_partition_wait(p, &error);
	}
}

/* Another partition may bring the change that frees the value */
static bool
may_be_freed(const CdcDelivery *d, const ErrorData *error)
{
	return (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION ||
			error->sqlerrcode == ERRCODE_EXCLUSION_VIOLATION) &&
		d->partition->retries < UNIQUE_RETRIES;
}

/*
 * Where records are missing before it, it is still the one that the partition stops at:
 * skip() names it.  False if somebody is at the position: then its partition waits.
 */
static bool
move_up(CdcDelivery *d)
{
	CdcPartition *p = d->partition;
	CdcOffset	offset = p->offset;
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile failure = NULL;

	offset.next_offset = d->message->offset;
	offset.record_time = -1;
	PG_TRY();
	{
		(void) cdc_extension_begin();
		cdc_offset_advance(&offset, p->offset.next_offset);
		cdc_extension_commit(context);
	}
	PG_CATCH();
	{
		failure = end_failed_try(context);
	}
	PG_END_TRY();

	if (failure)
		wait_range(&d, 1, failure);
	else
		cdc_partition_set_offset(p, &offset);
	return failure == NULL;
}

static void
stop(CdcDelivery *d, const ErrorData *caught)
{
	CdcPartition *p = d->partition;
	CdcError	error = cdc_error_caught(caught, HINT_RESUME);

	if (d->message->offset > p->offset.next_offset && !move_up(d))
		return;
	cdc_partition_stop(p, &error);
	if (p->state == CDC_PARTITION_ERROR)
		cdc_conflict_log_write_stashed(d->message);
}

static void
report_kept(const CdcMessage *message, const char *subscription, const CdcError *error)
{
	static CdcLogLimit limit = {.what = "dead letters", .where = "cdcsync.dead_letter"};

	if (cdc_log_limit_admit(&limit, GetCurrentTimestamp()))
		ereport(WARNING,
				(errcode(error->sqlstate),
				 errmsg("subscription \"%s\" keeps a dead letter: %s", subscription,
						error->message),
				 errdetail("It is the message of topic \"%s\" partition %d offset " INT64_FORMAT ".",
						   message->topic, message->partition, message->offset),
				 errhint("See cdcsync.dead_letter.  Mend the cause, then run cdcsync.retry_dead_letter.")));
}

/* As a dead letter, and go on behind it */
static void
keep(CdcDelivery *d, const ErrorData *caught)
{
	CdcError	error = cdc_error_caught(caught, NULL);
	CdcPartition *p = d->partition;
	MemoryContext context = CurrentMemoryContext;
	CdcOffset  *offset = offset_after(d);
	ErrorData  *volatile failure = NULL;

	PG_TRY();
	{
		(void) cdc_extension_begin();
		cdc_dead_letter_insert(d->message, p->offset.subscription, &error);
		cdc_offset_advance(offset, p->offset.next_offset);
		cdc_extension_commit(context);
	}
	PG_CATCH();
	{
		failure = end_failed_try(context);
	}
	PG_END_TRY();

	if (failure && is_transient(failure->sqlerrcode))
		wait_range(&d, 1, failure);
	else if (failure)
		stop(d, failure);
	else
	{
		cdc_conflict_log_write_stashed(d->message);
		report_kept(d->message, p->offset.subscription, &error);
		cdc_partition_passed(p, offset, &error);
		cdc_progress();
	}
}

static void
give_up(CdcDelivery *d, const ErrorData *error)
{
	if (d->message->applied)
		return;					/* read again for what it was, and was a dead letter */
	if (d->sub->dead_letter)
		keep(d, error);
	else
		stop(d, error);
}

static void
deliver_range(CdcDelivery **deliveries, int n, CdcApplyHow how)
{
	CdcDelivery **left = palloc(sizeof(CdcDelivery *) * n);
	ErrorData  *error;

	n = leave_out_done(deliveries, n, left);
	if (n == 0 || (error = try_range(left, n, how)) == NULL)
		return;

	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && !of_one_partition(left, n))
	{
		/* whose row somebody has locked waits, the others go on */
		how.impatient = true;
		deliver_parts(left, n, how, 2);
	}
	else if (!how.lock && (error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
					  error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION))
		deliver_range(left, n, (CdcApplyHow){.lock = true, .unique = how.unique, .impatient = how.impatient});
	else if (is_transient(error->sqlerrcode) && !is_of_some(left, n, error->sqlerrcode))
		wait_range(left, n, error);
	else if (n > 1)
		deliver_parts(left, n, how, error->sqlerrcode == CDC_ERRCODE_TIMED_OUT ? TIMED_OUT_PARTS : 2);
	else if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && !how.unique)
		deliver_range(left, n, (CdcApplyHow){.lock = true, .unique = true, .impatient = how.impatient});
	else if (may_be_freed(left[0], error))
		wait_range(left, n, error);
	else
		give_up(left[0], error);
}

/*
 * Apply a batch, partition by partition in the order of the logs.  Never raises: a
 * partition whose message cannot be applied is stopped or waits, the others go on.
 */
void
cdc_deliver(CdcMessage **messages, int nmessages)
{
	CdcDelivery *deliveries = palloc_extended(sizeof(CdcDelivery) * nmessages, MCXT_ALLOC_HUGE);
	CdcDelivery **all = palloc_extended(sizeof(CdcDelivery *) * nmessages, MCXT_ALLOC_HUGE);

	for (int i = 0; i < nmessages; i++)
	{
		CdcPartition *p = messages[i]->owner;

		deliveries[i] = (CdcDelivery){.message = messages[i],.partition = p,.sub = p->sub,.tail = &p->tail};
		all[i] = &deliveries[i];
	}
	deliver_range(all, nmessages, (CdcApplyHow){0});
	cdc_peer_publish();
}

/* ---- dead letters ---- */

static CdcDeadLetter *
next_dead_letter(int64 after)
{
	MemoryContext context = cdc_extension_begin();
	CdcDeadLetter *letter = cdc_dead_letter_next(after, context);

	cdc_extension_commit(context);
	return letter;
}

static ErrorData *
try_dead_letter(CdcDelivery *d)
{
	ErrorData  *error = try_range(&d, 1, (CdcApplyHow){.lock = true});

	if (error && error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
		error = try_range(&d, 1, (CdcApplyHow){.lock = true, .unique = true});
	return error;
}

/* NULL if all went well */
static ErrorData *
record_failure(int64 id, const ErrorData *caught)
{
	CdcError	error = cdc_error_caught(caught, NULL);
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile failure = NULL;

	PG_TRY();
	{
		(void) cdc_extension_begin();
		cdc_dead_letter_set_failed(id, &error);
		cdc_extension_commit(context);
	}
	PG_CATCH();
	{
		failure = end_failed_try(context);
	}
	PG_END_TRY();
	return failure;
}

/* False if it is to be tried again later */
static bool
retry_dead_letter(CdcDeadLetter *letter, List *subscriptions)
{
	CdcSubscription *sub = cdc_subscription_find(subscriptions, letter->subscription);
	CdcLogTail	tail = {0};		/* a null value was judged when it came */
	CdcDelivery delivery = {.message = &letter->message,.sub = sub,.tail = &tail};
	ErrorData  *error;

	if (sub == NULL)
		return true;			/* has just been removed; who makes it anew may ask again */
	error = try_dead_letter(&delivery);
	if (error == NULL)
		return !delivery.held;
	return !is_transient(error->sqlerrcode) &&
		record_failure(letter->message.dead_letter, error) == NULL;
}

/*
 * Apply the dead letters that somebody asked to be applied, with the options of their
 * subscriptions, of CdcSubscription *.  False if some must be tried again later.  The
 * batch is empty, and CurrentMemoryContext is its own.
 */
bool
cdc_deliver_dead_letters(List *subscriptions)
{
	bool		all = true;
	int64		id = 0;
	CdcDeadLetter *letter;

	while ((letter = next_dead_letter(id)) != NULL)
	{
		id = letter->message.dead_letter;
		all &= retry_dead_letter(letter, subscriptions);
		cdc_batch_reset();		/* they may be many, and large */
	}
	return all;
}
