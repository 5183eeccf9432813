/*
 * subscription.c
 *		The catalog of subscriptions.
 *
 * The functions that change it validate everything at once, so that the worker can
 * take a row as it stands.  Whoever adds topics locks the catalog: of two that add
 * the same topic at the same time, the second must see the first.
 *
 * A topic that matches several subscriptions, through a regular expression, belongs to
 * the oldest of them.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/unixtime.h"
#include "event/event.h"
#include "shared/control.h"
#include "stored/identity.h"
#include "stored/subscription.h"
#include "stored/subscription_check.h"
#include "stored/topic_name.h"

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
	SUB_PEERS,
	SUB_NARGS
} SubscribeArg;

static const char *const subscribe_args[] = {
	"subscription", "topics", "conflicts", "origin", "start_at", "event_time", "on_error",
	"on_unknown_table", "producer", "enabled", "peers"
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
	ALTER_PEERS,
	ALTER_NARGS
} AlterArg;

static const char *const alter_args[] = {
	"subscription", "topics", "conflicts", "origin", "event_time", "on_error",
	"on_unknown_table", "producer", "peers"
};

/* ---- for the worker ---- */

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
	return cdc_unixtime_from_timestamptz(time) / 1000;
}

static CdcSubscription *
subscription_from_tuple(HeapTuple tuple, TupleDesc desc)
{
	CdcSubscription *sub = palloc0(sizeof(CdcSubscription));
	Datum		producer;
	Datum		peers;
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
	sub->conflicts = cdc_conflict_rules_parse(tuple_text(tuple, desc, 10));
	sub->record_time = strcmp(tuple_text(tuple, desc, 11), "record") == 0;
	sub->dead_letter = strcmp(tuple_text(tuple, desc, 12), "dead_letter") == 0;
	peers = SPI_getbinval(tuple, desc, 13, &isnull);
	sub->peers = isnull ? NIL : text_array_to_list(peers);
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
		.sql = "SELECT name, topics, enabled, origin, start_at, created_at, on_unknown_table, "
		"producer, started, conflicts, event_time, on_error, peers FROM cdcsync.subscription ORDER BY created_at, name"
	};
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;

	SPI_connect();
	cdc_extension_execute(&select, NULL, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
		result = lappend(result, subscription_from_tuple(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc));
	SPI_finish();
	return result;
}

/* Of one that is being removed the end is not waited for */
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

/* Does any of the topics' names or regular expressions match this topic? */
char *
cdc_subscription_reset_command(const char *name)
{
	return psprintf("SELECT cdcsync.reset_subscription(%s)", quote_literal_cstr(name));
}

bool
cdc_subscription_matches(const CdcSubscription *sub, const char *topic)
{
	ListCell   *lc;

	foreach(lc, sub->topics)
	{
		if (cdc_pattern_matches(lfirst(lc), topic))
			return true;
	}
	return false;
}

/* As the operator ~ does under the collation "C", which stat_subscription uses */
static bool
regex_matches(const char *regex, const char *name)
{
	return RE_compile_and_execute(cstring_to_text(regex), unconstify(char *, name),
								  strlen(name), REG_ADVANCED, C_COLLATION_OID, 0, NULL);
}

/* Is it this name, or does it match this regular expression, that begins with '^'? */
bool
cdc_pattern_matches(const char *pattern, const char *name)
{
	return cdc_topic_is_regex(pattern) ? regex_matches(pattern, name) : strcmp(pattern, name) == 0;
}

/* ---- changes ---- */

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
	cdc_subscription_check_name(name);
	return name;
}

static void
check_not_null(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < SUB_NARGS; i++)
	{
		if (i != SUB_PRODUCER && i != SUB_PEERS && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("parameter \"%s\" must not be null", subscribe_args[i])));
	}
}

/* What subscribe and alter_subscription have in common, as far as it is given */
static void
check_options(FunctionCallInfo fcinfo, const char *const *names, int producer, int peers)
{
	if (!PG_ARGISNULL(SUB_TOPICS))
		cdc_subscription_check_topics(PG_GETARG_ARRAYTYPE_P(SUB_TOPICS));
	for (int i = SUB_TOPICS + 1; i < producer; i++)
	{
		if (!PG_ARGISNULL(i))
			cdc_subscription_check_option(names[i], TextDatumGetCString(PG_GETARG_DATUM(i)));
	}
	if (!PG_ARGISNULL(producer))
		(void) cdc_producer_parse(PG_GETARG_JSONB_P(producer));
	if (!PG_ARGISNULL(peers))
		cdc_subscription_check_peers(PG_GETARG_ARRAYTYPE_P(peers));
}

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
	cdc_extension_command("LOCK TABLE cdcsync.subscription IN SHARE ROW EXCLUSIVE MODE");
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

	cdc_extension_execute(&find, values, NULL);
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

	cdc_extension_execute(&delete, &name, NULL);
}

static void
no_such_subscription(Datum name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subscription \"%s\" does not exist", TextDatumGetCString(name))));
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
	if (!enabled)
		cdc_control_interrupt_at_commit();
	cdc_extension_execute(&update, values, nulls);
	if (SPI_processed == 0 && !PG_ARGISNULL(0))
		no_such_subscription(values[0]);
}

