/*
 * consumer_query.c
 *		Questions to the brokers: topics, offsets by time, retention.
 *
 * The consumer process asks, and gives no call of its library longer than a second; the
 * worker waits for it a little longer, and takes interrupts meanwhile.
 */
#include "postgres.h"

#include "event/event.h"
#include "kafka/consumer_query.h"
#include "kafka/link.h"

#define TIMEOUT_MS	1000		/* for a call of the library */
#define GRACE_MS	10000		/* a process that has not answered by then is stopped, or stuck */

#define NOT_UNDERSTOOD	"the Kafka client said what cannot be understood"

static uint32 last_request = 0;

static void
begin_request(CdcFrameKind kind)
{
	cdc_link_begin(kind, ++last_request, 0);
	cdc_link_int32(TIMEOUT_MS);
}

/* Send the request, and wait for its answer; false, and why in *error, if there is none or it is one */
static bool
ask(CdcFrameKind answer, CdcPayload *payload, char **error)
{
	CdcFrame	frame;
	const char *text;

	cdc_link_send();
	if (!cdc_link_wait(answer, answer, last_request, TIMEOUT_MS + GRACE_MS, &frame, payload))
	{
		*error = pstrdup(cdc_link_broken());
		return false;
	}
	text = cdc_payload_text(payload);
	if (text == NULL && !payload->bad)
		return true;
	*error = pstrdup(text ? text : NOT_UNDERSTOOD);
	return false;
}

/* A text of the answer, or NULL */
static char *
copy_text(CdcPayload *payload)
{
	const char *text = cdc_payload_text(payload);

	return text ? pstrdup(text) : NULL;
}

/* All topics of the cluster: a list of CdcTopic, and the cluster's id, NULL if it has none */
bool
cdc_consumer_list_topics(List **topics, char **cluster_id, char **error)
{
	CdcPayload	payload;
	int32		n;

	begin_request(CDC_FRAME_TOPICS);
	if (!ask(CDC_FRAME_TOPICS_ARE, &payload, error))
		return false;
	*topics = NIL;
	*cluster_id = copy_text(&payload);
	n = cdc_payload_int32(&payload);
	for (int32 i = 0; i < n && !payload.bad; i++)
	{
		CdcTopic   *topic = palloc0(sizeof(CdcTopic));

		topic->name = copy_text(&payload);
		topic->npartitions = cdc_payload_int32(&payload);
		topic->error = copy_text(&payload);
		if (topic->name)
			*topics = lappend(*topics, topic);
	}
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

/*
 * Offsets by time (ms since 1970; CDC_OFFSET_BEGINNING and CDC_OFFSET_END for the
 * first and the stable end), for all positions in as few requests as there are
 * brokers.  Sets offset or error of each; a time after the last record gives the end.
 */
bool
cdc_consumer_query_offsets(CdcPosition *positions, int npositions, int64 time, char **error)
{
	CdcPayload	payload;

	for (int i = 0; i < npositions; i++)
	{
		positions[i].offset = -1;
		positions[i].error = NULL;
	}
	begin_request(CDC_FRAME_OFFSETS);
	cdc_link_int64(time);
	cdc_link_int32(npositions);
	for (int i = 0; i < npositions; i++)
	{
		cdc_link_text(positions[i].topic);
		cdc_link_int32(positions[i].partition);
	}
	if (!ask(CDC_FRAME_OFFSETS_ARE, &payload, error))
		return false;
	(void) cdc_payload_int32(&payload); /* as many as were asked for */
	for (int i = 0; i < npositions; i++)
	{
		positions[i].offset = cdc_payload_int64(&payload);
		positions[i].error = copy_text(&payload);
	}
	if (payload.bad)
		*error = pstrdup(NOT_UNDERSTOOD);
	return !payload.bad;
}

/* How long records of these topics are kept.  The broker need not allow it: what it does not say is no error */
void
cdc_consumer_query_retention(CdcRetention *topics, int ntopics)
{
	CdcPayload	payload;
	char	   *error;

	for (int i = 0; i < ntopics; i++)
		topics[i].ms = CDC_RETENTION_UNKNOWN;
	begin_request(CDC_FRAME_RETENTION);
	cdc_link_int32(ntopics);
	for (int i = 0; i < ntopics; i++)
		cdc_link_text(topics[i].topic);
	if (!ask(CDC_FRAME_RETENTION_IS, &payload, &error))
		return;
	(void) cdc_payload_int32(&payload); /* as many as were asked for */
	for (int i = 0; i < ntopics && !payload.bad; i++)
		topics[i].ms = cdc_payload_int64(&payload);
}
