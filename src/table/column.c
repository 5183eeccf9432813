/*
 * column.c
 *		Which columns of a registered table take part, and in what.
 *
 * Two choices, besides that of the key by which rows meet (cdc_key_find_index): which
 * columns travel in events, and which of them say what a row is.  The latter are compared
 * where an event is held against a row, make up the canonical text that breaks ties, and
 * the digest by which nodes find out whether they agree; these three must not differ, or
 * nodes that agree would be told apart, and ties be decided differently on each of them.
 */
#include "postgres.h"

#include "table/column.h"

/* Its values come and go in events; generated ones are made anew where they arrive */
bool
cdc_column_travels(Form_pg_attribute att)
{
	return !att->attisdropped && !att->attgenerated;
}

/* Of a table with this rule (NULL: not registered): every column that travels */
bool
cdc_column_counts(const CdcTableRule *rule, Form_pg_attribute att)
{
	return cdc_column_travels(att);
}
