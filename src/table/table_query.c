/*
 * table_query.c
 *		Questions about a user's table and commands to it, with its owner's rights.
 *
 * To plan a query is enough to run code of the table's owner: the server folds
 * constants in the expressions of its indexes, statistics, constraints and partitions.
 * So who asks must be allowed to, and the owner it is who runs it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "base/owner.h"
#include "base/row_rights.h"
#include "table/table_query.h"

/* May this role, who is to run the query, do so without row security that hides rows from it? */
bool
cdc_table_query_sees_all(Oid role, Oid relid)
{
	return pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, role, true) != RLS_ENABLED;
}

/*
 * May the current user read all rows of this table?  Raises an error if not, or if it is
 * no table: views and foreign tables are others' code.
 */
void
cdc_table_query_check(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char		relkind = get_rel_relkind(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name)));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, name);
	if (!cdc_may_read_rows(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security of table \"%s\" applies to you", name),
				 errhint("Ask as the table's owner, or as a role with BYPASSRLS.")));
}

/* The owner of a relation */
Oid
cdc_table_query_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Until the owner's scope ends */
static void
pin(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 ERROR, false);
}

/*
 * Run a query about tables of one owner, as he and restricted; SPI is connected by the
 * caller.  Names in the text are qualified, or pg_catalog's.  Leaves its rows in
 * SPI_tuptable and returns how many they are.  The text must not be a caller's.
 */
uint64
cdc_table_query(Oid owner, const char *sql, int nargs, Oid *argtypes, Datum *args)
{
	CdcOwnerScope scope;
	int			result;

	cdc_owner_begin(&scope, owner);
	pin("search_path", "pg_catalog, pg_temp");
	/* where it binds the owner as well, say so instead of leaving rows out */
	pin("row_security", "off");
	result = SPI_execute_with_args(sql, nargs, argtypes, args, NULL, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	cdc_owner_end(&scope);
	return SPI_processed;
}

/*
 * A command that the owner of the table may give, with his rights: it may run code of
 * his.  SPI is connected by the caller.
 */
void
cdc_table_query_command(Oid relid, const char *sql)
{
	CdcOwnerScope scope;
	int			result;

	cdc_owner_begin(&scope, cdc_table_query_owner(relid));
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	cdc_owner_end(&scope);
}
