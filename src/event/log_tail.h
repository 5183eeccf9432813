/*
 * log_tail.h
 *		What a log ended with before a message: what its null values mean.
 */
#ifndef CDC_LOG_TAIL_H
#define CDC_LOG_TAIL_H

#include "event/event.h"

/*
 * The last deletes of a log whose null values are still to come: such a null value says
 * nothing new.  It comes directly after its delete, but in a topic of several nodes the
 * others' records may stand between them.
 */
#define CDC_TAIL_DELETES 64

typedef struct CdcLogTail
{
	const char *table;			/* the one table that its events are of: peer.schema.table, as
								 * identifiers; empty: several; NULL: none was seen yet.  Lasts
								 * for ever: messages point to it */
	int			next;			/* slot that the next delete takes */
	struct
	{
		char	   *key;		/* NULL: free */
		int			len;
	}			deletes[CDC_TAIL_DELETES];
} CdcLogTail;

extern void cdc_log_tail_reset(CdcLogTail *tail);

/*
 * What of an event its successors are to know.  Messages may be prepared more than once,
 * when a batch is repeated in parts: what was seen the first time holds.
 */
extern void cdc_log_tail_note_delete(CdcLogTail *tail, CdcMessage *message);
extern void cdc_log_tail_note_table(CdcLogTail *tail, CdcMessage *message, const CdcEvent *event);
extern bool cdc_log_tail_follows_delete(CdcLogTail *tail, CdcMessage *message);
extern void cdc_log_tail_name_table(const CdcLogTail *tail, CdcEvent *event);

#endif							/* CDC_LOG_TAIL_H */
