/*
 * digest.c
 *		Do nodes agree?  Digests of tables, and what peers have said of theirs.
 *
 * A digest does not depend on the order of rows or on settings, and travels to the
 * others in a table that is synced like any other.  Values are shown by the output
 * functions of their types, as concat() does, and never cast: who makes a type may make
 * casts of it.
 *
 * The query is planned and run as the table's owner, for who may SELECT the whole of it;
 * what a peer has said is read the same way, from a table that anybody may have made.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/table_name.h"
#include "stored/table_rule.h"
#include "table/column.h"
#include "table/key.h"
#include "table/table_query.h"

/* A column by the name that it has in events */
typedef struct DigestColumn
{
	const char *remote;
	const char *local;
	bool		in_key;
} DigestColumn;

/* In byte order, which is the same under every collation */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((DigestColumn *) lfirst(a))->remote, ((DigestColumn *) lfirst(b))->remote);
}

/* Those that count, by remote name in byte order */
static List *
sorted_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	CdcTableRule *rule = cdc_table_rule_for_relation(RelationGetRelid(rel));
	Bitmapset  *key = cdc_key_attnums(rel);
	List	   *columns = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		DigestColumn *column;

		if (!cdc_column_counts(rule, att))
			continue;
		column = palloc(sizeof(DigestColumn));
		column->local = NameStr(att->attname);
		column->remote = cdc_table_rule_remote_name(rule, column->local);
		column->in_key = bms_is_member(att->attnum, key);
		columns = lappend(columns, column);
	}
	list_sort(columns, compare_names);
	return columns;
}

/* A bigint of the columns' values; each with its length, so that no two rows read the same.  NULL: of no column */
static char *
hash_text(List *columns, bool of_key)
{
	StringInfoData buf;
	const char *sep = "";
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "('x' || encode(substring(sha256(convert_to(");
	foreach(lc, columns)
	{
		const DigestColumn *column = lfirst(lc);
		const char *name = quote_identifier(column->local);

		if (of_key && !column->in_key)
			continue;
		/* not IS NULL, which looks into composite values */
		appendStringInfo(&buf, "%sCASE WHEN num_nulls(t.%s) = 0 "
						 "THEN length(concat(t.%s)) || ':' || concat(t.%s) ELSE '-' END",
						 sep, name, name, name);
		sep = " || ";
	}
	if (*sep == '\0')
		return of_key ? NULL : "0";
	appendStringInfoString(&buf, ", 'UTF8')) FOR 8), 'hex'))::bit(64)::bigint");
	return buf.data;
}

/* One row per bucket, of which there are $1 */
static char *
digest_text(Relation rel)
{
	List	   *columns = sorted_columns(rel);
	char	   *row_hash = hash_text(columns, false);
	char	   *key_hash = hash_text(columns, true);

	return psprintf("SELECT b.bucket, count(t.hash), coalesce(sum(t.hash), 0)::text "
					"FROM generate_series(0, $1 - 1) AS b(bucket) "
					"LEFT JOIN (SELECT abs(%s %% $1)::integer AS bucket, %s AS hash FROM %s AS t) "
					"AS t ON t.bucket = b.bucket GROUP BY b.bucket ORDER BY b.bucket",
					key_hash ? key_hash : row_hash, row_hash, cdc_table_name(RelationGetRelid(rel)));
}

/* What a query about a table says, as rows of the function */
static void
return_rows(FunctionCallInfo fcinfo, Oid relid, const char *sql, Oid argtype, Datum arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		nrows;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	nrows = cdc_table_query(cdc_table_query_owner(relid), sql, 1, &argtype, &arg);
	for (uint64 i = 0; i < nrows; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
}

/* table_digest(relation, buckets): number of rows and digest, by bucket */
PG_FUNCTION_INFO_V1(cdcsync_table_digest);
Datum
cdcsync_table_digest(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Relation	rel;
	char	   *sql;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of buckets must be at least 1")));
	cdc_table_query_check(relid);
	rel = table_open(relid, AccessShareLock);
	sql = digest_text(rel);
	table_close(rel, NoLock);
	return_rows(fcinfo, relid, sql, INT4OID, PG_GETARG_DATUM(1));
	return (Datum) 0;
}

/* peer_digests(peer, digests): what a peer has said, in a table of digests */
PG_FUNCTION_INFO_V1(cdcsync_peer_digests);
Datum
cdcsync_peer_digests(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(1);
	Relation	rel;
	char	   *sql;

	cdc_table_query_check(relid);
	rel = table_open(relid, AccessShareLock);
	sql = psprintf("SELECT d.source_table::text, d.bucket::integer, d.rows::bigint, "
				   "d.digest::text, d.taken_at::timestamptz FROM %s AS d WHERE d.node::text = $1",
				   cdc_table_name(RelationGetRelid(rel)));
	table_close(rel, NoLock);
	return_rows(fcinfo, relid, sql, TEXTOID, PG_GETARG_DATUM(0));
	return (Datum) 0;
}
