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

#include "error.h"
#include "printable.h"

static char *printable_or_null(const char *text);

CdcError
cdc_error_caught(const ErrorData *error, const char *hint)
{
	bool		own = error->domain && strcmp(error->domain, TEXTDOMAIN) == 0;

	return (CdcError)
	{
		.sqlstate = error->sqlerrcode,
			.own = own,
			.own_hint = error->hint ? own : hint != NULL,
			.message = cdc_printable(error->message ? error->message : "unknown error"),
			.detail = printable_or_null(error->detail),
			.hint = printable_or_null(error->hint ? error->hint : hint),
			.context = error->context ? cdc_printable_lines(error->context) : NULL
	};
}

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

static char *
printable_or_null(const char *text)
{
	return text ? cdc_printable(text) : NULL;
}

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
