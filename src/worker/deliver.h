/*
 * deliver.h
 *		A batch of messages -> local transactions, and what happens on errors.
 */
#ifndef CDC_DELIVER_H
#define CDC_DELIVER_H

#include "nodes/pg_list.h"

#include "event/event.h"

extern void cdc_deliver(CdcMessage **messages, int nmessages);
extern bool cdc_deliver_dead_letters(List *subscriptions);

#endif							/* CDC_DELIVER_H */
