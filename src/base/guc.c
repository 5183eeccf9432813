/*
 * guc.c
 *		Every setting.
 *
 * The server writes a changed setting's value to its log.  cdcsync.kafka_config can
 * hold passwords: its check hook passes the value on in "extra" and leaves the setting
 * itself empty, so that the server never sees a change.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/guc.h"

#define NODE_NAME_MAX 200

char	   *cdc_bootstrap_servers = NULL;
char	   *cdc_kafka_config = NULL;
char	   *cdc_kafka_config_file = NULL;
char	   *cdc_node_name = NULL;
int			cdc_apply_timeout = 30 * 1000;
int			cdc_apply_workers = 1;
int			cdc_batch_rows = 10000;
int			cdc_batch_size = 8192;
int			cdc_topic_refresh_interval = 5000;
int			cdc_tombstone_retention = 365 * 24 * 60;
int			cdc_conflict_retention = 30 * 24 * 60;
int			cdc_dead_letter_retention = 30 * 24 * 60;
int			cdc_conflict_log_limit = 60;
int			cdc_max_clock_skew = 60 * 1000;
int			cdc_max_conflicts = 100000;
int			cdc_max_dead_letters = 10000;
int			cdc_max_origins = -1;
int			cdc_max_partitions = 1024;
int			cdc_max_tables = 1024;

static char *kafka_config_setting = NULL;	/* always empty */

static void
define_integers(void)
{
	DefineCustomIntVariable("cdcsync.apply_timeout",
							"Sets the time that a transaction may take in which changes are applied.",
							"What takes longer is tried in parts, down to the one event, which then cannot be applied.  0 means no limit.",
							&cdc_apply_timeout, 30 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.apply_workers",
							"Sets the number of apply workers of each database that has subscriptions.",
							"They share the partitions.  Each is one of max_worker_processes.",
							&cdc_apply_workers, 1, 1, 64,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.batch_rows",
							"Sets the maximum number of events applied in one transaction.",
							NULL,
							&cdc_batch_rows, 10000, 1, 1000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.batch_size",
							"Sets the maximum size of the events applied in one transaction.",
							"A single larger event is still applied.",
							&cdc_batch_size, 8192, 64, 256 * 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.conflict_log_limit",
							"Sets the number of conflicts, and of dead letters, that are written to the server log per minute.",
							"cdcsync.conflict_history and cdcsync.dead_letter have them all.",
							&cdc_conflict_log_limit, 60, 0, 1000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.conflict_retention",
							"Sets the time for which conflicts are kept in cdcsync.conflict_history.",
							"-1 means for ever.",
							&cdc_conflict_retention, 30 * 24 * 60, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.dead_letter_retention",
							"Sets the time for which dead letters are kept that were applied or skipped.",
							"-1 means for ever.",
							&cdc_dead_letter_retention, 30 * 24 * 60, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.max_clock_skew",
							"Sets how far an event may be ahead of this node's clock.",
							"It concerns tables without a version column.",
							&cdc_max_clock_skew, 60 * 1000, 0, 24 * 60 * 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.tombstone_retention",
							"Sets the time for which deleted keys are remembered.",
							"-1 means for ever.",
							&cdc_tombstone_retention, 365 * 24 * 60, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.topic_refresh_interval",
							"Sets the time between looks for new topics and partitions.",
							NULL,
							&cdc_topic_refresh_interval, 5000, 100, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

/* How much a node keeps, and of what all databases of the server share */
static void
define_maxima(void)
{
	/* a later load cannot define what is fixed at server start, and does not use it */
	GucContext	at_start = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER :
		PGC_SIGHUP;

	DefineCustomIntVariable("cdcsync.max_conflicts",
							"Sets the number of conflicts that are kept of a table in cdcsync.conflict_history.",
							"The oldest go first.  -1 means no limit.",
							&cdc_max_conflicts, 100000, -1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.max_dead_letters",
							"Sets the number of dead letters in a database that are neither applied nor skipped.",
							"With so many a message that cannot be applied stops its partition.  -1 means no limit.",
							&cdc_max_dead_letters, 10000, -1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.max_origins",
							"Sets the maximum number of replication origins that a database may have, one per peer and apply worker.",
							"-1 means three quarters of those that the server has.",
							&cdc_max_origins, -1, -1, 65534,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.max_partitions",
							"Sets the maximum number of partitions in stat_subscription.",
							"It counts the partitions of all databases of the server.  A database may have three times as many as the others leave free.",
							&cdc_max_partitions, 1024, 16, 1000000,
							at_start, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cdcsync.max_tables",
							"Sets the maximum number of tables in stat_table.",
							"It counts the tables of all databases of the server.  A database may have three times as many as the others leave free.",
							&cdc_max_tables, 1024, 16, 1000000,
							at_start, 0, NULL, NULL, NULL);
}

static bool
check_kafka_config(char **newval, void **extra, GucSource source)
{
	size_t		size = strlen(*newval) + 1;

	*extra = guc_malloc(LOG, size);
	if (*extra == NULL)
		return false;
	memcpy(*extra, *newval, size);
	(*newval)[0] = '\0';
	return true;
}

static void
assign_kafka_config(const char *newval, void *extra)
{
	cdc_kafka_config = extra;
}

static const char *
show_kafka_config(void)
{
	return cdc_kafka_config[0] == '\0' ? "" : "********";
}

/* What a topic.prefix may consist of; no colon, which ends a name in an origin's name */
static bool
has_node_characters(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return name[strspn(name, allowed)] == '\0';
}

static bool
check_node_name(char **newval, void **extra, GucSource source)
{
	if (!has_node_characters(*newval))
	{
		GUC_check_errdetail("A node name consists of letters, digits, dots, underscores and hyphens.");
		return false;
	}
	if (strlen(*newval) > NODE_NAME_MAX)
	{
		GUC_check_errdetail("A node name has at most %d characters.", NODE_NAME_MAX);
		return false;
	}
	return true;
}

static void
define_strings(void)
{
	DefineCustomStringVariable("cdcsync.bootstrap_servers",
							   "Sets the Kafka brokers to connect to first.",
							   "A list of host:port, separated by commas.",
							   &cdc_bootstrap_servers, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("cdcsync.kafka_config",
							   "Sets further properties of the Kafka client.",
							   "A list of name=value, separated by commas, in librdkafka's names.",
							   &kafka_config_setting, "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   check_kafka_config, assign_kafka_config, show_kafka_config);
	DefineCustomStringVariable("cdcsync.kafka_config_file",
							   "Sets a file with further properties of the Kafka client.",
							   "It has lines name=value.  cdcsync.kafka_config overrides it.",
							   &cdc_kafka_config_file, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("cdcsync.node_name",
							   "Sets the name of this node.",
							   "It is the topic.prefix of the Debezium connector of this database.",
							   &cdc_node_name, "",
							   PGC_SUSET, 0, check_node_name, NULL, NULL);
}

void
cdc_guc_define(void)
{
	define_integers();
	define_maxima();
	define_strings();
	MarkGUCPrefixReserved("cdcsync");
}

/* What cdcsync.node_name accepts, and is not empty */
bool
cdc_guc_is_node_name(const char *name)
{
	return name[0] != '\0' && has_node_characters(name) && strlen(name) <= NODE_NAME_MAX;
}
