/*
 * log_limit.h
 *		Lines in the server's log: so many a minute, the rest is counted.
 */
#ifndef CDC_LOG_LIMIT_H
#define CDC_LOG_LIMIT_H

#include "datatype/timestamp.h"

typedef struct CdcLogLimit
{
	const char *what;			/* in plural */
	const char *where;			/* the relation that has them all */
	TimestampTz minute_began;
	int			reported;
	int64		left_out;
} CdcLogLimit;

extern bool cdc_log_limit_admit(CdcLogLimit *limit, TimestampTz now);

#endif							/* CDC_LOG_LIMIT_H */
