/*
 * unique.c
 *		Unique indexes other than the key's: who has the values of a new row?
 *
 * Rare enough that statements are made each time.  An index may be over expressions and
 * have a predicate: their texts name columns alone, so each is put where just one table
 * is in sight, the new row with the table's column names, or the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "apply/unique.h"
#include "rows/write.h"

#define NEW_N "\"~n\""			/* no column of a table is likely to have this name */

static bool
is_known(CdcKey *key, List *found, const Datum *values)
{
	ListCell   *lc;

	foreach(lc, found)
	{
		if (cdc_key_compare(key, ((CdcKeyState *) lfirst(lc))->key, values) == 0)
			return true;
	}
	return false;
}

static List *
take_rows(CdcTableApply *ta, List *found, uint64 nrows)
{
	for (uint64 i = 0; i < nrows; i++)
	{
		CdcKeyState *ks = palloc0(sizeof(CdcKeyState));
		CdcRow		row;

		(void) cdc_write_take_row(&row, ta->rel, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		cdc_key_state_take_row(ks, ta->rel, &row);
		cdc_key_state_begin(ks);
		ks->key = palloc(sizeof(Datum) * ta->rel->key->ncolumns);
		for (int k = 0; k < ta->rel->key->ncolumns; k++)
			ks->key[k] = ks->stored.values[ta->rel->key_column[k]];
		if (!is_known(ta->rel->key, found, ks->key))
			found = lappend(found, ks);
	}
	return found;
}

/* What the index is over: column names and expressions */
static List *
column_texts(Relation rel, Relation index)
{
	List	   *expressions = RelationGetIndexExpressions(index);	/* a copy, each time */
	ListCell   *expression = list_head(expressions);
	List	   *context = deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel));
	List	   *texts = NIL;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];

		if (attnum != 0)
			texts = lappend(texts, unconstify(char *, quote_identifier(get_attname(RelationGetRelid(rel),
																				  attnum, false))));
		else
		{
			texts = lappend(texts, deparse_expression(lfirst(expression), context, false, false));
			expression = lnext(expressions, expression);
		}
	}
	return texts;
}

static char *
predicate_text(Relation rel, Relation index)
{
	List	   *predicate = RelationGetIndexPredicate(index);

	if (predicate == NIL)
		return NULL;
	return deparse_expression((Node *) make_ands_explicit(predicate),
							  deparse_context_for(RelationGetRelationName(rel),
												  RelationGetRelid(rel)), false, false);
}

/* Its key as k1 ..., the index's columns as e1 ... */
static void
append_new_row(StringInfo buf, const CdcRelation *map, List *columns, const char *predicate)
{
	ListCell   *lc;

	appendStringInfoString(buf, "SELECT x." NEW_N);
	for (int i = 0; i < map->key->ncolumns; i++)
		appendStringInfo(buf, ", x.%s AS k%d", quote_identifier(map->key->columns[i].name), i + 1);
	foreach(lc, columns)
		appendStringInfo(buf, ", (%s) AS e%d", (char *) lfirst(lc), foreach_current_index(lc) + 1);
	appendStringInfoString(buf, " FROM (SELECT n AS " NEW_N);
	for (int i = 0; i < map->ncolumns; i++)
		appendStringInfo(buf, ", c%d AS %s", i + 1, quote_identifier(map->columns[i].name));
	appendStringInfoString(buf, " FROM " CDC_BATCH_NAME ") AS x");
	if (predicate)
		appendStringInfo(buf, " WHERE %s", predicate);
}

static void
append_equal(StringInfo buf, Relation index, int n, const char *column)
{
	Oid			opcintype = index->rd_opcintype[n];

	appendStringInfo(buf, " AND ((%s) ", column);
	cdc_key_append_operator(buf, get_opfamily_member(index->rd_opfamily[n], opcintype, opcintype,
													 BTEqualStrategyNumber));
	appendStringInfo(buf, " b.e%d", n + 1);
	if (index->rd_index->indnullsnotdistinct)
		appendStringInfo(buf, " OR ((%s) IS NULL AND b.e%d IS NULL)", column, n + 1);
	appendStringInfoChar(buf, ')');
}

static void
append_rows(StringInfo buf, const CdcRelation *map, Relation index, List *columns,
			const char *predicate)
{
	ListCell   *lc;

	appendStringInfoString(buf, "SELECT t.ctid, t.xmin");
	for (int i = 0; i < map->ncolumns; i++)
		appendStringInfo(buf, ", t.%s", quote_identifier(map->columns[i].name));
	appendStringInfo(buf, " FROM %s AS t WHERE NOT (", map->qualified_name);
	for (int i = 0; i < map->key->ncolumns; i++)
	{
		appendStringInfo(buf, "%st.%s ", i ? " AND " : "",
						 quote_identifier(map->key->columns[i].name));
		cdc_key_append_operator(buf, map->key->columns[i].equality);
		appendStringInfo(buf, " b.k%d", i + 1);
	}
	appendStringInfoChar(buf, ')');
	foreach(lc, columns)
		append_equal(buf, index, foreach_current_index(lc), lfirst(lc));
	if (predicate)
		appendStringInfo(buf, " AND (%s)", predicate);
	appendStringInfoString(buf, " FOR NO KEY UPDATE");
}

static char *
find_text(const CdcRelation *map, Relation rel, Relation index)
{
	List	   *columns = column_texts(rel, index);
	char	   *predicate = predicate_text(rel, index);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT b." NEW_N ", l.* FROM (");
	append_new_row(&buf, map, columns, predicate);
	appendStringInfoString(&buf, ") AS b CROSS JOIN LATERAL (");
	append_rows(&buf, map, index, columns, predicate);
	appendStringInfoString(&buf, ") AS l");
	return buf.data;
}

/*
 * The rows with other keys that have one of the row's unique values, locked: a list of
 * CdcKeyState, each row once.  SPI is connected, the owner's rights are in force.
 */
List *
cdc_unique_find(CdcTableApply *ta, const Datum *key, const CdcRow *row)
{
	Relation	rel = relation_open(ta->rel->relid, NoLock);
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, ta->rel->unique_indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		CdcRowSet  *set = cdc_write_begin(ta->rel);

		cdc_write_add(set, row);
		found = take_rows(ta, found, cdc_write_query(set, find_text(ta->rel, rel, index)));
		index_close(index, AccessShareLock);
	}
	relation_close(rel, NoLock);
	return found;
}
