/*
 * orphan.c
 *		Rows without a parent: foreign keys are not checked while changes are applied.
 *
 * They are counted as the owner of the two tables.  Where these have two owners, it is
 * one of them whose rights the other has anyway, so that neither gets more.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_constraint.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/row_rights.h"
#include "base/result.h"
#include "base/table_name.h"
#include "table/key.h"
#include "table/table_query.h"

/* A foreign key */
typedef struct ForeignKey
{
	Oid			child;
	Oid			parent;
	int			ncolumns;
	AttrNumber	child_columns[INDEX_MAX_KEYS];
	AttrNumber	parent_columns[INDEX_MAX_KEYS];
	Oid			equality[INDEX_MAX_KEYS];	/* of a parent's column and a child's */
} ForeignKey;

/* False if there is no such constraint any more */
static bool
find_foreign_key(Oid constraint, ForeignKey *fk)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	fk->child = form->conrelid;
	fk->parent = form->confrelid;
	if (form->contype == CONSTRAINT_FOREIGN)
		DeconstructFkConstraintRow(tuple, &fk->ncolumns, fk->child_columns, fk->parent_columns,
								   fk->equality, NULL, NULL, NULL, NULL);
	ReleaseSysCache(tuple);
	return fk->ncolumns > 0;
}

/* That they are given, or that they are the parent's */
static void
append_columns(StringInfo buf, const ForeignKey *fk, bool given)
{
	for (int i = 0; i < fk->ncolumns; i++)
	{
		const char *child = quote_identifier(get_attname(fk->child, fk->child_columns[i], false));
		const char *parent = quote_identifier(get_attname(fk->parent, fk->parent_columns[i],
														  false));

		if (i > 0)
			appendStringInfoString(buf, " AND ");
		if (given)
		{
			appendStringInfo(buf, "c.%s IS NOT NULL", child);
			continue;
		}
		appendStringInfo(buf, "p.%s ", parent);
		cdc_key_append_operator(buf, fk->equality[i]);
		appendStringInfo(buf, " c.%s", child);
	}
}

/* FROM the child's table on */
static char *
orphans_text(const ForeignKey *fk)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "FROM %s AS c WHERE ", cdc_table_name(fk->child));
	append_columns(&buf, fk, true);
	appendStringInfo(&buf, " AND NOT EXISTS (SELECT FROM %s AS p WHERE ",
					 cdc_table_name(fk->parent));
	append_columns(&buf, fk, false);
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

static bool
may_read_all(Oid role, const ForeignKey *fk)
{
	return cdc_table_query_sees_all(role, fk->child) && cdc_table_query_sees_all(role, fk->parent);
}

/* InvalidOid if there is no role that may look at both without one's code getting the other's rights */
static Oid
common_owner(const ForeignKey *fk)
{
	Oid			child = cdc_table_query_owner(fk->child);
	Oid			parent = cdc_table_query_owner(fk->parent);

	if (has_privs_of_role(parent, child) && may_read_all(child, fk))
		return child;
	if (has_privs_of_role(child, parent) && may_read_all(parent, fk))
		return parent;
	return InvalidOid;
}

static Datum
count(Oid role, const char *orphans)
{
	Datum		result;
	bool		isnull;

	SPI_connect();
	(void) cdc_table_query(role, psprintf("SELECT count(*) %s", orphans), 0, NULL, NULL);
	result = cdc_result(0, "count", &isnull);
	SPI_finish();
	return result;
}

/*
 * find_orphans(constraint): how many rows have no parent, the query that shows them, and
 * the role to run it as.  The number is NULL where there is no such role; all are where
 * the caller may not SELECT all of both tables.
 */
PG_FUNCTION_INFO_V1(cdcsync_find_orphans);
Datum
cdcsync_find_orphans(PG_FUNCTION_ARGS)
{
	ForeignKey	fk = {0};
	TupleDesc	desc;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (find_foreign_key(PG_GETARG_OID(0), &fk) && cdc_may_read_rows(fk.child) &&
		cdc_may_read_rows(fk.parent))
	{
		char	   *orphans = orphans_text(&fk);
		Oid			role = common_owner(&fk);

		values[1] = CStringGetTextDatum(psprintf("SELECT * %s", orphans));
		nulls[1] = false;
		if (OidIsValid(role))
		{
			values[0] = count(role, orphans);
			values[2] = CStringGetTextDatum(GetUserNameFromId(role, false));
			nulls[0] = nulls[2] = false;
		}
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
