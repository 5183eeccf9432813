/*
 * apply_context.c
 *		The message and the table at work, for what is said of errors.
 */
#include "postgres.h"

#include "apply_context.h"

static const CdcMessage *current = NULL;
static const CdcMessage *alone = NULL;

/* Names are copied: an error is looked at when what they came from is gone */
#define NAME_SIZE (2 * (2 * NAMEDATALEN + 2) + 2)
static Oid	relid = InvalidOid;
static char name[NAME_SIZE];
static char source[NAME_SIZE];

void
cdc_apply_context_set(const CdcMessage *message)
{
	current = message;
}

void
cdc_apply_context_clear(void)
{
	current = NULL;
}

void
cdc_apply_context_set_alone(const CdcMessage *message)
{
	alone = message;
}

void
cdc_apply_context_set_table(Oid table, const char *table_name, const char *table_source)
{
	relid = table;
	strlcpy(name, table_name ? table_name : "", sizeof(name));
	strlcpy(source, table_source ? table_source : "", sizeof(source));
}

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

char *
cdc_apply_context_line(void)
{
	const CdcMessage *m = current ? current : alone;

	if (m == NULL)
		return NULL;
	return psprintf("message of topic \"%s\" partition %d offset " INT64_FORMAT,
					m->topic, m->partition, m->offset);
}

void
cdc_apply_context_callback(void *arg)
{
	char	   *line = cdc_apply_context_line();

	if (line)
		errcontext("%s", line);
}
