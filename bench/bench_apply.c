/*
 * bench_apply.c
 *		Ways to bring a batch of messages into a table, for bench/decide.pl.
 *
 * It is loaded beside cdcsync and calls its functions, so that all ways decode alike.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "apply/apply.h"
#include "base/extension.h"
#include "event/decode.h"
#include "rows/image_row.h"
#include "base/owner.h"
#include "table/relation.h"
#include "rows/row.h"
#include "base/session.h"
#include "rows/write.h"

PG_MODULE_MAGIC;

typedef struct Batch
{
	int			n;
	CdcMessage *messages;
	CdcApplyOptions options;
} Batch;

static void read_batch(FunctionCallInfo fcinfo, Batch *batch);
static void upsert_all(Batch *batch);
static char *upsert_text(const CdcRelation *rel);

/* (topic, keys, values, producer) */
static void
read_batch(FunctionCallInfo fcinfo, Batch *batch)
{
	char	   *topic = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum	   *keys;
	Datum	   *values;
	int			n;

	deconstruct_array_builtin(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, &keys, NULL, &n);
	deconstruct_array_builtin(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, &values, NULL, &batch->n);
	batch->messages = palloc0(sizeof(CdcMessage) * batch->n);
	batch->options = (CdcApplyOptions){.producer = cdc_producer_parse(PG_GETARG_JSONB_P(3))};
	for (int i = 0; i < batch->n; i++)
	{
		CdcMessage *m = &batch->messages[i];

		m->topic = topic;
		m->offset = i;
		m->key = TextDatumGetCString(keys[i]);
		m->key_len = strlen(m->key);
		m->value = TextDatumGetCString(values[i]);
		m->value_len = strlen(m->value);
	}
}

/* As the worker does: read the rows, decide, write the net effect.  Returns ms */
PG_FUNCTION_INFO_V1(bench_decide);
Datum
bench_decide(PG_FUNCTION_ARGS)
{
	Batch		batch;
	CdcApplyItem **items;
	CdcLogTail	tail = {0};
	CdcApplied	applied = {.context = CurrentMemoryContext};
	TimestampTz start;
	int			nitems = 0;
	int			nestlevel;

	read_batch(fcinfo, &batch);
	start = GetCurrentTimestamp();
	items = palloc(sizeof(CdcApplyItem *) * batch.n);
	SPI_connect();
	nestlevel = cdc_session_begin();
	for (int i = 0; i < batch.n; i++)
		items[nitems++] = cdc_apply_prepare(&batch.messages[i], &batch.options, &tail);
	cdc_apply_execute(cdc_apply_begin(items, nitems, (CdcApplyHow){0}), nitems, &applied);
	cdc_session_end(nestlevel);
	SPI_finish();
	PG_RETURN_FLOAT8((GetCurrentTimestamp() - start) / 1000.0);
}

/* Decoded, and written by INSERT ... ON CONFLICT DO UPDATE without a look.  Returns ms */
PG_FUNCTION_INFO_V1(bench_upsert);
Datum
bench_upsert(PG_FUNCTION_ARGS)
{
	Batch		batch;
	TimestampTz start;
	int			nestlevel;

	read_batch(fcinfo, &batch);
	start = GetCurrentTimestamp();
	SPI_connect();
	nestlevel = cdc_session_begin();
	upsert_all(&batch);
	cdc_session_end(nestlevel);
	SPI_finish();
	PG_RETURN_FLOAT8((GetCurrentTimestamp() - start) / 1000.0);
}

static void
upsert_all(Batch *batch)
{
	CdcRelation *rel = NULL;
	CdcRowSet  *set = NULL;
	CdcOwnerScope scope;

	for (int i = 0; i < batch->n; i++)
	{
		CdcEvent   *event = cdc_decode_message(&batch->messages[i]);
		CdcRow		row;

		if (rel == NULL)
		{
			rel = cdc_relation_open(event->schema, event->table);
			cdc_owner_begin(&scope, rel->owner);
			set = cdc_write_begin(rel);
		}
		cdc_image_decode(&row, rel, &event->after, batch->options.producer);
		cdc_write_add(set, &row);
	}
	if (rel == NULL)
		return;
	(void) cdc_write_query(set, upsert_text(rel));
	cdc_owner_end(&scope);
}

static char *
upsert_text(const CdcRelation *rel)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s SELECT ", rel->qualified_name);
	for (int i = 0; i < rel->ncolumns; i++)
		appendStringInfo(&buf, "%sb.c%d", i ? ", " : "", i + 1);
	appendStringInfoString(&buf, " FROM " CDC_BATCH_NAME " AS b ON CONFLICT (");
	for (int i = 0; i < rel->key->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", rel->key->columns[i].name);
	appendStringInfoString(&buf, ") DO UPDATE SET ");
	for (int i = 0; i < rel->ncolumns; i++)
		appendStringInfo(&buf, "%s%s = excluded.%s", i ? ", " : "", rel->columns[i].name,
						 rel->columns[i].name);
	return buf.data;
}
