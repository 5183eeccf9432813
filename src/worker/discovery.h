/*
 * discovery.h
 *		What is subscribed and what the broker has -> partitions.
 */
#ifndef CDC_DISCOVERY_H
#define CDC_DISCOVERY_H

#include "shared/error.h"

#include "stored/subscription.h"

/* Take over the configuration, of CdcSubscription *, which stays the caller's until the next call */
extern void cdc_discovery_configure(List *subscriptions);

/*
 * What the broker has, of CdcTopic *: make a partition of each that a subscription
 * matches and that is new, beginning where it is stored or where the subscription says.
 * Asks the broker, then runs transactions of its own; none is open.  False if there are
 * some of which it is not known yet where they begin.
 */
extern bool cdc_discovery_look(List *topics, const char *cluster_id);

/* The client is in trouble: subscriptions of which no partition is known say so */
extern void cdc_discovery_client_error(const CdcError *error);

/* Is there something subscribed that the broker did not have yet, or that cannot be begun yet? */
extern bool cdc_discovery_incomplete(void);

#endif							/* CDC_DISCOVERY_H */
