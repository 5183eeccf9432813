/*
 * subscription.c
 *		The catalog of subscriptions.
 *
 * The functions that change it validate everything here and now, so that the worker
 * can take a row as it stands.  Whoever adds topics locks the catalog: of two that add
 * the same topic at the same time, the second must see the first.
 *
 * A topic that matches several subscriptions, through a regular expression, belongs to
 * the oldest of them.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "consumer.h"
#include "control.h"
#include "guc.h"
#include "subscription.h"

#define MAX_CHOICES			6
#define MAX_TOPIC_LENGTH	249 /* Kafka's */

#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Arguments of subscribe(), in order; those of its statement are the same */
typedef enum SubscribeArg
{
	SUB_NAME,
	SUB_TOPICS,
	SUB_CONFLICTS,
	SUB_ORIGIN,
	SUB_START_AT,
	SUB_EVENT_TIME,
	SUB_ON_ERROR,
	SUB_ON_UNKNOWN_TABLE,
	SUB_PRODUCER,
	SUB_ENABLED,
	SUB_NARGS
} SubscribeArg;

static const char *const subscribe_args[] = {
	"subscription", "topics", "conflicts", "origin", "start_at", "event_time", "on_error",
	"on_unknown_table", "producer", "enabled"
};

/* Arguments of alter_subscription(), likewise */
typedef enum AlterArg
{
	ALTER_NAME,
	ALTER_TOPICS,
	ALTER_CONFLICTS,
	ALTER_ORIGIN,
	ALTER_EVENT_TIME,
	ALTER_ON_ERROR,
	ALTER_ON_UNKNOWN_TABLE,
	ALTER_PRODUCER,
	ALTER_NARGS
} AlterArg;

/* An option with a fixed set of values */
typedef struct Option
{
	const char *name;
	int			subscribe_arg;
	int			alter_arg;
	const char *choices[MAX_CHOICES];	/* to NULL */
	const char *not_yet[MAX_CHOICES];	/* known, but refused by this version; to NULL */
	bool		object_not_yet; /* the same for a JSON object */
} Option;

static const Option conflicts_option = {
	"conflicts", SUB_CONFLICTS, ALTER_CONFLICTS,
	{"last_update_wins"},
	{"hub", "spoke", "apply_remote", "keep_local", "error"},
	true
};

static const Option *const options[] = {
	&conflicts_option,
	&(const Option) {"origin", SUB_ORIGIN, ALTER_ORIGIN, {"any", "none"}},
	&(const Option) {"event_time", SUB_EVENT_TIME, ALTER_EVENT_TIME, {"source"}, {"record"}},
	&(const Option) {"on_error", SUB_ON_ERROR, ALTER_ON_ERROR, {"pause"}, {"dead_letter"}},
	&(const Option) {"on_unknown_table", SUB_ON_UNKNOWN_TABLE, ALTER_ON_UNKNOWN_TABLE,
	{"pause", "skip"}},
};

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

/* For the worker */
static CdcSubscription *subscription_from_tuple(HeapTuple tuple, TupleDesc desc);
static char *tuple_text(HeapTuple tuple, TupleDesc desc, int column);
static List *text_array_to_list(Datum array);
static bool regex_matches(const char *regex, const char *topic);

/* Validation */
static void check_node(void);
static void check_not_null(FunctionCallInfo fcinfo);
static char *name_arg(FunctionCallInfo fcinfo);
static void check_topics(ArrayType *topics);
static void check_topic(const char *topic);
static bool is_topic_name(const char *topic);
static void check_option(const Option *option, const char *value);
static bool is_choice(const char *const *choices, const char *value);
static char *quoted_choices(const char *const *choices);
static char *canonical_start(const char *start_at);
static int64 start_from_text(const char *start_at);

/* Changes */
static void take_args(FunctionCallInfo fcinfo, Datum *values, char *nulls);
static void lock_subscriptions(void);
static void refuse_shared_topics(Datum name, Datum topics);
static void delete_offsets(Datum name);
static void remember_identity(bool replace);
static void set_enabled(FunctionCallInfo fcinfo, bool enabled);
static void no_such_subscription(Datum name);

/* ---- for the worker ---- */

