/*
 * consumer.c
 *		The worker's one Kafka client, which is a process of its own.
 *
 * Here frames become events.  A partition has a number, and each assignment of it a
 * generation: what comes of a partition that is not read any more, or of an earlier
 * assignment, was on its way when that ended, and is dropped.
 *
 * A client that has ended is an event like any other, fatal: the caller closes, and opens
 * another in its time.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/topic_partition.h"
#include "kafka/consumer.h"
#include "kafka/kafka_config.h"
#include "kafka/kafka_log.h"
#include "kafka/link.h"

#define SCRAM_VERSION	0x020601ff
#define START_MS	10000		/* a program that has not started by then does not */

/* A partition that is or was assigned; never freed, so that messages can share its topic */
typedef struct Assignment
{
	CdcTopicPartition key;
	int			number;			/* that the process knows it by; -1: it does not */
	uint32		generation;
	bool		assigned;
} Assignment;

static HTAB *assignments = NULL;
static Assignment **by_number = NULL;	/* in TopMemoryContext */
static int	nnumbers = 0;
static int	by_number_allocated = 0;

/* ---- open and close ---- */

static void
send_properties(List *properties)
{
	ListCell   *lc;

	cdc_link_begin(CDC_FRAME_CONFIG, 0, 0);
	cdc_link_int32(list_length(properties));
	foreach(lc, properties)
	{
		const CdcKafkaProperty *property = lfirst(lc);

		cdc_link_text(property->name);
		cdc_link_text(property->value);
		cdc_link_int32(property->optional);
	}
	cdc_link_send();
}

pg_noreturn static void
refused(List *properties, CdcPayload *payload)
{
	int32		index = cdc_payload_int32(payload);
	bool		unknown = cdc_payload_int32(payload) != 0;
	const char *reason = cdc_payload_text(payload);

	if (index >= 0 && index < list_length(properties))
		cdc_kafka_config_refused(list_nth(properties, index), unknown, reason);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("could not start the Kafka client"),
			 errdetail("%s.", reason),
			 errhint("Check cdcsync.bootstrap_servers, cdcsync.kafka_config_file and cdcsync.kafka_config.")));
}

/* Before 2.6.1 the library repeats a nonce, which Kafka 4 takes for wrong credentials */
static void
warn_of_scram(CdcPayload *payload)
{
	int32		version = cdc_payload_int32(payload);
	const char *name = cdc_payload_text(payload);
	const char *mechanism = cdc_payload_text(payload);

	if (version < SCRAM_VERSION && mechanism && strncmp(mechanism, "SCRAM", 5) == 0)
		ereport(LOG,
				(errmsg("librdkafka %s cannot log in to Kafka 4 by %s", name, mechanism),
				 errhint("Use librdkafka 2.6.1 or later, or sasl.mechanism=PLAIN over TLS.")));
}

static void
start_client(void)
{
	List	   *properties = cdc_kafka_config_properties();
	CdcFrame	frame;
	CdcPayload	payload;

	cdc_link_open();
	send_properties(properties);
	if (!cdc_link_wait(CDC_FRAME_READY, CDC_FRAME_REFUSED, 0, START_MS, &frame, &payload))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not start the Kafka client"),
				 errdetail_internal("%s.", cdc_link_broken())));
	if (frame.kind == CDC_FRAME_REFUSED)
		refused(properties, &payload);
	warn_of_scram(&payload);
}

/* A new process knows no partition */
static void
forget_numbers(void)
{
	for (int i = 0; i < nnumbers; i++)
	{
		by_number[i]->number = -1;
		by_number[i]->assigned = false;
	}
	nnumbers = 0;
}

