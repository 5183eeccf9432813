/*
 * worker.c
 *		An apply worker of one database.
 *
 * One loop: look for new topics, take over changes of the configuration, collect what
 * Kafka has delivered, apply it, answer those who wait, and sleep on the latch and the
 * Kafka client's socket together.  Nothing is open (transaction, snapshot, lock) while
 * it sleeps or asks the broker.
 *
 * Where a database has several, each has the partitions that fall to it by their hash.
 * What is done once per database (storing where new partitions begin, dead letters that
 * are tried again, pruning) the first one does.
 *
 * Errors about messages are dealt with in deliver.c.  Any other error ends the process;
 * the launcher starts it again after a pause, and it goes on from the stored offsets.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/session.h"
#include "base/ticks.h"
#include "kafka/consumer.h"
#include "kafka/consumer_query.h"
#include "kafka/kafka_config.h"
#include "shared/apply_context.h"
#include "shared/control.h"
#include "shared/peer_stat.h"
#include "shared/ticket.h"
#include "stored/conflict_log.h"
#include "stored/dead_letter.h"
#include "stored/identity.h"
#include "stored/offset.h"
#include "table/origin.h"
#include "table/registered_table.h"
#include "table/writing.h"
#include "worker/apply_limit.h"
#include "worker/batch.h"
#include "worker/deliver.h"
#include "worker/discovery.h"
#include "worker/partition.h"
#include "worker/retention.h"
#include "worker/worker.h"

#define INCOMPLETE_REFRESH_MS 1000	/* between looks while something subscribed is missing */
#define PRUNE_INTERVAL_MS	(10 * 60 * 1000)
#define PRUNE_PAUSE_MS		100	/* between turns of pruning */
#define LETTERS_RETRY_MS	1000	/* between tries of dead letters that something hinders */

/* What it knows from one turn of its loop to the next; times are in ticks */
typedef struct Worker
{
	MemoryContext config_context;	/* of the subscriptions in force */
	MemoryContext loop_context; /* reset once per turn */
	List	   *subscriptions;	/* of CdcSubscription *, in config_context */
	bool		has_extension;
	uint64		known_generation;	/* of the configuration */
	int64		refresh_due;	/* the next look for topics */
	int64		prune_due;
	int64		letters_due;	/* dead letters to be applied */
	bool		client_in_trouble;	/* it has been said */
	XLogRecPtr	flushed_to;
	uint32		wait_event;
} Worker;

static Worker my = {0};

/*
 * Commits are asynchronous, for the stored offsets are lost with the rows.  But what is
 * not on disk is not decoded: once nothing more is to do, hand it on to our own peers.
 */
static void
flush_commits(void)
{
	if (XactLastCommitEnd > my.flushed_to)
	{
		XLogFlush(XactLastCommitEnd);
		my.flushed_to = XactLastCommitEnd;
	}
}

/* On every exit: the consumer process must be gone before this one is */
static void
leave(int code, Datum arg)
{
	flush_commits();			/* who is told of them asks another worker then */
	cdc_ticket_answer(0);
	cdc_consumer_close();
	cdc_origin_reset();
	cdc_stat_partition_release_all();
	cdc_peer_stat_forget();
}

static void
initialize(void)
{
	CdcWorkerStart start;

	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	if (!cdc_control_attach(start.number, start.nworkers))
		proc_exit(0);
	before_shmem_exit(leave, (Datum) 0);
	my.wait_event = cdc_wait_event_new("CdcsyncWorkerMain");
	my.config_context = AllocSetContextCreate(TopMemoryContext, "cdcsync subscriptions",
										   ALLOCSET_SMALL_SIZES);
	my.loop_context = AllocSetContextCreate(TopMemoryContext, "cdcsync worker loop",
										 ALLOCSET_DEFAULT_SIZES);
	cdc_batch_init();
	cdc_session_pin();
	cdc_writing_expect();
	my.prune_due = cdc_control_is_first() ? cdc_ticks_now() + PRUNE_INTERVAL_MS : CDC_TICKS_NEVER;
	my.letters_due = CDC_TICKS_NEVER;
}

/* False if there is nothing to do */
static bool
load_configuration(void)
{
	List	   *loaded = NIL;
	List	   *offsets = NIL;
	MemoryContext fresh = AllocSetContextCreate(TopMemoryContext, "cdcsync subscriptions",
												ALLOCSET_SMALL_SIZES);

	(void) cdc_extension_begin();
	my.has_extension = OidIsValid(cdc_extension_oid());
	if (my.has_extension)
	{
		cdc_identity_check();
		MemoryContextSwitchTo(fresh);
		loaded = cdc_subscription_load_all();
		MemoryContextSwitchTo(my.loop_context);
		offsets = cdc_offset_load_all();
	}
	cdc_extension_commit(my.loop_context);

	my.subscriptions = loaded;
	cdc_partition_configure(my.subscriptions, offsets);
	cdc_discovery_configure(my.subscriptions);
	cdc_registered_table_reset();
	MemoryContextDelete(my.config_context);
	my.config_context = fresh;
	if (my.subscriptions == NIL)
		return false;
	if (cdc_control_is_first())
	{
		cdc_control_want_others();
		my.letters_due = 0;
	}
	return true;
}

