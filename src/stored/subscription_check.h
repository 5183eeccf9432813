/*
 * subscription_check.h
 *		What subscribe and alter_subscription accept.
 */
#ifndef CDC_SUBSCRIPTION_CHECK_H
#define CDC_SUBSCRIPTION_CHECK_H

#include "postgres.h"

/* All raise an error that says what is accepted */

extern void cdc_check_encoding(void);

/* Settings and encoding, without which nothing can be consumed */
extern void cdc_subscription_check_node(void);
extern void cdc_subscription_check_name(const char *name);
extern bool cdc_topic_is_name(const char *topic);

/* Of options, as option.h wants them */
extern Datum cdc_subscription_check_topics(Oid relid, Datum topics);
extern Datum cdc_subscription_check_peers(Oid relid, Datum peers);
extern Datum cdc_subscription_check_start(Oid relid, Datum start_at);

#endif							/* CDC_SUBSCRIPTION_CHECK_H */
