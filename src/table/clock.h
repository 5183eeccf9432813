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

/* The clock of a column of this type; raises an error for types that cannot be one */
extern CdcClock cdc_clock_for_type(Oid type, int32 typmod, const char *column);

/*
 * The version that a column's value is; refuses infinity and NaN.  A numeric's value
 * is not copied.
 */
extern CdcVersion cdc_clock_read(CdcClock clock, Datum value, bool isnull);

/* <0, 0, >0 */
extern int	cdc_clock_compare(const CdcVersion *a, const CdcVersion *b);

/*
 * What Debezium makes up for a column of which the log does not have the value, where
 * it must not be NULL: 1970, or 0
 */
extern bool cdc_clock_is_made_up(CdcClock clock, const CdcVersion *version);

/* As tombstones keep it: the number, or µs since 1970; NULL if unknown */
extern Datum cdc_clock_to_stored(CdcClock clock, const CdcVersion *version, bool *isnull);
extern CdcVersion cdc_clock_from_stored(CdcClock clock, Datum stored, bool isnull);

/* Does this server keep commit times (track_commit_timestamp)? */
extern bool cdc_clock_has_commit_times(void);

/*
 * The version of what a transaction wrote, and its origin (0: local); unknown if its
 * commit time is forgotten.  Raises an error where commit times are not kept.
 */
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

/* One below, of a version column; unknown stays unknown, and the lowest is its own */
extern CdcVersion cdc_clock_predecessor(CdcClock clock, const CdcVersion *before);

/* As a value of the version column, and as text; NULL if unknown */
extern Datum cdc_clock_to_datum(CdcClock clock, const CdcVersion *version);
extern char *cdc_clock_to_text(CdcClock clock, const CdcVersion *version);
extern CdcVersion cdc_clock_from_text(CdcClock clock, const char *text);

/* Integer and numeric clocks may start again below a pruned tombstone: it is never pruned */
extern bool cdc_clock_is_time(CdcClock clock);

#endif							/* CDC_CLOCK_H */
