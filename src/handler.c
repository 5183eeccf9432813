/*
 * handler.c
 *		Conflict handlers: SQL functions of users that decide a conflict.
 *
 *		f(cdcsync.conflict) RETURNS jsonb
 *
 * returns {"resolution": "apply_remote" | "keep_local" | "skip" | "error" |
 * "last_update_wins"}, {"row": {...}}, or NULL for last_update_wins.  The name is looked
 * up at each call: a function that is created anew is the one that is asked.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "conflict_rules.h"
#include "handler.h"

static Datum record_to_composite(const CdcConflictRecord *record, Oid type);
static CdcHandlerAnswer read_answer(const char *function, Jsonb *answer);
static JsonbValue *find_field(Jsonb *answer, const char *name, JsonbValue *buffer);
pg_noreturn static void refuse_answer(const char *function, Jsonb *answer);

CdcHandlerAnswer
cdc_handler_call(const char *function, const CdcConflictRecord *record)
{
	char	   *sql = psprintf("SELECT %s($1)", function);
	Oid			type = cdc_conflict_rules_argument_type();
	Datum		arg = record_to_composite(record, type);
	CdcHandlerAnswer answer = {.handling = CDC_HANDLING_LAST_UPDATE_WINS};
	Datum		value;
	bool		isnull;
	int			result = SPI_execute_with_args(sql, 1, &type, &arg, NULL, false, 2);

	if (result != SPI_OK_SELECT || SPI_processed != 1 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("conflict handler %s does not return one jsonb", function),
				 errhint("Create it as %s(cdcsync.conflict) RETURNS jsonb.", function)));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? answer : read_answer(function, DatumGetJsonbP(value));
}

static Datum
record_to_composite(const CdcConflictRecord *record, Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	Datum		values[CDC_CONFLICT_COLUMNS];
	bool		nulls[CDC_CONFLICT_COLUMNS];

	cdc_conflict_log_values(record, values, nulls);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static CdcHandlerAnswer
read_answer(const char *function, Jsonb *jsonb)
{
	CdcHandlerAnswer answer = {.handling = CDC_HANDLING_LAST_UPDATE_WINS};
	JsonbValue	buffer;
	JsonbValue *field;

	if (!JB_ROOT_IS_OBJECT(jsonb) || JB_ROOT_COUNT(jsonb) != 1)
		refuse_answer(function, jsonb);
	field = find_field(jsonb, "row", &buffer);
	if (field && field->type == jbvBinary && JsonContainerIsObject(field->val.binary.data))
	{
		answer.row = JsonbValueToJsonb(field);
		return answer;
	}
	field = find_field(jsonb, "resolution", &buffer);
	if (field == NULL || field->type != jbvString ||
		!cdc_conflict_rules_find_handling(pnstrdup(field->val.string.val,
												   field->val.string.len), &answer.handling))
		refuse_answer(function, jsonb);
	return answer;
}

static JsonbValue *
find_field(Jsonb *answer, const char *name, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(&answer->root, name, strlen(name), buffer);
}

static void
refuse_answer(const char *function, Jsonb *answer)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("answer of conflict handler %s is not understood: %s", function,
					JsonbToCString(NULL, &answer->root, VARSIZE(answer))),
			 errhint("It returns {\"resolution\": \"apply_remote\" | \"keep_local\" | \"skip\" | \"error\" | \"last_update_wins\"}, {\"row\": {...}}, or NULL.")));
}
