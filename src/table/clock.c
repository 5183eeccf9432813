/*
 * clock.c
 *		Versions: read, compare, the next one.
 *
 * A table rule names one of two kinds of clock.  A version column is a hybrid clock per
 * row: remote changes carry their version, local ones get theirs from a trigger
 * (trigger.c).  Under the commit clock the version of a row is the commit time
 * of the transaction that wrote it; what the worker writes is stamped with the time of
 * its source transaction (origin.c), so that it keeps the version it came with.
 *
 * Whatever the clock, all nodes compute the same version for the same write: that is why
 * a delete has the version of the row it deleted, and comes just after it (deleted), and
 * why what is written for somebody else takes the very next one (successor) and not the
 * wall clock.  The wall clock only gives a local write its first guess: it is lifted above
 * what the row had, so a clock that is wrong or steps back costs no update.
 *
 * A version is compared only with others of its table, for which the clock is one and the
 * same; a NULL is older than everything, infinities are no versions.  Near the end of a
 * type's range only small steps are accepted, lest one writer make a key unwritable for
 * all (leaves_room).
 *
 * Commit times are the server's, kept while track_commit_timestamp is on and until they are
 * old.  Those of transactions that only brought a dump in are no versions: from which
 * transaction on they count stands in cdcsync.local_identity, and is read once, until an
 * invalidation of that table.
 */
#include "postgres.h"

#include "access/commit_ts.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/extension.h"
#include "base/result.h"
#include "base/unixtime.h"
#include "table/clock.h"
#include "table/origin.h"

typedef struct ClockType
{
	Oid			type;
	CdcClock	clock;
} ClockType;

static const ClockType clock_types[] = {
	{TIMESTAMPTZOID, CDC_CLOCK_TIMESTAMPTZ},
	{TIMESTAMPOID, CDC_CLOCK_TIMESTAMP},
	{INT2OID, CDC_CLOCK_INT2},
	{INT4OID, CDC_CLOCK_INT4},
	{INT8OID, CDC_CLOCK_INT8},
	{NUMERICOID, CDC_CLOCK_NUMERIC},
};

/* Of transactions before it, commit times say nothing; 0: none */
static uint64 commits_known_from = 0;
static bool commits_known_valid = false;
static uint64 invalidations = 0;	/* of it */
static Oid	identity_table = InvalidOid;

/* The clock of a column of this type; raises an error for types that cannot be one */
CdcClock
cdc_clock_for_type(Oid type, int32 typmod, const char *column)
{
	for (int i = 0; i < lengthof(clock_types); i++)
	{
		if (clock_types[i].type != type)
			continue;
		if ((type == TIMESTAMPTZOID || type == TIMESTAMPOID) &&
			typmod >= 0 && typmod < MAX_TIMESTAMP_PRECISION)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("version column \"%s\" cannot hold microseconds", column),
					 errdetail("Versions grow by one microsecond at least."),
					 errhint("Use %s without a precision.", format_type_be(type))));
		return clock_types[i].clock;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("column \"%s\" of type %s cannot be a version column", column,
					format_type_be(type)),
			 errhint("Use a column of type timestamp with time zone, timestamp, smallint, integer, bigint or numeric.")));
}

/* Integer and numeric clocks may start again below a pruned tombstone: it is never pruned */
bool
cdc_clock_is_time(CdcClock clock)
{
	return clock == CDC_CLOCK_TIMESTAMPTZ || clock == CDC_CLOCK_TIMESTAMP ||
		clock == CDC_CLOCK_COMMIT;
}

/*
 * The version that a column's value is; refuses infinity and NaN.  A numeric's value
 * is not copied.
 */
