/*
 * row.h
 *		Rows in memory: lay over, compare.
 */
#ifndef CDC_ROW_H
#define CDC_ROW_H

#include "storage/itemptr.h"

#include "table/relation.h"

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
	Bitmapset  *decided;		/* columns that events gave a value: where triggers could change it */
} CdcRow;

extern CdcRow cdc_row_overlay(CdcRelation *rel, const CdcRow *base, const CdcRow *top);
extern bool cdc_row_equal(CdcRelation *rel, const CdcRow *base, const CdcRow *top);
extern bool cdc_row_same_referable(CdcRelation *rel, const CdcRow *a, const CdcRow *b);
extern bool cdc_row_same_key_text(CdcRelation *rel, const CdcRow *a, const CdcRow *b);
extern int	cdc_row_text_order(CdcRelation *rel, const CdcRow *top, const CdcRow *base);

#endif							/* CDC_ROW_H */
