/*
 * error.c
 *		What went wrong with a partition, in fields, from where it is caught to the views.
 *
 * Messages, details and hints come from everywhere: a table owner's trigger, a value in
 * an event, a broker.  They are made printable here, and told apart from cdcsync's own
 * by the domain that the server keeps with an error (domain.h).
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/printable.h"
#include "base/row_rights.h"
#include "shared/apply_context.h"
#include "shared/error.h"

/* Of other code, the messages of these have no values in them: the names of constraints, locks, limits */
static const int public_categories[] = {
	ERRCODE_CONNECTION_EXCEPTION,
	ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION,
	ERRCODE_INVALID_TRANSACTION_STATE,
	ERRCODE_TRANSACTION_ROLLBACK,
	ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
	ERRCODE_INSUFFICIENT_RESOURCES,
	ERRCODE_PROGRAM_LIMIT_EXCEEDED,
	ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
	ERRCODE_OPERATOR_INTERVENTION,
	ERRCODE_SYSTEM_ERROR,
};

static bool
is_own(const ErrorData *error)
{
	return error->domain && strcmp(error->domain, TEXTDOMAIN) == 0;
}

/* A trigger may have written, and been refused, elsewhere */
static bool
is_of_table(const ErrorData *error, const CdcApplyTable *table)
{
	return error->table_name == NULL || error->schema_name == NULL ||
		strcmp(quote_qualified_identifier(error->schema_name, error->table_name), table->name) == 0;
}

static char *
printable_or_null(const char *text)
{
	return text ? cdc_printable(text) : NULL;
}

/* From a caught error; hint, which may be NULL, is for one that has none */
CdcError
cdc_error_caught(const ErrorData *error, const char *hint)
{
	CdcApplyTable table = cdc_apply_context_table();
	bool		own = is_own(error);
	bool		of_it = is_of_table(error, &table);
	const char *said = cdc_apply_context_hint(error);

	if (said == NULL && error->hint == NULL)
		said = hint;
	return (CdcError)
	{
		.sqlstate = error->sqlerrcode,
			.own = own,
			.relid = of_it ? table.relid : InvalidOid,
			.source_table = of_it && table.source ? pstrdup(table.source) : NULL,
			.own_hint = said ? true : error->hint && own,
			.message = cdc_printable(error->message ? error->message : "unknown error"),
			.detail = printable_or_null(error->detail),
			.hint = printable_or_null(said ? said : error->hint),
			.context = error->context ? cdc_printable_lines(error->context) : NULL
	};
}

/* What cdcsync, or Kafka's client, says of a partition; hint may be NULL */
CdcError
cdc_error_own(const char *message, const char *hint)
{
	return (CdcError)
	{
		.own = true,
			.own_hint = hint != NULL,
			.message = cdc_printable(message),
			.hint = printable_or_null(hint)
	};
}

/* All of it as one text for people, a line for each field */
char *
cdc_error_text(const CdcError *error)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, error->message);
	if (error->detail)
		appendStringInfo(&buf, "\nDETAIL: %s", error->detail);
	if (error->hint)
		appendStringInfo(&buf, "\n%s: %s", error->own_hint ? "HINT" : "HINT of other code",
						 error->hint);
	if (error->context)
		appendStringInfo(&buf, "\nCONTEXT: %s", error->context);
	return buf.data;
}

static char *
withheld_message(int sqlstate)
{
	return psprintf("an error with SQLSTATE %s, whose text may show rows that you may not read",
					unpack_sql_state(sqlstate));
}

/* The same for the current user, who may not be allowed to see the values in it */
char *
cdc_error_shown_text(const CdcError *error)
{
	CdcError	shown = *error;

	if (!cdc_may_read_rows(error->relid))
	{
		if (!cdc_error_is_public(error))
			shown.message = withheld_message(error->sqlstate);
		shown.detail = NULL;
		shown.context = NULL;
		if (!error->own_hint)
			shown.hint = NULL;
	}
	return cdc_error_text(&shown);
}

static bool
is_public(bool own, int sqlstate)
{
	bool		result = own;

	for (int i = 0; i < lengthof(public_categories); i++)
		result |= ERRCODE_TO_CATEGORY(sqlstate) == public_categories[i];
	return result;
}

/* Has the message no values in it? */
bool
cdc_error_is_public(const CdcError *error)
{
	return is_public(error->own, error->sqlstate);
}

static void
withhold(ErrorData *error)
{
	error->detail_log = psprintf("%s%s%s", error->message, error->detail ? "\n" : "",
								 error->detail ? error->detail : "");
	error->detail = NULL;
	if (!is_public(is_own(error), error->sqlerrcode))
		error->message = withheld_message(error->sqlerrcode);
	if (!is_own(error))
		error->hint = NULL;
	error->context = cdc_apply_context_line();
	error->internalquery = NULL;
}

/*
 * In PG_CATCH(): raise the error again in the context given.  Where the user may not read
 * the table at work, or may but the error is about another one and he may not read all,
 * it comes without what may show values, which then is in the server's log alone.
 */
void
cdc_error_rethrow(MemoryContext context, bool may_read_table, bool may_read_all)
{
	CdcApplyTable table = cdc_apply_context_table();
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (may_read_all || (may_read_table && is_of_table(error, &table)))
		PG_RE_THROW();
	FlushErrorState();
	withhold(error);
	ReThrowError(error);
}
