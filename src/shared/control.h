/*
 * control.h
 *		Which database has which workers: shared slots, wake-ups, holds.
 */
#ifndef CDC_CONTROL_H
#define CDC_CONTROL_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* The workers of a database are numbered from here */
#define CDC_FIRST_WORKER 1

typedef struct CdcWorkerId
{
	Oid			dboid;			/* InvalidOid: none */
	int			number;
} CdcWorkerId;

/* cdcsync.c: in the hooks of these names */
extern void cdc_control_shmem_request(void);
extern void cdc_control_shmem_init(void);
extern void cdc_control_require(void);

/*
 * For SQL functions and DDL: what the worker of this database knows has changed.
 * At commit the launcher starts a worker where there is none, and a running one
 * sees another generation.
 */
extern void cdc_control_notify_at_commit(void);
extern void cdc_control_retry_at_commit(bool concerned);

/*
 * Does the worker of this database have a partition in error (so that DDL concerns
 * it)?  The worker must try once more after it has said so: DDL that committed just
 * before gave no notice.
 */
extern bool cdc_control_has_errors(Oid dboid);
extern void cdc_control_set_errors(bool has_errors);

/* For check(): has Kafka topics of this database's node?  Not known without a worker */
typedef enum CdcOwnTopics
{
	CDC_OWN_TOPICS_UNKNOWN,
	CDC_OWN_TOPICS_MISSING,
	CDC_OWN_TOPICS_SEEN
} CdcOwnTopics;

extern CdcOwnTopics cdc_control_own_topics(Oid dboid);
extern void cdc_control_set_own_topics(bool seen);
extern bool cdc_control_is_loaded(void);

/* What found no place in the statistics: wait_for must not miss it, check() says so */
typedef enum CdcShortage
{
	CDC_SHORT_OF_PARTITIONS = 1,
	CDC_SHORT_OF_TABLES = 2,
	CDC_SHORT_OF_PEERS = 4
} CdcShortage;

extern bool cdc_control_is_short(Oid dboid, int shortages);
extern void cdc_control_set_short(CdcShortage shortage, bool yes);
extern bool cdc_control_attach(int number, int nworkers);

/* Which one is it, and is a partition with that hash this one's? */
extern int	cdc_control_number(void);
extern bool cdc_control_is_first(void);
extern bool cdc_control_is_mine(uint32 hash);

/* For the first one: the others are to run, too; the others have something new to read */
extern void cdc_control_want_others(void);
extern void cdc_control_notify_others(void);
extern bool cdc_control_is_outdated(void);
extern void cdc_control_dismiss(void);
extern uint64 cdc_control_generation(void);
extern bool cdc_control_take_ddl(void);
extern bool cdc_control_finish(uint64 generation);

/*
 * For utility commands that a connected worker would block (DROP DATABASE, CREATE
 * DATABASE … TEMPLATE, DROP EXTENSION): make the database's workers leave, wait
 * until they have, and start none before this transaction ends.
 */
extern void cdc_control_hold(Oid dboid);
extern bool cdc_control_is_held(Oid dboid);
extern void cdc_control_probe_at_commit(Oid dboid);

/*
 * The workers are in transactions that somebody does not want to wait for: those end in
 * an error, and begin again.  At commit, too: for what has been changed.
 */
extern void cdc_control_interrupt_at_commit(void);
extern void cdc_control_interrupt(Oid dboid);
extern void cdc_control_set_applying(TimestampTz since);
extern TimestampTz cdc_control_applying_since(Oid dboid);
extern List *cdc_control_long_applying(void);

/* For control_xact.c; false: no slot free now */
extern bool cdc_control_reserve(Oid dboid);
extern bool cdc_control_notify(Oid dboid);
extern void cdc_control_note_ddl(Oid dboid);
extern bool cdc_control_hold_place(Oid dboid);
extern void cdc_control_hold_release(Oid dboid);
extern int	cdc_control_count_workers(Oid dboid);
extern bool cdc_control_is_worker(void);

/*
 * For the launcher; times are in ticks.  It alone says how many workers a database is to
 * have; those that were started for another number leave.
 */
extern void cdc_control_launcher_attach(void);
extern void cdc_control_set_nworkers(int nworkers);
extern bool cdc_control_want(Oid dboid);	/* probe this database; false: no slot free now */
extern void cdc_control_forget(Oid dboid);	/* there is no such database to connect to */

/* A worker that is to be started now, or none, and when the next will be */
extern CdcWorkerId cdc_control_next_wanted(int64 now, int64 *next_due);
extern void cdc_control_started(CdcWorkerId worker, int64 now);
extern void cdc_control_exited(CdcWorkerId worker, int64 now);

#endif							/* CDC_CONTROL_H */
