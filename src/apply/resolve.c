/*
 * resolve.c
 *		resolve_conflict(): bring a side of a recorded conflict back.
 *
 * The chosen row is written as any local change is, with all triggers of the table, and
 * with a version that is newer than both sides and what is here now: so it wins on every
 * node.  The caller must have the rights to write it; it is written with the owner's.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/extension.h"
#include "base/owner.h"
#include "base/row_rights.h"
#include "base/session.h"
#include "base/table_name.h"
#include "rows/row_json.h"
#include "table/registered_table.h"
#include "table/table_query.h"

/* A recorded conflict */
typedef struct Conflict
{
	Oid			relid;
	Jsonb	   *key;
	Jsonb	   *local_row;		/* NULL: there was no row on that side */
	Jsonb	   *remote_row;
	char	   *local_version;
	char	   *remote_version;
} Conflict;

static Jsonb *
tuple_jsonb(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column,
									  &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

/* What one may not see does not exist */
static Conflict
read_conflict(int64 id)
{
	static CdcStatement select = {
		.sql = "SELECT c.relation::pg_catalog.oid, c.key, c.local_row, c.remote_row, "
		"c.local_version, c.remote_version FROM cdcsync.conflict_data AS c "
		"WHERE c.id OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);
	Conflict	conflict = {0};
	bool		isnull;

	cdc_extension_execute(&select, &arg, NULL);
	if (SPI_processed > 0)
		conflict.relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
														SPI_tuptable->tupdesc, 1, &isnull));
	if (get_rel_name(conflict.relid) == NULL || !cdc_may_read_rows(conflict.relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("conflict " INT64_FORMAT " does not exist", id),
				 errhint("See cdcsync.conflict_history.")));
	conflict.key = tuple_jsonb(2);
	conflict.local_row = tuple_jsonb(3);
	conflict.remote_row = tuple_jsonb(4);
	conflict.local_version = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5);
	conflict.remote_version = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6);
	return conflict;
}

/* Of the caller, for it is the owner who then writes */
static void
check_rights(Oid relid)
{
	AclMode		needed = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE;

	cdc_table_query_check(relid);
	if (pg_class_aclmask(relid, GetUserId(), needed, ACLMASK_ALL) != needed)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(relid)),
				 errhint("To resolve its conflicts takes the rights to SELECT, INSERT, UPDATE and DELETE.")));
}

/* A part of a value is not to be written */
static Jsonb *
whole(Jsonb *row)
{
	char	   *column = row ? cdc_row_json_cut_column(row) : NULL;

	if (column)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the record of the conflict has the value of column \"%s\" in part only", column),
				 errhint("Give the row as a JSON object, with that column.")));
	return row;
}

/* A row that is given may leave out columns: what is here now keeps them */
static Jsonb *
choose(const Conflict *conflict, const char *choice, Jsonb *given)
{
	if (given)
		return cdc_row_json_merge(given, conflict->key);
	if (strcmp(choice, "local") == 0)
		return whole(conflict->local_row);
	if (strcmp(choice, "remote") == 0)
		return whole(conflict->remote_row);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid choice \"%s\"", choice),
			 errhint("Available values: \"local\", \"remote\", or the row as a JSON object.")));
}

static uint64
execute(const char *sql, Jsonb *row)
{
	Oid			argtypes[1] = {JSONBOID};
	Datum		args[1] = {JsonbPGetDatum(row)};
	int			result = SPI_execute_with_args(sql, 1, argtypes, args, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	return SPI_processed;
}

/* Lock the row that has this key now; false if there is none */
static bool
lock_row(CdcRegisteredTable *reg, Relation rel, Jsonb *key, CdcVersion *version)
{
	const char *name = cdc_table_name(RelationGetRelid(rel));
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT t.%s FROM %s AS t, " CDC_ROW_OF_JSON " WHERE ",
					 quote_identifier(reg->version_column ? reg->version_column :
									  reg->key->columns[0].name), name, name);
	cdc_key_append_join(&buf, reg->key);
	appendStringInfoString(&buf, " FOR UPDATE OF t");
	if (execute(buf.data, key) == 0)
		return false;
	if (reg->version_column)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										  &isnull);

		*version = cdc_clock_read(reg->clock, value, isnull);
	}
	return true;
}

/*
 * Where there is no row now, they are as in the row that came, or else as in the one
 * that was here: in a conflict of unique values that was another key's.
 */
static Jsonb *
complete(const Conflict *conflict, Jsonb *row)
{
	return whole(cdc_row_json_merge(conflict->remote_row ? conflict->remote_row :
									conflict->local_row, row));
}

/* Newer than what was recorded, for other nodes may have that; and than what is here */
static Jsonb *
set_version(const Conflict *conflict, CdcRegisteredTable *reg, Jsonb *row, CdcVersion current)
{
	CdcVersion	newest = current;
	CdcVersion	recorded[2];

	recorded[0] = cdc_clock_from_text(reg->clock, conflict->local_version);
	recorded[1] = cdc_clock_from_text(reg->clock, conflict->remote_version);
	for (int i = 0; i < lengthof(recorded); i++)
	{
		if (cdc_clock_compare(&recorded[i], &newest) > 0)
			newest = recorded[i];
	}
	newest = cdc_clock_next(reg->clock, &newest);
	return cdc_row_json_merge(row, cdc_row_json_pair(reg->version_column,
													 cdc_clock_to_text(reg->clock, &newest)));
}

