/*
 * topic_name.h
 *		Names of topics, as Kafka and subscriptions have them.
 */
#ifndef CDC_TOPIC_NAME_H
#define CDC_TOPIC_NAME_H

#define CDC_TOPIC_MAX_LENGTH 249	/* Kafka's */

/* Is this element of topics a regular expression (begins with '^')? */
#define cdc_topic_is_regex(topic) ((topic)[0] == '^')

extern bool cdc_topic_is_name(const char *topic);
extern bool cdc_topic_matches(const char *pattern, const char *name);

#endif							/* CDC_TOPIC_NAME_H */
