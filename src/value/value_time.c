/*
 * value_time.c
 *		date, time, timetz, timestamp, timestamptz and interval.
 *
 * Debezium counts days and (milli-, micro-, nano-) seconds since 1970 in the proleptic
 * Gregorian calendar, as the server does since 2000: only the epoch differs.  Texts are
 * ISO 8601 with astronomical years (0000 is 1 BC), which the server's input functions do
 * not take.  They would also take much else, such as "now"; so texts are read here, and
 * strictly.
 *
 * Infinity arrives as numbers that pgjdbc and Java made of it.
 *
 * An interval arrives as ISO 8601 or, if the connector is not told otherwise, as a number
 * of microseconds in which months and days have been dissolved: that one is refused.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "event/token.h"
#include "value/value_convert.h"

#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_USECS		(EPOCH_DAYS * USECS_PER_DAY)

/* infinity in a timestamp without zone, in microseconds since 1970 */
#define PLUS_INFINITY_USECS		INT64CONST(9223372036825200000)
#define MINUS_INFINITY_USECS	INT64CONST(-9223372036832400000)

/* The units of numbers, as parts of a second */
typedef enum Unit
{
	MILLISECONDS,
	MICROSECONDS,
	NANOSECONDS
} Unit;

/* In every mode an object is structured, a string is ISO 8601, and a number days */
void
cdc_value_imply_date(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DATE);
	else if (c->token->type == CDC_TOKEN_STRING)
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_DATE);
	else
		cdc_value_imply(c, CDC_SCHEMA_INT32, CDC_SEMANTIC_DATE);
}

/*
 * Of a number without a schema.  The adaptive modes take milliseconds where the author's
 * column has no more than three digits, which the column here does not tell.
 */
static Unit
unit_of_mode(CdcConversion *c)
{
	if (c->token->type != CDC_TOKEN_NUMBER)
		cdc_value_invalid(c);
	switch (c->producer->time_precision)
	{
		case CDC_TIME_ADAPTIVE:
		case CDC_TIME_ADAPTIVE_TIME_MICROSECONDS:
			cdc_value_not_said(c, "time.precision.mode",
							   c->producer->time_precision == CDC_TIME_ADAPTIVE ? "adaptive" :
							   "adaptive_time_microseconds", "microseconds",
							   "the precision of the author's column, by which the unit goes");
			break;
		case CDC_TIME_CONNECT:
			return MILLISECONDS;
		case CDC_TIME_MICROSECONDS:
			return MICROSECONDS;
		case CDC_TIME_NANOSECONDS:
			return NANOSECONDS;
		case CDC_TIME_ISOSTRING:	/* would be a string */
		case CDC_TIME_STRUCTURED:	/* an object */
		case CDC_TIME_UNKNOWN:
			break;
	}
	cdc_value_ambiguous(c, "time.precision.mode");
}

void
cdc_value_imply_time(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIME);
	else if (c->token->type == CDC_TOKEN_STRING)
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIME);
	else if (c->producer->time_precision == CDC_TIME_ADAPTIVE_TIME_MICROSECONDS)
		cdc_value_imply(c, CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_TIME);
	else
	{
		Unit		unit = unit_of_mode(c);

		if (unit == MILLISECONDS)
			cdc_value_imply(c, CDC_SCHEMA_INT32, CDC_SEMANTIC_TIME);
		else
			cdc_value_imply(c, CDC_SCHEMA_INT64, unit == MICROSECONDS ?
							CDC_SEMANTIC_MICRO_TIME : CDC_SEMANTIC_NANO_TIME);
	}
}

void
cdc_value_imply_timestamp(CdcConversion *c)
{
	static const CdcSemantic semantics[] = {
		[MILLISECONDS] = CDC_SEMANTIC_TIMESTAMP,
		[MICROSECONDS] = CDC_SEMANTIC_MICRO_TIMESTAMP,
		[NANOSECONDS] = CDC_SEMANTIC_NANO_TIMESTAMP,
	};

	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIMESTAMP);
	else if (c->token->type == CDC_TOKEN_STRING)
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIMESTAMP);
	else
		cdc_value_imply(c, CDC_SCHEMA_INT64, semantics[unit_of_mode(c)]);
}