CdcVersion
cdc_clock_read(CdcClock clock, Datum value, bool isnull)
{
	CdcVersion	version = {.known = !isnull};
	bool		finite = true;

	if (isnull)
		return version;
	switch (clock)
	{
		case CDC_CLOCK_TIMESTAMPTZ:
		case CDC_CLOCK_TIMESTAMP:
		case CDC_CLOCK_COMMIT:
			version.value = DatumGetTimestampTz(value);
			finite = !TIMESTAMP_NOT_FINITE(version.value);
			break;
		case CDC_CLOCK_INT2:
			version.value = DatumGetInt16(value);
			break;
		case CDC_CLOCK_INT4:
			version.value = DatumGetInt32(value);
			break;
		case CDC_CLOCK_INT8:
			version.value = DatumGetInt64(value);
			break;
		case CDC_CLOCK_NUMERIC:
			version.numeric = DatumGetNumeric(value);
			finite = !numeric_is_nan(version.numeric) && !numeric_is_inf(version.numeric);
			break;
	}
	if (!finite)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a version must be finite"),
				 errhint("Write a finite value into the version column.")));
	return version;
}

/* <0, 0, >0 */
int
cdc_clock_compare(const CdcVersion *a, const CdcVersion *b)
{
	int			order = 0;

	if (a->known != b->known)
		return a->known ? 1 : -1;
	if (a->known && a->numeric)
		order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a->numeric),
												  NumericGetDatum(b->numeric)));
	else if (a->known && a->value != b->value)
		order = a->value > b->value ? 1 : -1;
	return order ? order : (int) a->deleted - (int) b->deleted;
}

/*
 * What Debezium makes up for a column of which the log does not have the value, where
 * it must not be NULL: 1970, or 0
 */
bool
cdc_clock_is_made_up(CdcClock clock, const CdcVersion *version)
{
	if (!version->known)
		return false;
	if (clock == CDC_CLOCK_NUMERIC)
		return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(version->numeric),
												 NumericGetDatum(int64_to_numeric(0)))) == 0;
	if (clock == CDC_CLOCK_TIMESTAMPTZ || clock == CDC_CLOCK_TIMESTAMP)
		return version->value == -CDC_UNIX_EPOCH_USECS;
	return version->value == 0;
}

Datum
cdc_clock_to_stored(CdcClock clock, const CdcVersion *version, bool *isnull)
{
	Numeric		n;

	*isnull = !version->known;
	if (!version->known)
		return (Datum) 0;
	if (clock == CDC_CLOCK_NUMERIC)
		return NumericGetDatum(version->numeric);
	n = int64_to_numeric(version->value);
	if (cdc_clock_is_time(clock))
		return DirectFunctionCall2(numeric_add, NumericGetDatum(n),
								   NumericGetDatum(int64_to_numeric(CDC_UNIX_EPOCH_USECS)));
	return NumericGetDatum(n);
}

CdcVersion
cdc_clock_from_stored(CdcClock clock, Datum stored, bool isnull)
{
	CdcVersion	version = {.known = !isnull, .deleted = clock != CDC_CLOCK_COMMIT};

	if (isnull)
		return version;
	if (clock == CDC_CLOCK_NUMERIC)
	{
		version.numeric = DatumGetNumeric(stored);
		return version;
	}
	if (cdc_clock_is_time(clock))
		stored = DirectFunctionCall2(numeric_sub, stored,
									 NumericGetDatum(int64_to_numeric(CDC_UNIX_EPOCH_USECS)));
	version.value = DatumGetInt64(DirectFunctionCall1(numeric_int8, stored));
	return version;
}

/* Does this server keep commit times (track_commit_timestamp)? */
bool
cdc_clock_has_commit_times(void)
{
	return track_commit_timestamp;
}

/* By the relcache: somebody has accepted a restored dump */
static void
forget_commits_known(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != identity_table)
		return;
	invalidations++;
	commits_known_valid = false;
}

