/*
 * kafka_config.h
 *		The properties of the Kafka client.
 */
#ifndef CDC_KAFKA_CONFIG_H
#define CDC_KAFKA_CONFIG_H

#include "nodes/pg_list.h"

#include "base/compat.h"

typedef struct CdcKafkaProperty
{
	const char *name;
	const char *value;
	bool		optional;		/* not known to every version of the library */
	const char *where;			/* it stands in, for people; NULL: it is ours */
	bool		after_secret;	/* stands in cdcsync.kafka_config behind a password */
} CdcKafkaProperty;

extern List *cdc_kafka_config_properties(void);
extern bool cdc_kafka_config_changed(void);

/* Raise the error that the library does not take a property, in the library's words */
pg_noreturn extern void cdc_kafka_config_refused(const CdcKafkaProperty *property,
												 bool unknown, const char *reason);

#endif							/* CDC_KAFKA_CONFIG_H */
