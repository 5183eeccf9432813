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

/*
 * Read or write, and free the set.  Returns the number of rows; of reads, SPI_tuptable
 * holds them, with their place in the set.  The caller has taken the owner's rights
 * (owner.h), and the snapshot that rows were read with is active.
 */
extern uint64 cdc_write_execute(CdcRowSet *set, CdcStatementKind kind);

/* A row as reads return it, and its place in the set; what it points to stays there */
extern int	cdc_write_take_row(CdcRow *row, const CdcRelation *rel, HeapTuple tuple, TupleDesc desc);

/*
 * New rows with these columns.  A key that is there by now is left alone, or raises
 * unique_violation if may_fail, which is faster.
 */
extern uint64 cdc_write_insert(CdcRowSet *set, Bitmapset *present, bool may_fail);

/* The same for a statement that is not kept; it reads the rows as CDC_BATCH_NAME */
extern uint64 cdc_write_query(CdcRowSet *set, const char *sql);

extern void cdc_write_truncate(CdcRelation *rel);

#endif							/* CDC_WRITE_H */
