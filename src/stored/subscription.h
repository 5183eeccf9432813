/*
 * subscription.h
 *		The catalog of subscriptions.
 */
#ifndef CDC_SUBSCRIPTION_H
#define CDC_SUBSCRIPTION_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "event/producer.h"
#include "stored/conflict_rules.h"
#include "stored/option.h"

/* What a subscription says about its events; or a door, which leaves most of it out */
typedef struct CdcApplyOptions
{
	const char *subscription;	/* its name; NULL at the doors, where anybody may speak */
	List	   *peers;			/* of char *: who may speak, names or ^regex; NIL: whose name the topic's begins with */
	CdcProducer *producer;
	CdcConflictRules *conflicts;	/* NULL: last_update_wins */
	bool		origin_none;	/* skip what other nodes wrote at the peer */
	bool		skip_unknown;	/* skip events of tables that are not registered */
	bool		record_time;	/* the time of an event is that of its Kafka record */
} CdcApplyOptions;

typedef struct CdcSubscription
{
	char	   *name;
	List	   *topics;			/* of char *: names, or ^regex */
	bool		enabled;		/* false: paused */
	int64		start_at;		/* CDC_OFFSET_BEGINNING, CDC_OFFSET_END, or ms since 1970 */
	TimestampTz created_at;
	bool		started;		/* partitions that existed at subscribe have their position */
	bool		dead_letter;	/* on_error => 'dead_letter' */
	CdcApplyOptions apply;
} CdcSubscription;

extern List *cdc_subscription_load_all(void);
extern CdcSubscription *cdc_subscription_find(List *subscriptions, const char *name);

extern bool cdc_subscription_keep(const CdcSubscription *sub);
extern void cdc_subscription_mark_started(const CdcSubscription *sub);
extern char *cdc_subscription_reset_command(const char *name);
extern bool cdc_subscription_matches(const CdcSubscription *sub, const char *topic);
extern void cdc_subscription_warn_of_paths(void);
extern CdcApplyOptions cdc_subscription_door_options(Datum *producer, Datum *origin);

/* Those of subscribe() and alter_subscription() */
extern const CdcOptions cdc_subscription_options;

#endif							/* CDC_SUBSCRIPTION_H */
