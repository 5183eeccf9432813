/*
 * decode_scan.h
 *		Ordinary JSON text -> the fields of its upper levels, in one quick pass.
 */
#ifndef CDC_DECODE_SCAN_H
#define CDC_DECODE_SCAN_H

#include "event/event.h"

typedef struct CdcFieldList
{
	CdcField   *fields;
	int			n;
	int			max;			/* allocated */
} CdcFieldList;

/*
 * Fields of an object and, if depth is 2, of those of them that are objects: of the
 * object's field i, they begin at first_child[i], which has one element more.
 */
typedef struct CdcFieldLevels
{
	int			depth;			/* 1 or 2 */
	const struct CdcTokenOps *ops;	/* of the tokens */
	CdcFieldList levels[2];
	int		   *first_child;
	int			max_first_child;
} CdcFieldLevels;

extern bool cdc_decode_scan(const char *text, int len, CdcFieldLevels *found);
extern CdcField *cdc_decode_add_field(CdcFieldLevels *found, int level);
extern void cdc_decode_end_fields(CdcFieldLevels *found);
extern void *cdc_decode_grow(void *items, int *max, Size size, int initial);

#endif							/* CDC_DECODE_SCAN_H */
