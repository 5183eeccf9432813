/*
 * unixtime.h
 *		Kafka's and Debezium's times, since 1970, and the server's, since 2000.
 */
#ifndef CDC_UNIXTIME_H
#define CDC_UNIXTIME_H

#include "common/int.h"
#include "datatype/timestamp.h"

#define CDC_UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/*
 * µs since 1970 as the server's time.  What the server cannot hold becomes its first or
 * last moment, for times outside of its range make what reads them fail.
 */
static inline TimestampTz
cdc_unixtime_to_timestamptz(int64 usecs)
{
	TimestampTz time;

	if (pg_sub_s64_overflow(usecs, CDC_UNIX_EPOCH_USECS, &time))
		time = MIN_TIMESTAMP;
	return Min(Max(time, MIN_TIMESTAMP), END_TIMESTAMP - 1);
}

static inline int64
cdc_unixtime_from_timestamptz(TimestampTz time)
{
	return time + CDC_UNIX_EPOCH_USECS;
}

#endif							/* CDC_UNIXTIME_H */