/* The columns that an object names; raises an error for those the table does not have */
static List *
columns_of(Relation rel, Jsonb *row)
{
	List	   *columns = NIL;
	JsonbIterator *it = JsonbIteratorInit(&row->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		if (get_attnum(RelationGetRelid(rel), name) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist", name,
							RelationGetRelationName(rel))));
		columns = lappend(columns, name);
	}
	return columns;
}

/* The key's columns are equal; where there are no others, one is set to itself */
static char *
update_text(CdcRegisteredTable *reg, Relation rel, List *columns)
{
	const char *name = cdc_table_name(RelationGetRelid(rel));
	const char *sep = "";
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "UPDATE %s AS t SET ", name);
	foreach(lc, columns)
	{
		const char *column = lfirst(lc);

		if (cdc_key_has_column(reg->key, get_attnum(reg->key->relid, column)))
			continue;
		appendStringInfo(&buf, "%s%s = r.%s", sep, quote_identifier(column),
						 quote_identifier(column));
		sep = ", ";
	}
	if (*sep == '\0')
		appendStringInfo(&buf, "%s = t.%s", quote_identifier(reg->key->columns[0].name),
						 quote_identifier(reg->key->columns[0].name));
	appendStringInfo(&buf, " FROM " CDC_ROW_OF_JSON " WHERE ", name);
	cdc_key_append_join(&buf, reg->key);
	return buf.data;
}

static char *
insert_text(Relation rel, List *columns)
{
	const char *name = cdc_table_name(RelationGetRelid(rel));
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s (", name);
	foreach(lc, columns)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)));
	appendStringInfoString(&buf, ") OVERRIDING SYSTEM VALUE SELECT ");
	foreach(lc, columns)
		appendStringInfo(&buf, "%sr.%s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)));
	appendStringInfo(&buf, " FROM " CDC_ROW_OF_JSON, name);
	return buf.data;
}

static const char *
write_row(const Conflict *conflict, CdcRegisteredTable *reg, Relation rel, Jsonb *row)
{
	CdcVersion	version = {0};
	bool		exists = lock_row(reg, rel, row, &version);
	List	   *columns;

	if (!exists)
		row = complete(conflict, row);
	if (reg->version_column)
		row = set_version(conflict, reg, row, version);
	columns = columns_of(rel, row);
	(void) execute(exists ? update_text(reg, rel, columns) : insert_text(rel, columns), row);
	return exists ? "updated" : "inserted";
}

static const char *
delete_row(CdcRegisteredTable *reg, Relation rel, Jsonb *key)
{
	char	   *sql = cdc_row_json_delete_text(cdc_table_name(RelationGetRelid(rel)), reg->key);

	return execute(sql, key) > 0 ? "deleted" : "unchanged";
}

/* Returns what was done, for people */
static const char *
resolve(int64 id, const char *choice, Jsonb *given)
{
	Conflict	conflict;
	CdcRegisteredTable *reg;
	Relation	rel;
	Jsonb	   *row;
	const char *done;
	int			nestlevel;
	CdcOwnerScope scope;

	SPI_connect();
	conflict = read_conflict(id);
	rel = table_open(conflict.relid, RowExclusiveLock);
	reg = cdc_registered_table_open(rel);
	if (reg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" is not registered", RelationGetRelationName(rel)),
				 errhint("Write the row by hand.")));
	check_rights(conflict.relid);
	row = choose(&conflict, choice, given);
	nestlevel = cdc_session_begin_texts();
	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	done = row ? write_row(&conflict, reg, rel, row) : delete_row(reg, rel, conflict.key);
	cdc_owner_end(&scope);
	cdc_session_end_texts(nestlevel);
	table_close(rel, NoLock);
	SPI_finish();
	return done;
}

/*
 * resolve_conflict(id, 'local' | 'remote' | object as text): returns updated, inserted,
 * deleted or unchanged.
 */
PG_FUNCTION_INFO_V1(cdcsync_resolve_conflict);
Datum
cdcsync_resolve_conflict(PG_FUNCTION_ARGS)
{
	char	   *choice = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Jsonb	   *given = NULL;

	if (choice[strspn(choice, " \t\r\n")] == '{')
		given = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(choice)));
	PG_RETURN_TEXT_P(cstring_to_text(resolve(PG_GETARG_INT64(0), choice, given)));
}

/* resolve_conflict(id, row): the same with an object */
PG_FUNCTION_INFO_V1(cdcsync_resolve_conflict_row);
Datum
cdcsync_resolve_conflict_row(PG_FUNCTION_ARGS)
{
	Jsonb	   *given = PG_GETARG_JSONB_P(1);

	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the row must be a JSON object"),
				 errhint("Its keys are column names.")));
	PG_RETURN_TEXT_P(cstring_to_text(resolve(PG_GETARG_INT64(0), NULL, given)));
}