/*
 * Warn where a change of a table without a version column may come over two paths: such
 * changes may chase each other for ever.  SPI is connected by the caller.
 */
void
cdc_subscription_warn_of_paths(void)
{
	static CdcStatement find = {
		.sql = "SELECT r.relation::pg_catalog.text FROM cdcsync.table_rule AS r "
		"JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relation "
		"WHERE r.version_column IS NULL AND 1 OPERATOR(pg_catalog.<) "
		"(SELECT pg_catalog.count(*) FROM cdcsync.subscription AS s "
		"WHERE s.origin OPERATOR(pg_catalog.=) 'any') ORDER BY 1 LIMIT 1"
	};

	cdc_extension_execute(&find, NULL, NULL);
	if (SPI_processed == 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("changes of table %s may come over several paths",
					tuple_text(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
			 errdetail("It has no version column, and more than one subscription takes changes that a peer forwards."),
			 errhint("Set origin => 'none' where the peers do not forward, as a hub reading its clients, or in a mesh; or give the table a version column.")));
}

/* ---- SQL interface ---- */

PG_FUNCTION_INFO_V1(cdcsync_subscribe);
Datum
cdcsync_subscribe(PG_FUNCTION_ARGS)
{
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.subscription (name, topics, conflicts, origin, start_at, "
		"event_time, on_error, on_unknown_table, producer, enabled, peers, created_at) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULLIF($11, '{}'), "
		"pg_catalog.clock_timestamp()) "
		"ON CONFLICT (name) DO NOTHING",
		.nargs = SUB_NARGS,
		.argtypes = {TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, JSONBOID, BOOLOID, TEXTARRAYOID}
	};
	Datum		values[SUB_NARGS];
	char		nulls[SUB_NARGS];
	char	   *name = name_arg(fcinfo);
	char	   *start_at;

	cdc_control_notify_at_commit();
	cdc_subscription_check_node();
	check_not_null(fcinfo);
	check_options(fcinfo, subscribe_args, SUB_PRODUCER, SUB_PEERS);
	start_at = cdc_subscription_check_start(TextDatumGetCString(PG_GETARG_DATUM(SUB_START_AT)));
	take_args(fcinfo, values, nulls);
	values[SUB_START_AT] = CStringGetTextDatum(start_at);

	SPI_connect();
	lock_subscriptions();
	cdc_extension_execute(&insert, values, nulls);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("subscription \"%s\" already exists", name),
				 errhint("Change it with cdcsync.alter_subscription, or end it with cdcsync.unsubscribe.")));
	refuse_shared_topics(values[SUB_NAME], values[SUB_TOPICS]);
	delete_offsets(values[SUB_NAME]);
	cdc_identity_remember();
	cdc_subscription_warn_of_paths();
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
		"producer = COALESCE($8, producer), "
		"peers = NULLIF(COALESCE($9, peers), '{}') "
		"WHERE name OPERATOR(pg_catalog.=) $1",
		.nargs = ALTER_NARGS,
		.argtypes = {TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		JSONBOID, TEXTARRAYOID}
	};
	Datum		values[ALTER_NARGS];
	char		nulls[ALTER_NARGS];

	(void) name_arg(fcinfo);
	cdc_control_notify_at_commit();
	check_options(fcinfo, alter_args, ALTER_PRODUCER, ALTER_PEERS);
	take_args(fcinfo, values, nulls);
	SPI_connect();
	lock_subscriptions();
	cdc_extension_execute(&update, values, nulls);
	if (SPI_processed == 0)
		no_such_subscription(values[ALTER_NAME]);
	if (!PG_ARGISNULL(ALTER_TOPICS))
		refuse_shared_topics(values[ALTER_NAME], values[ALTER_TOPICS]);
	cdc_subscription_warn_of_paths();
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
	cdc_control_interrupt_at_commit();
	SPI_connect();
	cdc_extension_execute(&delete, &name, NULL);
	if (SPI_processed == 0)
		no_such_subscription(name);
	delete_offsets(name);
	SPI_finish();
	PG_RETURN_VOID();
}

/* reset_subscription(name, start_at): as if it had just been made, with the options it has */
PG_FUNCTION_INFO_V1(cdcsync_reset_subscription);
Datum
cdcsync_reset_subscription(PG_FUNCTION_ARGS)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription SET start_at = $2, started = false, "
		"created_at = pg_catalog.clock_timestamp() WHERE name OPERATOR(pg_catalog.=) $1",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(name_arg(fcinfo))};

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("parameter \"%s\" must not be null", "start_at")));
	values[1] = CStringGetTextDatum(cdc_subscription_check_start(TextDatumGetCString(PG_GETARG_DATUM(1))));
	cdc_control_notify_at_commit();
	SPI_connect();
	lock_subscriptions();
	cdc_extension_execute(&update, values, NULL);
	if (SPI_processed == 0)
		no_such_subscription(values[0]);
	delete_offsets(values[0]);
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
	cdc_identity_accept();
	set_enabled(fcinfo, true);
	SPI_finish();
	PG_RETURN_VOID();
}
