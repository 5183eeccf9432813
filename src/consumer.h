/*
 * consumer.h
 *		The worker's one Kafka client.
 *
 * All functions are for the worker process; none may be called in the
 * postmaster or in a user's backend.  Functions that ask the broker take a
 * timeout of at most a second and can fail: they return false and set *error to
 * a text in CurrentMemoryContext, and the caller tries again later.
 */
#ifndef CDC_CONSUMER_H
#define CDC_CONSUMER_H

#include "nodes/pg_list.h"

#include "event.h"

typedef enum CdcConsumerEventKind
{
	CDC_CONSUMER_MESSAGE,		/* message is set */
	CDC_CONSUMER_EOF,			/* end of partition reached; offset is the end */
	CDC_CONSUMER_OUT_OF_RANGE,	/* the broker no longer has the assigned offset */
	CDC_CONSUMER_PARTITION_ERROR,	/* topic, partition, error are set; told once */
	CDC_CONSUMER_CLIENT_ERROR,	/* no broker can be reached: error is set; transient
								 * unless fatal */
} CdcConsumerEventKind;

typedef struct CdcConsumerEvent
{
	CdcConsumerEventKind kind;
	CdcMessage *message;
	const char *topic;
	int32		partition;
	int64		offset;
	bool		fatal;			/* the client must be closed and opened again */
	const char *error;			/* what went wrong, in librdkafka's words */
} CdcConsumerEvent;

/* A topic as the broker lists it */
typedef struct CdcTopic
{
	char	   *name;
	int			npartitions;
	char	   *error;			/* NULL, or why it cannot be read */
} CdcTopic;

/* A position asked for or answered; offset -1 if it is not known */
typedef struct CdcPosition
{
	const char *topic;
	int32		partition;
	int64		offset;
	char	   *error;			/* NULL, or why this one could not be answered */
} CdcPosition;

#define CDC_OFFSET_BEGINNING	(-2)	/* as rd_kafka */
#define CDC_OFFSET_END			(-1)

/* Open with the settings in force; raises an error that names a bad setting */
extern void cdc_consumer_open(void);
extern bool cdc_consumer_is_open(void);

/* Close, in bounded time; harmless when it is not open */
extern void cdc_consumer_close(void);

/*
 * Becomes readable when cdc_consumer_poll has something; PGINVALID_SOCKET if closed.
 * Clear it, poll until there is nothing, then wait: no other order is safe.
 */
extern pgsocket cdc_consumer_socket(void);
extern void cdc_consumer_clear_socket(void);

/*
 * Next event, or false if there is none now (never waits).  A message and its
 * bytes are copied into CurrentMemoryContext, so are the other texts.  The
 * library's log lines are passed to the server's log on the way.
 */
extern bool cdc_consumer_poll(CdcConsumerEvent *event);

/* Start and stop reading one partition; already fetched messages of a stopped one never arrive */
extern bool cdc_consumer_assign(const char *topic, int32 partition, int64 offset,
								char **error);
extern void cdc_consumer_unassign(const char *topic, int32 partition);

/* All topics of the cluster: a list of CdcTopic, and the cluster's id */
extern bool cdc_consumer_list_topics(int timeout_ms, List **topics, char **cluster_id,
									 char **error);

/* The one of that name, or NULL */
extern const CdcTopic *cdc_consumer_find_topic(List *topics, const char *name);

/*
 * Offsets by time (ms since 1970; CDC_OFFSET_BEGINNING and CDC_OFFSET_END for the
 * first and the stable end), for all positions in as few requests as there are
 * brokers.  Sets offset or error of each; a time after the last record gives the end.
 */
extern bool cdc_consumer_query_offsets(CdcPosition *positions, int npositions,
									   int64 time, int timeout_ms, char **error);

/* How long a topic's records are kept: ms, -1 for ever, -2 if the broker does not say */
typedef struct CdcRetention
{
	const char *topic;
	int64		ms;
} CdcRetention;

#define CDC_RETENTION_UNKNOWN	(-2)

extern void cdc_consumer_query_retention(CdcRetention *topics, int ntopics, int timeout_ms);

/* The newest end of a partition the client has heard of, or -1; asks nobody */
extern int64 cdc_consumer_cached_end(const char *topic, int32 partition);

#endif							/* CDC_CONSUMER_H */
