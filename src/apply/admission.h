/*
 * admission.h
 *		Who may speak in a subscription's topics.
 */
#ifndef CDC_ADMISSION_H
#define CDC_ADMISSION_H

#include "event/event.h"
#include "stored/subscription.h"

/* May a node speak there?  In a transaction or out of one. */
extern bool cdc_admission_allows(const CdcSubscription *sub, const char *topic, const char *peer);

/*
 * Raises insufficient_privilege, with the command that would let the event's peer in,
 * where its name is one that a node can have.  Events without a peer pass.
 */
extern void cdc_admission_check(const CdcSubscription *sub, const CdcEvent *event);

#endif							/* CDC_ADMISSION_H */
