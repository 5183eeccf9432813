/*
 * value_time.c
 *		Dates, times and intervals that come as numbers; the kinds of these types.
 *
 * Debezium counts days and (milli-, micro-, nano-) seconds since 1970 in the proleptic
 * Gregorian calendar, as the server does since 2000: only the epoch differs.  Infinity
 * arrives as numbers that pgjdbc and Java made of it.
 *
 * An interval arrives as ISO 8601 or, if the connector is not told otherwise, as a number
 * of microseconds in which months and days have been dissolved: that one is refused.
 *
 * Texts are in value_iso.c, structs in value_structured.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/unixtime.h"
#include "event/token.h"
#include "value/value_convert.h"

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

/* This one of the adaptive modes does say the unit of a time, but not of a timestamp */
static void
imply_time(CdcConversion *c)
{
	static const CdcSemantic semantics[] = {
		[MILLISECONDS] = CDC_SEMANTIC_TIME,
		[MICROSECONDS] = CDC_SEMANTIC_MICRO_TIME,
		[NANOSECONDS] = CDC_SEMANTIC_NANO_TIME,
	};
	Unit		unit = MICROSECONDS;

	if (c->producer->time_precision != CDC_TIME_ADAPTIVE_TIME_MICROSECONDS)
		unit = unit_of_mode(c);
	cdc_value_imply(c, unit == MILLISECONDS ? CDC_SCHEMA_INT32 : CDC_SCHEMA_INT64, semantics[unit]);
}

static void
imply_timestamp(CdcConversion *c)
{
	static const CdcSemantic semantics[] = {
		[MILLISECONDS] = CDC_SEMANTIC_TIMESTAMP,
		[MICROSECONDS] = CDC_SEMANTIC_MICRO_TIMESTAMP,
		[NANOSECONDS] = CDC_SEMANTIC_NANO_TIMESTAMP,
	};

	cdc_value_imply(c, CDC_SCHEMA_INT64, semantics[unit_of_mode(c)]);
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

static CdcValueStatus
convert_time(CdcConversion *c, Datum *value)
{
	int64		n = read_number(c);

	switch (unit_of(c->schema->semantic))
	{
		case MILLISECONDS:
			if (pg_mul_s64_overflow(n, 1000, &n))
				cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
			break;
		case MICROSECONDS:
			break;
		case NANOSECONDS:
			n /= 1000;
			break;
	}
	return cdc_value_set_time(c, n, value);
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
				cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
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
	else if (pg_sub_s64_overflow(n, CDC_UNIX_EPOCH_USECS, &timestamp) ||
			 !IS_VALID_TIMESTAMP(timestamp))
		cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
	return cdc_value_set_timestamp(c, timestamp, value);
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

#define NUMBER CDC_FORM_NUMBER

static const CdcConversionRule date_rules[] = {
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_DATE, NUMBER, convert_date, NUMBER},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_CONNECT_DATE, NUMBER, convert_date},
	{0}
};

static const CdcConversionRule time_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_TIME, NUMBER, convert_time},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_TIME, NUMBER, convert_time},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_CONNECT_TIME, NUMBER, convert_time},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NANO_TIME, NUMBER, convert_time},
	{0}
};

static const CdcConversionRule timestamp_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_TIMESTAMP, NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_TIMESTAMP, NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_CONNECT_TIMESTAMP, NUMBER, convert_timestamp},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NANO_TIMESTAMP, NUMBER, convert_timestamp},
	{0}
};

static const CdcConversionRule interval_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_MICRO_DURATION, NUMBER, refuse_duration, NUMBER},
	{0}
};

/* With a zone there are no numbers: Debezium writes these as texts in every mode */
const CdcValueKind cdc_value_time_kinds[] = {
	{TIMESTAMPTZOID, NULL, {cdc_value_iso_timestamptz_rules, cdc_value_structured_timestamptz_rules},
	.rows_are_null = true},
	{TIMESTAMPOID, NULL, {timestamp_rules, cdc_value_iso_timestamp_rules, cdc_value_structured_timestamp_rules},
	imply_timestamp, .rows_are_null = true},
	{DATEOID, NULL, {date_rules, cdc_value_iso_date_rules, cdc_value_structured_date_rules},
	.rows_are_null = true},
	{TIMEOID, NULL, {time_rules, cdc_value_iso_time_rules, cdc_value_structured_time_rules},
	imply_time, .rows_are_null = true},
	{TIMETZOID, NULL, {cdc_value_iso_timetz_rules, cdc_value_structured_timetz_rules},
	.rows_are_null = true},
	{INTERVALOID, NULL, {interval_rules, cdc_value_iso_interval_rules, cdc_value_structured_interval_rules},
	.rows_are_null = true},
	{InvalidOid}
};
