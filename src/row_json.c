/*
 * row_json.c
 *		Rows for people and for handlers: as JSON objects, and back.
 *
 * Back they come through the server's jsonb_populate_record, so that the texts of all
 * types are read by their input functions.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "row_json.h"

static void push_name(JsonbParseState **state, const char *name);
static void push_value(JsonbParseState **state, CdcColumn *col, Datum value);
static bool is_plain_number(Oid type, Datum value);
static void push_embedded(JsonbParseState **state, Jsonb *jsonb);

Jsonb *
cdc_row_to_jsonb(CdcRelation *rel, const CdcRow *row)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = -1; (i = bms_next_member(row->present, i)) >= 0;)
	{
		JsonbValue	null = {.type = jbvNull};

		push_name(&state, rel->columns[i].name);
		if (row->nulls[i])
			pushJsonbValue(&state, WJB_VALUE, &null);
		else
			push_value(&state, &rel->columns[i], row->values[i]);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
push_name(JsonbParseState **state, const char *name)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = unconstify(char *, name);
	v.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &v);
}

static void
push_value(JsonbParseState **state, CdcColumn *col, Datum value)
{
	Oid			type = col->vt.type;
	char	   *text;
	JsonbValue	v;

	if (type == JSONBOID)
	{
		push_embedded(state, DatumGetJsonbP(value));
		return;
	}
	text = OutputFunctionCall(&col->output, value);
	if (type == JSONOID)
	{
		push_embedded(state, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text))));
		return;
	}
	if (type == BOOLOID)
	{
		v.type = jbvBool;
		v.val.boolean = DatumGetBool(value);
	}
	else if (is_plain_number(type, value))
	{
		v.type = jbvNumeric;
		v.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
															ObjectIdGetDatum(InvalidOid),
															Int32GetDatum(-1)));
	}
	else
	{
		v.type = jbvString;
		v.val.string.val = text;
		v.val.string.len = strlen(text);
	}
	pushJsonbValue(state, WJB_VALUE, &v);
}

/* JSON's numbers know neither infinity nor NaN, and numeric no -0 */
static bool
is_plain_number(Oid type, Datum value)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return true;
		case NUMERICOID:
			return !numeric_is_nan(DatumGetNumeric(value)) &&
				!numeric_is_inf(DatumGetNumeric(value));
		case FLOAT4OID:
			return isfinite(DatumGetFloat4(value)) &&
				!(DatumGetFloat4(value) == 0 && signbit(DatumGetFloat4(value)));
		case FLOAT8OID:
			return isfinite(DatumGetFloat8(value)) &&
				!(DatumGetFloat8(value) == 0 && signbit(DatumGetFloat8(value)));
		default:
			return false;
	}
}

static void
push_embedded(JsonbParseState **state, Jsonb *jsonb)
{
	JsonbValue	v;

	if (JB_ROOT_IS_SCALAR(jsonb))
		(void) JsonbExtractScalar(&jsonb->root, &v);
	else
	{
		v.type = jbvBinary;
		v.val.binary.data = &jsonb->root;
		v.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	pushJsonbValue(state, WJB_VALUE, &v);
}

CdcRow
cdc_row_from_jsonb(CdcRelation *rel, Jsonb *object)
{
	CdcRow		row = {.exists = true};
	char	   *sql = psprintf("SELECT r.* FROM pg_catalog.jsonb_populate_record("
							   "NULL::%s, $1) AS r", rel->qualified_name);
	Oid			argtypes[1] = {JSONBOID};
	Datum		args[1] = {JsonbPGetDatum(object)};
	TupleDesc	desc;
	int			result = SPI_execute_with_args(sql, 1, argtypes, args, NULL, false, 1);

	if (result != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not make a row: %s", SPI_result_code_string(result));
	desc = SPI_tuptable->tupdesc;
	ItemPointerSetInvalid(&row.tid);
	row.values = palloc(sizeof(Datum) * rel->ncolumns);
	row.nulls = palloc(sizeof(bool) * rel->ncolumns);
	row.present = bms_add_range(NULL, 0, rel->ncolumns - 1);
	for (int i = 0; i < rel->ncolumns; i++)
		row.values[i] = SPI_getbinval(SPI_tuptable->vals[0], desc,
									  SPI_fnumber(desc, rel->columns[i].name), &row.nulls[i]);
	return row;
}

Jsonb *
cdc_row_json_pair(const char *name, const char *value)
{
	JsonbParseState *state = NULL;
	JsonbValue	v = {.type = jbvString};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_name(&state, name);
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = strlen(value);
	pushJsonbValue(&state, WJB_VALUE, &v);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

Jsonb *
cdc_row_json_merge(Jsonb *base, Jsonb *top)
{
	if (base == NULL)
		return top;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(base),
											  JsonbPGetDatum(top)));
}
