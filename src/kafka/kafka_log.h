/*
 * kafka_log.h
 *		The Kafka client's log lines in the server's log.
 */
#ifndef CDC_KAFKA_LOG_H
#define CDC_KAFKA_LOG_H

/* Write a line of librdkafka, with its syslog level, or leave it out as repeated */
extern void cdc_kafka_log_line(int level, const char *facility, const char *text);

#endif							/* CDC_KAFKA_LOG_H */
