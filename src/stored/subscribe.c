/*
 * subscribe.c
 *		subscribe(), alter_subscription() and the other functions that change subscriptions.
 *
 * They validate everything at once and tell the worker at commit.  What they may do is
 * granted to cdcsync_admin; the catalogs are written with the extension owner's rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/own_row.h"
#include "base/result.h"
#include "shared/control.h"
#include "stored/identity.h"
#include "stored/option.h"
#include "stored/subscription.h"

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

/* Settings and encoding, without which nothing can be consumed */
static void
check_node(void)
{
	cdc_extension_check_encoding();
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

/* A topic read by two subscriptions would be applied twice.  Its row is written already */
static void
refuse_shared_topics(const char *name)
{
	static CdcStatement find = {
		.sql = "SELECT s.name, t.topic FROM cdcsync.subscription AS s, "
		"pg_catalog.unnest(s.topics) AS t(topic) "
		"WHERE s.name OPERATOR(pg_catalog.<>) $1 "
		"AND t.topic OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT pg_catalog.unnest(o.topics) "
		"FROM cdcsync.subscription AS o WHERE o.name OPERATOR(pg_catalog.=) $1)) LIMIT 1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(name);

	cdc_extension_execute(&find, &arg, NULL);
	if (SPI_processed == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("topic \"%s\" belongs to subscription \"%s\" already",
					cdc_result_text(0, "topic"), cdc_result_text(0, "name")),
			 errhint("Take it out of that subscription with cdcsync.alter_subscription.")));
}

/* What is made anew under the name must not go on where the other was */
static void
delete_offsets(const char *name)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.subscription_offset "
		"WHERE subscription OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};

	Datum		arg = CStringGetTextDatum(name);

	cdc_extension_execute(&delete, &arg, NULL);
}

pg_noreturn static void
no_such_subscription(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subscription \"%s\" does not exist", name)));
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
		no_such_subscription(TextDatumGetCString(values[0]));
}

/*
 * Warn where a change of a table without a version column may come over two paths: such
 * changes may chase each other for ever.  SPI is connected by the caller.
 */
void
cdc_subscription_warn_of_paths(void)
{
	static CdcStatement find = {
		.sql = "SELECT r.relation FROM cdcsync.table_rule AS r "
		"JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relation "
		"WHERE r.version_column IS NULL AND 1 OPERATOR(pg_catalog.<) "
		"(SELECT pg_catalog.count(*) FROM cdcsync.subscription AS s "
		"WHERE s.origin OPERATOR(pg_catalog.=) 'any') ORDER BY r.relation::pg_catalog.text LIMIT 1"
	};

	cdc_extension_execute(&find, NULL, NULL);
	if (SPI_processed == 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("changes of table %s may come over several paths",
					cdc_result_text(0, "relation")),
			 errdetail("It has no version column, and more than one subscription takes changes that a peer forwards."),
			 errhint("Set origin => 'none' where the peers do not forward, as a hub reading its clients, or in a mesh; or give the table a version column.")));
}

/* The row of the subscription that is named by the first argument */
static CdcOwnRow
row_of(const char *name)
{
	CdcOwnRow	row = {.table = "subscription"};

	cdc_own_row_set_text(&row, "name", name);
	return row;
}

/* Whoever adds topics locks the catalog: of two that add the same topic, the second must see the first */
static void
begin_change(void)
{
	SPI_connect();
	cdc_extension_command("LOCK TABLE cdcsync.subscription IN SHARE ROW EXCLUSIVE MODE");
}

PG_FUNCTION_INFO_V1(cdcsync_subscribe);
Datum
cdcsync_subscribe(PG_FUNCTION_ARGS)
{
	char	   *name = name_arg(fcinfo);
	CdcOwnRow	row = row_of(name);
	CdcSubscription sub = {.name = name};

	cdc_control_notify_at_commit();
	check_node();
	cdc_option_require_args(cdc_subscription_options, fcinfo);
	cdc_option_read_args(cdc_subscription_options, fcinfo, InvalidOid, &sub, &row);
	cdc_own_row_set(&row, "created_at", TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));

	begin_change();
	if (!cdc_own_row_insert(&row, 1))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("subscription \"%s\" already exists", name),
				 errhint("Change it with cdcsync.alter_subscription, or end it with cdcsync.unsubscribe.")));
	refuse_shared_topics(name);
	delete_offsets(name);
	cdc_identity_remember();
	cdc_subscription_warn_of_paths();
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_alter_subscription);
Datum
cdcsync_alter_subscription(PG_FUNCTION_ARGS)
{
	char	   *name = name_arg(fcinfo);
	CdcOwnRow	row = row_of(name);
	CdcSubscription sub = {.name = name};

	cdc_control_notify_at_commit();
	cdc_option_read_args(cdc_subscription_options, fcinfo, InvalidOid, &sub, &row);
	begin_change();
	if (!cdc_own_row_update(&row, 1))
		no_such_subscription(name);
	if (sub.topics != NIL)
		refuse_shared_topics(name);
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
	char	   *name = name_arg(fcinfo);
	Datum		arg = CStringGetTextDatum(name);

	cdc_control_notify_at_commit();
	cdc_control_interrupt_at_commit();
	SPI_connect();
	cdc_extension_execute(&delete, &arg, NULL);
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
	char	   *name = name_arg(fcinfo);
	CdcOwnRow	row = row_of(name);
	CdcSubscription sub = {.name = name};

	cdc_option_require_args(cdc_subscription_options, fcinfo);
	cdc_option_read_args(cdc_subscription_options, fcinfo, InvalidOid, &sub, &row);
	cdc_own_row_set(&row, "started", BOOLOID, BoolGetDatum(false));
	cdc_own_row_set(&row, "created_at", TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));
	cdc_control_notify_at_commit();
	begin_change();
	if (!cdc_own_row_update(&row, 1))
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
	cdc_identity_accept();
	set_enabled(fcinfo, true);
	SPI_finish();
	PG_RETURN_VOID();
}