void
cdc_value_imply_timestamptz(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIMESTAMP);
	else
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIMESTAMP);
}

void
cdc_value_imply_timetz(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIME);
	else
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIME);
}

void
cdc_value_imply_interval(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DURATION);
	else if (c->token->type == CDC_TOKEN_NUMBER)
		cdc_value_imply(c, CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_DURATION);
	else
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_INTERVAL);
}

static int64
read_number(CdcConversion *c)
{
	int64		n;

	if (!cdc_token_integer(c->token, &n))
		cdc_value_invalid(c);
	return n;
}

static CdcValueStatus
convert_date(CdcConversion *c, Datum *value)
{
	int64		days = read_number(c);

	switch (days)
	{
		case -2147472692:		/* streamed */
		case -622191234:		/* of a snapshot: by the connector's time zone */
		case -622191233:
			*value = DateADTGetDatum(DATEVAL_NOEND);
			return CDC_VALUE_SET;
		case -2147472691:
		case -625821272:
		case -625821271:
			*value = DateADTGetDatum(DATEVAL_NOBEGIN);
			return CDC_VALUE_SET;
		default:
			return cdc_value_set_date(c, days, value);
	}
}

static bool
parse_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* As many digits as there are, from min to max (at most 9) */
static bool
parse_digits(const char **p, const char *end, int min, int max, int *result)
{
	const char *begin = *p;

	*result = 0;
	while (*p < end && *p - begin < max && **p >= '0' && **p <= '9')
		*result = *result * 10 + *(*p)++ - '0';
	return *p - begin >= min;
}

/* 2017-09-15, +12020-01-02, -0043-03-15 */
static bool
parse_date(const char **p, const char *end, int64 *days)
{
	bool		minus = parse_char(p, end, '-');
	bool		plus = !minus && parse_char(p, end, '+');
	int			year;
	int			month;
	int			day;

	if (!parse_digits(p, end, 4, minus || plus ? 9 : 4, &year) ||
		!parse_char(p, end, '-') || !parse_digits(p, end, 2, 2, &month) ||
		!parse_char(p, end, '-') || !parse_digits(p, end, 2, 2, &day))
		return false;
	if (minus)
		year = -year;
	if (month < 1 || month > MONTHS_PER_YEAR || day < 1 ||
		day > day_tab[isleap(year)][month - 1] || !IS_VALID_JULIAN(year, month, day))
		return false;
	*days = date2j(year, month, day) - UNIX_EPOCH_JDATE;
	return true;
}

/* A Z after what has no zone is decoration */
static bool
parse_end(const char **p, const char *end)
{
	parse_char(p, end, 'Z');
	return *p == end;
}

static CdcValueStatus
convert_iso_date(CdcConversion *c, Datum *value)
{
	int			len;
	const char *p = cdc_value_text(c, &len);
	const char *end = p + len;
	int64		days;

	if (cdc_token_is(c->token, "-5877611-06-21Z") ||
		cdc_token_is(c->token, "+292278994-08-16Z") || cdc_token_is(c->token, "+292278994-08-17Z"))
	{
		*value = DateADTGetDatum(DATEVAL_NOEND);
		return CDC_VALUE_SET;
	}
	if (cdc_token_is(c->token, "-5877611-06-22Z") ||
		cdc_token_is(c->token, "+292269055-12-02Z") || cdc_token_is(c->token, "+292269055-12-03Z"))
	{
		*value = DateADTGetDatum(DATEVAL_NOBEGIN);
		return CDC_VALUE_SET;
	}
	if (!parse_date(&p, end, &days) || !parse_end(&p, end))
		cdc_value_invalid(c);
	return cdc_value_set_date(c, days, value);
}

