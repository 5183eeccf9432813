/*
 * value_structured.c
 *		Dates and times of time.precision.mode=structured (Debezium 3.7).
 *
 * Each is a struct of its parts, where infinity is said in words; so it keeps what the
 * other modes lose: 24:00, the offset of a timetz, the fields of an interval.
 */
#include "postgres.h"

#include "common/int.h"
#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "event/token.h"
#include "value/value_convert.h"

#define MAX_MEMBERS 8

static const char *const time_members[MAX_MEMBERS] = {
	"year", "month", "day", "hour", "minute", "second", "nanos", "offsetSeconds"
};

typedef enum TimeMember
{
	MEMBER_YEAR,
	MEMBER_MONTH,
	MEMBER_DAY,
	MEMBER_HOUR,
	MEMBER_MINUTE,
	MEMBER_SECOND,
	MEMBER_NANOS,
	MEMBER_OFFSET
} TimeMember;

/* 1, -1, or 0 if it is finite */
static int
infinite(CdcConversion *c)
{
	static const char *const names[] = {"specialValue"};
	CdcToken	special;

	cdc_value_members(c, names, 1, &special);
	if (special.type == CDC_TOKEN_NULL)
		return 0;
	if (cdc_token_is(&special, "POSITIVE_INFINITY"))
		return 1;
	if (cdc_token_is(&special, "NEGATIVE_INFINITY"))
		return -1;
	cdc_value_invalid(c);
}

/* A member that is missing or null is 0; each is a 32-bit number, or smaller, or seconds */
static void
read_members(CdcConversion *c, const char *const *names, int n, int64 *values)
{
	CdcToken	found[MAX_MEMBERS];

	Assert(n <= MAX_MEMBERS);
	cdc_value_members(c, names, n, found);
	for (int i = 0; i < n; i++)
	{
		values[i] = 0;
		if (found[i].type != CDC_TOKEN_NULL &&
			(found[i].type != CDC_TOKEN_NUMBER || !cdc_token_integer(&found[i], &values[i])))
			cdc_value_invalid(c);
		if ((values[i] > PG_INT32_MAX || values[i] < PG_INT32_MIN) &&
			strcmp(names[i], "seconds") != 0)
			cdc_value_out_of_range(c, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	}
}

static void
read_time(CdcConversion *c, int64 *m)
{
	read_members(c, time_members, MAX_MEMBERS, m);
}

/* Since 1970 */
static int64
days_of(CdcConversion *c, const int64 *m)
{
	int64		days;

	if (!cdc_value_days(m[MEMBER_YEAR], m[MEMBER_MONTH], m[MEMBER_DAY], &days))
		cdc_value_invalid(c);
	return days;
}

static CdcValueStatus
convert_date(CdcConversion *c, Datum *value)
{
	int64		m[MAX_MEMBERS];
	int			sign = infinite(c);

	if (sign != 0)
	{
		*value = DateADTGetDatum(sign > 0 ? DATEVAL_NOEND : DATEVAL_NOBEGIN);
		return CDC_VALUE_SET;
	}
	read_time(c, m);
	return cdc_value_set_date(c, days_of(c, m), value);
}

/* Since midnight */
static int64
usecs_of(CdcConversion *c, const int64 *m)
{
	if (m[MEMBER_HOUR] < 0 || m[MEMBER_HOUR] > HOURS_PER_DAY || m[MEMBER_MINUTE] < 0 || m[MEMBER_MINUTE] > 59 ||
		m[MEMBER_SECOND] < 0 || m[MEMBER_SECOND] > 59 || m[MEMBER_NANOS] < 0 || m[MEMBER_NANOS] > 999999999)
		cdc_value_invalid(c);
	return ((m[MEMBER_HOUR] * 60 + m[MEMBER_MINUTE]) * 60 + m[MEMBER_SECOND]) * USECS_PER_SEC + m[MEMBER_NANOS] / 1000;
}

static CdcValueStatus
convert_time(CdcConversion *c, Datum *value)
{
	int64		m[MAX_MEMBERS];

	read_time(c, m);
	return cdc_value_set_time(c, usecs_of(c, m), value);
}

static CdcValueStatus
convert_timetz(CdcConversion *c, Datum *value)
{
	int64		m[MAX_MEMBERS];

	read_time(c, m);
	if (m[MEMBER_OFFSET] <= -TZDISP_LIMIT || m[MEMBER_OFFSET] >= TZDISP_LIMIT)
		cdc_value_out_of_range(c, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return cdc_value_set_timetz(c, usecs_of(c, m), (int) -m[MEMBER_OFFSET], value);
}

/* Both kinds: without an offset it is 0 */
static CdcValueStatus
convert_timestamp(CdcConversion *c, Datum *value)
{
	int64		m[MAX_MEMBERS];
	int			sign = infinite(c);
	int64		timestamp;

	if (sign != 0)
		return cdc_value_set_timestamp(c, sign > 0 ? DT_NOEND : DT_NOBEGIN, value);
	read_time(c, m);
	if (pg_mul_s64_overflow(days_of(c, m) - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE), USECS_PER_DAY, &timestamp) ||
		pg_add_s64_overflow(timestamp, usecs_of(c, m) - m[MEMBER_OFFSET] * USECS_PER_SEC, &timestamp) ||
		!IS_VALID_TIMESTAMP(timestamp))
		cdc_value_out_of_range(c, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return cdc_value_set_timestamp(c, timestamp, value);
}

/* The parts of an interval are its three fields, of which the server has the sums */
static CdcValueStatus
convert_duration(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {
		"years", "months", "days", "hours", "minutes", "seconds", "nanos"
	};
	int64		m[lengthof(names)];
	int64		usecs;

	read_members(c, names, lengthof(names), m);
	if (pg_mul_s64_overflow(m[5], USECS_PER_SEC, &usecs) ||
		pg_add_s64_overflow(usecs, m[3] * USECS_PER_HOUR, &usecs) ||
		pg_add_s64_overflow(usecs, m[4] * USECS_PER_MINUTE + m[6] / 1000, &usecs))
		cdc_value_out_of_range(c, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	/* as text, so that the column's precision is heeded */
	return cdc_value_set_input(c, psprintf(INT64_FORMAT " mons " INT64_FORMAT " days "
										   INT64_FORMAT " microseconds",
										   m[0] * MONTHS_PER_YEAR + m[1], m[2], usecs), value);
}

const CdcConversionRule cdc_value_structured_date_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DATE, CDC_FORM_OBJECT, convert_date, CDC_FORM_OBJECT},
	{0}
};

const CdcConversionRule cdc_value_structured_time_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIME, CDC_FORM_OBJECT, convert_time, CDC_FORM_OBJECT},
	{0}
};

const CdcConversionRule cdc_value_structured_timetz_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIME, CDC_FORM_OBJECT, convert_timetz, CDC_FORM_OBJECT},
	{0}
};

const CdcConversionRule cdc_value_structured_timestamp_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_TIMESTAMP, CDC_FORM_OBJECT, convert_timestamp, CDC_FORM_OBJECT},
	{0}
};

const CdcConversionRule cdc_value_structured_timestamptz_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_ZONED_TIMESTAMP, CDC_FORM_OBJECT, convert_timestamp, CDC_FORM_OBJECT},
	{0}
};

const CdcConversionRule cdc_value_structured_interval_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_STRUCTURED_DURATION, CDC_FORM_OBJECT, convert_duration, CDC_FORM_OBJECT},
	{0}
};