List *
cdc_subscription_load_all(void)
{
	static CdcStatement select = {
		.sql = "SELECT name, topics, enabled, origin, start_at, created_at, on_unknown_table, "
		"producer, started FROM cdcsync.subscription ORDER BY created_at, name"
	};
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;

	SPI_connect();
	cdc_catalog_execute(&select, NULL, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
		result = lappend(result, subscription_from_tuple(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc));
	SPI_finish();
	return result;
}

static CdcSubscription *
subscription_from_tuple(HeapTuple tuple, TupleDesc desc)
{
	CdcSubscription *sub = palloc0(sizeof(CdcSubscription));
	Datum		producer;
	bool		isnull;

	sub->name = tuple_text(tuple, desc, 1);
	sub->topics = text_array_to_list(SPI_getbinval(tuple, desc, 2, &isnull));
	sub->enabled = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	sub->origin_none = strcmp(tuple_text(tuple, desc, 4), "none") == 0;
	sub->start_at = start_from_text(tuple_text(tuple, desc, 5));
	sub->created_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 6, &isnull));
	sub->on_unknown_table = strcmp(tuple_text(tuple, desc, 7), "skip") == 0 ?
		CDC_UNKNOWN_TABLE_SKIP : CDC_UNKNOWN_TABLE_PAUSE;
	producer = SPI_getbinval(tuple, desc, 8, &isnull);
	sub->producer = cdc_producer_parse(isnull ? NULL : DatumGetJsonbP(producer));
	sub->started = DatumGetBool(SPI_getbinval(tuple, desc, 9, &isnull));
	return sub;
}

static char *
tuple_text(HeapTuple tuple, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, column, &isnull);

	return TextDatumGetCString(value);
}

static List *
text_array_to_list(Datum array)
{
	Datum	   *elems;
	int			nelems;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
		result = lappend(result, TextDatumGetCString(elems[i]));
	return result;
}

void
cdc_subscription_mark_started(const char *name)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription SET started = true "
		"WHERE name OPERATOR(pg_catalog.=) $1 AND NOT started",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		value = CStringGetTextDatum(name);

	cdc_catalog_execute(&update, &value, NULL);
}

bool
cdc_subscription_matches(const CdcSubscription *sub, const char *topic)
{
	ListCell   *lc;

	foreach(lc, sub->topics)
	{
		const char *pattern = lfirst(lc);

		if (cdc_topic_is_regex(pattern) ? regex_matches(pattern, topic) :
			strcmp(pattern, topic) == 0)
			return true;
	}
	return false;
}

/* As the operator ~ does under the collation "C", which stat_subscription uses */
static bool
regex_matches(const char *regex, const char *topic)
{
	return RE_compile_and_execute(cstring_to_text(regex), unconstify(char *, topic),
								  strlen(topic), REG_ADVANCED, C_COLLATION_OID, 0, NULL);
}

/* ---- validation ---- */

static void
check_node(void)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("database encoding %s is not supported", GetDatabaseEncodingName()),
				 errhint("Use cdcsync in a database with encoding UTF8.")));
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

static void
check_not_null(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < SUB_NARGS; i++)
	{
		if (i != SUB_PRODUCER && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("parameter \"%s\" must not be null", subscribe_args[i])));
	}
}

/* The subscription's name, always the first argument */
static char *
name_arg(FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("subscription name must not be null")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("subscription name must not be empty")));
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("subscription name \"%s\" is too long", name),
				 errdetail("A name may have %d bytes.", NAMEDATALEN - 1)));
	return name;
}

static void
check_topics(ArrayType *topics)
{
	List	   *checked = NIL;
	ListCell   *lc;

	if (ARR_NDIM(topics) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topics must not be empty")));
	if (ARR_NDIM(topics) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("topics must be a one-dimensional array")));
	if (array_contains_nulls(topics))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("topics must not contain nulls")));

	foreach(lc, text_array_to_list(PointerGetDatum(topics)))
	{
		char	   *topic = lfirst(lc);

		check_topic(topic);
		if (list_member(checked, makeString(topic)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("topic \"%s\" is named twice", topic)));
		checked = lappend(checked, makeString(topic));
	}
}

static void
check_topic(const char *topic)
{
	if (cdc_topic_is_regex(topic))
	{
		/* raises an error that says what is wrong with it */
		(void) RE_compile_and_cache(cstring_to_text(topic), REG_ADVANCED, C_COLLATION_OID);
		return;
	}
	if (!is_topic_name(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic name \"%s\"", topic),
				 errdetail("A topic's name has 1 to %d of the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\".",
						   MAX_TOPIC_LENGTH),
				 errhint("A regular expression begins with \"^\".")));
}

static bool
is_topic_name(const char *topic)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t		length = strlen(topic);

	return length > 0 && length <= MAX_TOPIC_LENGTH && strspn(topic, legal) == length &&
		strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
}

void
cdc_subscription_check_conflicts(const char *value)
{
	check_option(&conflicts_option, value);
}

