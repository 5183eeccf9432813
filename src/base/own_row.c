/*
 * own_row.c
 *		A row of one of cdcsync's own tables, to be written by the names of its columns.
 *
 * For what is written seldom: the statement is made and planned each time, of the columns
 * that were set and no others, so that a column is named once, where its value is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/own_row.h"

void
cdc_own_row_set(CdcOwnRow *row, const char *column, Oid type, Datum value)
{
	if (row->ncolumns == CDC_STATEMENT_MAX_ARGS)
		elog(ERROR, "row of table \"%s\" has too many columns", row->table);
	row->columns[row->ncolumns] = column;
	row->types[row->ncolumns] = type;
	row->values[row->ncolumns] = value;
	row->nulls[row->ncolumns] = ' ';
	row->ncolumns++;
}

void
cdc_own_row_set_null(CdcOwnRow *row, const char *column, Oid type)
{
	cdc_own_row_set(row, column, type, (Datum) 0);
	row->nulls[row->ncolumns - 1] = 'n';
}

/* NULL for NULL */
void
cdc_own_row_set_text(CdcOwnRow *row, const char *column, const char *text)
{
	if (text)
		cdc_own_row_set(row, column, TEXTOID, CStringGetTextDatum(text));
	else
		cdc_own_row_set_null(row, column, TEXTOID);
}

/* "format" of each column from first on, with its quoted name twice and its number */
static void
append_columns(StringInfo buf, const CdcOwnRow *row, int first, int end, const char *separator,
			   void (*append) (StringInfo buf, const char *name, int number))
{
	for (int i = first; i < end; i++)
	{
		if (i > first)
			appendStringInfoString(buf, separator);
		append(buf, quote_identifier(row->columns[i]), i + 1);
	}
}

static void
append_name(StringInfo buf, const char *name, int number)
{
	appendStringInfoString(buf, name);
}

static void
append_parameter(StringInfo buf, const char *name, int number)
{
	appendStringInfo(buf, "$%d", number);
}

static void
append_assignment(StringInfo buf, const char *name, int number)
{
	appendStringInfo(buf, "%s = $%d", name, number);
}

static void
append_excluded(StringInfo buf, const char *name, int number)
{
	appendStringInfo(buf, "%s = excluded.%s", name, name);
}

static void
append_condition(StringInfo buf, const char *name, int number)
{
	appendStringInfo(buf, "%s OPERATOR(pg_catalog.=) $%d", name, number);
}

static bool
execute(StringInfo sql, const CdcOwnRow *row)
{
	appendStringInfoString(sql, " RETURNING ctid");
	cdc_extension_execute_once(sql->data, row->ncolumns, row->types, row->values, row->nulls);
	return SPI_processed > 0;
}

static void
begin_insert(StringInfo sql, const CdcOwnRow *row, int nkeys)
{
	initStringInfo(sql);
	appendStringInfo(sql, "INSERT INTO " CDC_EXTENSION_NAME ".%s (", row->table);
	append_columns(sql, row, 0, row->ncolumns, ", ", append_name);
	appendStringInfoString(sql, ") VALUES (");
	append_columns(sql, row, 0, row->ncolumns, ", ", append_parameter);
	appendStringInfoChar(sql, ')');
	if (nkeys == 0)
		return;
	appendStringInfoString(sql, " ON CONFLICT (");
	append_columns(sql, row, 0, nkeys, ", ", append_name);
	appendStringInfoString(sql, ") DO ");
}

/* Columns not set get their default.  False if there is a row with this key; nkeys 0: does not ask */
bool
cdc_own_row_insert(const CdcOwnRow *row, int nkeys)
{
	StringInfoData sql;

	begin_insert(&sql, row, nkeys);
	if (nkeys > 0)
		appendStringInfoString(&sql, "NOTHING");
	return execute(&sql, row);
}

bool
cdc_own_row_upsert(const CdcOwnRow *row, int nkeys)
{
	StringInfoData sql;

	begin_insert(&sql, row, nkeys);
	appendStringInfoString(&sql, "UPDATE SET ");
	append_columns(&sql, row, nkeys, row->ncolumns, ", ", append_excluded);
	return execute(&sql, row);
}

/* Columns not set stay as they are; a key column may be set as well.  False if there is no such row */
bool
cdc_own_row_update(const CdcOwnRow *row, int nkeys)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE " CDC_EXTENSION_NAME ".%s SET ", row->table);
	/* an update that sets nothing still finds out whether there is one */
	if (row->ncolumns == nkeys)
		append_assignment(&sql, quote_identifier(row->columns[0]), 1);
	append_columns(&sql, row, nkeys, row->ncolumns, ", ", append_assignment);
	appendStringInfoString(&sql, " WHERE ");
	append_columns(&sql, row, 0, nkeys, " AND ", append_condition);
	return execute(&sql, row);
}
