/*
 * query.c
 *		Questions of the worker to the brokers: topics, offsets by time, retention.
 *
 * Each is answered by one frame.  No call of the library takes longer than the timeout that
 * the request names; meanwhile nothing is written to the worker.  What a library call
 * needs is small, and is not checked for NULL: without memory it ends the process itself.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "consumer/client.h"
#include "consumer/out.h"
#include "consumer/query.h"

#define RETENTION_UNKNOWN	(-2)	/* as the worker knows it */
#define FOR_EVER	(-1)

/* A position asked for */
typedef struct Position
{
	const char *topic;
	int32_t		partition;
	int64_t		offset;			/* -1: not known */
	const char *error;			/* of the library, which keeps it */
} Position;

/* ms of a clock that nobody sets */
static int64_t
ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
check(const CdcPayload *request)
{
	if (request->bad || client == NULL)
		_exit(1);
}

/* A number of things that follow: not more than there is place for */
static int32_t
take_count(CdcPayload *request)
{
	int32_t		n = cdc_payload_int32(request);

	if (n < 0 || (size_t) n > request->left)
		request->bad = true;
	check(request);
	return n;
}

/* ---- topics ---- */

static void
out_topics(const rd_kafka_metadata_t *metadata)
{
	char	   *cluster_id = rd_kafka_clusterid(client, 0);

	out_text(cluster_id);
	if (cluster_id != NULL)
		rd_kafka_mem_free(client, cluster_id);
	out_int32(metadata->topic_cnt);
	for (int i = 0; i < metadata->topic_cnt; i++)
	{
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];

		out_text(topic->topic);
		out_int32(topic->partition_cnt);
		out_text(topic->err != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(topic->err) : NULL);
	}
}

/* All topics of the cluster, and the cluster's id */
void
query_topics(uint32_t number, CdcPayload *request)
{
	int32_t		timeout = cdc_payload_int32(request);
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t err;

	check(request);
	err = rd_kafka_metadata(client, 1, NULL, &metadata, timeout);
	out_begin(CDC_FRAME_TOPICS_ARE, number, 0);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		out_text(client_error(err));
	else
	{
		client_answered();
		out_text(NULL);
		out_topics(metadata);
		rd_kafka_metadata_destroy(metadata);
	}
	out_end();
}

/* ---- offsets ---- */

/* That no partition of the list is known is an answer: each says so itself */
static rd_kafka_resp_err_t
ask_brokers(rd_kafka_topic_partition_list_t *list, int64_t deadline)
{
	int64_t		remaining = deadline - ticks();
	rd_kafka_resp_err_t err;

	if (remaining <= 0)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	err = rd_kafka_offsets_for_times(client, list, (int) remaining);
	return err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
}

/* An answer without offset leaves what an earlier question has found */
static void
take_answer(Position *position, const rd_kafka_topic_partition_t *answer)
{
	if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		position->error = rd_kafka_err2str(answer->err);
	else if (answer->offset >= 0)
	{
		position->offset = answer->offset;
		position->error = NULL;
	}
	else if (position->offset < 0 && position->error == NULL)
		position->error = "the broker named no offset";
}

