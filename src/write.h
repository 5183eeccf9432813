/*
 * write.h
 *		Runs the statements of a mapped relation over a batch of rows.
 */
#ifndef CDC_WRITE_H
#define CDC_WRITE_H

#include "storage/itemptr.h"

#include "relation.h"

/* A row, by the columns of its relation */
typedef struct CdcRow
{
	bool		exists;
	ItemPointerData tid;		/* where it was read */
	TransactionId xmin;			/* who had written it */
	Datum	   *values;
	bool	   *nulls;
	Bitmapset  *present;		/* columns that have a value */
	bool		unchanged;		/* a column had Debezium's placeholder instead */
} CdcRow;

/* The rows a statement is to see */
typedef struct CdcRowSet
{
	CdcRelation *rel;
	int			nrows;
	struct Tuplestorestate *store;
	Datum	   *values;			/* one row's scratch space */
	bool	   *nulls;
} CdcRowSet;

extern CdcRowSet *cdc_write_begin(CdcRelation *rel);

/* n is handed back by reads; of add_key all but the key is NULL */
extern void cdc_write_add(CdcRowSet *set, int n, const CdcRow *row);
extern void cdc_write_add_key(CdcRowSet *set, int n, const Datum *key);

/*
 * Run a statement, and free the set.  Returns the number of rows; of reads, SPI_tuptable
 * holds them.  The caller has taken the owner's rights (owner.h).
 */
extern uint64 cdc_write_execute(CdcRowSet *set, CdcStatementKind kind);
extern uint64 cdc_write_insert(CdcRowSet *set, Bitmapset *present);

/* The same for a statement that is not kept; it reads the rows as CDC_BATCH_NAME */
extern uint64 cdc_write_query(CdcRowSet *set, const char *sql);

extern void cdc_write_truncate(CdcRelation *rel);

#endif							/* CDC_WRITE_H */
