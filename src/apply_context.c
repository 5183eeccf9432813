/*
 * apply_context.c
 *		The message at work, for the context line of errors.
 */
#include "postgres.h"

#include "apply_context.h"

static const CdcMessage *current = NULL;
static const CdcMessage *alone = NULL;

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
cdc_apply_context_callback(void *arg)
{
	const CdcMessage *m = current ? current : alone;

	if (m)
		errcontext("message of topic \"%s\" partition %d offset " INT64_FORMAT,
				   m->topic, m->partition, m->offset);
}
