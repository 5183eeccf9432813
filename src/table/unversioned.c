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

#include "base/owner.h"
#include "base/session.h"
#include "base/table_name.h"
#include "table/registered_table.h"
#include "table/table_query.h"
#include "table/unversioned.h"
#include "table/writing.h"

/* Does the version column allow them? */
bool
cdc_unversioned_can_be(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = !((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return result;
}

/* An UPDATE that changes nothing is a local write of these rows, to which the trigger gives versions */
static void
write_versions(Oid relid, const char *column)
{
	char	   *sql = psprintf("UPDATE %s SET %s = %s WHERE %s IS NULL", cdc_table_name(relid),
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

/* The version trigger gives each its own */
void
cdc_unversioned_mend(Oid relid, const char *column)
{
	CdcOwnerScope scope;
	int			nestlevel;

	if (!cdc_unversioned_can_be(relid, column))
		return;
	nestlevel = cdc_session_begin();
	cdc_owner_begin(&scope, cdc_table_query_owner(relid));
	write_versions(relid, quote_identifier(column));
	cdc_owner_end(&scope);
	cdc_session_end(nestlevel);
}
