/*
 * image_row.h
 *		Images of events as rows: all of them, or as much as somebody asks for.
 */
#ifndef CDC_IMAGE_ROW_H
#define CDC_IMAGE_ROW_H

#include "event/event.h"
#include "event/producer.h"
#include "rows/row.h"
#include "table/relation.h"

extern void cdc_image_decode(CdcRow *row, CdcRelation *rel, const CdcImage *image,
							 const CdcProducer *producer);
extern bool cdc_image_decode_column(CdcRelation *rel, const CdcImage *image, int column,
									bool of_key, const CdcProducer *producer, Datum *value,
									bool *isnull);

/*
 * What an event's author had seen.  It is decoded when it is asked for, and no column
 * twice.  An event does not need all of it, and must not fail for what only its record
 * would show: tried by itself, columns that cannot be decoded are left out, as unread.
 */
typedef struct CdcImageRow
{
	CdcRelation *rel;
	const CdcImage *image;
	const CdcProducer *producer;
	bool		tolerant;		/* leave out what cannot be decoded */
	bool		complete;		/* row has all columns of the image */
	CdcRow		row;			/* so far */
	Bitmapset  *known;			/* columns that have been decoded */
	Bitmapset  *unread;			/* columns that cannot be */
} CdcImageRow;

extern void cdc_image_row_init(CdcImageRow *ir, CdcRelation *rel, const CdcImage *image,
							   const CdcProducer *producer, bool tolerant);
extern const CdcRow *cdc_image_row(CdcImageRow *ir);
extern bool cdc_image_row_column(CdcImageRow *ir, int column, bool needed, Datum *value,
								 bool *isnull);
extern char *cdc_image_row_token(const CdcImageRow *ir, int column);

#endif							/* CDC_IMAGE_ROW_H */
