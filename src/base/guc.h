/*
 * guc.h
 *		Every setting.
 */
#ifndef CDC_GUC_H
#define CDC_GUC_H

extern char *cdc_bootstrap_servers; /* cdcsync.bootstrap_servers */
extern char *cdc_kafka_config;	/* cdcsync.kafka_config: "name=value, …" for librdkafka */
extern char *cdc_node_name;		/* cdcsync.node_name: this node, = its topic.prefix */
extern int	cdc_apply_timeout;	/* ms of a local transaction; 0 = no limit */
extern int	cdc_apply_workers;	/* cdcsync.apply_workers: of each database */
extern int	cdc_batch_rows;		/* cdcsync.batch_rows: events of one batch at most */
extern int	cdc_batch_size;		/* cdcsync.batch_size: kB of one batch at most */
extern int	cdc_topic_refresh_interval; /* ms between looks for new topics */
extern int	cdc_tombstone_retention;	/* minutes; -1 = for ever */
extern int	cdc_conflict_retention; /* minutes; -1 = for ever */
extern char *cdc_kafka_config_file;
extern int	cdc_dead_letter_retention;	/* likewise */
extern int	cdc_conflict_log_limit; /* conflicts in the server log per minute */
extern int	cdc_max_clock_skew;
extern int	cdc_max_conflicts;
extern int	cdc_max_dead_letters; /* ms that an event may be ahead of this node's clock */
extern int	cdc_max_origins;	/* replication origins of a database; -1 = a share of the server's */
extern int	cdc_max_partitions; /* shared-memory entries of stat_subscription */
extern int	cdc_max_tables;		/* shared-memory entries of stat_table */

extern void cdc_guc_define(void);
extern bool cdc_guc_is_node_name(const char *name);

#endif							/* CDC_GUC_H */
