/*
 * subscription_check.h
 *		What subscribe and alter_subscription accept.
 */
#ifndef CDC_SUBSCRIPTION_CHECK_H
#define CDC_SUBSCRIPTION_CHECK_H

#include "utils/array.h"

/* All raise an error that says what is accepted */

extern void cdc_check_encoding(void);

/* Settings and encoding, without which nothing can be consumed */
extern void cdc_subscription_check_node(void);
extern void cdc_subscription_check_name(const char *name);
extern void cdc_subscription_check_topics(ArrayType *topics);
extern void cdc_subscription_check_peers(ArrayType *peers);
extern bool cdc_topic_is_name(const char *topic);
extern void cdc_subscription_check_option(const char *name, const char *value);

/* start_at as it is stored, independent of the session's settings */
extern char *cdc_subscription_check_start(const char *start_at);

#endif							/* CDC_SUBSCRIPTION_CHECK_H */
