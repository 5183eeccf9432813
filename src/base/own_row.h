/*
 * own_row.h
 *		A row of one of cdcsync's own tables, to be written by the names of its columns.
 */
#ifndef CDC_OWN_ROW_H
#define CDC_OWN_ROW_H

#include "base/extension.h"

typedef struct CdcOwnRow
{
	const char *table;			/* of the schema cdcsync */
	int			ncolumns;
	const char *columns[CDC_STATEMENT_MAX_ARGS];
	Oid			types[CDC_STATEMENT_MAX_ARGS];
	Datum		values[CDC_STATEMENT_MAX_ARGS];
	char		nulls[CDC_STATEMENT_MAX_ARGS];	/* as SPI takes it */
} CdcOwnRow;

extern void cdc_own_row_set(CdcOwnRow *row, const char *column, Oid type, Datum value);
extern void cdc_own_row_set_null(CdcOwnRow *row, const char *column, Oid type);
extern void cdc_own_row_set_text(CdcOwnRow *row, const char *column, const char *text);

/*
 * SPI is connected.  The first nkeys columns say which row is meant; they return whether
 * one was written, and leave its ctid in SPI_tuptable.
 */
extern bool cdc_own_row_insert(const CdcOwnRow *row, int nkeys);
extern bool cdc_own_row_upsert(const CdcOwnRow *row, int nkeys);
extern bool cdc_own_row_update(const CdcOwnRow *row, int nkeys);

#endif							/* CDC_OWN_ROW_H */
