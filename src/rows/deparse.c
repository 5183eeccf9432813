/*
 * deparse.c
 *		The SQL text of the few statements of one mapped relation.
 *
 * Names come from the catalog and are always quoted; values never appear in a text.
 * Operators are named with their schema, for search_path is pg_catalog alone.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "rows/deparse.h"

/*
 * The row version that was read.  The place alone would do, but servers before 15.15
 * (and the like) do not look at it again after waiting for another writer.
 */
#define READ_JOIN "t.ctid OPERATOR(pg_catalog.=) b.tid AND t.xmin OPERATOR(pg_catalog.=) b.xid"

/* t.key = b.key, by the equality of the key's index */
static void
append_key_join(StringInfo buf, const CdcRelation *rel)
{
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		appendStringInfo(buf, "%st.%s ", i ? " AND " : "",
						 quote_identifier(rel->key->columns[i].name));
		cdc_key_append_equality(buf, &rel->key->columns[i]);
		appendStringInfo(buf, " b.c%d", rel->key_column[i] + 1);
	}
}

/*
 * The subquery keeps the batch outside and the index inside, in whatever state the
 * table is when the plan is made, and so rows are locked in the batch's order.
 */
static void
append_read(StringInfo buf, const CdcRelation *rel, bool lock)
{
	appendStringInfoString(buf, "SELECT b.n, l.* FROM " CDC_BATCH_NAME " AS b CROSS JOIN LATERAL"
						   " (SELECT t.ctid, t.xmin");
	for (int i = 0; i < rel->ncolumns; i++)
		appendStringInfo(buf, ", t.%s", quote_identifier(rel->columns[i].name));
	appendStringInfo(buf, " FROM %s AS t WHERE ", rel->qualified_name);
	append_key_join(buf, rel);
	appendStringInfo(buf, "%s) AS l", lock ? " FOR NO KEY UPDATE" : " OFFSET 0");
}

/*
 * To set a column that foreign keys may point to, were it to the value that it has,
 * takes a lock that their checks wait for.
 */
static void
append_update(StringInfo buf, const CdcRelation *rel, bool all)
{
	const char *sep = "";

	appendStringInfo(buf, "UPDATE %s AS t SET ", rel->qualified_name);
	for (int i = 0; i < rel->ncolumns; i++)
	{
		if (!rel->columns[i].updatable || (rel->columns[i].referable && !all))
			continue;
		appendStringInfo(buf, "%s%s = b.c%d", sep, quote_identifier(rel->columns[i].name),
						 i + 1);
		sep = ", ";
	}
	appendStringInfoString(buf, " FROM " CDC_BATCH_NAME " AS b WHERE ");
}

/* Where triggers may have changed a row, it is shown as it was written */
static void
append_written(StringInfo buf, const CdcRelation *rel, const char *first, const char *table)
{
	if (rel->fires_before == NULL)
		return;
	appendStringInfo(buf, " RETURNING %s", first);
	for (int i = 0; i < rel->ncolumns; i++)
		appendStringInfo(buf, "%s%s%s", i ? ", " : "", table,
						 quote_identifier(rel->columns[i].name));
}

static void
append_delete(StringInfo buf, const CdcRelation *rel)
{
	appendStringInfo(buf, "DELETE FROM %s AS t USING " CDC_BATCH_NAME " AS b WHERE ",
					 rel->qualified_name);
}

/* CDC_SQL_READ and CDC_SQL_LOCK return n, the row's ctid and xmin, then the columns */
char *
cdc_deparse_statement(const CdcRelation *rel, CdcStatementKind kind)
{
	StringInfoData buf;

	initStringInfo(&buf);
	switch (kind)
	{
		case CDC_SQL_READ:
			append_read(&buf, rel, false);
			break;
		case CDC_SQL_LOCK:
			append_read(&buf, rel, true);
			break;
		case CDC_SQL_UPDATE:
		case CDC_SQL_UPDATE_ALL:
			append_update(&buf, rel, kind == CDC_SQL_UPDATE_ALL);
			appendStringInfoString(&buf, READ_JOIN);
			append_written(&buf, rel, "b.n, ", "t.");
			break;
		case CDC_SQL_DELETE:
			append_delete(&buf, rel);
			appendStringInfoString(&buf, READ_JOIN);
			break;
		case CDC_SQL_UPDATE_KEY:
		case CDC_SQL_UPDATE_KEY_ALL:
			append_update(&buf, rel, kind == CDC_SQL_UPDATE_KEY_ALL);
			append_key_join(&buf, rel);
			append_written(&buf, rel, "b.n, ", "t.");
			break;
		case CDC_SQL_DELETE_KEY:
			append_delete(&buf, rel);
			append_key_join(&buf, rel);
			break;
	}
	return buf.data;
}

/* INSERT of some columns; a key that is there by now is left alone */
char *
cdc_deparse_insert(const CdcRelation *rel, const Bitmapset *present)
{
	StringInfoData buf;
	const char *sep = "";

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s (", rel->qualified_name);
	for (int i = -1; (i = bms_next_member(present, i)) >= 0; sep = ", ")
		appendStringInfo(&buf, "%s%s", sep, quote_identifier(rel->columns[i].name));
	appendStringInfoString(&buf, ") OVERRIDING SYSTEM VALUE SELECT ");
	sep = "";
	for (int i = -1; (i = bms_next_member(present, i)) >= 0; sep = ", ")
		appendStringInfo(&buf, "%sb.c%d", sep, i + 1);
	appendStringInfoString(&buf, " FROM " CDC_BATCH_NAME " AS b ON CONFLICT (");
	for (int i = 0; i < rel->key->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 quote_identifier(rel->key->columns[i].name));
	appendStringInfoString(&buf, ") DO NOTHING");
	append_written(&buf, rel, "", "");
	return buf.data;
}

char *
cdc_deparse_truncate(const CdcRelation *rel)
{
	return psprintf("TRUNCATE %s", rel->qualified_name);
}
