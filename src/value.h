/*
 * value.h
 *		Token + Debezium schema or producer mode + local type -> Datum.
 */
#ifndef CDC_VALUE_H
#define CDC_VALUE_H

#include "fmgr.h"

#include "event.h"
#include "producer.h"

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

/*
 * Fill *vt for a local column (domains resolved); catalog access.  What it points to
 * is in CurrentMemoryContext; column is not copied.
 */
extern void cdc_value_type_init(CdcValueType *vt, const char *column, Oid type,
								int32 typmod);

/*
 * Convert one token.  The Datum is in CurrentMemoryContext.  Raises a data
 * error that names the column, the local type and the Debezium type or, for
 * JSON without schemas, the producer setting that is missing.
 */
extern CdcValueStatus cdc_value_decode(const CdcToken *token,
									   const CdcSchema *schema,
									   const CdcProducer *producer,
									   CdcValueType *vt, Datum *value);

/* false: no event ever has a column of this type, whatever the connector's settings */
extern bool cdc_value_is_sent(Oid type);

#endif							/* CDC_VALUE_H */
