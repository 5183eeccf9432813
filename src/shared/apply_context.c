/*
 * apply_context.c
 *		The message and the table at work, for what is said of errors.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "shared/apply_context.h"

static const CdcMessage *current = NULL;
static const CdcMessage *alone = NULL;

/* Names are copied: an error is looked at when what they came from is gone */
#define NAME_SIZE (2 * (2 * NAMEDATALEN + 2) + 2)
static Oid	relid = InvalidOid;
static char name[NAME_SIZE];
static char source[NAME_SIZE];

/* It is the one that is decoded or decided now; it stays the caller's, and must live until clear or the next set */
void
cdc_apply_context_set(const CdcMessage *message)
{
	current = message;
}

/* Also after an error: the message that it was about goes with its batch */
void
cdc_apply_context_clear(void)
{
	current = NULL;
}

/* Whatever goes wrong from here on is about this message, the only one of a try; NULL ends that */
void
cdc_apply_context_set_alone(const CdcMessage *message)
{
	alone = message;
}

/*
 * The local table at work, by its name for people and its name in events; InvalidOid and
 * NULLs: none.  It stays until the next call, so that an error that is dealt with after its
 * transaction still knows whose rows its texts hold.
 */
void
cdc_apply_context_set_table(Oid table, const char *table_name, const char *table_source)
{
	relid = table;
	strlcpy(name, table_name ? table_name : "", sizeof(name));
	strlcpy(source, table_source ? table_source : "", sizeof(source));
}

/* The names are valid until the next set_table */
CdcApplyTable
cdc_apply_context_table(void)
{
	return (CdcApplyTable)
	{
		.relid = relid,
			.name = name,
			.source = source[0] ? source : NULL
	};
}

/* "message of topic ...", or NULL */
char *
cdc_apply_context_line(void)
{
	const CdcMessage *m = current ? current : alone;

	if (m == NULL)
		return NULL;
	return psprintf("message of topic \"%s\" partition %d offset " INT64_FORMAT,
					m->topic, m->partition, m->offset);
}

/* Operators are functions here, types objects */
static bool
is_lost_name(int sqlstate)
{
	return sqlstate == ERRCODE_UNDEFINED_FUNCTION || sqlstate == ERRCODE_UNDEFINED_TABLE ||
		sqlstate == ERRCODE_UNDEFINED_OBJECT;
}

/* What cdcsync itself has to say of an error of other code, which knows nothing of apply's settings; or NULL */
const char *
cdc_apply_context_hint(const ErrorData *error)
{
	bool		own = error->domain && strcmp(error->domain, TEXTDOMAIN) == 0;

	if (own || !is_lost_name(error->sqlerrcode))
		return NULL;
	return "search_path is pg_catalog alone while changes are applied. Give the name its schema where it stands, or run ALTER FUNCTION ... SET search_path for the function that CONTEXT names.";
}

/* While an error is being made there is no other way to see whose it is */
static void
say_hint(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *error = CopyErrorData();
	const char *hint = cdc_apply_context_hint(error);

	MemoryContextSwitchTo(old);
	if (hint)
		errhint("%s", hint);
	FreeErrorData(error);
}

/* An ErrorContextCallback's: says where the message at work stands, and that hint */
void
cdc_apply_context_callback(void *arg)
{
	char	   *line = cdc_apply_context_line();

	if (line)
		errcontext("%s", line);
	if (is_lost_name(geterrcode()))
		say_hint();
}
