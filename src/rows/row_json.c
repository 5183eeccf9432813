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
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/subxact.h"
#include "rows/row_json.h"

/* Of rows that are larger, values that are longer are cut */
#define CUT_ROW_SIZE	8192
#define CUT_VALUE_SIZE	1024

/* A value of type json on its way to jsonb */
typedef struct JsonText
{
	const char *text;
	Jsonb	   *jsonb;
} JsonText;

static void
push_name(JsonbInState *state, const char *name)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = unconstify(char *, name);
	v.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &v);
}

static void
push_embedded(JsonbInState *state, Jsonb *jsonb)
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
read_json(void *arg)
{
	JsonText   *json = arg;

	json->jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json->text)));
}

static bool
is_value_error(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

/*
 * Not all of json can be jsonb: neither \u0000 nor a number beyond numeric.  False then:
 * a record for people must not stop the change it is about.
 */
static bool
push_json(JsonbInState *state, const char *text)
{
	JsonText	json = {.text = text};
	ErrorData  *error = cdc_subxact_attempt(read_json, &json, is_value_error);

	if (error)
	{
		FreeErrorData(error);
		return false;
	}
	push_embedded(state, json.jsonb);
	return true;
}

static void
push_text(JsonbInState *state, char *text)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = text;
	v.val.string.len = strlen(text);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_value(JsonbInState *state, CdcColumn *col, Datum value)
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
	if (type == BOOLOID)
	{
		v.type = jbvBool;
		v.val.boolean = DatumGetBool(value);
		pushJsonbValue(state, WJB_VALUE, &v);
	}
	else if (is_plain_number(type, value))
	{
		v.type = jbvNumeric;
		v.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
															ObjectIdGetDatum(InvalidOid),
															Int32GetDatum(-1)));
		pushJsonbValue(state, WJB_VALUE, &v);
	}
	else if (type != JSONOID || !push_json(state, text))
		push_text(state, text);
}

/*
 * The columns that a row has a value for, by their local names: booleans, finite numbers
 * and json as such, all else as output text.
 */
Jsonb *
cdc_row_to_jsonb(CdcRelation *rel, const CdcRow *row)
{
	JsonbInState state = {0};

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
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

static bool
has_name(Jsonb *object, const char *name)
{
	JsonbValue	buffer;

	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), &buffer) != NULL;
}

/*
 * A row of the columns that the object names; what the table does not have is ignored.
 * SPI is connected; raises what the columns' types say of wrong values.
 */
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
	for (int i = 0; i < rel->ncolumns; i++)
	{
		const char *name = rel->columns[i].name;

		row.values[i] = SPI_getbinval(SPI_tuptable->vals[0], desc, SPI_fnumber(desc, name),
									  &row.nulls[i]);
		if (has_name(object, name))
			row.present = bms_add_member(row.present, i);
	}
	return row;
}

/* The text of a DELETE of the row of that key; name is the table's, quoted */
char *
cdc_row_json_delete_text(const char *name, const CdcKey *key)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "DELETE FROM %s AS t USING " CDC_ROW_OF_JSON " WHERE ", name, name);
	cdc_key_append_join(&buf, key);
	return buf.data;
}

/* An object of one text */
Jsonb *
cdc_row_json_pair(const char *name, const char *value)
{
	JsonbInState state = {0};
	JsonbValue	v = {.type = jbvString};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_name(&state, name);
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = strlen(value);
	pushJsonbValue(&state, WJB_VALUE, &v);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/* An object of one value that cannot be decoded: {name: {"undecodable": its text}} */
Jsonb *
cdc_row_json_undecodable(const char *name, const char *text)
{
	JsonbInState state = {0};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_name(&state, name);
	push_embedded(&state, cdc_row_json_pair("undecodable", text));
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

static bool
is_long(const JsonbValue *v)
{
	return (v->type == jbvString && v->val.string.len > CUT_VALUE_SIZE) ||
		(v->type == jbvNumeric && VARSIZE(v->val.numeric) > CUT_VALUE_SIZE) ||
		(v->type == jbvBinary && v->val.binary.len > CUT_VALUE_SIZE);
}

static char *
value_text(JsonbValue *v, int *len)
{
	char	   *text = v->val.string.val;

	*len = v->val.string.len;
	if (v->type == jbvString)
		return text;
	text = v->type == jbvBinary ? JsonbToCString(NULL, v->val.binary.data, v->val.binary.len) :
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
	*len = strlen(text);
	return text;
}

static Jsonb *
cut_value(JsonbValue *v)
{
	JsonbInState state = {0};
	JsonbValue	number = {.type = jbvNumeric};
	int			len;
	char	   *text = value_text(v, &len);

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_name(&state, "cut");
	push_text(&state, pnstrdup(text, pg_mbcliplen(text, len, CUT_VALUE_SIZE)));
	push_name(&state, "bytes");
	number.val.numeric = int64_to_numeric(len);
	pushJsonbValue(&state, WJB_VALUE, &number);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

Jsonb *
cdc_row_json_cut(Jsonb *row)
{
	JsonbInState state = {0};
	JsonbIterator *it = JsonbIteratorInit(&row->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	if (VARSIZE(row) <= CUT_ROW_SIZE || !JB_ROOT_IS_OBJECT(row))
		return DatumGetJsonbPCopy(JsonbPGetDatum(row));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE && is_long(&v))
			push_embedded(&state, cut_value(&v));
		else
			pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY ? &v : NULL);
	}
	return JsonbValueToJsonb(state.result);
}

static bool
is_cut(JsonbContainer *container)
{
	JsonbValue	buffer;

	return JsonContainerIsObject(container) && JsonContainerSize(container) == 2 &&
		getKeyJsonValueFromContainer(container, "cut", 3, &buffer) != NULL &&
		getKeyJsonValueFromContainer(container, "bytes", 5, &buffer) != NULL;
}

char *
cdc_row_json_cut_column(Jsonb *row)
{
	JsonbIterator *it = JsonbIteratorInit(&row->root);
	JsonbIteratorToken token;
	JsonbValue	v;
	char	   *column = NULL;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			column = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE && v.type == jbvBinary && is_cut(v.val.binary.data))
			return column;
	}
	return NULL;
}

/* base with the fields that top has; base may be NULL */
Jsonb *
cdc_row_json_merge(Jsonb *base, Jsonb *top)
{
	if (base == NULL)
		return top;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(base),
											  JsonbPGetDatum(top)));
}
