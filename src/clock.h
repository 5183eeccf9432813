/*
 * clock.h
 *		Versions: read, compare, keep growing.
 */
#ifndef CDC_CLOCK_H
#define CDC_CLOCK_H

#include "utils/numeric.h"

/* The kinds of version column */
typedef enum CdcClock
{
	CDC_CLOCK_TIMESTAMPTZ,
	CDC_CLOCK_TIMESTAMP,
	CDC_CLOCK_INT2,
	CDC_CLOCK_INT4,
	CDC_CLOCK_INT8,
	CDC_CLOCK_NUMERIC
} CdcClock;

/*
 * A version as last-writer-wins compares it: unknown is the oldest; a delete comes
 * just after the version of the row it deleted.
 */
typedef struct CdcVersion
{
	bool		known;			/* false: the column was NULL */
	bool		deleted;
	int64		value;			/* integer, or µs since 2000 */
	Numeric		numeric;		/* of a numeric clock; then value is not used */
} CdcVersion;

/* The clock of a column of this type; raises an error for types that cannot be one */
extern CdcClock cdc_clock_for_type(Oid type, int32 typmod, const char *column);

/*
 * The version that a column's value is; refuses infinity and NaN.  A numeric's value
 * is not copied.
 */
extern CdcVersion cdc_clock_read(CdcClock clock, Datum value, bool isnull);

/* <0, 0, >0 */
extern int	cdc_clock_compare(const CdcVersion *a, const CdcVersion *b);

/* As tombstones keep it: the number, or µs since 1970; NULL if unknown */
extern Datum cdc_clock_to_stored(CdcClock clock, const CdcVersion *version, bool *isnull);
extern CdcVersion cdc_clock_from_stored(CdcClock clock, Datum stored, bool isnull);

/* Integer and numeric clocks may start again below a pruned tombstone: it is never pruned */
extern bool cdc_clock_is_time(CdcClock clock);

#endif							/* CDC_CLOCK_H */
