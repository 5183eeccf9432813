/*
 * consumer.c
 *		The worker's one Kafka client.  Only this file and consumer_query.c know librdkafka.
 *
 * The client reads the partitions it is told to, from the offsets it is told
 * (incremental assign); it never joins a consumer group and never commits an
 * offset.  All that it has to say (messages, ends of partitions, errors and its log
 * lines) goes through one queue: the queues of the partitions, the main queue and
 * the log queue are forwarded to it.  The library's threads run no code of ours.
 *
 * Wake-up.  The library writes one byte to a pipe when something enters the empty
 * queue, and then none before the queue has been read again.  So the caller first
 * clears the pipe, then polls until cdc_consumer_poll says false, then waits for the
 * pipe: whatever arrives after that last look writes a byte.  A caller that waits
 * without having polled to the end gets no wake-up for what it left.
 *
 * Unassigning a partition makes everything of it that is in the queue outdated: the
 * library drops it when it is polled.  What has no version in the library (some
 * errors) is dropped here, and so is a message below the partition's position,
 * should the library ever hand one out twice.
 *
 * An event that was taken from the queue is held until it has been copied: when
 * memory runs out meanwhile, the next poll delivers it again.
 */
#include "postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <syslog.h>
#include <unistd.h>

#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/topic_partition.h"
#include "kafka/consumer.h"
#include "kafka/consumer_client.h"
#include "kafka/consumer_query.h"
#include "kafka/kafka_config.h"
#include "kafka/kafka_log.h"

#define SCRAM_VERSION	0x020601ff

/* A partition that is or was assigned; never freed, so that messages can share its topic */
typedef struct TopicPartition
{
	CdcTopicPartition key;
	bool		assigned;
	int64		position;		/* no message below it is handed out */
	rd_kafka_resp_err_t last_error; /* since its last message or end; told once */
} TopicPartition;

rd_kafka_t *cdc_consumer_client = NULL;

static rd_kafka_queue_t *queue = NULL;
static int	wakeup_pipe[2] = {-1, -1};

/* For the thread that destroys the client */
static struct
{
	rd_kafka_t *client;
	int			done;			/* where to write when it has */
}			destroyer;

/* The event that is being copied, and its message */
static rd_kafka_event_t *held_event = NULL;
static const rd_kafka_message_t *held_message = NULL;

static HTAB *partitions = NULL;
static TopicPartition *last_partition = NULL;

/* What a broker, or the way to it, was last heard to be wrong with */
static char broker_error[CDC_CONSUMER_TEXT_SIZE] = "";

/* What has been taken from the queue since the fetchers were last nudged, and when to */
static int64 taken_bytes = 0;
static int64 taken_messages = 0;
static int64 nudge_bytes = 0;
static int64 nudge_messages = 0;

static void
create_partitions(void)
{
	if (partitions == NULL)
		partitions = cdc_topic_partition_hash("cdcsync partitions read", sizeof(TopicPartition));
}

/* From 2.4 on the library knows topics by their id, and before 2.10 keeps one that is freed: its issue 4778 */
static void
warn_of_library(void)
{
	static bool warned = false;

	if (warned || rd_kafka_version() < 0x02040000 || rd_kafka_version() >= 0x020a0000)
		return;
	ereport(LOG,
			(errmsg("librdkafka %s can crash when a topic is deleted and created again",
					rd_kafka_version_str()),
			 errdetail("The server then restarts all its processes."),
			 errhint("Use a librdkafka before 2.4, or 2.10 or later.")));
	warned = true;
}

