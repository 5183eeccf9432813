/*
 * apply.h
 *		Change events -> the tables, inside one transaction.
 */
#ifndef CDC_APPLY_H
#define CDC_APPLY_H

#include "apply_table.h"

/* What a subscription, or a door, says about its events */
typedef struct CdcApplyOptions
{
	const CdcProducer *producer;
	bool		origin_none;	/* skip what other nodes wrote at the peer */
	bool		skip_unknown;	/* skip events of tables that are not registered */
} CdcApplyOptions;

/*
 * The last deletes of a log whose null values are still to come: such a null value says
 * nothing new.  It comes directly after its delete, but in a topic of several nodes the
 * others' records may stand between them.
 */
#define CDC_TAIL_DELETES 64

typedef struct CdcLogTail
{
	int			next;			/* slot that the next delete takes */
	struct
	{
		char	   *key;		/* NULL: free */
		int			len;
	}			deletes[CDC_TAIL_DELETES];
} CdcLogTail;

extern void cdc_apply_tail_reset(CdcLogTail *tail);

/*
 * Decode a message.  NULL if there is nothing to apply: not a change of a row, skipped
 * by the options, or the null value after its delete.  tail is what the log ended with
 * before this message and is moved on.  The result is in CurrentMemoryContext.
 */
extern CdcApplyItem *cdc_apply_prepare(CdcMessage *message, const CdcApplyOptions *options,
									   CdcLogTail *tail);

/*
 * Apply events in the order of their logs, in the current transaction; SPI is connected
 * and the session set up for applying.  lock as in apply_table.h.  Counters go to
 * stat_table when *counted, made in context, is handed to cdc_apply_count after commit.
 */
extern void cdc_apply_items(CdcApplyItem **items, int nitems, bool write_through, bool lock,
							MemoryContext context, List **counted);
extern void cdc_apply_count(List *counted);

#endif							/* CDC_APPLY_H */
