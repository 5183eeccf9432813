/*
 * deliver.h
 *		A batch of messages -> local transactions, and what happens on errors.
 */
#ifndef CDC_DELIVER_H
#define CDC_DELIVER_H

#include "nodes/pg_list.h"

#include "event/event.h"

/*
 * Apply a batch, partition by partition in the order of the logs.  Never raises: a
 * partition whose message cannot be applied is stopped or waits, the others go on.
 */
extern void cdc_deliver(CdcMessage **messages, int nmessages);

/*
 * Apply the dead letters that somebody asked to be applied, with the options of their
 * subscriptions, of CdcSubscription *.  False if some must be tried again later.  The
 * batch is empty, and CurrentMemoryContext is its own.
 */
extern bool cdc_deliver_dead_letters(List *subscriptions);

#endif							/* CDC_DELIVER_H */
