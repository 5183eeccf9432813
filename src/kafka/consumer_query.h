/*
 * consumer_query.h
 *		Questions to the brokers: topics, offsets by time, retention.
 *
 * For the worker process, while its client is open (consumer.h).  Each waits for an answer
 * for a second at most.  They can fail: then they return false and set *error to a text in
 * CurrentMemoryContext, and the caller tries again later.
 */
#ifndef CDC_CONSUMER_QUERY_H
#define CDC_CONSUMER_QUERY_H

#include "nodes/pg_list.h"

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

extern bool cdc_consumer_list_topics(List **topics, char **cluster_id, char **error);
extern const CdcTopic *cdc_consumer_find_topic(List *topics, const char *name);

/*
 * Offsets by time (ms since 1970; CDC_OFFSET_BEGINNING and CDC_OFFSET_END for the
 * first and the stable end), for all positions in as few requests as there are
 * brokers.  Sets offset or error of each; a time after the last record gives the end.
 */
extern bool cdc_consumer_query_offsets(CdcPosition *positions, int npositions, int64 time,
									   char **error);

/* How long a topic's records are kept: ms, -1 for ever, -2 if the broker does not say */
typedef struct CdcRetention
{
	const char *topic;
	int64		ms;
} CdcRetention;

#define CDC_RETENTION_UNKNOWN	(-2)

extern void cdc_consumer_query_retention(CdcRetention *topics, int ntopics);

#endif							/* CDC_CONSUMER_QUERY_H */
