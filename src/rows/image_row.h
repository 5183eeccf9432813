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

/*
 * An image as a row: present has the columns that the image gives a value; columns
 * whose value is Debezium's placeholder for "unchanged" are not among them.
 */
extern void cdc_image_decode(CdcRow *row, CdcRelation *rel, const CdcImage *image,
							 const CdcProducer *producer);

/* One column of an image; false if the image does not say it */
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

/* Nothing is decoded; what it is given must last as long as it is asked */
extern void cdc_image_row_init(CdcImageRow *ir, CdcRelation *rel, const CdcImage *image,
							   const CdcProducer *producer, bool tolerant);

/*
 * All columns, in memory of the first call; its member exists is false if the event has no
 * such image.  Raises a data error, but if it is tolerant.
 */
extern const CdcRow *cdc_image_row(CdcImageRow *ir);

/*
 * One column; false if the image does not say it.  needed: raises a data error if it
 * cannot be decoded, tolerant or not; else that is false, too.
 */
extern bool cdc_image_row_column(CdcImageRow *ir, int column, bool needed, Datum *value,
								 bool *isnull);

/* As it stands in the event: of an unread column */
extern char *cdc_image_row_token(const CdcImageRow *ir, int column);

#endif							/* CDC_IMAGE_ROW_H */
