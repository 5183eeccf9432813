/*
 * field_name.h
 *		Fields, looked for by their names.
 */
#ifndef CDC_FIELD_NAME_H
#define CDC_FIELD_NAME_H

#include "event/event.h"

typedef struct CdcFieldName
{
	const char *text;
	int			len;
} CdcFieldName;

#define CDC_FIELD(text) {text, sizeof(text) - 1}

/* So many fields of an object are found by their order */
#define CDC_MAX_ORDERED 32

extern void cdc_field_find(const CdcField *fields, int nfields, const CdcFieldName *names,
						   int nnames, int *order, const CdcField **found);

#endif							/* CDC_FIELD_NAME_H */
