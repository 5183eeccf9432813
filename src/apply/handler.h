/*
 * handler.h
 *		Conflict handlers: SQL functions of users that decide a conflict.
 */
#ifndef CDC_HANDLER_H
#define CDC_HANDLER_H

#include "stored/conflict_log.h"

/* What a handler said: a row, or else a handling */
typedef struct CdcHandlerAnswer
{
	Jsonb	   *row;
	CdcHandling handling;
} CdcHandlerAnswer;

extern CdcHandlerAnswer cdc_handler_call(const char *function, const CdcConflictRecord *record);

#endif							/* CDC_HANDLER_H */
