/*
 * kafka-admin: the few things the local stack and its tests ask of Kafka, without starting a JVM.
 *
 *	kafka-admin BROKERS ping
 *	kafka-admin BROKERS topics
 *	kafka-admin BROKERS topic-create NAME PARTITIONS [KEY=VALUE...]
 *	kafka-admin BROKERS topic-delete NAME
 *	kafka-admin BROKERS topic-grow NAME PARTITIONS
 *	kafka-admin BROKERS topic-offsets NAME			partition, first and next offset, one line each
 *	kafka-admin BROKERS topic-ends PREFIX			topic, partition and next offset of all topics that begin so
 *	kafka-admin BROKERS records-delete NAME PARTITION OFFSET	all before the offset
 *	kafka-admin BROKERS acl-read PRINCIPAL TOPIC	lets it read the topic, where the broker asks for leave
 *	kafka-admin BROKERS transaction NAME PARTITION commit|abort	values from standard input, one a line
 */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 15000

static rd_kafka_t *rk;

static void
fail(const char *format, ...)
{
	va_list		args;

	fputs("kafka-admin: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* an unreachable broker is reported by what follows, not by librdkafka's own lines */
static void
silent(const rd_kafka_t *client, int level, const char *fac, const char *buf)
{
	(void) client;
	(void) level;
	(void) fac;
	(void) buf;
}

static void
connect_to(const char *brokers, const char *transactional_id)
{
	char		err[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_log_cb(conf, silent);
	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, err, sizeof(err)) != RD_KAFKA_CONF_OK ||
		(transactional_id != NULL &&
		 rd_kafka_conf_set(conf, "transactional.id", transactional_id, err, sizeof(err)) != RD_KAFKA_CONF_OK) ||
		(rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof(err))) == NULL)
		fail("%s", err);
}

static void
check(rd_kafka_resp_err_t err)
{
	if (err)
		fail("%s", rd_kafka_err2str(err));
}

static void
check_error(rd_kafka_error_t *error)
{
	if (error)
		fail("%s", rd_kafka_error_string(error));
}

static void
check_topic(const rd_kafka_topic_result_t *result)
{
	if (rd_kafka_topic_result_error(result))
		fail("topic %s: %s", rd_kafka_topic_result_name(result),
			 rd_kafka_topic_result_error_string(result) ? rd_kafka_topic_result_error_string(result) :
			 rd_kafka_err2str(rd_kafka_topic_result_error(result)));
}

static rd_kafka_event_t *
answer(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS + 1000);

	if (event == NULL)
		fail("no answer from Kafka");
	if (rd_kafka_event_error(event))
		fail("%s", rd_kafka_event_error_string(event));
	return event;
}

static const rd_kafka_metadata_t *
metadata(const char *topic, int timeout_ms)
{
	const rd_kafka_metadata_t *md;
	rd_kafka_topic_t *rkt = topic ? rd_kafka_topic_new(rk, topic, NULL) : NULL;

	check(rd_kafka_metadata(rk, topic == NULL, rkt, &md, timeout_ms));
	if (topic && (md->topic_cnt != 1 || md->topics[0].err))
		fail("topic %s: %s", topic, rd_kafka_err2str(md->topic_cnt == 1 ? md->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
	return md;
}

static long
number(const char *text)
{
	char	   *end;
	long		value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 0)
		fail("not a number: %s", text);
	return value;
}

/* a new topic is in use only when every partition has a leader */
static void
wait_for_leaders(const char *name, int partitions)
{
	for (int tries = 0; tries < 300; tries++)
	{
		const rd_kafka_metadata_t *md = metadata(NULL, TIMEOUT_MS);
		int			led = 0;

		for (int t = 0; t < md->topic_cnt; t++)
			if (strcmp(md->topics[t].topic, name) == 0)
				for (int p = 0; p < md->topics[t].partition_cnt; p++)
					led += md->topics[t].partitions[p].leader >= 0 && !md->topics[t].partitions[p].err;
		rd_kafka_metadata_destroy(md);
		if (led >= partitions)
			return;
		rd_kafka_poll(rk, 20);
	}
	fail("topic %s: its partitions have no leader", name);
}

static void
topic_create(rd_kafka_queue_t *queue, const char *name, int partitions, char **config, int nconfig)
{
	char		err[512];
	size_t		count;
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, err, sizeof(err));

	if (topic == NULL)
		fail("%s", err);
	for (int i = 0; i < nconfig; i++)
	{
		char	   *value = strchr(config[i], '=');

		if (value == NULL)
			fail("not KEY=VALUE: %s", config[i]);
		*value++ = '\0';
		check(rd_kafka_NewTopic_set_config(topic, config[i], value));
	}
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	check_topic(rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer(queue)), &count)[0]);
	wait_for_leaders(name, partitions);
}

static void
topic_delete(rd_kafka_queue_t *queue, const char *name)
{
	size_t		count;
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);

	rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	check_topic(rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(answer(queue)), &count)[0]);
}

static void
topic_grow(rd_kafka_queue_t *queue, const char *name, int partitions)
{
	char		err[512];
	size_t		count;
	rd_kafka_NewPartitions_t *grown = rd_kafka_NewPartitions_new(name, partitions, err, sizeof(err));

	if (grown == NULL)
		fail("%s", err);
	rd_kafka_CreatePartitions(rk, &grown, 1, NULL, queue);
	check_topic(rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(answer(queue)), &count)[0]);
	wait_for_leaders(name, partitions);
}

