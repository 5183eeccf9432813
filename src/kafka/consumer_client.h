/*
 * consumer_client.h
 *		The Kafka client itself, for consumer.c and consumer_query.c alone.
 */
#ifndef CDC_CONSUMER_CLIENT_H
#define CDC_CONSUMER_CLIENT_H

#include <librdkafka/rdkafka.h>

#define CDC_CONSUMER_MAX_BLOCK_MS	1000	/* no call of the library takes longer */
#define CDC_CONSUMER_TEXT_SIZE		512

/* NULL while it is closed */
extern rd_kafka_t *cdc_consumer_client;

/* What is wrong with the client as a whole, as text in CurrentMemoryContext */
extern char *cdc_consumer_client_error(rd_kafka_resp_err_t err);
extern void cdc_consumer_answered(void);

#endif							/* CDC_CONSUMER_CLIENT_H */
