/*
 * apply_table.h
 *		One table's events of one transaction: read, decide, write.
 */
#ifndef CDC_APPLY_TABLE_H
#define CDC_APPLY_TABLE_H

#include "conflict.h"
#include "event.h"
#include "relation.h"
#include "stat.h"

/* What a subscription, or a door, says about its events */
typedef struct CdcApplyOptions
{
	const char *subscription;	/* its name; NULL at the doors */
	const CdcProducer *producer;
	const CdcConflictRules *conflicts;	/* NULL: last_update_wins */
	bool		origin_none;	/* skip what other nodes wrote at the peer */
	bool		skip_unknown;	/* skip events of tables that are not registered */
	bool		record_time;	/* the time of an event is that of its Kafka record */
} CdcApplyOptions;

/* An event on its way through apply, with what became of it */
typedef struct CdcApplyItem
{
	CdcEvent   *event;
	const CdcApplyOptions *options;
	struct CdcTableGroup *group;	/* of apply.c: its table */
	int64		time;			/* µs since 1970: when it was written, as far as is known */
	bool		own;			/* own event or own echo */
	bool		own_echo;		/* the latter */
	bool		skip;			/* what its subscription leaves out */
	bool		counts;			/* neither that, nor of a table that is not registered */
	bool		news;			/* it changed something, when it is decided */
	const char *outcome;		/* a phrase for people, when it is decided */
} CdcApplyItem;

/* How a batch is tried; each costs more than the one before */
typedef struct CdcApplyHow
{
	bool		lock;			/* lock the rows that are read */
	bool		unique;			/* look for rows that have a unique value of a new one */
} CdcApplyHow;

/* What is told after the commit; its lists live in context */
typedef struct CdcApplied
{
	MemoryContext context;
	List	   *counted;		/* apply.c's */
	List	   *conflicts;		/* of CdcConflictRecord * */
} CdcApplied;

typedef struct CdcTableChanges
{
	CdcRelation *rel;
	int			nitems;
	int			max_items;		/* allocated */
	CdcApplyItem **items;		/* in the order of the log; no truncates */
	CdcApplyHow how;
	int64		counters[CDC_NCOUNTERS];
	CdcApplied *applied;
} CdcTableChanges;

/*
 * Apply; SPI is connected, the session is set up for applying.  Raises
 * serialization_failure when a row changed after it was read, which cannot be when
 * it was locked, or a key appeared: to be repeated at once.  unique_violation when rows
 * have the same value in a unique index other than the key's: to be repeated one by one,
 * and so that they are looked for.
 */
extern void cdc_apply_table(CdcTableChanges *changes);

/*
 * Does an update change the key, without Debezium having made a delete and a create of
 * it?  It does so where the message's key changes: without a primary key that need not
 * have the columns of the key here.
 */
extern bool cdc_apply_table_moves(CdcRelation *rel, const CdcApplyItem *item);

/* Empty a table, as a truncate event says */
extern void cdc_apply_table_truncate(CdcRelation *rel);

#endif							/* CDC_APPLY_TABLE_H */
