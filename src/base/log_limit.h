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

/*
 * May one more line be written?  With the first of a later minute it says how many were
 * left out.  The number is cdcsync.conflict_log_limit.
 */
extern bool cdc_log_limit_admit(CdcLogLimit *limit, TimestampTz now);

#endif							/* CDC_LOG_LIMIT_H */
