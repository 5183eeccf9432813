/*
 * topic_name.h
 *		Names of topics, as subscriptions have them.
 */
#ifndef CDC_TOPIC_NAME_H
#define CDC_TOPIC_NAME_H

/* Is this element of topics a regular expression (begins with '^')? */
#define cdc_topic_is_regex(topic) ((topic)[0] == '^')

#endif							/* CDC_TOPIC_NAME_H */
