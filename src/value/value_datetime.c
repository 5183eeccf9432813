/*
 * value_datetime.c
 *		Days and microseconds -> Datums of date, time and timestamp types.
 *
 * What is out of the type's range, or has more digits than the column, is an error.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "value/value_convert.h"

#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/*
 * The day since 1970, in the proleptic Gregorian calendar with astronomical years, as Java
 * counts; false if there is no such day in the server's calendar.
 */
bool
cdc_value_days(int64 year, int64 month, int64 day, int64 *days)
{
	if (month < 1 || month > MONTHS_PER_YEAR || day < 1 ||
		day > day_tab[isleap(year)][month - 1] || !IS_VALID_JULIAN(year, month, day))
		return false;
	*days = date2j(year, month, day) - UNIX_EPOCH_JDATE;
	return true;
}

/* days: since 1970 */
CdcValueStatus
cdc_value_set_date(CdcConversion *c, int64 days, Datum *value)
{
	if (days < PG_INT32_MIN || days > PG_INT32_MAX || !IS_VALID_DATE(days - EPOCH_DAYS))
		cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
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

/* usecs: since midnight, which 24:00 also is */
CdcValueStatus
cdc_value_set_time(CdcConversion *c, int64 usecs, Datum *value)
{
	if (usecs < 0 || usecs > USECS_PER_DAY)
		cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
	check_precision(c, usecs);
	*value = TimeADTGetDatum(usecs);
	return CDC_VALUE_SET;
}

/* zone: seconds west of UTC, as the server has it */
CdcValueStatus
cdc_value_set_timetz(CdcConversion *c, int64 usecs, int zone, Datum *value)
{
	TimeTzADT  *result = palloc(sizeof(TimeTzADT));

	if (usecs < 0 || usecs > USECS_PER_DAY)
		cdc_value_out_of_range(c, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
	check_precision(c, usecs);
	result->time = usecs;
	result->zone = zone;
	*value = TimeTzADTPGetDatum(result);
	return CDC_VALUE_SET;
}

/* Of both types, infinity too.  The column's precision is asked of the type's own scale function */
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
