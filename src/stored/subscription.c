/*
 * subscription.c
 *		Subscriptions as the worker reads them: their options, topics and peers.
 *
 * The functions that change a subscription (subscribe.c) validate everything at once, so a
 * row is taken as it stands.  The worker reads all of them anew whenever one was changed:
 * a CdcSubscription lives until then, in the worker's configuration, and everything that
 * goes on with it (partitions, and the events on their way) points to the new one from
 * then on.
 *
 * A topic that matches several subscriptions, through a regular expression, belongs to
 * the oldest of them.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/result.h"
#include "base/unixtime.h"
#include "event/event.h"
#include "stored/option.h"
#include "stored/subscription.h"
#include "stored/topic_name.h"

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
			(void) RE_compile_and_cache(cstring_to_text(pattern), REG_ADVANCED, C_COLLATION_OID);
		else
			check_name(pattern);
		if (list_member(checked, makeString(pattern)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s \"%s\" is named twice", what, pattern)));
		checked = lappend(checked, makeString(pattern));
	}
}

static void
check_topic_name(const char *topic)
{
	if (!cdc_topic_is_name(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic name \"%s\"", topic),
				 errdetail("A topic's name has 1 to %d of the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\".",
						   CDC_TOPIC_MAX_LENGTH),
				 errhint("A regular expression begins with \"^\".")));
}

static Datum
check_topics(Oid relid, Datum topics)
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
static Datum
check_peers(Oid relid, Datum peers)
{
	check_patterns(DatumGetArrayTypeP(peers), "peer", check_peer_name);
	return peers;
}

/* A time is read under the session's settings, and will be read under the worker's: stored in UTC */
static Datum
check_start(Oid relid, Datum value)
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

