/*
 * batch.h
 *		Messages collected up to rows and bytes.
 */
#ifndef CDC_BATCH_H
#define CDC_BATCH_H

#include "event/event.h"

/* Of the batch being collected, and all that is made of it; reset with it */
extern MemoryContext cdc_batch_context;

extern void cdc_batch_init(void);
extern void cdc_batch_add(CdcMessage *message);
extern bool cdc_batch_full(void);

/* The messages, partition by partition in the order of their logs */
extern CdcMessage **cdc_batch_messages(int *nmessages);
extern void cdc_batch_reset(void);
extern void cdc_batch_release_memory(void);

#endif							/* CDC_BATCH_H */