/* Open with the settings in force; raises an error that names a bad setting */
void
cdc_consumer_open(void)
{
	if (cdc_link_is_open())
		elog(ERROR, "the Kafka client is open already");
	if (assignments == NULL)
		assignments = cdc_topic_partition_hash("cdcsync partitions read", sizeof(Assignment));
	PG_TRY();
	{
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
	return cdc_link_is_open();
}

/* Close, in bounded time; harmless when it is not open.  Never fails: it is called in before_shmem_exit and after errors */
void
cdc_consumer_close(void)
{
	cdc_link_close();
	forget_numbers();
}

/* Readable when there is something to be polled; PGINVALID_SOCKET if closed */
pgsocket
cdc_consumer_socket(void)
{
	return cdc_link_socket();
}

/* Whether there is something to be polled that the socket does not tell of any more */
bool
cdc_consumer_has_event(void)
{
	return cdc_link_is_open() && cdc_link_has_frame();
}

/* ---- partitions ---- */

static Assignment *
find_assignment(const char *topic, int32 partition, HASHACTION action)
{
	Assignment *entry;
	bool		found;

	if (assignments == NULL)
		elog(ERROR, "cannot read topic \"%s\"", topic);
	entry = cdc_topic_partition_search(assignments, topic, partition, action, &found);
	if (entry && !found)
	{
		entry->number = -1;
		entry->generation = 0;
		entry->assigned = false;
	}
	return entry;
}

static void
give_number(Assignment *entry)
{
	if (entry->number >= 0)
		return;
	if (nnumbers == by_number_allocated)
	{
		int			size = Max(by_number_allocated * 2, 16);

		if (by_number == NULL)
			by_number = MemoryContextAlloc(TopMemoryContext, sizeof(Assignment *) * size);
		else
			by_number = repalloc(by_number, sizeof(Assignment *) * size);
		by_number_allocated = size;
	}
	by_number[nnumbers] = entry;
	entry->number = nnumbers++;
}

/* Start reading a partition from this offset.  False if the client has ended: why, in *error */
bool
cdc_consumer_assign(const char *topic, int32 partition, int64 offset, char **error)
{
	Assignment *entry = find_assignment(topic, partition, HASH_ENTER);

	give_number(entry);
	cdc_link_begin(CDC_FRAME_ASSIGN, ++entry->generation, entry->number);
	cdc_link_int64(offset);
	cdc_link_int32(partition);
	cdc_link_text(topic);
	cdc_link_send();
	if (cdc_link_broken())
	{
		*error = pstrdup(cdc_link_broken());
		return false;
	}
	entry->assigned = true;
	return true;
}

/* Stop reading it: what was fetched of it already never arrives */
void
cdc_consumer_unassign(const char *topic, int32 partition)
{
	Assignment *entry = assignments ? find_assignment(topic, partition, HASH_FIND) : NULL;

	if (entry == NULL || !entry->assigned)
		return;
	entry->assigned = false;
	cdc_link_begin(CDC_FRAME_UNASSIGN, entry->generation, entry->number);
	cdc_link_send();
}

/* ---- events ---- */

/* The message and its bytes, each with a NUL behind it, in one piece of memory */
static CdcMessage *
copy_message(const Assignment *entry, CdcPayload *payload)
{
	Size		header = MAXALIGN(sizeof(CdcMessage));
	CdcMessage *message = palloc_extended(header + payload->left, MCXT_ALLOC_HUGE);
	CdcPayload	copy = *payload;

	memset(message, 0, sizeof(CdcMessage));
	message->topic = entry->key.topic;
	message->partition = entry->key.partition;
	copy.at = memcpy((char *) message + header, payload->at, payload->left);
	message->key = cdc_payload_bytes(&copy, &message->key_len);
	message->value = cdc_payload_bytes(&copy, &message->value_len);
	message->headers = cdc_payload_bytes(&copy, &message->headers_len);
	*payload = copy;
	return message;
}

static void
take_message(CdcConsumerEvent *event, const Assignment *entry, CdcPayload *payload)
{
	int64		offset = cdc_payload_int64(payload);
	int64		time = cdc_payload_int64(payload);
	int64		end = cdc_payload_int64(payload);

	event->kind = CDC_CONSUMER_MESSAGE;
	event->offset = offset;
	event->message = copy_message(entry, payload);
	event->message->offset = offset;
	event->message->timestamp = time;
	event->message->end = end;
}

static void
take_fault(CdcConsumerEvent *event, CdcConsumerEventKind kind, CdcPayload *payload)
{
	const char *text;

	event->kind = kind;
	event->offset = cdc_payload_int64(payload);
	text = cdc_payload_text(payload);
	event->error = text ? pstrdup(text) : NULL;
}

/* False if it is outdated */
static bool
take_of_partition(CdcConsumerEvent *event, const CdcFrame *frame, CdcPayload *payload)
{
	const Assignment *entry = frame->partition < nnumbers ? by_number[frame->partition] : NULL;

	if (entry == NULL || !entry->assigned || entry->generation != frame->number)
		return false;
	event->topic = entry->key.topic;
	event->partition = entry->key.partition;
	switch (frame->kind)
	{
		case CDC_FRAME_MESSAGE:
			take_message(event, entry, payload);
			break;
		case CDC_FRAME_EOF:
			event->kind = CDC_CONSUMER_EOF;
			event->offset = cdc_payload_int64(payload);
			break;
		case CDC_FRAME_OUT_OF_RANGE:
			take_fault(event, CDC_CONSUMER_OUT_OF_RANGE, payload);
			break;
		default:
			take_fault(event, CDC_CONSUMER_PARTITION_ERROR, payload);
			break;
	}
	return true;
}

static void
take_client_error(CdcConsumerEvent *event, bool fatal, const char *text)
{
	event->kind = CDC_CONSUMER_CLIENT_ERROR;
	event->fatal = fatal;
	event->error = pstrdup(text ? text : "unknown error");
}

static void
take_log(CdcPayload *payload)
{
	int32		level = cdc_payload_int32(payload);
	const char *facility = cdc_payload_text(payload);
	const char *text = cdc_payload_text(payload);

	if (facility && text)
		cdc_kafka_log_line(level, facility, text);
}

/* False if it is nothing for the caller */
static bool
take_frame(CdcConsumerEvent *event, const CdcFrame *frame, CdcPayload *payload)
{
	switch (frame->kind)
	{
		case CDC_FRAME_MESSAGE:
		case CDC_FRAME_EOF:
		case CDC_FRAME_OUT_OF_RANGE:
		case CDC_FRAME_PARTITION_ERROR:
			return take_of_partition(event, frame, payload);
		case CDC_FRAME_CLIENT_ERROR:
			{
				bool		fatal = cdc_payload_int32(payload) != 0;

				take_client_error(event, fatal, cdc_payload_text(payload));
				return true;
			}
		case CDC_FRAME_LOG:
			take_log(payload);
			return false;
		default:
			return false;		/* the answer to a question that was given up */
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
	CdcFrame	frame;
	CdcPayload	payload;

	if (!cdc_link_is_open())
		return false;
	memset(event, 0, sizeof(*event));
	event->partition = -1;
	event->offset = -1;
	while (cdc_link_next(&frame, &payload))
	{
		bool		wanted = take_frame(event, &frame, &payload);

		if (payload.bad)
			cdc_link_break("the Kafka client said what cannot be understood");
		else if (wanted)
			return true;
	}
	if (cdc_link_broken() == NULL)
		return false;
	take_client_error(event, true, cdc_link_broken());
	return true;
}
