/*
 * topic_partition.c
 *		Hashes by topic and partition.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/topic_partition.h"

/* A hash of entries that begin with a CdcTopicPartition, for the life of the process */
HTAB *
cdc_topic_partition_hash(const char *name, Size entrysize)
{
	HASHCTL		ctl = {.keysize = sizeof(CdcTopicPartition),.entrysize = entrysize,.hcxt = TopMemoryContext};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* As hash_search(); found may be NULL */
void *
cdc_topic_partition_search(HTAB *hash, const char *topic, int32 partition, HASHACTION action,
						   bool *found)
{
	CdcTopicPartition key;

	if (strlen(topic) >= CDC_TOPIC_SIZE)
		elog(ERROR, "name of topic is too long: \"%s\"", topic);
	memset(&key, 0, sizeof(key));	/* what lies between counts, too */
	strlcpy(key.topic, topic, sizeof(key.topic));
	key.partition = partition;
	return hash_search(hash, &key, action, found);
}
