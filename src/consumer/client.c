/*
 * client.c
 *		The Kafka client: its configuration, the partitions it reads, what it has to say.
 *
 * The client reads the partitions it is told to, from the offsets it is told
 * (incremental assign); it never joins a consumer group and never commits an
 * offset.  All that it has to say (messages, ends of partitions, errors and its log
 * lines) goes through one queue: the queues of the partitions, the main queue and
 * the log queue are forwarded to it.  The library's threads run no code of ours.
 *
 * Wake-up.  The library writes one byte to a pipe when something enters the empty
 * queue, and then none before the queue has been read again.  So the pipe is emptied
 * first, then the queue is polled until there is nothing, or until enough waits for the
 * worker: who stopped for that must look again without being woken.
 *
 * Unassigning a partition makes everything of it that is in the queue outdated: the
 * library drops it when it is polled.  What has no version in the library (some errors)
 * is dropped here, and so is a message below the partition's position, should the library
 * ever hand one out twice.  The worker drops what was on its way to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#include "consumer/client.h"
#include "consumer/out.h"

#define TEXT_SIZE	512

/* A partition that is or was assigned; never freed, for the worker's numbers stay */
typedef struct Partition
{
	char	   *topic;			/* NULL: the number is not given yet */
	int32_t		partition;
	uint32_t	id;
	uint32_t	generation;
	bool		assigned;
	int64_t		position;		/* no message below it is handed out */
	rd_kafka_resp_err_t last_error; /* since its last message or end; told once */
} Partition;

rd_kafka_t *client = NULL;

static rd_kafka_queue_t *queue = NULL;
static int	wakeup_pipe[2] = {-1, -1};

static struct
{
	Partition **by_id;			/* some are not given yet: NULL */
	uint32_t	nids;
	Partition **by_name;		/* in order of topic and partition */
	uint32_t	nnames;
	Partition  *last;			/* the one that was looked for last */
}			partitions;

/* What a broker, or the way to it, was last heard to be wrong with */
static char broker_error[TEXT_SIZE] = "";

/* What has been taken from the queue since the fetchers were last nudged, and how much is enough to do so again */
static struct
{
	int64_t		bytes;
	int64_t		messages;
	int64_t		enough_bytes;
	int64_t		enough_messages;
}			taken;

/* Without memory nothing can be said; the worker sees that it ended, and starts another */
static void *
allocate(void *old, size_t size)
{
	void	   *memory = realloc(old, size);

	if (memory == NULL)
		_exit(1);
	return memory;
}

static void
copy_text(char *to, const char *text)
{
	snprintf(to, TEXT_SIZE, "%s", text);
}

/* ---- configuration ---- */

/* Say that a property (-1: none in particular) is refused, and why; the worker then ends the process */
static void
refuse(int index, bool unknown, const char *reason)
{
	out_begin(CDC_FRAME_REFUSED, 0, 0);
	out_int32(index);
	out_int32(unknown);
	out_text(reason);
	out_end();
}

static int64_t
number_property(rd_kafka_conf_t *conf, const char *name)
{
	char		text[32] = "0";
	size_t		size = sizeof(text);

	(void) rd_kafka_conf_get(conf, name, text, &size);
	return strtoll(text, NULL, 10);
}

