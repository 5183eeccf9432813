/*
 * door.c
 *		decode() and apply() by hand, through the same C path.
 *
 * They serve tests, experiments and repairs.  What apply() writes counts as a local
 * change of this node: it runs in the caller's transaction, which cannot carry a peer's
 * replication origin.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "apply/apply.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/owner.h"
#include "base/row_rights.h"
#include "base/session.h"
#include "base/unixtime.h"
#include "event/decode.h"
#include "event/token.h"
#include "rows/row.h"
#include "shared/apply_context.h"
#include "shared/error.h"
#include "table/relation.h"

#define DECODE_COLUMNS 9

static const char *const op_names[] = {
	[CDC_OP_CREATE] = "c",
	[CDC_OP_UPDATE] = "u",
	[CDC_OP_DELETE] = "d",
	[CDC_OP_READ] = "r",
	[CDC_OP_TRUNCATE] = "t",
	[CDC_OP_NULL_VALUE] = "null",
	[CDC_OP_IGNORED] = "ignored"
};

static CdcMessage *
message_from_texts(const char *topic, text *key, text *value, int64 offset)
{
	CdcMessage *m = palloc0(sizeof(CdcMessage));

	cdc_extension_check_encoding();
	m->topic = topic;
	m->offset = offset;
	m->timestamp = cdc_unixtime_from_timestamptz(GetCurrentTimestamp()) / 1000;
	if (key)
	{
		m->key = VARDATA_ANY(key);
		m->key_len = VARSIZE_ANY_EXHDR(key);
	}
	if (value)
	{
		m->value = VARDATA_ANY(value);
		m->value_len = VARSIZE_ANY_EXHDR(value);
	}
	return m;
}

/*
 * decode(topic, key, value, producer): what a message says.  Of a registered table the
 * rows show what the local columns would get, as text; of others, the tokens as they
 * came.
 */
PG_FUNCTION_INFO_V1(cdcsync_decode);

static void
push_pair(JsonbInState *state, const char *name, int namelen, char *value)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = pnstrdup(name, namelen);
	v.val.string.len = namelen;
	pushJsonbValue(state, WJB_KEY, &v);
	v.type = value ? jbvString : jbvNull;
	v.val.string.val = value;
	v.val.string.len = value ? strlen(value) : 0;
	pushJsonbValue(state, WJB_VALUE, &v);
}

static char *
field_text(CdcRelation *rel, const CdcShape *shape, int column, const CdcImage *image,
		   const CdcProducer *producer)
{
	const CdcField *field = &image->fields[shape->field[column]];
	Datum		value;

	switch (cdc_value_decode(&field->token, field->schema, producer,
							 &rel->columns[column].vt, &value))
	{
		case CDC_VALUE_SET:
			return OutputFunctionCall(&rel->columns[column].output, value);
		case CDC_VALUE_UNCHANGED:
			return "(unchanged)";
		case CDC_VALUE_NULL:
			break;
	}
	return NULL;
}

static Datum
image_to_jsonb(CdcRelation *rel, const CdcImage *image, bool of_key,
			   const CdcProducer *producer, bool *isnull)
{
	JsonbInState state = {0};
	CdcShape   *shape = NULL;

	*isnull = !image->present;
	if (!image->present)
		return (Datum) 0;
	if (rel)
		shape = cdc_relation_shape(rel, image, of_key);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < image->nfields; i++)
	{
		if (rel == NULL)
			push_pair(&state, image->fields[i].name, image->fields[i].namelen,
					  image->fields[i].token.type == CDC_TOKEN_NULL ? NULL :
					  cdc_token_string(&image->fields[i].token));
	}
	for (int c = 0; rel && c < rel->ncolumns; c++)
	{
		if (shape->field[c] >= 0)
			push_pair(&state, rel->columns[c].name, strlen(rel->columns[c].name),
					  field_text(rel, shape, c, image, producer));
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(state.result));
}

/* What decoding runs of a registered table's domains runs as its owner */
static void
fill_images(CdcRelation *rel, CdcEvent *event, const CdcProducer *producer, Datum *values,
			bool *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	bool		may_read_all = cdc_may_read_rows(InvalidOid);
	bool		may_read = may_read_all || rel == NULL || cdc_may_read_rows(rel->relid);
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, rel ? rel->owner : GetUserId());
	PG_TRY();
	{
		values[0] = image_to_jsonb(rel, &event->key, true, producer, &nulls[0]);
		values[1] = image_to_jsonb(rel, &event->before, false, producer, &nulls[1]);
		values[2] = image_to_jsonb(rel, &event->after, false, producer, &nulls[2]);
	}
	PG_CATCH();
	{
		cdc_error_rethrow(context, may_read, may_read_all);
	}
	PG_END_TRY();
	cdc_owner_end(&scope);
}

static void
fill_decoded(CdcEvent *event, const CdcProducer *producer, Datum *values, bool *nulls)
{
	CdcRelation *rel = NULL;

	values[0] = CStringGetTextDatum(op_names[event->op]);
	nulls[0] = false;
	if (event->peer)
	{
		values[1] = CStringGetTextDatum(event->peer);
		nulls[1] = false;
	}
	if (event->table)
	{
		values[2] = CStringGetTextDatum(quote_qualified_identifier(event->schema, event->table));
		nulls[2] = false;
		rel = cdc_relation_open(event->schema, event->table);
	}
	if (rel)
	{
		values[3] = ObjectIdGetDatum(rel->relid);
		nulls[3] = false;
	}
	if (event->time)
	{
		values[4] = TimestampTzGetDatum(cdc_unixtime_to_timestamptz(event->time));
		nulls[4] = false;
	}
	if (event->origin)
	{
		values[5] = CStringGetTextDatum(event->origin);
		nulls[5] = false;
	}
	fill_images(rel, event, producer, values + 6, nulls + 6);
}

