/*
 * ticks.h
 *		Time to wait by: milliseconds of a clock that only goes forward.
 *
 * The wall clock may be set back, and what waits for a time by it would wait the longer.
 */
#ifndef CDC_TICKS_H
#define CDC_TICKS_H

#include "portability/instr_time.h"

#define CDC_TICKS_NEVER PG_INT64_MAX

static inline int64
cdc_ticks_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

#endif							/* CDC_TICKS_H */
