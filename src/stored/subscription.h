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

typedef enum CdcOnUnknownTable
{
	CDC_UNKNOWN_TABLE_PAUSE,
	CDC_UNKNOWN_TABLE_SKIP
} CdcOnUnknownTable;

typedef struct CdcSubscription
{
	char	   *name;
	List	   *topics;			/* of char *: names, or ^regex */
	List	   *peers;			/* likewise, who may speak there; NIL: whose name a topic begins with */
	bool		enabled;		/* false: paused */
	bool		origin_none;	/* origin => 'none' */
	int64		start_at;		/* CDC_OFFSET_BEGINNING, CDC_OFFSET_END, or ms since 1970 */
	TimestampTz created_at;
	bool		started;		/* partitions that existed at subscribe have their position */
	bool		record_time;	/* event_time => 'record' */
	CdcConflictRules *conflicts;
	bool		dead_letter;	/* on_error => 'dead_letter' */
	CdcOnUnknownTable on_unknown_table;
	CdcProducer *producer;
} CdcSubscription;

extern List *cdc_subscription_load_all(void);

/*
 * Is it still there, and not made anew under its name?  Then it stays so until the end of
 * the transaction; SPI is connected by the caller.
 */
extern bool cdc_subscription_keep(const CdcSubscription *sub);
extern void cdc_subscription_mark_started(const CdcSubscription *sub);
extern bool cdc_pattern_matches(const char *pattern, const char *name);

/* For hints: the command that makes it begin anew */
extern char *cdc_subscription_reset_command(const char *name);
extern bool cdc_subscription_matches(const CdcSubscription *sub, const char *topic);
extern void cdc_subscription_warn_of_paths(void);

#endif							/* CDC_SUBSCRIPTION_H */
