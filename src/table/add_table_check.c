/*
 * add_table_check.c
 *		Whether a table can be registered.
 *
 * Who may, and what its columns must be like; the rest is objection.c's.
 *
 * All of it raises errors with a hint that mends them, before anything is changed.  What
 * needs a query over the rows (values of a version column) is asked as the owner, for to
 * plan it may run code of his.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/result.h"
#include "base/table_name.h"
#include "table/add_table_check.h"
#include "table/clock.h"
#include "table/key.h"
#include "table/objection.h"
#include "table/registered_table.h"
#include "table/table_query.h"

/*
 * Who may change the table, and what is a table at all; without any lock, so that only
 * such a user can stand in others' way.
 */
void
cdc_add_table_check_owner(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), get_rel_name(relid));
	if (cdc_objection_is_reserved(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot register table \"%s\"", get_rel_name(relid)),
				 errdetail(CDC_OBJECTION_RESERVED_DETAIL)));
	if (!cdc_objection_is_table(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", get_rel_name(relid))));
}

/*
 * Its kind, rights, constraints and key; members are the table and its partitions, all
 * locked.
 */
void
cdc_add_table_check_table(Oid relid, List *members)
{
	/* a partition that is no table forbids the key that its root is then said to lack */
	for (int i = list_length(members) - 1; i >= 0; i--)
	{
		Oid			member = list_nth_oid(members, i);
		Relation	rel = relation_open(member, NoLock);
		CdcObjection objection = cdc_objection_find(rel, member != relid);

		relation_close(rel, NoLock);
		if (objection.detail)
			ereport(ERROR,
					(errcode(objection.sqlerrcode),
					 errmsg("cannot register table \"%s\"", get_rel_name(relid)),
					 errdetail_internal("%s", objection.detail),
					 objection.hint ? errhint("%s", objection.hint) : 0));
	}
}

/*
 * Why a table could not be registered now: a sentence, or NULL; *hint: what to do, or
 * NULL.  Locks what it looks at as for reading.
 */
char *
cdc_add_table_objection(Oid relid, const char **hint)
{
	List	   *members = find_all_inheritors(relid, AccessShareLock, NULL);

	for (int i = list_length(members) - 1; i >= 0; i--)
	{
		Oid			member = list_nth_oid(members, i);
		Relation	rel = relation_open(member, AccessShareLock);
		CdcObjection objection = cdc_objection_find(rel, member != relid);

		relation_close(rel, NoLock);
		*hint = objection.hint;
		if (objection.detail)
			return objection.detail;
	}
	return NULL;
}

/* As the owner: the condition is cdcsync's own text */
static bool
has_row(Relation rel, Form_pg_attribute att, const char *condition)
{
	return cdc_table_query(rel->rd_rel->relowner,
						   psprintf("SELECT FROM %s WHERE %s %s LIMIT 1",
									cdc_table_name(RelationGetRelid(rel)),
									quote_identifier(NameStr(att->attname)), condition),
						   0, NULL, NULL) > 0;
}

/* Nothing could ever be newer than these */
static void
refuse_infinite_versions(Relation rel, Form_pg_attribute att)
{
	const char *values = "infinity,-infinity";

	if (att->atttypid == NUMERICOID)
		values = "NaN,infinity,-infinity";
	else if (att->atttypid != TIMESTAMPTZOID && att->atttypid != TIMESTAMPOID)
		return;
	if (has_row(rel, att, psprintf("OPERATOR(pg_catalog.=) ANY ('{%s}'::%s[])", values,
								   format_type_be_qualified(att->atttypid))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("version column \"%s\" of table \"%s\" has an infinite value",
						NameStr(att->attname), RelationGetRelationName(rel)),
				 errhint("Write finite values first.")));
}

/* A NULL is the oldest version, but no version that a delete could name */
static void
warn_of_null_versions(Relation rel, Form_pg_attribute att)
{
	const char *column = quote_identifier(NameStr(att->attname));

	if (!att->attnotnull && has_row(rel, att, "IS NULL"))
		ereport(WARNING,
				(errmsg("version column \"%s\" of table \"%s\" is NULL in some rows",
						NameStr(att->attname), RelationGetRelationName(rel)),
				 errdetail("Deleting such a row would stop the nodes that read it."),
				 errhint("Give them versions: run UPDATE %s SET %s = %s WHERE %s IS NULL.",
						 cdc_table_name(RelationGetRelid(rel)), column, column, column)));
}

/* A version column; the table is locked, SPI is connected by the caller */
void
cdc_add_table_check_version_column(Oid relid, const char *column)
{
	Relation	rel = relation_open(relid, NoLock);
	AttrNumber	attnum = get_attnum(relid, column);
	Form_pg_attribute att;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", column,
						RelationGetRelationName(rel)),
				 errhint("cdcsync.add_version_column adds a column for this purpose.")));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("version column \"%s\" is a generated column", column)));
	if (cdc_key_has_column(cdc_key_make(rel), attnum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("version column \"%s\" is part of the key", column)));
	(void) cdc_clock_for_type(att->atttypid, att->atttypmod, column);
	refuse_infinite_versions(rel, att);
	warn_of_null_versions(rel, att);
	relation_close(rel, NoLock);
}

/* That commit times are kept, for a table without one */
void
cdc_add_table_check_commit_clock(Oid relid)
{
	if (!cdc_clock_has_commit_times())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot register table \"%s\" without a version column",
						get_rel_name(relid)),
				 errdetail("Its versions would be commit timestamps, which this server does not keep."),
				 errhint("Set \"track_commit_timestamp\" to \"on\" and restart the server, or name a version_column; cdcsync.add_version_column adds one.")));
}

/* What check() says of its triggers, and of all of them if it has no version column */
void
cdc_add_table_warn_of_triggers(Oid relid)
{
	static CdcStatement select = {
		.sql = "SELECT c.level, c.subject, c.problem, c.remedy "
		"FROM cdcsync.check_triggers() AS c WHERE c.relation OPERATOR(pg_catalog.=) $1 "
		"OR c.level OPERATOR(pg_catalog.=) 'info' AND EXISTS (SELECT FROM cdcsync.table_rule AS r "
		"WHERE r.relation OPERATOR(pg_catalog.=) $1 AND r.version_column IS NULL) "
		"ORDER BY c.subject, c.problem",
		.nargs = 1,
		.argtypes = {REGCLASSOID}
	};
	Datum		arg = ObjectIdGetDatum(relid);

	cdc_extension_execute(&select, &arg, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		ereport(strcmp(cdc_result_text(i, "level"), "warning") == 0 ? WARNING : NOTICE,
				(errmsg("%s: %s", cdc_result_text(i, "subject"), cdc_result_text(i, "problem")),
				 errhint("Run %s.", cdc_result_text(i, "remedy"))));
}
