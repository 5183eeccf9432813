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
	const char *table;			/* that its events are of, see log_tail.h; NULL while unknown */
	int64		rewind_to;		/* ms since 1970: what position to look for; -1: none */
	ItemPointerData tid;
} CdcOffset;

extern List *cdc_offset_load_all(void);
extern void cdc_offset_create(CdcOffset *offset);
extern void cdc_offset_advance(CdcOffset *offset, int64 from);
extern bool cdc_offset_rewind(CdcOffset *offset);

#endif							/* CDC_OFFSET_H */