static void
open_pipe(void)
{
	if (pipe2(wakeup_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
	{
		wakeup_pipe[0] = wakeup_pipe[1] = -1;
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a pipe: %m")));
	}
	ReserveExternalFD();
	ReserveExternalFD();
}

/* Before 2.6.1 the library repeats a nonce, which Kafka 4 takes for wrong credentials */
static void
warn_of_scram(const rd_kafka_conf_t *conf)
{
	char		mechanism[64];
	size_t		size = sizeof(mechanism);

	if (rd_kafka_version() < SCRAM_VERSION &&
		rd_kafka_conf_get(conf, "sasl.mechanism", mechanism, &size) == RD_KAFKA_CONF_OK &&
		strncmp(mechanism, "SCRAM", 5) == 0)
		ereport(LOG,
				(errmsg("librdkafka %s cannot log in to Kafka 4 by %s", rd_kafka_version_str(),
						mechanism),
				 errhint("Use librdkafka 2.6.1 or later, or sasl.mechanism=PLAIN over TLS.")));
}

static int64
number_property(rd_kafka_conf_t *conf, const char *name)
{
	char		text[32];
	size_t		size = sizeof(text);

	if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
		elog(ERROR, "the Kafka client has no property \"%s\"", name);
	return strtoi64(text, NULL, 10);
}

static void
configure(rd_kafka_conf_t *conf)
{
	ListCell   *lc;

	foreach(lc, cdc_kafka_config_properties())
	{
		CdcKafkaProperty *property = lfirst(lc);
		char		reason[CDC_CONSUMER_TEXT_SIZE];
		rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, property->name, property->value,
													   reason, sizeof(reason));
		bool		unknown = result == RD_KAFKA_CONF_UNKNOWN;

		if (result != RD_KAFKA_CONF_OK && !(unknown && property->optional))
			cdc_kafka_config_refused(property, unknown, reason);
	}
	warn_of_scram(conf);
	nudge_bytes = number_property(conf, "queued.max.messages.kbytes") * 1024 / 2;
	nudge_messages = number_property(conf, "queued.min.messages") / 2;
	rd_kafka_conf_set_events(conf,
							 RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
}

static rd_kafka_conf_t *
make_conf(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	PG_TRY();
	{
		configure(conf);
	}
	PG_CATCH();
	{
		rd_kafka_conf_destroy(conf);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return conf;
}

/* rd_kafka_new takes conf over if it succeeds */
static void
start_client(void)
{
	rd_kafka_conf_t *conf = make_conf();
	char		reason[CDC_CONSUMER_TEXT_SIZE];

	cdc_consumer_client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	if (cdc_consumer_client == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not start the Kafka client"),
				 errdetail("%s.", reason),
				 errhint("Check cdcsync.bootstrap_servers, cdcsync.kafka_config_file and cdcsync.kafka_config.")));
	}
	if (rd_kafka_set_log_queue(cdc_consumer_client, NULL) != RD_KAFKA_RESP_ERR_NO_ERROR)
		elog(ERROR, "could not forward the Kafka client's log");
	queue = rd_kafka_queue_get_consumer(cdc_consumer_client);
	if (queue == NULL || rd_kafka_poll_set_consumer(cdc_consumer_client) != RD_KAFKA_RESP_ERR_NO_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not start the Kafka client"),
				 errdetail("The property \"group.id\" is empty.")));
	rd_kafka_queue_io_event_enable(queue, wakeup_pipe[1], "", 1);
}