Datum
cdcsync_decode(PG_FUNCTION_ARGS)
{
	Datum		values[DECODE_COLUMNS] = {0};
	bool		nulls[DECODE_COLUMNS];
	MemoryContext context = CurrentMemoryContext;
	TupleDesc	desc;
	CdcMessage *message;
	CdcEvent   *event;
	CdcProducer *producer;
	int			nestlevel;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(nulls, true, sizeof(nulls));
	message = message_from_texts(PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
								 PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2), 0);
	producer = cdc_producer_parse(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	event = cdc_decode_message(message);

	SPI_connect();
	MemoryContextSwitchTo(context);
	nestlevel = cdc_session_begin();
	fill_decoded(event, producer, values, nulls);
	cdc_session_end(nestlevel);
	SPI_finish();
	MemoryContextSwitchTo(context);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

static CdcApplyOptions
door_options(FunctionCallInfo fcinfo)
{
	return cdc_subscription_door_options(PG_ARGISNULL(3) ? NULL : &PG_GETARG_DATUM(3),
										 PG_ARGISNULL(4) ? NULL : &PG_GETARG_DATUM(4));
}

static bool
may_read_tables(CdcApplyItem **items, int nitems)
{
	bool		result = true;

	for (int i = 0; i < nitems; i++)
	{
		const CdcTableRule *rule = cdc_table_rule_for_source(items[i]->event->schema,
															 items[i]->event->table);

		result &= rule == NULL || cdc_may_read_rows(rule->relid);
	}
	return result;
}

/* What goes wrong may show rows: the message is the caller's own, they are not */
static void
execute(CdcApplyItem **items, int nitems, CdcApplied *applied)
{
	CdcApplyHow how = {.lock = true, .unique = true, .alone = true};
	bool		may_read_all = cdc_may_read_rows(InvalidOid);
	bool		may_read = may_read_all || may_read_tables(items, nitems);
	int			nestlevel = cdc_session_begin();

	cdc_apply_context_set_table(InvalidOid, NULL, NULL);
	PG_TRY();
	{
		cdc_apply_execute(cdc_apply_begin(items, nitems, how), nitems, applied);
	}
	PG_CATCH();
	{
		cdc_error_rethrow(applied->context, may_read, may_read_all);
	}
	PG_END_TRY();
	cdc_session_end(nestlevel);
}

/* The outcome of each message, in CurrentMemoryContext */
static const char **
apply_messages(CdcMessage **messages, int n, const CdcApplyOptions *options)
{
	MemoryContext context = CurrentMemoryContext;
	CdcApplyItem **prepared = palloc(sizeof(CdcApplyItem *) * n);
	CdcApplyItem **items = palloc(sizeof(CdcApplyItem *) * n);
	const char **outcomes = palloc(sizeof(char *) * n);
	CdcLogTail	tail = {0};
	CdcApplied	applied = {.context = context};
	int			nitems = 0;
	ErrorContextCallback error_context = {.callback = cdc_apply_context_callback,
	.previous = error_context_stack};

	error_context_stack = &error_context;
	cdc_apply_context_clear();
	for (int i = 0; i < n; i++)
	{
		prepared[i] = cdc_apply_prepare(messages[i], options, &tail);
		if (prepared[i])
			items[nitems++] = prepared[i];
	}
	SPI_connect();
	execute(items, nitems, &applied);
	SPI_finish();
	MemoryContextSwitchTo(context);
	error_context_stack = error_context.previous;

	for (int i = 0; i < n; i++)
		outcomes[i] = prepared[i] ? prepared[i]->outcome : "nothing to apply";
	return outcomes;
}

/*
 * apply(topic, key, value, producer, origin): apply one message; returns what was
 * decided.
 */
PG_FUNCTION_INFO_V1(cdcsync_apply);
Datum
cdcsync_apply(PG_FUNCTION_ARGS)
{
	CdcApplyOptions options = door_options(fcinfo);
	CdcMessage *message;

	message = message_from_texts(PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
								 PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2), 0);
	PG_RETURN_TEXT_P(cstring_to_text(apply_messages(&message, 1, &options)[0]));
}

/*
 * apply(topic, keys, values, producer, origin): apply messages as one batch, as they
 * would come from a partition; returns what was decided of each.
 */
PG_FUNCTION_INFO_V1(cdcsync_apply_batch);
Datum
cdcsync_apply_batch(PG_FUNCTION_ARGS)
{
	CdcApplyOptions options = door_options(fcinfo);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *topic = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	CdcMessage **messages;
	const char **outcomes;
	Datum	   *keys;
	Datum	   *values;
	bool	   *null_keys;
	bool	   *null_values;
	int			nkeys = 0;
	int			n = 0;

	if (!PG_ARGISNULL(1))
		deconstruct_array_builtin(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, &keys, &null_keys, &nkeys);
	if (!PG_ARGISNULL(2))
		deconstruct_array_builtin(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, &values, &null_values, &n);
	if (n != nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("there must be as many keys as values")));
	messages = palloc(sizeof(CdcMessage *) * n);
	for (int i = 0; i < n; i++)
		messages[i] = message_from_texts(topic, null_keys[i] ? NULL : DatumGetTextPP(keys[i]),
										 null_values[i] ? NULL : DatumGetTextPP(values[i]), i);

	outcomes = apply_messages(messages, n, &options);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < n; i++)
	{
		Datum		outcome = CStringGetTextDatum(outcomes[i]);
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &outcome, &isnull);
	}
	return (Datum) 0;
}
