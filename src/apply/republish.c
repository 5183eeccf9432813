/*
 * republish.c
 *		republish(): write once more what was changed here, for a slot that was lost.
 *
 * The connector sees rows that are written, so each row that may not have gone out is set
 * to itself, and each deleted key is inserted and deleted again.  Under a version column
 * all keep their versions, and every node decides as it would have then.  Under the
 * commit clock they cannot: these are new changes, of now, and only what this node
 * wrote itself is worth that.
 *
 * User's triggers do not fire, for they did when the change was made.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/owner.h"
#include "base/session.h"
#include "base/subxact.h"
#include "base/table_name.h"
#include "rows/row_json.h"
#include "table/add_table_check.h"
#include "table/registered_table.h"
#include "table/unsent.h"
#include "table/writing.h"

/* What is written once more */
typedef struct Republish
{
	Relation	rel;
	CdcRegisteredTable *reg;
	TimestampTz since;
	int64		rows;
	int64		deletes;
	int64		refused;		/* deletes that a constraint does not let happen again */
} Republish;

/* One delete */
typedef struct Delete
{
	SPIPlanPtr	insert;
	SPIPlanPtr	delete;
	Jsonb	   *row;			/* the key, and the version */
	bool		written;
} Delete;

/* Leaves them in SPI_tuptable; those of this node only under the commit clock */
static void
select_deletes(Republish *r)
{
	static CdcStatement select = {
		.sql = "SELECT d.key, d.version FROM cdcsync.tombstone_data AS d "
		"WHERE d.relation OPERATOR(pg_catalog.=) $1 AND d.written_at OPERATOR(pg_catalog.>=) $2 "
		"AND (NOT $3 OR d.peer OPERATOR(pg_catalog.=) $4)",
		.nargs = 4,
		.argtypes = {REGCLASSOID, TIMESTAMPTZOID, BOOLOID, TEXTOID}
	};
	Datum		args[4] = {ObjectIdGetDatum(RelationGetRelid(r->rel)), TimestampTzGetDatum(r->since),
	BoolGetDatum(r->reg->clock == CDC_CLOCK_COMMIT), CStringGetTextDatum(cdc_node_name)};

	cdc_extension_execute(&select, args, NULL);
}

static SPIPlanPtr
prepare(const char *sql, Oid argtype)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 1, &argtype);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	return plan;
}

static bool
is_given(const Republish *r, Form_pg_attribute att)
{
	if (att->attisdropped)
		return false;
	if (r->reg->version_column && strcmp(NameStr(att->attname), r->reg->version_column) == 0)
		return true;
	return cdc_key_has_column(r->reg->key, att->attnum);
}

static bool
needs_filler(Form_pg_attribute att)
{
	return !att->attisdropped && att->attnotnull && !att->atthasdef && !att->attidentity;
}

/* NULL if there is none: then the column's constraint refuses the row */
static const char *
filler_of_type(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(getBaseType(type), &category, &preferred);
	switch (category)
	{
		case TYPCATEGORY_STRING:
			return "''";
		case TYPCATEGORY_NUMERIC:
			return "'0'";
		case TYPCATEGORY_BOOLEAN:
			return "'false'";
		case TYPCATEGORY_ARRAY:
			return "'{}'";
		default:
			return NULL;
	}
}

/* What another row has, for its constraints like it; or an empty value */
static void
append_filler(StringInfo buf, const char *name, Form_pg_attribute att)
{
	const char *column = quote_identifier(NameStr(att->attname));
	const char *filler = filler_of_type(att->atttypid);

	appendStringInfo(buf, "COALESCE((SELECT f.%s FROM %s AS f LIMIT 1)", column, name);
	if (filler)
		appendStringInfo(buf, ", %s::%s", filler,
						 format_type_extended(att->atttypid, -1, FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfoChar(buf, ')');
}

/*
 * The key and the version are the delete's; of the other columns those get something
 * that cannot do without.  Nobody reads it: the row is gone with this transaction.
 */
static char *
insert_text(const Republish *r)
{
	const char *name = cdc_table_name(RelationGetRelid(r->rel));
	TupleDesc	desc = RelationGetDescr(r->rel);
	StringInfoData columns;
	StringInfoData values;
	StringInfoData sql;

	initStringInfo(&columns);
	initStringInfo(&values);
	initStringInfo(&sql);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *sep = columns.len > 0 ? ", " : "";
		const char *column = quote_identifier(NameStr(att->attname));

		if (is_given(r, att))
			appendStringInfo(&values, "%sr.%s", sep, column);
		else if (needs_filler(att))
		{
			appendStringInfoString(&values, sep);
			append_filler(&values, name, att);
		}
		else
			continue;
		appendStringInfo(&columns, "%s%s", sep, column);
	}
	appendStringInfo(&sql, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE "
					 "SELECT %s FROM " CDC_ROW_OF_JSON " "
					 "WHERE NOT EXISTS (SELECT FROM %s AS t WHERE ",
					 name, columns.data, values.data, name, name);
	cdc_key_append_join(&sql, r->reg->key);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* The key, and the version that the row had */
static Jsonb *
deleted_row(const Republish *r, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Jsonb	   *key = DatumGetJsonbPCopy(SPI_getbinval(tuple, desc, 1, &isnull));
	Datum		stored = SPI_getbinval(tuple, desc, 2, &isnull);
	CdcVersion	version = cdc_clock_from_stored(r->reg->clock, stored, isnull);

	if (r->reg->version_column == NULL || !version.known)
		return key;
	return cdc_row_json_merge(key, cdc_row_json_pair(r->reg->version_column,
													 cdc_clock_to_text(r->reg->clock, &version)));
}

static uint64
execute(SPIPlanPtr plan, Datum arg)
{
	int			result = SPI_execute_plan(plan, &arg, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "could not write once more: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* A row that has the key by now was written after the delete, and says more */
static void
write_delete(void *arg)
{
	Delete	   *d = arg;

	d->written = execute(d->insert, JsonbPGetDatum(d->row)) > 0;
	if (d->written)
		(void) execute(d->delete, JsonbPGetDatum(d->row));
}

static void
write_deletes(Republish *r)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		n = SPI_processed;
	char	   *delete_text = cdc_row_json_delete_text(cdc_table_name(RelationGetRelid(r->rel)), r->reg->key);
	Delete		d = {.insert = prepare(insert_text(r), JSONBOID),.delete = prepare(delete_text, JSONBOID)};

	for (uint64 i = 0; i < n; i++)
	{
		ErrorData  *error;

		d.row = deleted_row(r, table->vals[i], table->tupdesc);
		CHECK_FOR_INTERRUPTS();
		error = cdc_subxact_attempt(write_delete, &d, cdc_subxact_is_constraint);
		if (error)
			FreeErrorData(error);
		r->refused += error ? 1 : 0;
		r->deletes += error == NULL && d.written ? 1 : 0;
	}
	SPI_freetuptable(table);
}

/* One that an UPDATE may name */
static const char *
plain_column(const Republish *r)
{
	TupleDesc	desc = RelationGetDescr(r->rel);

	if (r->reg->version_column)
		return r->reg->version_column;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !att->attgenerated && att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS)
			return NameStr(att->attname);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" has no column that can be updated", RelationGetRelationName(r->rel))));
}