/* Without a subscription, too, what local deletes leave is not kept for ever */
static void
prune_all(void)
{
	while (cdc_retention_turn())
		CHECK_FOR_INTERRUPTS();
	pgstat_report_stat(true);
}

static void
take_configuration(void)
{
	uint64		generation;

	do
	{
		cdc_apply_limit_forget();
		generation = cdc_control_generation();
		if (load_configuration())
		{
			my.known_generation = generation;
			my.refresh_due = 0;
			return;
		}
		/* no extension, or no subscription: nothing else to do in this database */
		if (my.has_extension && cdc_control_is_first())
			prune_all();
	} while (!cdc_control_finish(generation));
	proc_exit(0);
}

/* The launcher then starts as many as are wanted now */
static void
leave_if_outdated(void)
{
	if (!cdc_control_is_outdated())
		return;
	ereport(LOG, (errmsg("cdcsync apply worker leaves, for \"cdcsync.apply_workers\" has changed")));
	cdc_control_dismiss();
	proc_exit(0);
}

/* Settings of the Kafka client are read when it is opened: open it anew */
static void
reload_settings(void)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	if (cdc_control_is_first())
		my.prune_due = 0;			/* more may be due by now */
	if (cdc_kafka_config_changed())
	{
		CdcError	changed = cdc_error_own("settings have changed", NULL);

		ereport(LOG, (errmsg("cdcsync connects to Kafka anew, its settings have changed")));
		cdc_consumer_close();
		cdc_partition_unassigned_all(&changed);
		my.refresh_due = 0;
	}
}

static void
client_trouble(const CdcError *error, bool fatal)
{
	if (!my.client_in_trouble)
		ereport(LOG,
				(errmsg("cdcsync cannot talk to Kafka: %s", cdc_error_text(error)),
				 errhint("It tries again by itself.  Check cdcsync.bootstrap_servers and the broker.")));
	my.client_in_trouble = true;
	cdc_partition_client_error(error);
	cdc_discovery_client_error(error);
	if (fatal)
	{
		cdc_consumer_close();
		cdc_partition_unassigned_all(error);
	}
	my.refresh_due = cdc_ticks_now() + INCOMPLETE_REFRESH_MS;
}

/* A setting that Kafka's client refuses must be seen in stat_subscription, and can be mended */
static bool
open_client(void)
{
	volatile bool opened = true;

	if (cdc_consumer_is_open())
		return true;
	PG_TRY();
	{
		cdc_consumer_open();
	}
	PG_CATCH();
	{
		ErrorData  *caught;
		CdcError	error;

		MemoryContextSwitchTo(my.loop_context);
		caught = CopyErrorData();
		FlushErrorState();
		error = cdc_error_caught(caught, NULL);
		opened = false;
		client_trouble(&error, false);
	}
	PG_END_TRY();
	return opened;
}

static void
client_says(const char *message, bool fatal)
{
	CdcError	error = cdc_error_own(message, NULL);

	client_trouble(&error, fatal);
}

static void
refresh_topics(int64 now)
{
	List	   *topics;
	char	   *cluster_id;
	char	   *error;

	if (!open_client())
		return;
	if (!cdc_consumer_list_topics(&topics, &cluster_id, &error))
		client_says(error, false);
	else
	{
		if (my.client_in_trouble)
			ereport(LOG, (errmsg("cdcsync is connected to Kafka")));
		my.client_in_trouble = false;
		cdc_partition_client_ok();
		cdc_discovery_look(topics, cluster_id);
	}
	my.refresh_due = cdc_ticks_now() + (my.client_in_trouble || cdc_discovery_incomplete() ?
									 Min(INCOMPLETE_REFRESH_MS, cdc_topic_refresh_interval) :
									 cdc_topic_refresh_interval);
}

static void
take_message(CdcMessage *message)
{
	CdcPartition *p = cdc_partition_find(message->topic, message->partition);

	if (p == NULL || !cdc_partition_accept(p, message))
		return;
	message->owner = p;
	cdc_batch_add(message);
}

/* Aborted transactions and control records leave gaps: the position follows the end */
static void
add_marker(CdcPartition *p, int64 offset)
{
	CdcMessage *marker = MemoryContextAllocZero(cdc_batch_context, sizeof(CdcMessage));

	marker->topic = p->offset.topic;
	marker->partition = p->offset.partition;
	marker->offset = offset - 1;
	marker->timestamp = -1;
	marker->owner = p;
	marker->marker = true;
	cdc_batch_add(marker);
}