static Unit
unit_of(CdcSemantic semantic)
{
	switch (semantic)
	{
		case CDC_SEMANTIC_TIME:
		case CDC_SEMANTIC_CONNECT_TIME:
		case CDC_SEMANTIC_TIMESTAMP:
		case CDC_SEMANTIC_CONNECT_TIMESTAMP:
			return MILLISECONDS;
		case CDC_SEMANTIC_NANO_TIME:
		case CDC_SEMANTIC_NANO_TIMESTAMP:
			return NANOSECONDS;
		default:
			return MICROSECONDS;
	}
}

pg_noreturn static void
out_of_range(CdcConversion *c)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("value for column \"%s\" of type %s is out of range",
					c->vt->column, format_type_be(c->vt->base_type)),
			 errdetail("It is %s.", cdc_token_string(c->token))));
}

static CdcValueStatus
convert_time(CdcConversion *c, Datum *value)
{
	int64		n = read_number(c);

	switch (unit_of(c->schema->semantic))
	{
		case MILLISECONDS:
			if (pg_mul_s64_overflow(n, 1000, &n))
				out_of_range(c);
			break;
		case MICROSECONDS:
			break;
		case NANOSECONDS:
			n /= 1000;
			break;
	}
	return cdc_value_set_time(c, n, value);
}

/* 04:05:11 or 04:05:11.789; a seventh digit and those behind it round */
static bool
parse_time(const char **p, const char *end, int64 *usecs)
{
	int			hour;
	int			minute;
	int			second;
	int			nanos = 0;

	if (!parse_digits(p, end, 2, 2, &hour) || !parse_char(p, end, ':') ||
		!parse_digits(p, end, 2, 2, &minute) || !parse_char(p, end, ':') ||
		!parse_digits(p, end, 2, 2, &second))
		return false;
	if (parse_char(p, end, '.'))
	{
		const char *begin = *p;

		if (!parse_digits(p, end, 1, 9, &nanos))
			return false;
		for (int digits = *p - begin; digits < 9; digits++)
			nanos *= 10;
	}
	*usecs = ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + (nanos + 500) / 1000;
	return minute < 60 && second < 60 && *usecs <= USECS_PER_DAY;
}

static CdcValueStatus
convert_iso_time(CdcConversion *c, Datum *value)
{
	int			len;
	const char *p = cdc_value_text(c, &len);
	const char *end = p + len;
	int64		usecs;

	if (!parse_time(&p, end, &usecs) || !parse_end(&p, end))
		cdc_value_invalid(c);
	return cdc_value_set_time(c, usecs, value);
}

/* Nanoseconds of a source end in three zeros; infinity comes in each unit */
static CdcValueStatus
convert_timestamp(CdcConversion *c, Datum *value)
{
	int64		n = read_number(c);
	Timestamp	timestamp;

	switch (unit_of(c->schema->semantic))
	{
		case MILLISECONDS:
			if (pg_mul_s64_overflow(n, 1000, &n))
				out_of_range(c);
			break;
		case MICROSECONDS:
			break;
		case NANOSECONDS:
			if (n == PG_INT64_MAX)
				n = PLUS_INFINITY_USECS;
			else if (n == PG_INT64_MIN)
				n = MINUS_INFINITY_USECS;
			else
				n = n / 1000 - (n % 1000 < 0 ? 1 : 0);
			break;
	}
	if (n == PLUS_INFINITY_USECS)
		timestamp = DT_NOEND;
	else if (n == MINUS_INFINITY_USECS)
		timestamp = DT_NOBEGIN;
	else if (pg_sub_s64_overflow(n, EPOCH_USECS, &timestamp) ||
			 !IS_VALID_TIMESTAMP(timestamp))
		out_of_range(c);
	return cdc_value_set_timestamp(c, timestamp, value);
}

/* Z or an offset; usecs east of UTC */
static bool
parse_zone(const char **p, const char *end, int64 *usecs)
{
	bool		minus;
	int			hours;
	int			minutes;

	if (parse_char(p, end, 'Z'))
	{
		*usecs = 0;
		return true;
	}
	minus = parse_char(p, end, '-');
	if ((!minus && !parse_char(p, end, '+')) ||
		!parse_digits(p, end, 2, 2, &hours) || !parse_char(p, end, ':') ||
		!parse_digits(p, end, 2, 2, &minutes) || hours > 18 || minutes > 59)
		return false;
	*usecs = (hours * 60 + minutes) * USECS_PER_MINUTE * (minus ? -1 : 1);
	return true;
}

