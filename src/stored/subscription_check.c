/*
 * subscription_check.c
 *		What subscribe and alter_subscription accept.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/unixtime.h"
#include "stored/conflict_rules.h"
#include "stored/subscription_check.h"
#include "stored/topic_name.h"

#define MAX_TOPIC_LENGTH	249 /* Kafka's */

/* A setting without which nothing can be subscribed */
typedef struct NeededSetting
{
	const char *name;
	char	  **value;
	const char *hint;
} NeededSetting;

static const NeededSetting needed_settings[] = {
	{"cdcsync.bootstrap_servers", &cdc_bootstrap_servers,
	"Set cdcsync.bootstrap_servers to the addresses of the Kafka brokers, as in \"localhost:9092\"."},
	{"cdcsync.node_name", &cdc_node_name,
	"Set cdcsync.node_name, for example with ALTER DATABASE, to the topic.prefix of this database's Debezium connector, and connect again."},
};

/* UTF8, in which events are written */
void
cdc_check_encoding(void)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("database encoding %s is not supported", GetDatabaseEncodingName()),
				 errhint("Use cdcsync in a database with encoding UTF8.")));
}

void
cdc_subscription_check_node(void)
{
	cdc_check_encoding();
	for (int i = 0; i < lengthof(needed_settings); i++)
	{
		const NeededSetting *needed = &needed_settings[i];

		if (*needed->value == NULL || **needed->value == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("parameter \"%s\" is not set", needed->name),
					 errhint("%s", needed->hint)));
	}
}

void
cdc_subscription_check_name(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("subscription name must not be empty")));
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("subscription name \"%s\" is too long", name),
				 errdetail("A name may have %d bytes.", NAMEDATALEN - 1)));
}

/* Raises an error that says what is wrong with it */
static void
check_regex(const char *regex)
{
	(void) RE_compile_and_cache(cstring_to_text(regex), REG_ADVANCED, C_COLLATION_OID);
}

/* Names or regular expressions, each once */
static void
check_patterns(ArrayType *patterns, const char *what, void (*check_name) (const char *name))
{
	Datum	   *elems;
	int			nelems;
	List	   *checked = NIL;

	if (ARR_NDIM(patterns) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%ss must be a one-dimensional array", what)));
	if (array_contains_nulls(patterns))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%ss must not contain nulls", what)));

	deconstruct_array(patterns, TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		char	   *pattern = TextDatumGetCString(elems[i]);

		if (cdc_topic_is_regex(pattern))
			check_regex(pattern);
		else
			check_name(pattern);
		if (list_member(checked, makeString(pattern)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s \"%s\" is named twice", what, pattern)));
		checked = lappend(checked, makeString(pattern));
	}
}

/* Whether Kafka would let a topic have this name */
bool
cdc_topic_is_name(const char *topic)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t		length = strlen(topic);

	return length > 0 && length <= MAX_TOPIC_LENGTH && strspn(topic, legal) == length &&
		strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
}

static void
check_topic_name(const char *topic)
{
	if (!cdc_topic_is_name(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic name \"%s\"", topic),
				 errdetail("A topic's name has 1 to %d of the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\".",
						   MAX_TOPIC_LENGTH),
				 errhint("A regular expression begins with \"^\".")));
}

Datum
cdc_subscription_check_topics(Oid relid, Datum topics)
{
	if (ARR_NDIM(DatumGetArrayTypeP(topics)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topics must not be empty")));
	check_patterns(DatumGetArrayTypeP(topics), "topic", check_topic_name);
	return topics;
}

static void
check_peer_name(const char *peer)
{
	if (!cdc_guc_is_node_name(peer))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid name of a peer: \"%s\"", peer),
				 errdetail("A peer's name is its cdcsync.node_name: letters, digits, \".\", \"_\" and \"-\"."),
				 errhint("A regular expression begins with \"^\".")));
}

/* Empty stands for the default */
Datum
cdc_subscription_check_peers(Oid relid, Datum peers)
{
	check_patterns(DatumGetArrayTypeP(peers), "peer", check_peer_name);
	return peers;
}

/* A time is read under the session's settings, and will be read under the worker's: stored in UTC */
Datum
cdc_subscription_check_start(Oid relid, Datum value)
{
	char	   *start_at = TextDatumGetCString(value);
	TimestampTz time;
	struct pg_tm tm;
	fsec_t		fsec;
	char		buf[MAXDATELEN + 1];

	if (strcmp(start_at, "earliest") == 0 || strcmp(start_at, "latest") == 0)
		return value;
	if (start_at[0] < '0' || start_at[0] > '9')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"start_at\": \"%s\"", start_at),
				 errhint("Available values: \"earliest\", \"latest\", or a timestamp such as \"2026-01-31 12:00:00+00\".")));

	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(start_at),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	if (time < -CDC_UNIX_EPOCH_USECS || timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("start_at out of range: \"%s\"", start_at),
				 errhint("Kafka's times begin in 1970.")));
	tm.tm_isdst = 0;			/* the zone is known: UTC */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_XSD_DATES, buf);
	return CStringGetTextDatum(buf);
}