/* Times are stored in UTC, so no setting of the reader matters */
static void
take_start(void *owner, Datum value)
{
	char	   *start_at = TextDatumGetCString(value);
	CdcSubscription *sub = owner;

	if (strcmp(start_at, "earliest") == 0)
		sub->start_at = CDC_OFFSET_BEGINNING;
	else if (strcmp(start_at, "latest") == 0)
		sub->start_at = CDC_OFFSET_END;
	else
	{
		Datum		time = DirectFunctionCall3(timestamptz_in, CStringGetDatum(start_at),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

		sub->start_at = cdc_unixtime_from_timestamptz(DatumGetTimestampTz(time)) / 1000;
	}
}

static void
take_conflicts(void *owner, Datum value)
{
	((CdcSubscription *) owner)->apply.conflicts = cdc_conflict_rules_parse(TextDatumGetCString(value));
}

static Datum
check_producer(Oid relid, Datum value)
{
	(void) cdc_producer_parse(DatumGetJsonbP(value));
	return value;
}

static void
take_producer(void *owner, Datum value)
{
	((CdcSubscription *) owner)->apply.producer = cdc_producer_parse(DatumGetJsonbP(value));
}

#define MEMBER(name) offsetof(CdcSubscription, name)

/* Of subscribe() and alter_subscription(), in the order in which they are checked */
static const CdcOption options[] = {
	{"topics", TEXTARRAYOID, true, {NULL}, check_topics, NULL, MEMBER(topics)},
	{"conflicts", TEXTOID, true, {NULL}, cdc_conflict_rules_check, take_conflicts, 0},
	{"origin", TEXTOID, true, {"any", "none"}, NULL, NULL, MEMBER(apply.origin_none)},
	{"event_time", TEXTOID, true, {"source", "record"}, NULL, NULL, MEMBER(apply.record_time)},
	{"on_error", TEXTOID, true, {"pause", "dead_letter"}, NULL, NULL, MEMBER(dead_letter)},
	{"on_unknown_table", TEXTOID, true, {"pause", "skip"}, NULL, NULL, MEMBER(apply.skip_unknown)},
	{"producer", JSONBOID, false, {NULL}, check_producer, take_producer, 0},
	{"peers", TEXTARRAYOID, false, {NULL}, check_peers, NULL, MEMBER(apply.peers)},
	{"enabled", BOOLOID, true, {NULL}, NULL, NULL, MEMBER(enabled)},
	{"start_at", TEXTOID, true, {NULL}, check_start, take_start, 0},
};

const CdcOptions cdc_subscription_options = {options, lengthof(options)};

/* One that has no options yet: what NULL stands for */
static void
init(CdcSubscription *sub)
{
	memset(sub, 0, sizeof(CdcSubscription));
	sub->apply.producer = cdc_producer_parse(NULL);
}

/* The options of a door; what is NULL is as by default.  In CurrentMemoryContext */
CdcApplyOptions
cdc_subscription_door_options(Datum *producer, Datum *origin)
{
	CdcSubscription door;

	init(&door);
	if (producer)
		cdc_option_set(cdc_subscription_options, "producer", *producer, &door);
	if (origin)
		cdc_option_set(cdc_subscription_options, "origin", *origin, &door);
	return door.apply;
}

static CdcSubscription *
subscription_from_result(uint64 n)
{
	CdcSubscription *sub = palloc(sizeof(CdcSubscription));
	bool		isnull;

	init(sub);
	sub->name = cdc_result_text(n, "name");
	sub->apply.subscription = sub->name;
	sub->created_at = DatumGetTimestampTz(cdc_result(n, "created_at", &isnull));
	sub->started = cdc_result_bool(n, "started");
	cdc_option_read_result(cdc_subscription_options, n, sub);
	return sub;
}

/*
 * All subscriptions, oldest first: a list of CdcSubscription in
 * CurrentMemoryContext.  In a transaction; connects to SPI by itself.
 */
List *
cdc_subscription_load_all(void)
{
	static CdcStatement select = {
		.sql = "SELECT * FROM cdcsync.subscription ORDER BY created_at, name"
	};
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;

	SPI_connect();
	cdc_extension_execute(&select, NULL, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
		result = lappend(result, subscription_from_result(i));
	SPI_finish();
	return result;
}

/* One of these by its name; NULL if there is none */
CdcSubscription *
cdc_subscription_find(List *subscriptions, const char *name)
{
	ListCell   *lc;

	foreach(lc, subscriptions)
	{
		CdcSubscription *sub = lfirst(lc);

		if (strcmp(sub->name, name) == 0)
			return sub;
	}
	return NULL;
}

/*
 * Is it still there, and not made anew under its name?  Then it stays so until the end of
 * the transaction; SPI is connected by the caller.  Of one that is being removed the end
 * is not waited for.
 */
bool
cdc_subscription_keep(const CdcSubscription *sub)
{
	static CdcStatement lock = {
		.sql = "SELECT FROM cdcsync.subscription WHERE name OPERATOR(pg_catalog.=) $1 "
		"AND created_at OPERATOR(pg_catalog.=) $2 FOR KEY SHARE SKIP LOCKED",
		.nargs = 2,
		.argtypes = {TEXTOID, TIMESTAMPTZOID}
	};
	MemoryContext context = CurrentMemoryContext;
	Datum		args[2] = {CStringGetTextDatum(sub->name), TimestampTzGetDatum(sub->created_at)};

	cdc_extension_execute(&lock, args, NULL);
	MemoryContextSwitchTo(context);
	return SPI_processed > 0;
}

/* start_at has done its work; SPI is connected by the caller */
void
cdc_subscription_mark_started(const CdcSubscription *sub)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription SET started = true "
		"WHERE name OPERATOR(pg_catalog.=) $1 AND created_at OPERATOR(pg_catalog.=) $2 "
		"AND NOT started",
		.nargs = 2,
		.argtypes = {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[2] = {CStringGetTextDatum(sub->name), TimestampTzGetDatum(sub->created_at)};

	cdc_extension_execute(&update, args, NULL);
}

/* For hints: the command that makes it begin anew */
char *
cdc_subscription_reset_command(const char *name)
{
	return psprintf("SELECT cdcsync.reset_subscription(%s)", quote_literal_cstr(name));
}

/* Does any of the topics' names or regular expressions match this topic? */
bool
cdc_subscription_matches(const CdcSubscription *sub, const char *topic)
{
	ListCell   *lc;

	foreach(lc, sub->topics)
	{
		if (cdc_topic_matches(lfirst(lc), topic))
			return true;
	}
	return false;
}
