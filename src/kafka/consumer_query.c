/*
 * consumer_query.c
 *		Questions to the brokers: topics, offsets by time, retention.
 *
 * None waits for longer than a second; meanwhile the worker absorbs no barrier.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "event/event.h"
#include "kafka/consumer_client.h"
#include "kafka/consumer_query.h"

static List *
copy_topics(const rd_kafka_metadata_t *metadata)
{
	List	   *topics = NIL;

	for (int i = 0; i < metadata->topic_cnt; i++)
	{
		const rd_kafka_metadata_topic_t *source = &metadata->topics[i];
		CdcTopic   *topic = palloc0(sizeof(CdcTopic));

		topic->name = pstrdup(source->topic);
		topic->npartitions = source->partition_cnt;
		if (source->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			topic->error = pstrdup(rd_kafka_err2str(source->err));
		topics = lappend(topics, topic);
	}
	return topics;
}

static char *
copy_cluster_id(void)
{
	char	   *source = rd_kafka_clusterid(cdc_consumer_client, 0);
	char		text[CDC_CONSUMER_TEXT_SIZE];

	if (source == NULL)
		return NULL;
	strlcpy(text, source, sizeof(text));
	rd_kafka_mem_free(cdc_consumer_client, source);
	return pstrdup(text);
}

/* All topics of the cluster: a list of CdcTopic, and the cluster's id */
bool
cdc_consumer_list_topics(List **topics, char **cluster_id, char **error)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(cdc_consumer_client, 1, NULL, &metadata, CDC_CONSUMER_MAX_BLOCK_MS);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		*error = cdc_consumer_client_error(err);
		return false;
	}
	cdc_consumer_answered();
	PG_TRY();
	{
		*topics = copy_topics(metadata);
		*cluster_id = copy_cluster_id();
	}
	PG_FINALLY();
	{
		rd_kafka_metadata_destroy(metadata);
	}
	PG_END_TRY();
	return true;
}

/* The one of that name, or NULL */
const CdcTopic *
cdc_consumer_find_topic(List *topics, const char *name)
{
	ListCell   *lc;

	foreach(lc, topics)
	{
		const CdcTopic *topic = lfirst(lc);

		if (strcmp(topic->name, name) == 0)
			return topic;
	}
	return NULL;
}

/* That no partition of the list is known is an answer: each says so itself */
static rd_kafka_resp_err_t
ask_brokers(rd_kafka_topic_partition_list_t *list, TimestampTz deadline)
{
	long		remaining = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
	rd_kafka_resp_err_t err;

	if (remaining <= 0)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	err = rd_kafka_offsets_for_times(cdc_consumer_client, list, (int) Min(remaining, CDC_CONSUMER_MAX_BLOCK_MS));
	return err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
}

/* An answer without offset leaves what an earlier question has found */
static void
take_answer(CdcPosition *position, const rd_kafka_topic_partition_t *answer)
{
	if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		position->error = pstrdup(rd_kafka_err2str(answer->err));
	else if (answer->offset >= 0)
	{
		position->offset = answer->offset;
		position->error = NULL;
	}
	else if (position->offset < 0 && position->error == NULL)
		position->error = pstrdup("the broker named no offset");
}

static rd_kafka_resp_err_t
query_once(CdcPosition *positions, int npositions, int64 time, TimestampTz deadline)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(npositions);
	volatile rd_kafka_resp_err_t err;

	PG_TRY();
	{
		for (int i = 0; i < npositions; i++)
			rd_kafka_topic_partition_list_add(list, positions[i].topic,
											  positions[i].partition)->offset = time;
		err = ask_brokers(list, deadline);
		for (int i = 0; i < npositions && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
			take_answer(&positions[i], &list->elems[i]);
	}
	PG_FINALLY();
	{
		rd_kafka_topic_partition_list_destroy(list);
	}
	PG_END_TRY();
	return err;
}

/*
 * When the broker refuses one of the partitions, the library gives no answer for any
 * of them: halve until the bad ones are alone.
 */
static rd_kafka_resp_err_t
query_range(CdcPosition *positions, int npositions, int64 time, TimestampTz deadline)
{
	rd_kafka_resp_err_t err = query_once(positions, npositions, time, deadline);
	int			half = npositions / 2;

	/* the library's own errors are negative: they concern the client, not a partition */
	if (err <= RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	if (npositions == 1)
	{
		positions->error = pstrdup(rd_kafka_err2str(err));
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	err = query_range(positions, half, time, deadline);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = query_range(positions + half, npositions - half, time, deadline);
	return err;
}

/*
 * For a time after a partition's last record the broker names no offset: the end is
 * asked for first and stays there, so that a record that comes in between the two
 * requests is not missed.
 */
bool
cdc_consumer_query_offsets(CdcPosition *positions, int npositions, int64 time, char **error)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   CDC_CONSUMER_MAX_BLOCK_MS);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < npositions; i++)
	{
		positions[i].offset = -1;
		positions[i].error = NULL;
	}
	if (npositions > 0 && time >= 0)
		err = query_range(positions, npositions, CDC_OFFSET_END, deadline);
	if (npositions > 0 && err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = query_range(positions, npositions, time, deadline);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		*error = cdc_consumer_client_error(err);
		return false;
	}
	return true;
}

static void
ask_configs(const CdcRetention *topics, int ntopics, rd_kafka_queue_t *answers)
{
	rd_kafka_ConfigResource_t **resources = palloc(sizeof(*resources) * Max(ntopics, 1));

	for (int i = 0; i < ntopics; i++)
		resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].topic);
	rd_kafka_DescribeConfigs(cdc_consumer_client, resources, ntopics, NULL, answers);
	rd_kafka_ConfigResource_destroy_array(resources, ntopics);
}

/* NULL if there is none, as in an answer that is an error */
static const char *
config_value(const rd_kafka_ConfigResource_t *resource, const char *name)
{
	size_t		n;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);

	for (size_t i = 0; i < n; i++)
	{
		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
			return rd_kafka_ConfigEntry_value(entries[i]);
	}
	return NULL;
}

static void
take_config(CdcRetention *topics, int ntopics, const rd_kafka_ConfigResource_t *resource)
{
	const char *policy = config_value(resource, "cleanup.policy");
	const char *ms = config_value(resource, "retention.ms");

	for (int i = 0; i < ntopics; i++)
	{
		if (ms && strcmp(topics[i].topic, rd_kafka_ConfigResource_name(resource)) == 0)
			topics[i].ms = policy && strstr(policy, "delete") == NULL ? -1 :
				strtoll(ms, NULL, 10);
	}
}

/* The broker need not allow it: what it does not say is no error */
void
cdc_consumer_query_retention(CdcRetention *topics, int ntopics)
{
	rd_kafka_queue_t *answers = rd_kafka_queue_new(cdc_consumer_client);
	rd_kafka_event_t *answer;
	const rd_kafka_DescribeConfigs_result_t *result;
	const rd_kafka_ConfigResource_t **resources;
	size_t		n = 0;

	for (int i = 0; i < ntopics; i++)
		topics[i].ms = CDC_RETENTION_UNKNOWN;
	ask_configs(topics, ntopics, answers);
	answer = rd_kafka_queue_poll(answers, CDC_CONSUMER_MAX_BLOCK_MS);
	result = answer ? rd_kafka_event_DescribeConfigs_result(answer) : NULL;
	if (result && rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
		for (size_t i = 0; i < n; i++)
			take_config(topics, ntopics, resources[i]);
	}
	if (answer)
		rd_kafka_event_destroy(answer);
	rd_kafka_queue_destroy(answers);
}