static void
take_event(const CdcConsumerEvent *event)
{
	CdcPartition *p = NULL;

	if (event->kind == CDC_CONSUMER_MESSAGE)
	{
		take_message(event->message);
		return;
	}
	if (event->kind == CDC_CONSUMER_CLIENT_ERROR)
	{
		client_says(event->error, event->fatal);
		return;
	}

	p = cdc_partition_find(event->topic, event->partition);
	if (p == NULL || !p->assigned)
		return;
	if (event->kind == CDC_CONSUMER_EOF)
	{
		if (cdc_partition_at_end(p, event->offset))
			add_marker(p, event->offset);
	}
	else if (event->kind == CDC_CONSUMER_OUT_OF_RANGE)
		cdc_partition_out_of_range(p);
	else
	{
		CdcError	error = cdc_error_own(event->error, NULL);

		cdc_partition_wait(p, &error);
	}
}

/* Fill the batch; true if it is full and there may be more */
static bool
collect(void)
{
	CdcConsumerEvent event;

	if (!cdc_consumer_is_open())
		return false;
	while (!cdc_batch_full())
	{
		bool		got;

		MemoryContextSwitchTo(cdc_batch_context);
		got = cdc_consumer_poll(&event);
		MemoryContextSwitchTo(my.loop_context);
		if (!got)
			return false;
		take_event(&event);
		if (!cdc_consumer_is_open())
			return false;
	}
	return true;
}

static void
apply_batch(void)
{
	CdcMessage **messages;
	int			nmessages;

	messages = cdc_batch_messages(&nmessages);
	if (nmessages > 0)
	{
		pgstat_report_activity(STATE_RUNNING, "applying changes");
		MemoryContextSwitchTo(cdc_batch_context);
		cdc_deliver(messages, nmessages);
		MemoryContextSwitchTo(my.loop_context);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	cdc_batch_reset();
}

/* Those that somebody asked for; until what hinders them passes by */
static void
retry_dead_letters(int64 now)
{
	MemoryContextSwitchTo(cdc_batch_context);
	my.letters_due = cdc_deliver_dead_letters(my.subscriptions) ? CDC_TICKS_NEVER :
		now + LETTERS_RETRY_MS;
	MemoryContextSwitchTo(my.loop_context);
	cdc_batch_reset();
}

static void
answer_waiters(void)
{
	uint64		ticket = cdc_ticket_pending();
	List	   *topics;
	char	   *cluster_id;
	char	   *error;
	bool		all_taken;
	bool		known;

	if (ticket == 0 || !cdc_consumer_is_open())
		return;
	/* what is in the topics now may stand in a topic that is new */
	if (!cdc_consumer_list_topics(&topics, &cluster_id, &error))
	{
		client_says(error, false);
		return;
	}
	all_taken = cdc_discovery_look(topics, cluster_id);
	cdc_partition_start_due(cdc_ticks_now());
	if (!cdc_partition_query_ends(topics, &known, &error))
		client_says(error, false);
	else if (all_taken && known)
		cdc_ticket_answer(ticket);
}

/* Also while there is always something to apply; a little now, a little later */
static void
prune(int64 now)
{
	my.prune_due = now + (cdc_retention_turn() ? PRUNE_PAUSE_MS : PRUNE_INTERVAL_MS);
}

static void
wait_for_work(void)
{
	int64		due = Min(Min(my.refresh_due, Min(my.prune_due, my.letters_due)), cdc_partition_next_due());
	pgsocket	sock = cdc_consumer_socket();
	int			events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;

	if (cdc_consumer_has_event())
		return;					/* it came while the worker waited for an answer */

	if (sock != PGINVALID_SOCKET)
		events |= WL_SOCKET_READABLE;
	(void) WaitLatchOrSocket(MyLatch, events, sock, Max(due - cdc_ticks_now(), 0), my.wait_event);
	ResetLatch(MyLatch);
}

static void
run_loop(void)
{
	ErrorContextCallback context = {.callback = cdc_apply_context_callback,
	.previous = error_context_stack};

	error_context_stack = &context;
	MemoryContextSwitchTo(my.loop_context);
	take_configuration();
	for (;;)
	{
		int64		now = cdc_ticks_now();
		bool		more;

		MemoryContextReset(my.loop_context);
		MemoryContextSwitchTo(my.loop_context);
		CHECK_FOR_INTERRUPTS();
		leave_if_outdated();
		if (ConfigReloadPending)
			reload_settings();
		if (my.refresh_due <= now)
			refresh_topics(now);
		if (cdc_control_take_ddl())
			cdc_partition_note_ddl();
		cdc_partition_start_due(now);
		/* behind what waits for the broker: what has been paused meanwhile is not read */
		if (my.known_generation != cdc_control_generation())
			take_configuration();
		more = collect();
		apply_batch();
		if (my.letters_due <= now)
			retry_dead_letters(now);
		answer_waiters();
		if (my.prune_due <= now)
			prune(now);
		if (more)
		{
			/* without a wait nothing else says so */
			if (!PostmasterIsAlive())
				proc_exit(1);
			continue;
		}
		flush_commits();
		pgstat_report_stat(true);
		cdc_origin_reset();		/* while nothing is applied, drop_origin() may have it */
		cdc_batch_release_memory();
		wait_for_work();
	}
}

void
cdc_worker_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	cdc_apply_limit_init();
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);

	initialize();
	run_loop();
}
