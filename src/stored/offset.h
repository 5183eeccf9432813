/*
 * offset.h
 *		The next offset of each topic-partition, in the caller's transaction.
 */
#ifndef CDC_OFFSET_H
#define CDC_OFFSET_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"

/*
 * A stored position.  next_offset is the first one that is not yet applied;
 * record_time is the Kafka record time (ms) of the message before it and -1 if
 * there is none: by them the log is recognised.  tid is where the row was last
 * seen, so that writing it again walks no chain of dead versions.
 */
typedef struct CdcOffset
{
	char	   *subscription;
	char	   *topic;
	int32		partition;
	int64		next_offset;
	int64		record_time;
	char	   *cluster_id;		/* NULL while unknown */
	char	   *table;			/* that its events are of, see log_tail.h; NULL while unknown */
	int64		rewind_to;		/* ms since 1970: what position to look for; -1: none */
	ItemPointerData tid;
} CdcOffset;

/* All stored offsets of this database: a list of CdcOffset in CurrentMemoryContext */
extern List *cdc_offset_load_all(void);

/* Store the first position of a partition; sets offset->tid */
extern void cdc_offset_create(CdcOffset *offset);

/*
 * Store a new position over the one at offset->tid, which was from, and update that.
 * Raises object_in_use if the position was changed or the subscription removed
 * meanwhile: what was read for it must not be applied.
 */
extern void cdc_offset_advance(CdcOffset *offset, int64 from);

/*
 * Store the position that was found for offset->rewind_to, and be done with that: sets
 * tid.  False if the position was changed again or the subscription removed meanwhile.
 */
extern bool cdc_offset_rewind(CdcOffset *offset);

#endif							/* CDC_OFFSET_H */