/*
 * By the time at which a row was written here.  Where that is not known, a version that
 * is a time says nearly the same, and of another every row is meant: what peers know
 * already does no harm.  Under the commit clock it would: then it is not meant.
 */
static void
append_rows_since(StringInfo buf, const Republish *r)
{
	const char *version = r->reg->version_column ? quote_identifier(r->reg->version_column) : "";

	if (r->reg->clock == CDC_CLOCK_COMMIT)
		appendStringInfoString(buf, "(SELECT x.\"timestamp\" OPERATOR(pg_catalog.>=) $1 "
							   "AND x.roident OPERATOR(pg_catalog.=) 0 "
							   "FROM pg_catalog.pg_xact_commit_timestamp_origin(t.xmin) AS x)");
	else if (cdc_clock_has_commit_times())
		appendStringInfoString(buf, "COALESCE(pg_catalog.pg_xact_commit_timestamp(t.xmin) "
							   "OPERATOR(pg_catalog.>=) $1, true)");
	else if (r->reg->clock == CDC_CLOCK_TIMESTAMPTZ)
		appendStringInfo(buf, "COALESCE(t.%s OPERATOR(pg_catalog.>=) $1, true)", version);
	else if (r->reg->clock == CDC_CLOCK_TIMESTAMP)
		appendStringInfo(buf, "COALESCE(pg_catalog.timezone('UTC', t.%s) OPERATOR(pg_catalog.>=) $1, true)",
						 version);
	else
		appendStringInfoString(buf, "true");
}

static char *
update_text(const Republish *r)
{
	const char *column = quote_identifier(plain_column(r));
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "UPDATE %s AS t SET %s = t.%s WHERE $1 OPERATOR(pg_catalog.=) '-infinity' OR ",
					 cdc_table_name(RelationGetRelid(r->rel)), column, column);
	append_rows_since(&buf, r);
	return buf.data;
}

static void
write_rows(Republish *r)
{
	r->rows = execute(prepare(update_text(r), TIMESTAMPTZOID), TimestampTzGetDatum(r->since));
}

/* Rows that keep their versions are written as a peer's are */
static void
write_again(Republish *r)
{
	CdcWriting	outer = cdc_writing_begin(r->reg->clock == CDC_CLOCK_COMMIT ? InvalidOid :
										  r->reg->key->relid);

	PG_TRY();
	{
		write_deletes(r);
		write_rows(r);
	}
	PG_FINALLY();
	{
		cdc_writing_end(outer);
	}
	PG_END_TRY();
}

static void
republish(Republish *r)
{
	CdcOwnerScope scope;
	int			nestlevel = cdc_session_begin();

	select_deletes(r);
	cdc_owner_begin(&scope, r->rel->rd_rel->relowner);
	write_again(r);
	cdc_owner_end(&scope);
	cdc_session_end(nestlevel);
	if (r->refused > 0)
		ereport(WARNING,
				(errcode(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION),
				 errmsg("deletes of table \"%s\" could not be republished: " INT64_FORMAT,
						RelationGetRelationName(r->rel), r->refused),
				 errdetail("A row with the deleted key cannot be inserted for a moment."),
				 errhint("Their keys are in cdcsync.tombstone; delete them on the other nodes.")));
}

/* ---- deletes ---- */

/*
 * republish(relation, since): returns how many rows and how many deletes were written
 * once more.  Only the table's owner may.
 */
PG_FUNCTION_INFO_V1(cdcsync_republish);
Datum
cdcsync_republish(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Republish	r = {.since = PG_GETARG_TIMESTAMPTZ(1)};
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	cdc_add_table_check_owner(relid);
	SPI_connect();
	r.rel = table_open(relid, RowExclusiveLock);
	r.reg = cdc_registered_table_open(r.rel);
	if (r.reg == NULL)
		cdc_table_rule_missing(relid);
	republish(&r);
	if (TIMESTAMP_IS_NOBEGIN(r.since))
		cdc_unsent_forget(relid, CDC_UNSENT_ROWS);
	table_close(r.rel, NoLock);
	SPI_finish();
	values[0] = Int64GetDatum(r.rows);
	values[1] = Int64GetDatum(r.deletes);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
