/*
 * topic_partition.h
 *		Hashes by topic and partition: a hub reads thousands.
 */
#ifndef CDC_TOPIC_PARTITION_H
#define CDC_TOPIC_PARTITION_H

#include "utils/hsearch.h"

#define CDC_TOPIC_SIZE	250		/* Kafka's limit of 249, and a NUL */

typedef struct CdcTopicPartition
{
	char		topic[CDC_TOPIC_SIZE];
	int32		partition;
} CdcTopicPartition;

extern HTAB *cdc_topic_partition_hash(const char *name, Size entrysize);
extern void *cdc_topic_partition_search(HTAB *hash, const char *topic, int32 partition,
										HASHACTION action, bool *found);

#endif							/* CDC_TOPIC_PARTITION_H */