static void
check_option(const Option *option, const char *value)
{
	if (is_choice(option->choices, value))
		return;
	if (is_choice(option->not_yet, value) || (option->object_not_yet && value[0] == '{'))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("value for parameter \"%s\" is not supported yet: \"%s\"", option->name,
						value),
				 errhint("Available values: %s.", quoted_choices(option->choices))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for parameter \"%s\": \"%s\"", option->name, value),
			 errhint("Available values: %s.", quoted_choices(option->choices))));
}

static bool
is_choice(const char *const *choices, const char *value)
{
	for (int i = 0; i < MAX_CHOICES && choices[i] != NULL; i++)
	{
		if (strcmp(choices[i], value) == 0)
			return true;
	}
	return false;
}

static char *
quoted_choices(const char *const *choices)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < MAX_CHOICES && choices[i] != NULL; i++)
		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
	return buf.data;
}

/*
 * start_at as it is stored: a time is read under the session's settings now, and
 * written so that it means the same under the worker's.
 */
static char *
canonical_start(const char *start_at)
{
	TimestampTz time;
	struct pg_tm tm;
	fsec_t		fsec;
	char		buf[MAXDATELEN + 1];

	if (strcmp(start_at, "earliest") == 0 || strcmp(start_at, "latest") == 0)
		return pstrdup(start_at);
	if (start_at[0] < '0' || start_at[0] > '9')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"start_at\": \"%s\"", start_at),
				 errhint("Available values: \"earliest\", \"latest\", or a timestamp such as \"2026-01-31 12:00:00+00\".")));

	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(start_at),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	if (time < -UNIX_EPOCH_USECS || timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("start_at out of range: \"%s\"", start_at),
				 errhint("Kafka's times begin in 1970.")));
	tm.tm_isdst = 0;			/* the zone is known: UTC */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_XSD_DATES, buf);
	return pstrdup(buf);
}

static int64
start_from_text(const char *start_at)
{
	TimestampTz time;

	if (strcmp(start_at, "earliest") == 0)
		return CDC_OFFSET_BEGINNING;
	if (strcmp(start_at, "latest") == 0)
		return CDC_OFFSET_END;
	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(start_at),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	return (time + UNIX_EPOCH_USECS) / 1000;
}

/* ---- changes; SPI is connected by the caller ---- */

static void
take_args(FunctionCallInfo fcinfo, Datum *values, char *nulls)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
}

static void
lock_subscriptions(void)
{
	cdc_catalog_command("LOCK TABLE cdcsync.subscription IN SHARE ROW EXCLUSIVE MODE");
}

/* A topic read by two subscriptions would be applied twice */
static void
refuse_shared_topics(Datum name, Datum topics)
{
	static CdcStatement find = {
		.sql = "SELECT s.name, t.topic FROM cdcsync.subscription AS s, "
		"pg_catalog.unnest(s.topics) AS t(topic) "
		"WHERE s.name OPERATOR(pg_catalog.<>) $1 "
		"AND t.topic OPERATOR(pg_catalog.=) ANY ($2) LIMIT 1",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTARRAYOID}
	};
	Datum		values[] = {name, topics};

	cdc_catalog_execute(&find, values, NULL);
	if (SPI_processed == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("topic \"%s\" belongs to subscription \"%s\" already",
					tuple_text(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2),
					tuple_text(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
			 errhint("Take it out of that subscription with cdcsync.alter_subscription.")));
}

static void
delete_offsets(Datum name)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.subscription_offset "
		"WHERE subscription OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};

	cdc_catalog_execute(&delete, &name, NULL);
}

/*
 * Which database these catalogs belong to.  The first subscription says so; where a
 * dump was restored elsewhere, only resume() may.
 */
static void
remember_identity(bool replace)
{
	static CdcStatement keep = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid) "
		"VALUES ($1, $2) ON CONFLICT DO NOTHING",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};
	static CdcStatement overwrite = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid) "
		"VALUES ($1, $2) ON CONFLICT (singleton) DO UPDATE "
		"SET system_identifier = excluded.system_identifier, "
		"database_oid = excluded.database_oid",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	cdc_catalog_execute(replace ? &overwrite : &keep, values, NULL);
}

/* NULL for all; always wakes the worker, which then retries what had stopped */
static void
set_enabled(FunctionCallInfo fcinfo, bool enabled)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription SET enabled = $2 "
		"WHERE $1 IS NULL OR name OPERATOR(pg_catalog.=) $1",
		.nargs = 2,
		.argtypes = {TEXTOID, BOOLOID}
	};
	Datum		values[] = {PG_GETARG_DATUM(0), BoolGetDatum(enabled)};
	char		nulls[] = {PG_ARGISNULL(0) ? 'n' : ' ', ' '};

	cdc_control_notify_at_commit();
	cdc_catalog_execute(&update, values, nulls);
	if (SPI_processed == 0 && !PG_ARGISNULL(0))
		no_such_subscription(values[0]);
}

