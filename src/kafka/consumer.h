/*
 * consumer.h
 *		The worker's one Kafka client.
 *
 * All functions are for the worker process; none may be called in the
 * postmaster or in a user's backend.
 */
#ifndef CDC_CONSUMER_H
#define CDC_CONSUMER_H

#include "nodes/pg_list.h"

#include "event/event.h"

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

extern void cdc_consumer_open(void);
extern bool cdc_consumer_is_open(void);
extern void cdc_consumer_close(void);

extern pgsocket cdc_consumer_socket(void);
extern bool cdc_consumer_has_event(void);
extern bool cdc_consumer_poll(CdcConsumerEvent *event);

extern bool cdc_consumer_assign(const char *topic, int32 partition, int64 offset,
								char **error);
extern void cdc_consumer_unassign(const char *topic, int32 partition);

#endif							/* CDC_CONSUMER_H */
