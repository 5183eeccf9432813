/*
 * query.h
 *		Questions of the worker to the brokers: topics, offsets by time, retention.
 */
#ifndef CDC_CONSUMER_BROKER_QUERY_H
#define CDC_CONSUMER_BROKER_QUERY_H

#include "consumer/protocol.h"

extern void query_topics(uint32_t number, CdcPayload *request);
extern void query_offsets(uint32_t number, CdcPayload *request);
extern void query_retention(uint32_t number, CdcPayload *request);

#endif							/* CDC_CONSUMER_BROKER_QUERY_H */
