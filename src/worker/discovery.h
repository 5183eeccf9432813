/*
 * discovery.h
 *		What is subscribed and what the broker has -> partitions.
 */
#ifndef CDC_DISCOVERY_H
#define CDC_DISCOVERY_H

#include "shared/error.h"

#include "stored/subscription.h"

extern void cdc_discovery_configure(List *subscriptions);
extern bool cdc_discovery_look(List *topics, const char *cluster_id);
extern void cdc_discovery_client_error(const CdcError *error);
extern bool cdc_discovery_incomplete(void);

#endif							/* CDC_DISCOVERY_H */
