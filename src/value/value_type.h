/*
 * value_type.h
 *		The local side of a conversion, and what may come of it.
 */
#ifndef CDC_VALUE_TYPE_H
#define CDC_VALUE_TYPE_H

#include "fmgr.h"

struct CdcConversion;
typedef bool (*CdcFits) (struct CdcConversion *c, const char *text, Datum value);

/* The local side of a conversion; filled by relation.c, lives as long as its map */
typedef struct CdcValueType
{
	const char *column;			/* local column's name, for errors */
	Oid			type;			/* the column's type */
	Oid			base_type;		/* that type with domains removed */
	int32		typmod;			/* of the base type */
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Oid			element_type;	/* of an array's elements, else InvalidOid */
	FmgrInfo	input;			/* the base type's input function */
	CdcFits		fits;			/* does it take a text without rounding or cutting? NULL: always */
	Oid			typioparam;
	const struct CdcValueKind *kind;	/* how to convert to it */
	struct CdcValueType *element;	/* likewise for an array's elements */
	void	   *domain;			/* checked constraints, owned by domain_check() */
	MemoryContext context;		/* where that lives: as long as this does */
} CdcValueType;

typedef enum CdcValueStatus
{
	CDC_VALUE_SET,				/* *value holds it */
	CDC_VALUE_NULL,
	CDC_VALUE_UNCHANGED			/* Debezium's unavailable-value placeholder: keep
								 * the local value */
} CdcValueStatus;

#endif							/* CDC_VALUE_TYPE_H */
