/*
 * altered.h
 *		Which relations a command has changed.
 */
#ifndef CDC_ALTERED_H
#define CDC_ALTERED_H

#include "nodes/pg_list.h"

/* One command, on the stack of who runs it; commands may run others */
typedef struct CdcAltered
{
	struct CdcAltered *outer;
	MemoryContext context;
	List	   *relids;
} CdcAltered;

/*
 * Between the two, what this backend changes is noted in relids, in the memory context of
 * the call; end must come also after an error.  What is changed last shows after a
 * CommandCounterIncrement().  Relations that others changed may be among them.
 */
extern void cdc_altered_begin(CdcAltered *altered);
extern void cdc_altered_end(CdcAltered *altered);

#endif							/* CDC_ALTERED_H */
