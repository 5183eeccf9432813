/*
 * value_iso.c
 *		Dates, times and intervals that come as ISO 8601 texts.
 *
 * Of time.precision.mode=isostring, and in every mode those with a time zone and, with
 * interval.handling.mode=string, intervals.  Years are astronomical (0000 is 1 BC), which
 * the server's input functions do not take; and they would take much else, such as "now".
 * So texts are read here, and strictly.
 *
 * Infinity arrives as the date that pgjdbc and Java make of it: which, depends on whether a
 * snapshot or the log was read, and on the connector's time zone.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/unixtime.h"
#include "event/token.h"
#include "value/value_convert.h"

/* infinity in a timestamp without zone */
#define PLUS_INFINITY	(INT64CONST(9223372036825200000) - CDC_UNIX_EPOCH_USECS)

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
	return cdc_value_days(year, month, day, days);
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
	if (pg_mul_s64_overflow(days - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE), USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, usecs - zone, timestamp) ||
		!IS_VALID_TIMESTAMP(*timestamp))
		cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
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
	else if (timestamp == PLUS_INFINITY)
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

const CdcConversionRule cdc_value_iso_date_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_DATE, CDC_FORM_STRING, convert_iso_date, CDC_FORM_STRING},
	{0}
};

const CdcConversionRule cdc_value_iso_time_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIME, CDC_FORM_STRING, convert_iso_time, CDC_FORM_STRING},
	{0}
};

const CdcConversionRule cdc_value_iso_timetz_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIME, CDC_FORM_STRING, convert_zoned_time, CDC_FORM_STRING},
	{0}
};

const CdcConversionRule cdc_value_iso_timestamp_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ISO_TIMESTAMP, CDC_FORM_STRING, convert_iso_timestamp, CDC_FORM_STRING},
	{0}
};

const CdcConversionRule cdc_value_iso_timestamptz_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ZONED_TIMESTAMP, CDC_FORM_STRING, convert_zoned_timestamp, CDC_FORM_STRING},
	{0}
};

const CdcConversionRule cdc_value_iso_interval_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_INTERVAL, CDC_FORM_STRING, convert_interval, CDC_FORM_STRING},
	{0}
};
