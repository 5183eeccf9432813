/*
 * table_rule_check.c
 *		What add_table and alter_table_rule accept, as far as it is about names.
 */
#include "postgres.h"

#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "stored/table_rule_check.h"

/* Of an option, as it is stored: schema.table, quoted; without a schema, that of the local table */
Datum
cdc_table_rule_check_source(Oid relid, Datum name)
{
	List	   *parts = textToQualifiedNameList(DatumGetTextPP(name));

	if (list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid source table \"%s\"", TextDatumGetCString(name)),
				 errhint("Give it as \"schema.table\".")));
	return CStringGetTextDatum(quote_qualified_identifier(list_length(parts) == 2 ? strVal(linitial(parts)) :
														  get_namespace_name(get_rel_namespace(relid)),
														  strVal(llast(parts))));
}

/* Does the map, but for one of its pairs, give a value to this local column? */
static bool
is_mapped(List *map, const char *local, const CdcColumnPair *except)
{
	ListCell   *lc;

	foreach(lc, map)
	{
		const CdcColumnPair *pair = lfirst(lc);

		if (pair != except && strcmp(pair->local, local) == 0)
			return true;
	}
	return false;
}

static void
check_column_pair(Oid relid, List *map, const CdcColumnPair *pair)
{
	AttrNumber	attnum = get_attnum(relid, pair->local);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", pair->local,
						get_rel_name(relid)),
				 errhint("column_map maps remote column names to local ones.")));
	if (get_attgenerated(relid, attnum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\", which is generated", pair->local)));
	if (is_mapped(map, pair->local, pair))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\" twice", pair->local)));
	/* a column that is not mapped keeps its name, and would get the value as well */
	if (get_attnum(relid, pair->remote) > 0 && !is_mapped(map, pair->remote, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("remote column \"%s\" belongs to two columns", pair->remote),
				 errdetail("column_map gives it to column \"%s\", but there is a column \"%s\", too.",
						   pair->local, pair->remote),
				 errhint("Map another remote column to \"%s\".", pair->remote)));
}

/* That each local column gets one value, of one remote column */
void
cdc_table_rule_check_column_map(Oid relid, List *map)
{
	ListCell   *lc;

	foreach(lc, map)
		check_column_pair(relid, map, lfirst(lc));
}
