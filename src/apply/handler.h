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

/*
 * Ask a function, by its quoted name, with the rights that are in force: the table
 * owner's.  The record says what last_update_wins would do.  SPI is connected.  Raises
 * what the function raises, and a data error for an answer that cannot be understood.
 */
extern CdcHandlerAnswer cdc_handler_call(const char *function, const CdcConflictRecord *record);

#endif							/* CDC_HANDLER_H */