static void
topic_offsets(const char *name)
{
	const rd_kafka_metadata_t *md = metadata(name, TIMEOUT_MS);

	for (int p = 0; p < md->topics[0].partition_cnt; p++)
	{
		int64_t		low,
					high;

		check(rd_kafka_query_watermark_offsets(rk, name, p, &low, &high, TIMEOUT_MS));
		printf("%d %lld %lld\n", p, (long long) low, (long long) high);
	}
}

static void
topic_ends(const char *prefix)
{
	const rd_kafka_metadata_t *md = metadata(NULL, TIMEOUT_MS);

	for (int t = 0; t < md->topic_cnt; t++)
	{
		const rd_kafka_metadata_topic_t *topic = &md->topics[t];

		if (strncmp(topic->topic, prefix, strlen(prefix)) != 0)
			continue;
		for (int p = 0; p < topic->partition_cnt; p++)
		{
			int64_t		low,
						high;

			check(rd_kafka_query_watermark_offsets(rk, topic->topic, p, &low, &high, TIMEOUT_MS));
			printf("%s %d %lld\n", topic->topic, p, (long long) high);
		}
	}
}

static void
topics(void)
{
	const rd_kafka_metadata_t *md = metadata(NULL, TIMEOUT_MS);

	for (int t = 0; t < md->topic_cnt; t++)
		printf("%s %d\n", md->topics[t].topic, md->topics[t].partition_cnt);
}

static void
records_delete(rd_kafka_queue_t *queue, const char *name, int partition, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *before;

	rd_kafka_topic_partition_list_add(list, name, partition)->offset = offset;
	before = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(rk, &before, 1, NULL, queue);
	check(rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer(queue)))->elems[0].err);
}

static void
acl_read(rd_kafka_queue_t *queue, const char *principal, const char *topic)
{
	char		err[512];
	size_t		count;
	const rd_kafka_error_t *error;
	rd_kafka_AclBinding_t *acl = rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL,
														 principal, "*", RD_KAFKA_ACL_OPERATION_READ,
														 RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, err, sizeof(err));

	if (acl == NULL)
		fail("%s", err);
	rd_kafka_CreateAcls(rk, &acl, 1, NULL, queue);
	error = rd_kafka_acl_result_error(rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(answer(queue)), &count)[0]);
	if (error)
		fail("%s", rd_kafka_error_string(error));
}

/* leaves a control record, and after an abort records that nobody may see: gaps in the offsets */
static void
transaction(const char *name, int partition, int commit)
{
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		len;

	check_error(rd_kafka_init_transactions(rk, TIMEOUT_MS));
	check_error(rd_kafka_begin_transaction(rk));
	while ((len = getline(&line, &size, stdin)) > 0)
	{
		if (line[len - 1] == '\n')
			len--;
		check(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(partition),
								RD_KAFKA_V_VALUE(line, (size_t) len),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END));
	}
	check(rd_kafka_flush(rk, TIMEOUT_MS));
	check_error(commit ? rd_kafka_commit_transaction(rk, TIMEOUT_MS) : rd_kafka_abort_transaction(rk, TIMEOUT_MS));
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	int			nargs = argc - 3;
	char	  **arg = argv + 3;
	rd_kafka_queue_t *queue;

	if (argc > 1)
		connect_to(argv[1], strcmp(verb, "transaction") == 0 ? "kafka-admin" : NULL);
	if (argc <= 1)
		fail("usage: kafka-admin BROKERS VERB [ARGUMENT...]");
	queue = rd_kafka_queue_new(rk);

	if (strcmp(verb, "ping") == 0 && nargs == 0)
		metadata(NULL, 2000);
	else if (strcmp(verb, "topics") == 0 && nargs == 0)
		topics();
	else if (strcmp(verb, "topic-create") == 0 && nargs >= 2)
		topic_create(queue, arg[0], (int) number(arg[1]), arg + 2, nargs - 2);
	else if (strcmp(verb, "topic-delete") == 0 && nargs == 1)
		topic_delete(queue, arg[0]);
	else if (strcmp(verb, "topic-grow") == 0 && nargs == 2)
		topic_grow(queue, arg[0], (int) number(arg[1]));
	else if (strcmp(verb, "topic-offsets") == 0 && nargs == 1)
		topic_offsets(arg[0]);
	else if (strcmp(verb, "topic-ends") == 0 && nargs == 1)
		topic_ends(arg[0]);
	else if (strcmp(verb, "records-delete") == 0 && nargs == 3)
		records_delete(queue, arg[0], (int) number(arg[1]), number(arg[2]));
	else if (strcmp(verb, "acl-read") == 0 && nargs == 2)
		acl_read(queue, arg[0], arg[1]);
	else if (strcmp(verb, "transaction") == 0 && nargs == 3 &&
			 (strcmp(arg[2], "commit") == 0 || strcmp(arg[2], "abort") == 0))
		transaction(arg[0], (int) number(arg[1]), strcmp(arg[2], "commit") == 0);
	else
		fail("unknown verb or wrong number of arguments: %s", verb);

	/* exit without the seconds that an orderly end of the client may take */
	fflush(stdout);
	_Exit(0);
}