/* In a transaction */
static void
read_commits_known(void)
{
	static bool watching = false;
	static CdcStatement select = {
		.sql = "SELECT commits_known_from FROM cdcsync.local_identity"
	};
	bool		isnull = true;
	Datum		from = 0;
	uint64		before;

	if (!watching)
		CacheRegisterRelcacheCallback(forget_commits_known, (Datum) 0);
	watching = true;
	identity_table = cdc_extension_table("local_identity");
	before = invalidations;
	SPI_connect();
	cdc_extension_execute(&select, NULL, NULL);
	if (SPI_processed > 0)
		from = cdc_result(0, "commits_known_from", &isnull);
	commits_known_from = isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(from));
	SPI_finish();
	/* not if it failed, and what came in meanwhile makes it stale again */
	commits_known_valid = (before == invalidations);
}

/* Then its commit time is that of the restore: what a dump brings is older */
static bool
is_of_restore(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();

	if (!commits_known_valid)
		read_commits_known();
	/* what is so old that numbers come again has no commit time any more */
	return commits_known_from > 0 &&
		U64FromFullTransactionId(next) - commits_known_from < MaxTransactionId / 2 &&
		TransactionIdPrecedes(xid, (TransactionId) commits_known_from);
}

/*
 * The version of what a transaction wrote, and its origin (0: local); unknown if its
 * commit time is forgotten.  Raises an error where commit times are not kept.
 */
CdcVersion
cdc_clock_of_commit(TransactionId xid, ReplOriginId *writer)
{
	CdcVersion	version = {.known = true};

	if (TransactionIdIsCurrentTransactionId(xid))
	{
		*writer = cdc_origin_session();
		version.value = cdc_origin_commit_time();
	}
	else
		version.known = !is_of_restore(xid) &&
			TransactionIdGetCommitTsData(xid, &version.value, writer);
	return version;
}

static int64
largest(CdcClock clock)
{
	return clock == CDC_CLOCK_INT2 ? PG_INT16_MAX :
		clock == CDC_CLOCK_INT4 ? PG_INT32_MAX :
		clock == CDC_CLOCK_INT8 ? PG_INT64_MAX : END_TIMESTAMP - 1;
}

/*
 * The last sixteenth of a type's range is for versions to grow into, by small steps: a leap
 * there would leave a key that nobody can write any more.
 */
bool
cdc_clock_leaves_room(CdcClock clock, const CdcVersion *version, const CdcVersion *floor)
{
	int64		bound;

	if (!version->known || (floor->known && cdc_clock_compare(version, floor) <= 0))
		return true;
	if (clock == CDC_CLOCK_NUMERIC)
	{
		Datum		text = DirectFunctionCall1(numeric_out, NumericGetDatum(version->numeric));
		size_t		length = strlen(DatumGetCString(text));

		pfree(DatumGetPointer(text));
		return length <= CDC_VERSION_MAX_LENGTH;
	}
	bound = largest(clock) - largest(clock) / 16;
	return version->value <= bound ||
		(floor->known && floor->value >= bound - CDC_VERSION_MAX_STEP &&
		 version->value - floor->value <= CDC_VERSION_MAX_STEP);
}

CdcVersion
cdc_clock_of_time(TimestampTz time)
{
	return (CdcVersion){.known = true, .value = time};
}

/* What the wall clock says, in the version's own measure; other clocks begin at 1 */
static int64
clock_now(CdcClock clock)
{
	/* a timestamp without time zone counts in UTC, as the session's zone may change */
	return cdc_clock_is_time(clock) ? GetCurrentTimestamp() : 1;
}

CdcVersion
cdc_clock_next(CdcClock clock, const CdcVersion *after)
{
	CdcVersion	next = cdc_clock_successor(clock, after);

	if (cdc_clock_is_time(clock))
		next.value = Max(next.value, clock_now(clock));
	return next;
}

static int64
increment(CdcClock clock, int64 value)
{
	if (value >= largest(clock))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("version out of range"),
				 errdetail("The row has the largest version that its type can hold."),
				 errhint("Delete the row, and insert it with another key.")));
	return value + 1;
}

