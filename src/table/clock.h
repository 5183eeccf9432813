/*
 * clock.h
 *		Versions: read, compare, the next one.
 */
#ifndef CDC_CLOCK_H
#define CDC_CLOCK_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "utils/numeric.h"

#include "base/compat.h"

/* The kinds of version column; and the commit timestamp, which is in none */
typedef enum CdcClock
{
	CDC_CLOCK_TIMESTAMPTZ,
	CDC_CLOCK_TIMESTAMP,
	CDC_CLOCK_INT2,
	CDC_CLOCK_INT4,
	CDC_CLOCK_INT8,
	CDC_CLOCK_NUMERIC,
	CDC_CLOCK_COMMIT
} CdcClock;

/*
 * A version as last-writer-wins compares it: unknown is the oldest.  Of a version
 * column, a delete comes just after the version of the row it deleted; the commit clock
 * knows when a delete was.
 */
typedef struct CdcVersion
{
	bool		known;			/* false: NULL in the column, or commit time forgotten */
	bool		deleted;
	int64		value;			/* integer, or µs since 2000 */
	Numeric		numeric;		/* of a numeric clock; then value is not used */
} CdcVersion;

extern CdcClock cdc_clock_for_type(Oid type, int32 typmod, const char *column);
extern CdcVersion cdc_clock_read(CdcClock clock, Datum value, bool isnull);
extern int	cdc_clock_compare(const CdcVersion *a, const CdcVersion *b);
extern bool cdc_clock_is_made_up(CdcClock clock, const CdcVersion *version);

/* As tombstones keep it: the number, or µs since 1970; NULL if unknown */
extern Datum cdc_clock_to_stored(CdcClock clock, const CdcVersion *version, bool *isnull);
extern CdcVersion cdc_clock_from_stored(CdcClock clock, Datum stored, bool isnull);
extern bool cdc_clock_has_commit_times(void);
extern CdcVersion cdc_clock_of_commit(TransactionId xid, ReplOriginId *writer);

#define CDC_VERSION_MAX_LENGTH 100	/* of a numeric one, in characters */
#define CDC_VERSION_MAX_STEP 1000	/* near the end of a type's range */

/*
 * May a version be written over "floor", the one that its key has (unknown: none)?  False
 * if it is too long, or leaps so near to its type's end that later writes had no room.
 */
extern bool cdc_clock_leaves_room(CdcClock clock, const CdcVersion *version,
								  const CdcVersion *floor);
extern CdcVersion cdc_clock_of_time(TimestampTz time);

/*
 * The version of a local write that must come after another one, if that is known; and
 * the very next one, which is the same on all nodes
 */
extern CdcVersion cdc_clock_next(CdcClock clock, const CdcVersion *after);
extern CdcVersion cdc_clock_successor(CdcClock clock, const CdcVersion *after);
extern CdcVersion cdc_clock_predecessor(CdcClock clock, const CdcVersion *before);

/* As a value of the version column, and as text; NULL if unknown */
extern Datum cdc_clock_to_datum(CdcClock clock, const CdcVersion *version);
extern char *cdc_clock_to_text(CdcClock clock, const CdcVersion *version);
extern CdcVersion cdc_clock_from_text(CdcClock clock, const char *text);
extern bool cdc_clock_is_time(CdcClock clock);

#endif							/* CDC_CLOCK_H */