/* 2019-07-09T02:28:57.123456Z */
static bool
parse_iso_timestamp(CdcConversion *c, bool zoned, Timestamp *timestamp)
{
	int			len;
	const char *p = cdc_value_text(c, &len);
	const char *end = p + len;
	int64		days;
	int64		usecs;
	int64		zone = 0;

	if (!parse_date(&p, end, &days) || !parse_char(&p, end, 'T') ||
		!parse_time(&p, end, &usecs))
		return false;
	if (zoned ? !parse_zone(&p, end, &zone) || p != end : !parse_end(&p, end))
		return false;
	if (pg_mul_s64_overflow(days - EPOCH_DAYS, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, usecs - zone, timestamp) ||
		!IS_VALID_TIMESTAMP(*timestamp))
		out_of_range(c);
	return true;
}

static CdcValueStatus
convert_iso_timestamp(CdcConversion *c, Datum *value)
{
	Timestamp	timestamp;

	if (cdc_token_is(c->token, "-290308-12-21T19:59:27.6Z"))
		timestamp = DT_NOBEGIN;
	else if (!parse_iso_timestamp(c, false, &timestamp))
		cdc_value_invalid(c);
	else if (timestamp == PLUS_INFINITY_USECS - EPOCH_USECS)
		timestamp = DT_NOEND;
	return cdc_value_set_timestamp(c, timestamp, value);
}

static CdcValueStatus
convert_zoned_timestamp(CdcConversion *c, Datum *value)
{
	Timestamp	timestamp;

	if (cdc_token_is(c->token, "infinity"))
		timestamp = DT_NOEND;
	else if (cdc_token_is(c->token, "-infinity") || cdc_token_is(c->token, "+292269055-12-02T23:00:00.000000Z") ||
			 cdc_token_is(c->token, "+292269055-12-02T23:00:00Z"))
		timestamp = DT_NOBEGIN; /* the long ones are of an array's element */
	else if (!parse_iso_timestamp(c, true, &timestamp))
		cdc_value_invalid(c);
	return cdc_value_set_timestamp(c, timestamp, value);
}

/* 04:05:06.789012Z */
static CdcValueStatus
convert_zoned_time(CdcConversion *c, Datum *value)
{
	int			len;
	const char *p = cdc_value_text(c, &len);
	const char *end = p + len;
	int64		usecs;
	int64		zone;

	if (!parse_time(&p, end, &usecs) || !parse_zone(&p, end, &zone) || p != end)
		cdc_value_invalid(c);
	return cdc_value_set_timetz(c, usecs, -(zone / USECS_PER_SEC), value);
}

/* P1Y2M3DT4H5M6.78S, each with a sign of its own: the server takes it as it is */
static CdcValueStatus
convert_interval(CdcConversion *c, Datum *value)
{
	int			len;
	const char *text = cdc_value_text(c, &len);

	if (len == 0 || *text != 'P' || strspn(text, "PYMDTHS0123456789.-") < len)
		cdc_value_invalid(c);
	return cdc_value_by_input(c, value);
}

pg_noreturn static CdcValueStatus
refuse_duration(CdcConversion *c, Datum *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot decode column \"%s\" of type %s from a number of microseconds",
					c->vt->column, format_type_be(c->vt->base_type)),
			 errdetail("Debezium counts 30.4375 days of 24 hours for a month: months, days and hours "
					   "cannot be told apart any more."),
			 errhint("Set interval.handling.mode=string in the connector.")));
}

/* days since 1970 */
CdcValueStatus
cdc_value_set_date(CdcConversion *c, int64 days, Datum *value)
{
	if (days < PG_INT32_MIN || days > PG_INT32_MAX || !IS_VALID_DATE(days - EPOCH_DAYS))
		out_of_range(c);
	*value = DateADTGetDatum((DateADT) (days - EPOCH_DAYS));
	return CDC_VALUE_SET;
}