CdcVersion
cdc_clock_successor(CdcClock clock, const CdcVersion *after)
{
	CdcVersion	next = {.known = true};

	if (clock == CDC_CLOCK_NUMERIC)
	{
		Numeric		one = int64_to_numeric(1);

		next.numeric = one;
		if (after->known)
			next.numeric = DatumGetNumeric(DirectFunctionCall2(numeric_add,
															   NumericGetDatum(after->numeric),
															   NumericGetDatum(one)));
		return next;
	}
	next.value = after->known ? increment(clock, after->value) : clock_now(clock);
	return next;
}

/* One below, of a version column; unknown stays unknown, and the lowest is its own */
CdcVersion
cdc_clock_predecessor(CdcClock clock, const CdcVersion *before)
{
	CdcVersion	previous = *before;
	int64		lowest = clock == CDC_CLOCK_INT2 ? PG_INT16_MIN :
		clock == CDC_CLOCK_INT4 ? PG_INT32_MIN :
		clock == CDC_CLOCK_INT8 ? PG_INT64_MIN : MIN_TIMESTAMP;

	if (!before->known)
		return previous;
	if (clock == CDC_CLOCK_NUMERIC)
		previous.numeric = DatumGetNumeric(DirectFunctionCall2(numeric_sub,
															   NumericGetDatum(before->numeric),
															   NumericGetDatum(int64_to_numeric(1))));
	else if (before->value > lowest)
		previous.value--;
	return previous;
}

Datum
cdc_clock_to_datum(CdcClock clock, const CdcVersion *version)
{
	switch (clock)
	{
		case CDC_CLOCK_INT2:
			return DirectFunctionCall1(int82, Int64GetDatum(version->value));
		case CDC_CLOCK_INT4:
			return DirectFunctionCall1(int84, Int64GetDatum(version->value));
		case CDC_CLOCK_NUMERIC:
			return NumericGetDatum(version->numeric);
		case CDC_CLOCK_TIMESTAMPTZ:
		case CDC_CLOCK_TIMESTAMP:
		case CDC_CLOCK_COMMIT:
		case CDC_CLOCK_INT8:
			break;
	}
	return Int64GetDatum(version->value);
}

/* As the version column prints it under the session's settings, in CurrentMemoryContext; NULL if unknown */
char *
cdc_clock_to_text(CdcClock clock, const CdcVersion *version)
{
	Datum		value;

	if (!version->known)
		return NULL;
	value = cdc_clock_to_datum(clock, version);
	switch (clock)
	{
		case CDC_CLOCK_TIMESTAMPTZ:
		case CDC_CLOCK_COMMIT:
			return DatumGetCString(DirectFunctionCall1(timestamptz_out, value));
		case CDC_CLOCK_TIMESTAMP:
			return DatumGetCString(DirectFunctionCall1(timestamp_out, value));
		case CDC_CLOCK_INT2:
		case CDC_CLOCK_INT4:
		case CDC_CLOCK_INT8:
			return psprintf(INT64_FORMAT, version->value);
		case CDC_CLOCK_NUMERIC:
			return DatumGetCString(DirectFunctionCall1(numeric_out, value));
	}
	return NULL;
}

CdcVersion
cdc_clock_from_text(CdcClock clock, const char *text)
{
	PGFunction	input = int8in;
	Datum		value;

	if (text == NULL)
		return (CdcVersion){0};
	if (clock == CDC_CLOCK_TIMESTAMPTZ || clock == CDC_CLOCK_COMMIT)
		input = timestamptz_in;
	else if (clock == CDC_CLOCK_TIMESTAMP)
		input = timestamp_in;
	else if (clock == CDC_CLOCK_NUMERIC)
		input = numeric_in;
	value = DirectFunctionCall3(input, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
								Int32GetDatum(-1));
	if (clock == CDC_CLOCK_NUMERIC)
		return (CdcVersion){.known = true, .numeric = DatumGetNumeric(value)};
	return (CdcVersion){.known = true, .value = DatumGetInt64(value)};
}
