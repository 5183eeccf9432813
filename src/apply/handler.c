/*
 * handler.c
 *		Conflict handlers: SQL functions of users that decide a conflict.
 *
 *		f(cdcsync.conflict) RETURNS jsonb
 *
 * returns {"resolution": "apply_remote" | "keep_local" | "skip" | "error" |
 * "last_update_wins"}, {"row": {...}}, or NULL for last_update_wins.  The name is looked
 * up at each call: a function that is created anew is the one that is asked.
 *
 * It runs with the rights of the table's owner.  Whoever may change subscriptions names
 * it, for tables of any owner: so its own owner must have those rights already.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "apply/handler.h"
#include "base/compat.h"
#include "stored/conflict_rules.h"

static Oid
function_owner(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Of the current user, the table's owner, and of whoever wrote the function */
static void
check_rights(const char *function, Oid funcid)
{
	Oid			owner = function_owner(funcid);
	AclResult	result = object_aclcheck(ProcedureRelationId, funcid, GetUserId(), ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, function);
	if (!has_privs_of_role(owner, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("conflict handler %s must not run with the rights of role \"%s\"",
						function, GetUserNameFromId(GetUserId(), false)),
				 errdetail("It belongs to role \"%s\", which does not have the rights of the table's owner.",
						   GetUserNameFromId(owner, false)),
				 errhint("Run ALTER FUNCTION %s(cdcsync.conflict) OWNER TO the table's owner, or name another handler; then run cdcsync.resume.",
						 function)));
}

/* The function that was checked, whatever its name may mean by now */
static Datum
call(Oid funcid, Datum arg, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo	flinfo;
	Datum		value;

	fmgr_info(funcid, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = arg;
	fcinfo->args[0].isnull = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	value = FunctionCallInvoke(fcinfo);
	PopActiveSnapshot();
	*isnull = fcinfo->isnull;
	return value;
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

pg_noreturn static void
refuse_answer(const char *function, Jsonb *answer)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("answer of conflict handler %s is not understood", function),
			 errdetail("It is: %s", JsonbToCString(NULL, &answer->root, VARSIZE(answer))),
			 errhint("It returns {\"resolution\": \"apply_remote\" | \"keep_local\" | \"skip\" | \"error\" | \"last_update_wins\"}, {\"row\": {...}}, or NULL.")));
}

static JsonbValue *
find_field(Jsonb *answer, const char *name, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(&answer->root, name, strlen(name), buffer);
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

/*
 * Ask a function, by its quoted name, with the rights that are in force: the table
 * owner's.  The record says what last_update_wins would do.  SPI is connected.  Raises
 * what the function raises, and a data error for an answer that cannot be understood.
 */
CdcHandlerAnswer
cdc_handler_call(const char *function, const CdcConflictRecord *record)
{
	Oid			funcid = cdc_conflict_rules_find_function(function);
	CdcHandlerAnswer answer = {.handling = CDC_HANDLING_LAST_UPDATE_WINS};
	Datum		value;
	bool		isnull;

	check_rights(function, funcid);
	value = call(funcid, record_to_composite(record, cdc_conflict_rules_argument_type()),
				 &isnull);
	return isnull ? answer : read_answer(function, DatumGetJsonbP(value));
}