/* False if a property is refused.  The texts, which hold passwords, are wiped by who has the frame */
static bool
set_properties(rd_kafka_conf_t *conf, CdcPayload *config)
{
	int32_t		n = cdc_payload_int32(config);

	for (int32_t i = 0; i < n; i++)
	{
		const char *name = cdc_payload_text(config);
		const char *value = cdc_payload_text(config);
		bool		optional = cdc_payload_int32(config) != 0;
		char		reason[TEXT_SIZE];
		rd_kafka_conf_res_t result;

		if (config->bad)
			_exit(1);
		result = rd_kafka_conf_set(conf, name, value, reason, sizeof(reason));
		if (result == RD_KAFKA_CONF_OK || (result == RD_KAFKA_CONF_UNKNOWN && optional))
			continue;
		refuse(i, result == RD_KAFKA_CONF_UNKNOWN, reason);
		return false;
	}
	taken.enough_bytes = number_property(conf, "queued.max.messages.kbytes") * 1024 / 2;
	taken.enough_messages = number_property(conf, "queued.min.messages") / 2;
	rd_kafka_conf_set_events(conf,
							 RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	return true;
}

/* Takes conf over if it succeeds */
static bool
start(rd_kafka_conf_t *conf)
{
	char		reason[TEXT_SIZE];

	client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	if (client == NULL)
	{
		refuse(-1, false, reason);
		return false;
	}
	queue = rd_kafka_queue_get_consumer(client);
	if (rd_kafka_set_log_queue(client, NULL) != RD_KAFKA_RESP_ERR_NO_ERROR || queue == NULL ||
		rd_kafka_poll_set_consumer(client) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		refuse(-1, false, "The property \"group.id\" is empty");
		return false;
	}
	if (pipe2(wakeup_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
	{
		refuse(-1, false, "There is no room for a pipe");
		return false;
	}
	rd_kafka_queue_io_event_enable(queue, wakeup_pipe[1], "", 1);
	return true;
}

/* Answers with READY, or REFUSED: then the process is of no use any more */
void
client_open(CdcPayload *config)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		mechanism[64] = "";
	char		debug[64] = "";
	size_t		size = sizeof(mechanism);

	if (client != NULL)
		_exit(1);
	if (!set_properties(conf, config))
	{
		rd_kafka_conf_destroy(conf);
		return;
	}
	(void) rd_kafka_conf_get(conf, "sasl.mechanism", mechanism, &size);
	size = sizeof(debug);
	if (rd_kafka_conf_get(conf, "debug", debug, &size) != RD_KAFKA_CONF_OK || debug[0] != '\0')
		prctl(PR_SET_DUMPABLE, 1);	/* somebody is looking for a fault */
	if (!start(conf))
		return;
	out_begin(CDC_FRAME_READY, 0, 0);
	out_int32(rd_kafka_version());
	out_text(rd_kafka_version_str());
	out_text(mechanism);
	out_end();
}

/* Becomes readable when client_take_events has something; -1 before the client is open */
int
client_wakeup_fd(void)
{
	return wakeup_pipe[0];
}

/* ---- partitions ---- */

static int
compare_name(const Partition *p, const char *topic, int32_t partition)
{
	int			result = strcmp(p->topic, topic);

	return result != 0 ? result : (p->partition > partition) - (p->partition < partition);
}

/* Where it stands in by_name, or would */
static uint32_t
place_of(const char *topic, int32_t partition)
{
	uint32_t	low = 0;
	uint32_t	high = partitions.nnames;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (compare_name(partitions.by_name[middle], topic, partition) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL if it was never assigned; mostly it is the one of the call before */
static Partition *
find_partition(const char *topic, int32_t partition)
{
	uint32_t	place;

	if (partitions.last != NULL && compare_name(partitions.last, topic, partition) == 0)
		return partitions.last;
	place = place_of(topic, partition);
	if (place == partitions.nnames || compare_name(partitions.by_name[place], topic, partition) != 0)
		return NULL;
	partitions.last = partitions.by_name[place];
	return partitions.last;
}

static Partition *
add_partition(uint32_t id, const char *topic, int32_t partition)
{
	Partition  *p = allocate(NULL, sizeof(Partition));
	size_t		length = strlen(topic) + 1;
	uint32_t	place = place_of(topic, partition);

	memset(p, 0, sizeof(*p));
	p->topic = memcpy(allocate(NULL, length), topic, length);
	p->partition = partition;
	p->id = id;
	partitions.by_name = allocate(partitions.by_name, sizeof(Partition *) * (partitions.nnames + 1));
	memmove(partitions.by_name + place + 1, partitions.by_name + place,
			sizeof(Partition *) * (partitions.nnames - place));
	partitions.by_name[place] = p;
	partitions.nnames++;
	partitions.by_id[id] = p;
	return p;
}

/* NULL if the worker has not given this number */
static Partition *
partition_of_id(uint32_t id)
{
	return id < partitions.nids ? partitions.by_id[id] : NULL;
}

/* Numbers are given one after the other */
static void
make_room_for(uint32_t id)
{
	if (id > partitions.nids)
		_exit(1);
	if (id < partitions.nids)
		return;
	partitions.by_id = allocate(partitions.by_id, sizeof(Partition *) * (partitions.nids + 1));
	partitions.by_id[partitions.nids++] = NULL;
}

static void
out_of_partition(CdcFrameKind kind, const Partition *p, int64_t offset, const char *error)
{
	out_begin(kind, p->generation, p->id);
	out_int64(offset);
	if (error != NULL)
		out_text(error);
	out_end();
}

/* A list of this one partition, to be destroyed */
static rd_kafka_topic_partition_list_t *
list_of(const Partition *p, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = offset;
	return list;
}

/* Start reading a partition; that it cannot be is an error of the partition */
void
client_assign(uint32_t id, uint32_t generation, CdcPayload *assignment)
{
	int64_t		offset = cdc_payload_int64(assignment);
	int32_t		partition = cdc_payload_int32(assignment);
	const char *topic = cdc_payload_text(assignment);
	Partition  *p;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;

	if (client == NULL || assignment->bad || topic == NULL)
		_exit(1);
	make_room_for(id);
	p = partition_of_id(id);
	if (p == NULL)
		p = add_partition(id, topic, partition);
	p->generation = generation;
	list = list_of(p, offset);
	error = rd_kafka_incremental_assign(client, list);
	rd_kafka_topic_partition_list_destroy(list);
	p->assigned = error == NULL;
	p->position = offset > 0 ? offset : 0;
	p->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	if (error != NULL)
	{
		out_of_partition(CDC_FRAME_PARTITION_ERROR, p, -1, rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
	}
}

/* Stop reading it.  Should the library not do that, only another process helps */
void
client_unassign(uint32_t id, uint32_t generation)
{
	Partition  *p = partition_of_id(id);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;

	if (client == NULL || p == NULL || !p->assigned || p->generation != generation)
		return;
	p->assigned = false;
	list = list_of(p, RD_KAFKA_OFFSET_INVALID);
	error = rd_kafka_incremental_unassign(client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error == NULL)
		return;
	out_begin(CDC_FRAME_CLIENT_ERROR, 0, 0);
	out_int32(true);
	out_text(rd_kafka_error_string(error));
	out_end();
	rd_kafka_error_destroy(error);
}

/* ---- messages ---- */

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

	for (uint32_t i = 0; i < partitions.nnames; i++)
	{
		const Partition *p = partitions.by_name[i];

		if (p->assigned)
			rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = OFFSET_END;
	}
	(void) rd_kafka_offsets_for_times(client, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static void
count_taken(const rd_kafka_message_t *message)
{
	taken.bytes += (int64_t) (message->key_len + message->len);
	taken.messages++;
	if (taken.bytes >= taken.enough_bytes || taken.messages >= taken.enough_messages)
	{
		nudge_fetchers();
		taken.bytes = taken.messages = 0;
	}
}

/* As they came: names and values */
static void
out_headers(const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t		size;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		out_text(NULL);
		return;
	}
	out_open_bytes();
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		out_text(name);
		out_bytes(value, size);
	}
	out_close_bytes();
}

/* The newest end of the partition that the client has heard of, or -1; asks nobody */
static int64_t
cached_end(const Partition *p)
{
	int64_t		low;
	int64_t		high;

	if (rd_kafka_get_watermark_offsets(client, p->topic, p->partition, &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return -1;
	return high;
}

static void
take_message(const rd_kafka_message_t *message)
{
	Partition  *p = find_partition(rd_kafka_topic_name(message->rkt), message->partition);
	rd_kafka_timestamp_type_t type;
	int64_t		time = rd_kafka_message_timestamp(message, &type);

	if (p == NULL || !p->assigned || message->offset < p->position)
		return;
	out_begin(CDC_FRAME_MESSAGE, p->generation, p->id);
	out_int64(message->offset);
	out_int64(type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time);
	out_int64(cached_end(p));
	out_bytes(message->key, message->key_len);
	out_bytes(message->payload, message->len);
	out_headers(message);
	out_end();
	p->position = message->offset + 1;
	p->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
	count_taken(message);
}

/* ---- errors ---- */

/* A broker has answered: what one said before is over */
void
client_answered(void)
{
	broker_error[0] = '\0';
}

/* A failure of the client as a whole: its reason, if a broker gave one, says more */
const char *
client_error(rd_kafka_resp_err_t err)
{
	return err < 0 && broker_error[0] != '\0' ? broker_error : rd_kafka_err2str(err);
}

static void
out_log(int level, const char *facility, const char *text)
{
	out_begin(CDC_FRAME_LOG, 0, 0);
	out_int32(level);
	out_text(facility);
	out_text(text);
	out_end();
}

/* Without what changes from one time to the next */
static void
keep_broker_error(const char *text)
{
	char	   *tail;

	copy_text(broker_error, text);
	tail = strstr(broker_error, " (after ");
	if (tail != NULL)
		*tail = '\0';
}

/*
 * Trouble with one broker of several, or with the group that we do not join, is for the
 * log.  That all brokers are down is for the worker, with the reason heard before.
 */
static void
take_client_error(rd_kafka_event_t *event)
{
	bool		fatal = rd_kafka_event_error_is_fatal(event) != 0;
	bool		all_down = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
	const char *text = rd_kafka_event_error_string(event);

	if (!fatal && !all_down)
	{
		out_log(LOG_WARNING, "ERROR", text);
		keep_broker_error(text);
		return;
	}
	out_begin(CDC_FRAME_CLIENT_ERROR, 0, 0);
	out_int32(fatal);
	out_text(fatal ? text : client_error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN));
	out_end();
}

/*
 * With auto.offset.reset=error the library reports an offset that is out of range as
 * a failed reset, and so a failure to look up the beginning or the end; the offset of
 * these is not a number of the log.
 */
static CdcFrameKind
error_kind(rd_kafka_resp_err_t err, int64_t offset)
{
	switch (err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			return CDC_FRAME_EOF;
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
			return CDC_FRAME_OUT_OF_RANGE;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return offset >= 0 ? CDC_FRAME_OUT_OF_RANGE : CDC_FRAME_PARTITION_ERROR;
		default:
			return CDC_FRAME_PARTITION_ERROR;
	}
}

/*
 * Nothing if the partition is not read any more, or if it is the same error again: the
 * library says of a missing topic every second that it is missing.
 */
static void
take_partition_error(const rd_kafka_topic_partition_t *source, const char *text)
{
	Partition  *p = find_partition(source->topic, source->partition);
	CdcFrameKind kind = error_kind(source->err, source->offset);

	if (p == NULL || !p->assigned || p->last_error == source->err)
		return;
	p->last_error = kind == CDC_FRAME_EOF ? RD_KAFKA_RESP_ERR_NO_ERROR : source->err;
	out_of_partition(kind, p, source->offset, kind == CDC_FRAME_EOF ? NULL : text);
}

static void
take_error(rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_t *source = rd_kafka_event_topic_partition(event);

	if (source == NULL)
	{
		take_client_error(event);
		return;
	}
	take_partition_error(source, rd_kafka_event_error_string(event));
	rd_kafka_topic_partition_destroy(source);
}

static void
take_log(rd_kafka_event_t *event)
{
	const char *facility;
	const char *text;
	int			level;

	if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
		out_log(level, facility, text);
}

static void
take_event(rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	switch (rd_kafka_event_type(event))
	{
		case RD_KAFKA_EVENT_FETCH:
			while ((message = rd_kafka_event_message_next(event)) != NULL)
				take_message(message);
			break;
		case RD_KAFKA_EVENT_ERROR:
			take_error(event);
			break;
		case RD_KAFKA_EVENT_LOG:
			take_log(event);
			break;
		default:
			break;
	}
}

static void
empty_pipe(void)
{
	char		bytes[64];
	ssize_t		nread;

	do
		nread = read(wakeup_pipe[0], bytes, sizeof(bytes));
	while (nread == sizeof(bytes) || (nread < 0 && errno == EINTR));
}

/*
 * Make frames of what the client has to say, until there is nothing or so many bytes wait
 * for the worker: then true, and there may be more without a wake-up
 */
bool
client_take_events(size_t room)
{
	rd_kafka_event_t *event;

	if (queue == NULL)
		return false;
	empty_pipe();
	while (out_waiting() < room)
	{
		event = rd_kafka_queue_poll(queue, 0);
		if (event == NULL)
			return false;
		take_event(event);
		rd_kafka_event_destroy(event);
	}
	return true;
}