void
cdc_consumer_open(void)
{
	if (cdc_consumer_client != NULL)
		elog(ERROR, "the Kafka client is open already");
	create_partitions();
	warn_of_library();
	PG_TRY();
	{
		open_pipe();
		start_client();
	}
	PG_CATCH();
	{
		cdc_consumer_close();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

bool
cdc_consumer_is_open(void)
{
	return cdc_consumer_client != NULL;
}

static void
release_event(void)
{
	if (held_event != NULL)
		rd_kafka_event_destroy(held_event);
	held_event = NULL;
	held_message = NULL;
}

/* No server code in here */
static void *
destroyer_main(void *arg)
{
	int			done = destroyer.done;

	rd_kafka_destroy_flags(destroyer.client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	while (write(done, "", 1) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Signals are for the server's thread only */
static bool
start_destroyer(void)
{
	sigset_t	all;
	sigset_t	before;
	pthread_t	thread;
	bool		started;

	destroyer.client = cdc_consumer_client;
	destroyer.done = wakeup_pipe[1];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&thread, NULL, destroyer_main, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started)
		pthread_detach(thread);
	return started;
}

static void
exit_at_once(int code, Datum arg)
{
	_exit(code);
}

/*
 * Destroying a client takes milliseconds, but can take for ever: while a thread of it
 * asks for a host name, or in 2.0 after a topic was deleted that it was reading.  No
 * server may wait for that when it shuts down or drops a database.  So a thread of our
 * own does it, and when it is not done in time it is left alone, with the pipe it will
 * write to.  The C library must not clean up under living threads: leave without.
 */
static void
stop_client(void)
{
	struct pollfd done = {.fd = wakeup_pipe[0],.events = POLLIN};
	int			ready;

	cdc_consumer_clear_socket();
	if (!start_destroyer())
	{
		rd_kafka_destroy_flags(cdc_consumer_client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		return;
	}
	do
		ready = poll(&done, 1, CDC_CONSUMER_MAX_BLOCK_MS);
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return;
	on_proc_exit(exit_at_once, 0);
	wakeup_pipe[0] = wakeup_pipe[1] = -1;
	ereport(LOG,
			(errmsg("the Kafka client did not stop in time and was abandoned")));
}

static void
close_pipe(void)
{
	for (int i = 0; i < 2; i++)
	{
		if (wakeup_pipe[i] < 0)
			continue;
		close(wakeup_pipe[i]);
		ReleaseExternalFD();
		wakeup_pipe[i] = -1;
	}
}

/* Never fails: it is called in before_shmem_exit and after errors */
void
cdc_consumer_close(void)
{
	HASH_SEQ_STATUS scan;
	TopicPartition *partition;

	release_event();
	if (queue != NULL)
	{
		rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
		rd_kafka_queue_destroy(queue);
		queue = NULL;
	}
	if (cdc_consumer_client != NULL)
		stop_client();
	cdc_consumer_client = NULL;
	close_pipe();
	if (partitions == NULL)
		return;
	hash_seq_init(&scan, partitions);
	while ((partition = hash_seq_search(&scan)) != NULL)
		partition->assigned = false;
}

pgsocket
cdc_consumer_socket(void)
{
	return cdc_consumer_client != NULL ? wakeup_pipe[0] : PGINVALID_SOCKET;
}

void
cdc_consumer_clear_socket(void)
{
	char		buffer[64];
	ssize_t		nread;

	if (cdc_consumer_client == NULL)
		return;
	do
		nread = read(wakeup_pipe[0], buffer, sizeof(buffer));
	while (nread == sizeof(buffer) || (nread < 0 && errno == EINTR));
}

/* NULL if it is not there (HASH_FIND); mostly it is the one of the call before */
static TopicPartition *
find_partition(const char *topic, int32 partition, HASHACTION action)
{
	TopicPartition *entry;
	bool		found;

	if (last_partition != NULL && last_partition->key.partition == partition &&
		strcmp(last_partition->key.topic, topic) == 0)
		return last_partition;
	if (partitions == NULL)
		elog(ERROR, "cannot read topic \"%s\"", topic);
	entry = cdc_topic_partition_search(partitions, topic, partition, action, &found);
	if (entry == NULL)
		return NULL;
	if (!found)
	{
		entry->assigned = false;
		entry->position = 0;
		entry->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	last_partition = entry;
	return entry;
}

static int64
message_time(const rd_kafka_message_t *source)
{
	rd_kafka_timestamp_type_t type;
	int64		time = rd_kafka_message_timestamp(source, &type);

	return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time;
}

/* The value in hex, as bytea is written: it may be anything */
static void
append_header(StringInfo buf, const char *name, const void *value, size_t size)
{
	appendStringInfoChar(buf, '[');
	escape_json(buf, name);
	if (value == NULL)
	{
		appendStringInfoString(buf, ", null]");
		return;
	}
	appendStringInfoString(buf, ", \"\\\\x");
	for (size_t i = 0; i < size; i++)
		appendStringInfo(buf, "%02x", ((const unsigned char *) value)[i]);
	appendStringInfoString(buf, "\"]");
}

/* Debezium writes none, but what stands between it and Kafka may */
static char *
copy_headers(const rd_kafka_message_t *source)
{
	rd_kafka_headers_t *headers;
	StringInfoData buf;
	const char *name;
	const void *value;
	size_t		size;

	if (rd_kafka_message_headers(source, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	initStringInfo(&buf);
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value,
											   &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", " : "[");
		append_header(&buf, name, value, size);
	}
	appendStringInfoString(&buf, buf.len > 0 ? "]" : "[]");
	return buf.data;
}

/* The message and its bytes in one piece of memory, each with a NUL behind it */
static CdcMessage *
copy_message(const rd_kafka_message_t *source, const char *topic)
{
	Size		header = MAXALIGN(sizeof(CdcMessage));
	CdcMessage *message = palloc_extended(header + source->key_len + source->len + 2,
										  MCXT_ALLOC_HUGE);
	char	   *key = (char *) message + header;
	char	   *value = key + source->key_len + 1;

	memcpy(key, source->key != NULL ? source->key : "", source->key_len);
	key[source->key_len] = '\0';
	memcpy(value, source->payload != NULL ? source->payload : "", source->len);
	value[source->len] = '\0';

	memset(message, 0, sizeof(CdcMessage));
	message->topic = topic;
	message->partition = source->partition;
	message->offset = source->offset;
	message->timestamp = message_time(source);
	message->key = source->key != NULL ? key : NULL;
	message->key_len = source->key_len;
	message->value = source->payload != NULL ? value : NULL;
	message->value_len = source->len;
	message->headers = copy_headers(source);
	return message;
}

/*
 * A fetcher that found the queue full (queued.max.messages.kbytes) sleeps for a
 * second, however fast the queue is emptied; library versions since 2.2 have
 * fetch.queue.backoff.ms, older ones wake up for a request only.  So send each
 * broker a small one, and do not wait for the answer.
 */
static void
nudge_fetchers(void)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
	HASH_SEQ_STATUS scan;
	TopicPartition *partition;

	hash_seq_init(&scan, partitions);
	while ((partition = hash_seq_search(&scan)) != NULL)
	{
		if (partition->assigned)
			rd_kafka_topic_partition_list_add(list, partition->key.topic,
											  partition->key.partition)->offset = CDC_OFFSET_END;
	}
	(void) rd_kafka_offsets_for_times(cdc_consumer_client, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static void
count_taken(const CdcMessage *message)
{
	taken_bytes += message->key_len + message->value_len;
	taken_messages++;
	if (taken_bytes >= nudge_bytes || taken_messages >= nudge_messages)
	{
		nudge_fetchers();
		taken_bytes = taken_messages = 0;
	}
}

static bool
take_message(CdcConsumerEvent *event)
{
	TopicPartition *partition;

	/* the library tells it once only */
	if (held_message == NULL)
		held_message = rd_kafka_event_message_next(held_event);
	if (held_message == NULL)
		return false;
	partition = find_partition(rd_kafka_topic_name(held_message->rkt),
							   held_message->partition, HASH_FIND);
	if (partition == NULL || !partition->assigned || held_message->offset < partition->position)
		return false;

	event->message = copy_message(held_message, partition->key.topic);
	event->kind = CDC_CONSUMER_MESSAGE;
	event->topic = partition->key.topic;
	event->partition = held_message->partition;
	event->offset = held_message->offset;
	partition->position = held_message->offset + 1;
	partition->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	count_taken(event->message);
	return true;
}

/* Without what changes from one time to the next */
static void
keep_broker_error(const char *text)
{
	char	   *tail;

	strlcpy(broker_error, text, sizeof(broker_error));
	tail = strstr(broker_error, " (after ");
	if (tail != NULL)
		*tail = '\0';
}

/*
 * Trouble with one broker of several, or with the group that we do not join, is for the
 * log.  That all brokers are down is for the caller, with the reason heard before.
 */
static bool
take_client_error(CdcConsumerEvent *event)
{
	event->kind = CDC_CONSUMER_CLIENT_ERROR;
	event->fatal = rd_kafka_event_error_is_fatal(held_event);
	if (event->fatal)
		return true;
	if (rd_kafka_event_error(held_event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
	{
		event->error = cdc_consumer_client_error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
		return true;
	}
	cdc_kafka_log_line(LOG_WARNING, "ERROR", event->error);
	keep_broker_error(event->error);
	return false;
}

/*
 * With auto.offset.reset=error the library reports an offset that is out of range as
 * a failed reset, and so a failure to look up the beginning or the end; the offset of
 * these is not a number of the log.
 */
static CdcConsumerEventKind
error_kind(rd_kafka_resp_err_t err, int64 offset)
{
	switch (err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			return CDC_CONSUMER_EOF;
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
			return CDC_CONSUMER_OUT_OF_RANGE;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return offset >= 0 ? CDC_CONSUMER_OUT_OF_RANGE : CDC_CONSUMER_PARTITION_ERROR;
		default:
			return CDC_CONSUMER_PARTITION_ERROR;
	}
}

/*
 * False if the partition is not read any more, or if it is the same error again: the
 * library says of a missing topic every second that it is missing.
 */
static bool
take_partition_error(CdcConsumerEvent *event, const rd_kafka_topic_partition_t *source)
{
	TopicPartition *partition = find_partition(source->topic, source->partition, HASH_FIND);
	rd_kafka_resp_err_t err = source->err;

	if (partition == NULL || !partition->assigned || partition->last_error == err)
		return false;
	event->kind = error_kind(err, source->offset);
	event->topic = partition->key.topic;
	event->partition = source->partition;
	event->offset = source->offset;
	partition->last_error = err;
	if (event->kind == CDC_CONSUMER_EOF)
	{
		event->error = NULL;
		partition->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	return true;
}

static bool
take_error(CdcConsumerEvent *event)
{
	rd_kafka_topic_partition_t *source;
	bool		wanted;

	event->error = pstrdup(rd_kafka_event_error_string(held_event));
	source = rd_kafka_event_topic_partition(held_event);
	if (source == NULL)
		return take_client_error(event);
	wanted = take_partition_error(event, source);
	rd_kafka_topic_partition_destroy(source);
	return wanted;
}

static void
take_log(void)
{
	const char *facility;
	const char *text;
	int			level;

	if (rd_kafka_event_log(held_event, &facility, &text, &level) == 0)
		cdc_kafka_log_line(level, facility, text);
}

/* False if it is nothing for the caller */
static bool
take_event(CdcConsumerEvent *event)
{
	memset(event, 0, sizeof(*event));
	event->partition = -1;
	event->offset = -1;
	switch (rd_kafka_event_type(held_event))
	{
		case RD_KAFKA_EVENT_FETCH:
			return take_message(event);
		case RD_KAFKA_EVENT_ERROR:
			return take_error(event);
		case RD_KAFKA_EVENT_LOG:
			take_log();
			return false;
		default:
			return false;
	}
}

/*
 * Next event, or false if there is none now (never waits).  A message and its
 * bytes are copied into CurrentMemoryContext, so are the other texts.  The
 * library's log lines are passed to the server's log on the way.
 */
bool
cdc_consumer_poll(CdcConsumerEvent *event)
{
	if (cdc_consumer_client == NULL)
		return false;
	for (;;)
	{
		bool		found;

		if (held_event == NULL)
			held_event = rd_kafka_queue_poll(queue, 0);
		if (held_event == NULL)
			return false;
		found = take_event(event);
		release_event();
		if (found)
			return true;
	}
}

/* The text of an error, which is freed */
static char *
error_text(rd_kafka_error_t *kafka_error)
{
	char		text[CDC_CONSUMER_TEXT_SIZE];

	strlcpy(text, rd_kafka_error_string(kafka_error), sizeof(text));
	rd_kafka_error_destroy(kafka_error);
	return pstrdup(text);
}

bool
cdc_consumer_assign(const char *topic, int32 partition, int64 offset, char **error)
{
	TopicPartition *entry = find_partition(topic, partition, HASH_ENTER);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_error_t *kafka_error;

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	kafka_error = rd_kafka_incremental_assign(cdc_consumer_client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (kafka_error != NULL)
	{
		*error = error_text(kafka_error);
		return false;
	}
	entry->assigned = true;
	entry->position = Max(offset, 0);
	entry->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	return true;
}

void
cdc_consumer_unassign(const char *topic, int32 partition)
{
	TopicPartition *entry = find_partition(topic, partition, HASH_FIND);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *kafka_error;

	if (entry == NULL || !entry->assigned)
		return;
	entry->assigned = false;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition);
	kafka_error = rd_kafka_incremental_unassign(cdc_consumer_client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (kafka_error != NULL)
		elog(ERROR, "could not stop reading partition %d of topic \"%s\": %s",
			 partition, topic, error_text(kafka_error));
}

/* The newest end of a partition the client has heard of, or -1; asks nobody */
int64
cdc_consumer_cached_end(const char *topic, int32 partition)
{
	int64_t		low;
	int64_t		high;

	if (cdc_consumer_client == NULL ||
		rd_kafka_get_watermark_offsets(cdc_consumer_client, topic, partition, &low, &high) !=
		RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
		return -1;
	return high;
}

/* ---- events ---- */

/* A broker has answered: what one said before is over */
void
cdc_consumer_answered(void)
{
	broker_error[0] = '\0';
}

/* A failure of the client as a whole: its reason, if a broker gave one, says more */
char *
cdc_consumer_client_error(rd_kafka_resp_err_t err)
{
	return pstrdup(err < 0 && broker_error[0] != '\0' ? broker_error : rd_kafka_err2str(err));
}
