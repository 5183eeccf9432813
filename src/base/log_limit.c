/*
 * log_limit.c
 *		Lines in the server's log: so many a minute, the rest is counted.
 *
 * A storm of what a person should hear of must not fill the disk.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/log_limit.h"

static void
begin_minute(CdcLogLimit *limit, TimestampTz now)
{
	if (limit->left_out > 0)
		ereport(WARNING,
				(errmsg(INT64_FORMAT " more %s were not logged since %s", limit->left_out,
						limit->what, timestamptz_to_str(limit->minute_began)),
				 errhint("See %s.  The setting is cdcsync.conflict_log_limit.", limit->where)));
	limit->minute_began = now;
	limit->reported = 0;
	limit->left_out = 0;
}

/*
 * May one more line be written?  With the first of a later minute it says how many were
 * left out.  The number is cdcsync.conflict_log_limit.
 */
bool
cdc_log_limit_admit(CdcLogLimit *limit, TimestampTz now)
{
	if (TimestampDifferenceExceeds(limit->minute_began, now, SECS_PER_MINUTE * 1000))
		begin_minute(limit, now);
	if (limit->reported >= cdc_conflict_log_limit)
	{
		limit->left_out++;
		return false;
	}
	limit->reported++;
	return true;
}
