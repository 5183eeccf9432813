/*
 * unversioned.c
 *		Rows of registered tables that were written while no trigger fired.
 *
 * Fixtures, and what pg_restore --disable-triggers loads, have no version.  That is the
 * oldest, but no version that a delete could name.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "owner.h"
#include "registered.h"
#include "session.h"
#include "table_query.h"
#include "unversioned.h"
#include "writing.h"

static void write_versions(Oid relid, const char *column);
static bool is_not_null(Oid relid, const char *column);
static char *table_name(Oid relid);

PG_FUNCTION_INFO_V1(cdcsync_count_unversioned);

/* The version trigger gives each its own */
void
cdc_unversioned_mend(Oid relid, const char *column)
{
	CdcOwnerScope scope;
	int			nestlevel;

	if (is_not_null(relid, column))
		return;
	nestlevel = cdc_session_begin();
	cdc_owner_begin(&scope, cdc_table_query_owner(relid));
	write_versions(relid, quote_identifier(column));
	cdc_owner_end(&scope);
	cdc_session_end(nestlevel);
}

static void
write_versions(Oid relid, const char *column)
{
	char	   *sql = psprintf("UPDATE %s SET %s = %s WHERE %s IS NULL", table_name(relid),
							   column, column, column);
	CdcWriting	outer = cdc_writing_begin(InvalidOid);

	PG_TRY();
	{
		if (SPI_execute(sql, false, 0) < 0)
			elog(ERROR, "could not execute \"%s\"", sql);
	}
	PG_FINALLY();
	{
		cdc_writing_end(outer);
	}
	PG_END_TRY();
}

static bool
is_not_null(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	bool		result = HeapTupleIsValid(tuple) &&
		((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

static char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/*
 * count_unversioned(relation): NULL for a table that the caller may not SELECT, or that
 * is not registered with a version column.
 */
Datum
cdcsync_count_unversioned(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	CdcTableRule *rule = cdc_table_rule_for_relation(relid);
	Datum		count;
	bool		isnull;

	if (rule == NULL || rule->version_column == NULL || !cdc_table_query_may_read(relid) ||
		get_attnum(relid, rule->version_column) <= 0)
		PG_RETURN_NULL();
	if (is_not_null(relid, rule->version_column))
		PG_RETURN_INT64(0);
	SPI_connect();
	(void) cdc_table_query(cdc_table_query_owner(relid),
						   psprintf("SELECT count(*) FROM %s WHERE %s IS NULL", table_name(relid),
									quote_identifier(rule->version_column)), 0, NULL, NULL);
	count = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	PG_RETURN_DATUM(count);
}
