/*
 * resync.c
 *		resync_table(): let the connector read a table again and send every row.
 *
 * It asks for Debezium's incremental snapshot, which goes on beside other changes, by a
 * row of the table that the connector takes signals from.  (Debezium 3.6 passes over a table
 * of which it has seen nothing since its start; republish() does for that.)  That must be published, for
 * the connector looks for signals, and for its own marks, in the log; it is from the
 * first use on.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/extension.h"
#include "stored/table_rule.h"
#include "table/add_table_check.h"
#include "table/publication.h"
#include "table/unsent.h"

#define SIGNAL_TABLE "signal"

/* But the dot, which matches itself, too */
#define REGEX_CHARACTERS "\\^$|?*+()[]{}"

/* Can it stand in a signal as it is? */
static bool
is_one_word(const char *name)
{
	for (const char *c = name; *c; c++)
	{
		if (isspace((unsigned char) *c) || strchr(".\"'`", *c))
			return false;
	}
	return true;
}

static char *
escape_regex(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = name; *c; c++)
	{
		if (*c == '.' || strchr(REGEX_CHARACTERS, *c))
			appendStringInfoChar(&buf, '\\');
		appendStringInfoChar(&buf, *c);
	}
	return buf.data;
}

static char *
quote(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (const char *c = name; *c; c++)
	{
		if (*c == '"')
			appendStringInfoChar(&buf, '"');
		appendStringInfoChar(&buf, *c);
	}
	appendStringInfoChar(&buf, '"');
	return buf.data;
}

/*
 * Debezium takes it as a regular expression, and then takes the names that match apart at
 * dots and blanks.  What matches no name it takes apart as it stands, with its quotes.
 */
static char *
collection_name(const char *schema, const char *table)
{
	char	   *name = psprintf("%s.%s", schema, table);

	if (is_one_word(schema) && is_one_word(table))
		return escape_regex(name);
	if (strpbrk(name, REGEX_CHARACTERS) || strstr(name, "''") || strstr(name, "``"))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the connector cannot be asked for table %s",
						quote_qualified_identifier(schema, table)),
				 errdetail("It would take the name for a regular expression."),
				 errhint("Use cdcsync.republish, which needs no signal.")));
	return psprintf("%s.%s", quote(schema), quote(table));
}

static char *
signal_data(Oid relid)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"type\": \"incremental\", \"data-collections\": [");
	escape_json(&buf, collection_name(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid)));
	appendStringInfoString(&buf, "]}");
	return buf.data;
}

/*
 * The connector reads signals in the log: a request for the same table that came before
 * says no more than this one, and its own marks have done their work.  What others have
 * asked for stays.
 */
static void
write_signal(const char *data)
{
	static CdcStatement forget = {
		.sql = "DELETE FROM cdcsync.signal AS s WHERE s.type OPERATOR(pg_catalog.=) "
		"ANY ('{snapshot-window-open,snapshot-window-close}') "
		"OR (s.type OPERATOR(pg_catalog.=) 'execute-snapshot' AND s.data OPERATOR(pg_catalog.=) $1)",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.signal (id, type, data) "
		"VALUES (pg_catalog.gen_random_uuid()::pg_catalog.text, 'execute-snapshot', $1)",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(data);

	cdc_extension_execute(&forget, &arg, NULL);
	cdc_extension_execute(&insert, &arg, NULL);
}

/* resync_table(relation): only the table's owner may */
PG_FUNCTION_INFO_V1(cdcsync_resync_table);
Datum
cdcsync_resync_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	cdc_add_table_check_owner(relid);
	SPI_connect();
	if (cdc_table_rule_for_relation(relid) == NULL)
		cdc_table_rule_missing(relid);
	cdc_publication_add(cdc_extension_table(SIGNAL_TABLE));
	write_signal(signal_data(relid));
	cdc_unsent_forget(relid, CDC_UNSENT_ROWS);
	SPI_finish();
	PG_RETURN_VOID();
}
