/*
 * client.h
 *		The Kafka client: its configuration, the partitions it reads, what it has to say.
 */
#ifndef CDC_CONSUMER_CLIENT_H
#define CDC_CONSUMER_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "consumer/protocol.h"

/* As rd_kafka */
#define OFFSET_END	(-1)

extern rd_kafka_t *client;		/* NULL before client_open */

extern void client_open(CdcPayload *config);
extern int	client_wakeup_fd(void);
extern bool client_take_events(size_t room);
extern void client_assign(uint32_t id, uint32_t generation, CdcPayload *assignment);
extern void client_unassign(uint32_t id, uint32_t generation);
extern void client_answered(void);
extern const char *client_error(rd_kafka_resp_err_t err);

#endif							/* CDC_CONSUMER_CLIENT_H */