static rd_kafka_resp_err_t
ask_once(Position *positions, int32_t n, int64_t time, int64_t deadline)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
	rd_kafka_resp_err_t err;

	for (int32_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition)->offset = time;
	err = ask_brokers(list, deadline);
	for (int32_t i = 0; i < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		take_answer(&positions[i], &list->elems[i]);
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

/*
 * When the broker refuses one of the partitions, the library gives no answer for any
 * of them: halve until the bad ones are alone.
 */
static rd_kafka_resp_err_t
ask_range(Position *positions, int32_t n, int64_t time, int64_t deadline)
{
	rd_kafka_resp_err_t err = ask_once(positions, n, time, deadline);
	int32_t		half = n / 2;

	/* the library's own errors are negative: they concern the client, not a partition */
	if (err <= RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	if (n == 1)
	{
		positions->error = rd_kafka_err2str(err);
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	err = ask_range(positions, half, time, deadline);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_range(positions + half, n - half, time, deadline);
	return err;
}

/* To be freed */
static Position *
take_positions(CdcPayload *request, int32_t *n)
{
	Position   *positions;

	*n = take_count(request);
	positions = calloc((size_t) *n + 1, sizeof(Position));
	if (positions == NULL)
		_exit(1);
	for (int32_t i = 0; i < *n; i++)
	{
		positions[i].topic = cdc_payload_text(request);
		positions[i].partition = cdc_payload_int32(request);
		positions[i].offset = -1;
	}
	check(request);
	return positions;
}

/*
 * For a time after a partition's last record the broker names no offset: the end is
 * asked for first and stays there, so that a record that comes in between the two
 * requests is not missed.
 */
void
query_offsets(uint32_t number, CdcPayload *request)
{
	int64_t		deadline = ticks() + cdc_payload_int32(request);
	int64_t		time = cdc_payload_int64(request);
	int32_t		n;
	Position   *positions = take_positions(request, &n);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (n > 0 && time >= 0)
		err = ask_range(positions, n, OFFSET_END, deadline);
	if (n > 0 && err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_range(positions, n, time, deadline);

	out_begin(CDC_FRAME_OFFSETS_ARE, number, 0);
	out_text(err != RD_KAFKA_RESP_ERR_NO_ERROR ? client_error(err) : NULL);
	out_int32(n);
	for (int32_t i = 0; i < n; i++)
	{
		out_int64(positions[i].offset);
		out_text(positions[i].error);
	}
	out_end();
	free(positions);
}

/* ---- retention ---- */

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

/* ms; FOR_EVER where records are only compacted */
static int64_t
retention_of(const rd_kafka_ConfigResource_t *resource)
{
	const char *policy = config_value(resource, "cleanup.policy");
	const char *ms = config_value(resource, "retention.ms");

	if (ms == NULL)
		return RETENTION_UNKNOWN;
	return policy != NULL && strstr(policy, "delete") == NULL ? FOR_EVER : strtoll(ms, NULL, 10);
}

/* The answer, to be destroyed; NULL if there is none in time */
static rd_kafka_event_t *
describe(const char **topics, int32_t n, int32_t timeout, rd_kafka_queue_t *answers)
{
	rd_kafka_ConfigResource_t **resources = calloc((size_t) n + 1, sizeof(*resources));

	if (resources == NULL)
		_exit(1);
	for (int32_t i = 0; i < n; i++)
		resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i]);
	rd_kafka_DescribeConfigs(client, resources, (size_t) n, NULL, answers);
	rd_kafka_ConfigResource_destroy_array(resources, (size_t) n);
	free(resources);
	return rd_kafka_queue_poll(answers, timeout);
}

static int64_t
find_retention(rd_kafka_event_t *answer, const char *topic)
{
	const rd_kafka_DescribeConfigs_result_t *result = answer ? rd_kafka_event_DescribeConfigs_result(answer) : NULL;
	const rd_kafka_ConfigResource_t **resources;
	size_t		n = 0;

	if (result == NULL || rd_kafka_event_error(answer) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return RETENTION_UNKNOWN;
	resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
	for (size_t i = 0; i < n; i++)
	{
		if (strcmp(topic, rd_kafka_ConfigResource_name(resources[i])) == 0)
			return retention_of(resources[i]);
	}
	return RETENTION_UNKNOWN;
}

/* The broker need not allow it: what it does not say is no error */
void
query_retention(uint32_t number, CdcPayload *request)
{
	int32_t		timeout = cdc_payload_int32(request);
	int32_t		n = take_count(request);
	const char **topics = calloc((size_t) n + 1, sizeof(*topics));
	rd_kafka_queue_t *answers = rd_kafka_queue_new(client);
	rd_kafka_event_t *answer;

	if (topics == NULL)
		_exit(1);
	for (int32_t i = 0; i < n; i++)
		topics[i] = cdc_payload_text(request);
	check(request);
	answer = describe(topics, n, timeout, answers);
	out_begin(CDC_FRAME_RETENTION_IS, number, 0);
	out_text(NULL);
	out_int32(n);
	for (int32_t i = 0; i < n; i++)
		out_int64(find_retention(answer, topics[i]));
	out_end();
	if (answer != NULL)
		rd_kafka_event_destroy(answer);
	rd_kafka_queue_destroy(answers);
	free(topics);
}