static void
no_such_subscription(Datum name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subscription \"%s\" does not exist", TextDatumGetCString(name))));
}

/* ---- SQL interface ---- */

PG_FUNCTION_INFO_V1(cdcsync_subscribe);
Datum
cdcsync_subscribe(PG_FUNCTION_ARGS)
{
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.subscription (name, topics, conflicts, origin, start_at, "
		"event_time, on_error, on_unknown_table, producer, enabled, created_at) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, pg_catalog.clock_timestamp()) "
		"ON CONFLICT (name) DO NOTHING",
		.nargs = SUB_NARGS,
		.argtypes = {TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, JSONBOID, BOOLOID}
	};
	Datum		values[SUB_NARGS];
	char		nulls[SUB_NARGS];
	char	   *name = name_arg(fcinfo);

	cdc_control_notify_at_commit();
	check_node();
	check_not_null(fcinfo);
	check_topics(PG_GETARG_ARRAYTYPE_P(SUB_TOPICS));
	for (int i = 0; i < lengthof(options); i++)
		check_option(options[i], TextDatumGetCString(PG_GETARG_DATUM(options[i]->subscribe_arg)));
	if (!PG_ARGISNULL(SUB_PRODUCER))
		(void) cdc_producer_parse(PG_GETARG_JSONB_P(SUB_PRODUCER));

	take_args(fcinfo, values, nulls);
	values[SUB_START_AT] =
		CStringGetTextDatum(canonical_start(TextDatumGetCString(values[SUB_START_AT])));

	SPI_connect();
	lock_subscriptions();
	cdc_catalog_execute(&insert, values, nulls);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("subscription \"%s\" already exists", name),
				 errhint("Change it with cdcsync.alter_subscription, or end it with cdcsync.unsubscribe.")));
	refuse_shared_topics(values[SUB_NAME], values[SUB_TOPICS]);
	delete_offsets(values[SUB_NAME]);
	remember_identity(false);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_alter_subscription);
Datum
cdcsync_alter_subscription(PG_FUNCTION_ARGS)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription SET "
		"topics = COALESCE($2, topics), "
		"conflicts = COALESCE($3, conflicts), "
		"origin = COALESCE($4, origin), "
		"event_time = COALESCE($5, event_time), "
		"on_error = COALESCE($6, on_error), "
		"on_unknown_table = COALESCE($7, on_unknown_table), "
		"producer = COALESCE($8, producer) "
		"WHERE name OPERATOR(pg_catalog.=) $1",
		.nargs = ALTER_NARGS,
		.argtypes = {TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		JSONBOID}
	};
	Datum		values[ALTER_NARGS];
	char		nulls[ALTER_NARGS];

	(void) name_arg(fcinfo);
	cdc_control_notify_at_commit();
	if (!PG_ARGISNULL(ALTER_TOPICS))
		check_topics(PG_GETARG_ARRAYTYPE_P(ALTER_TOPICS));
	for (int i = 0; i < lengthof(options); i++)
	{
		if (!PG_ARGISNULL(options[i]->alter_arg))
			check_option(options[i], TextDatumGetCString(PG_GETARG_DATUM(options[i]->alter_arg)));
	}
	if (!PG_ARGISNULL(ALTER_PRODUCER))
		(void) cdc_producer_parse(PG_GETARG_JSONB_P(ALTER_PRODUCER));

	take_args(fcinfo, values, nulls);
	SPI_connect();
	lock_subscriptions();
	cdc_catalog_execute(&update, values, nulls);
	if (SPI_processed == 0)
		no_such_subscription(values[ALTER_NAME]);
	if (!PG_ARGISNULL(ALTER_TOPICS))
		refuse_shared_topics(values[ALTER_NAME], values[ALTER_TOPICS]);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_unsubscribe);
Datum
cdcsync_unsubscribe(PG_FUNCTION_ARGS)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.subscription WHERE name OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		name = CStringGetTextDatum(name_arg(fcinfo));

	cdc_control_notify_at_commit();
	SPI_connect();
	cdc_catalog_execute(&delete, &name, NULL);
	if (SPI_processed == 0)
		no_such_subscription(name);
	delete_offsets(name);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_pause);
Datum
cdcsync_pause(PG_FUNCTION_ARGS)
{
	SPI_connect();
	set_enabled(fcinfo, false);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_resume);
Datum
cdcsync_resume(PG_FUNCTION_ARGS)
{
	SPI_connect();
	set_enabled(fcinfo, true);
	remember_identity(true);
	SPI_finish();
	PG_RETURN_VOID();
}
