/*
 * option.c
 *		Options: arguments of SQL functions that a catalog keeps and a struct has.
 *
 * A function's arguments are found by their names in pg_proc, and the catalog's columns
 * by theirs.  So an option is known in three places: the table of options with its
 * struct's member (subscription.c, table_rule.c), the SQL script with the column and the
 * arguments, whose DEFAULT is the option's, and the documentation.
 *
 * NULL among the arguments means "not given": the default where something is made, as it
 * is where it is changed.  So only what was given is checked, taken and written.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/result.h"
#include "stored/option.h"

/* The number of the called function's argument of this name, or -1 */
static int
find_argument(FunctionCallInfo fcinfo, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n;
	int			found = -1;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	n = get_func_arg_info(tuple, &types, &names, &modes);
	ReleaseSysCache(tuple);
	for (int i = 0; names && i < n; i++)
	{
		if (strcmp(names[i], name) == 0)
			found = i;
	}
	return found;
}

static int
find_choice(const CdcOption *option, const char *value)
{
	for (int i = 0; i < CDC_OPTION_MAX_CHOICES && option->choices[i] != NULL; i++)
	{
		if (strcmp(option->choices[i], value) == 0)
			return i;
	}
	return -1;
}

/* What is stored of a value that was given for it; raises an error that says what is accepted */
static Datum
check(const CdcOption *option, Oid relid, Datum value)
{
	StringInfoData choices;

	if (option->choices[0] && find_choice(option, TextDatumGetCString(value)) < 0)
	{
		initStringInfo(&choices);
		for (int i = 0; i < CDC_OPTION_MAX_CHOICES && option->choices[i] != NULL; i++)
			appendStringInfo(&choices, "%s\"%s\"", i > 0 ? ", " : "", option->choices[i]);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", option->name, TextDatumGetCString(value)),
				 errhint("Available values: %s.", choices.data)));
	}
	return option->check ? option->check(relid, value) : value;
}

static List *
list_of_texts(Datum array)
{
	Datum	   *elems;
	int			nelems;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
		result = lappend(result, TextDatumGetCString(elems[i]));
	return result;
}

/* Choices are a bool, true for the second one */
static void
take(const CdcOption *option, void *owner, Datum value)
{
	void	   *member = (char *) owner + option->member;

	if (option->take)
		option->take(owner, value);
	else if (option->choices[0])
		*(bool *) member = find_choice(option, TextDatumGetCString(value)) == 1;
	else if (option->type == BOOLOID)
		*(bool *) member = DatumGetBool(value);
	else if (option->type == NAMEOID)
		*(char **) member = pstrdup(NameStr(*DatumGetName(value)));
	else if (option->type == TEXTARRAYOID)
		*(List **) member = list_of_texts(value);
	else
		elog(ERROR, "option \"%s\" has no way into its struct", option->name);
}

/* Before anything is checked: that no option is NULL which must not be */
void
cdc_option_require_args(CdcOptions options, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < options.noptions; i++)
	{
		const CdcOption *option = &options.options[i];
		int			arg = find_argument(fcinfo, option->name);

		if (option->required && arg >= 0 && PG_ARGISNULL(arg))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("parameter \"%s\" must not be null", option->name)));
	}
}

/*
 * The options among the arguments of a function, as far as they are given: into their
 * struct, and as columns of the row to be written.  An empty array is the default again,
 * where it is accepted.  relid: the table they are about, if any.
 */
void
cdc_option_read_args(CdcOptions options, FunctionCallInfo fcinfo, Oid relid, void *owner,
					 CdcOwnRow *row)
{
	for (int i = 0; i < options.noptions; i++)
	{
		const CdcOption *option = &options.options[i];
		int			arg = find_argument(fcinfo, option->name);
		Datum		value;

		if (arg < 0 || PG_ARGISNULL(arg))
			continue;
		value = check(option, relid, PG_GETARG_DATUM(arg));
		take(option, owner, value);
		if (option->type == TEXTARRAYOID && ARR_NDIM(DatumGetArrayTypeP(value)) == 0)
			cdc_own_row_set_null(row, option->name, option->type);
		else
			cdc_own_row_set(row, option->name, option->type, value);
	}
}

/* The same of row n that SPI returned, in CurrentMemoryContext; what is NULL leaves its member as it is */
void
cdc_option_read_result(CdcOptions options, uint64 n, void *owner)
{
	for (int i = 0; i < options.noptions; i++)
	{
		bool		isnull;
		Datum		value = cdc_result(n, options.options[i].name, &isnull);

		if (!isnull)
			take(&options.options[i], owner, value);
	}
}

/* One of them by its name, checked, for a function that keeps nothing */
void
cdc_option_set(CdcOptions options, const char *name, Datum value, void *owner)
{
	for (int i = 0; i < options.noptions; i++)
	{
		const CdcOption *option = &options.options[i];

		if (strcmp(option->name, name) == 0)
			take(option, owner, check(option, InvalidOid, value));
	}
}
