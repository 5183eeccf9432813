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

/* An event on its way through apply, with what became of it */
typedef struct CdcApplyItem
{
	CdcEvent   *event;
	const CdcProducer *producer;	/* of its subscription */
	bool		skip_unknown;	/* likewise */
	bool		own;			/* own event or own echo */
	bool		skip;			/* what its subscription leaves out */
	const char *outcome;		/* a phrase for people, when it is decided */
} CdcApplyItem;

typedef struct CdcTableChanges
{
	CdcRelation *rel;
	int			nitems;
	CdcApplyItem **items;		/* in the order of the log; no truncates */
	bool		write_through;	/* rule 6: pass deletes of missing rows on */
	bool		lock;			/* lock the rows that are read */
	int64		counters[CDC_NCOUNTERS];
} CdcTableChanges;

/*
 * Apply; SPI is connected, the session is set up for applying.  Raises
 * serialization_failure when a row changed after it was read, which cannot be when
 * lock is set, or a key appeared: to be repeated at once.
 */
extern void cdc_apply_table(CdcTableChanges *changes);

/* Empty a table, as a truncate event says */
extern void cdc_apply_table_truncate(CdcRelation *rel);

/* The message an error is about, for the error context; NULL for none */
extern const CdcMessage *cdc_apply_current_message;

#endif							/* CDC_APPLY_TABLE_H */