static void
check_precision(CdcConversion *c, TimeADT usecs)
{
	TimeADT		rounded = usecs;

	AdjustTimeForTypmod(&rounded, c->vt->typmod);
	if (rounded != usecs)
		cdc_value_misfit(c);
}

CdcValueStatus
cdc_value_set_time(CdcConversion *c, int64 usecs, Datum *value)
{
	if (usecs < 0 || usecs > USECS_PER_DAY)
		out_of_range(c);
	check_precision(c, usecs);
	*value = TimeADTGetDatum(usecs);
	return CDC_VALUE_SET;
}

CdcValueStatus
cdc_value_set_timetz(CdcConversion *c, int64 usecs, int zone, Datum *value)
{
	TimeTzADT  *result = palloc(sizeof(TimeTzADT));

	if (usecs < 0 || usecs > USECS_PER_DAY)
		out_of_range(c);
	check_precision(c, usecs);
	result->time = usecs;
	result->zone = zone;
	*value = TimeTzADTPGetDatum(result);
	return CDC_VALUE_SET;
}

/* The column's precision is asked of the type's own scale function */
CdcValueStatus
cdc_value_set_timestamp(CdcConversion *c, Timestamp timestamp, Datum *value)
{
	*value = TimestampGetDatum(timestamp);
	if (c->vt->typmod >= 0 && c->vt->typmod < MAX_TIMESTAMP_PRECISION)
		*value = DirectFunctionCall2(c->vt->base_type == TIMESTAMPOID ?
									 timestamp_scale : timestamptz_scale,
									 *value, Int32GetDatum(c->vt->typmod));
	if (DatumGetTimestamp(*value) != timestamp)
		cdc_value_misfit(c);
	return CDC_VALUE_SET;
}

const CdcConversionRule cdc_value_date_rules[] = {
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_DATE, CDC_FORM_NUMBER, convert_date},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_CONNECT_DATE, CDC_FORM_NUMBER, convert_date},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_DATE, CDC_FORM_STRING, convert_iso_date},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DATE, CDC_FORM_OBJECT,
	cdc_value_structured_date},
	{0}
};

const CdcConversionRule cdc_value_time_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_TIME, CDC_FORM_NUMBER, convert_time},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_TIME, CDC_FORM_NUMBER, convert_time},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_CONNECT_TIME, CDC_FORM_NUMBER, convert_time},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NANO_TIME, CDC_FORM_NUMBER, convert_time},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIME, CDC_FORM_STRING, convert_iso_time},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIME, CDC_FORM_OBJECT,
	cdc_value_structured_time},
	{0}
};

const CdcConversionRule cdc_value_timestamp_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_TIMESTAMP, CDC_FORM_NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_TIMESTAMP, CDC_FORM_NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_CONNECT_TIMESTAMP, CDC_FORM_NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NANO_TIMESTAMP, CDC_FORM_NUMBER, convert_timestamp},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIMESTAMP, CDC_FORM_STRING, convert_iso_timestamp},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIMESTAMP, CDC_FORM_OBJECT,
	cdc_value_structured_timestamp},
	{0}
};

const CdcConversionRule cdc_value_timestamptz_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIMESTAMP, CDC_FORM_STRING,
	convert_zoned_timestamp},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIMESTAMP, CDC_FORM_OBJECT,
	cdc_value_structured_timestamp},
	{0}
};

const CdcConversionRule cdc_value_timetz_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIME, CDC_FORM_STRING, convert_zoned_time},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIME, CDC_FORM_OBJECT,
	cdc_value_structured_timetz},
	{0}
};

const CdcConversionRule cdc_value_interval_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_INTERVAL, CDC_FORM_STRING, convert_interval},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_DURATION, CDC_FORM_NUMBER, refuse_duration},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DURATION, CDC_FORM_OBJECT,
	cdc_value_structured_duration},
	{0}
};
