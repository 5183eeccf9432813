/*
 * write.h
 *		Reads and writes a batch of rows of a mapped relation.
 */
#ifndef CDC_WRITE_H
#define CDC_WRITE_H

#include "rows/row.h"

/* The rows to write, or to look for */
typedef struct CdcRowSet
{
	CdcRelation *rel;
	int			nrows;
	int			max_rows;		/* allocated */
	CdcRow	   *rows;
} CdcRowSet;

extern CdcRowSet *cdc_write_begin(CdcRelation *rel);

/* What the row points to is not copied; of add_key all but the key is NULL */
extern void cdc_write_add(CdcRowSet *set, const CdcRow *row);
extern void cdc_write_add_key(CdcRowSet *set, const Datum *key);
extern uint64 cdc_write_execute(CdcRowSet *set, CdcStatementKind kind);
extern int	cdc_write_take_row(CdcRow *row, const CdcRelation *rel, HeapTuple tuple, TupleDesc desc);
extern uint64 cdc_write_insert(CdcRowSet *set, Bitmapset *present, bool may_fail);
extern uint64 cdc_write_query(CdcRowSet *set, const char *sql);
extern void cdc_write_truncate(CdcRelation *rel);

#endif							/* CDC_WRITE_H */
