/*
 * error.h
 *		What went wrong with a partition, in fields, from where it is caught to the views.
 */
#ifndef CDC_ERROR_H
#define CDC_ERROR_H

#include "base/compat.h"

/*
 * The texts are printable (printable.h), and owned by whoever made the struct.  Only an
 * own hint is a remedy: that of a server's or a user's code may say anything.
 */
typedef struct CdcError
{
	int			sqlstate;		/* 0: said by Kafka or its client */
	bool		own;			/* raised by cdcsync itself: the message holds no values */
	bool		own_hint;
	Oid			relid;			/* whose rows the texts may show; InvalidOid: any table's */
	const char *source_table;	/* its name in events, quoted; NULL: likewise */
	const char *message;
	const char *detail;			/* NULL: none; likewise the next */
	const char *hint;
	const char *context;
} CdcError;

extern CdcError cdc_error_caught(const ErrorData *error, const char *hint);
extern CdcError cdc_error_own(const char *message, const char *hint);
extern char *cdc_error_text(const CdcError *error);
extern char *cdc_error_shown_text(const CdcError *error);
extern bool cdc_error_is_public(const CdcError *error);
pg_noreturn extern void cdc_error_rethrow(MemoryContext context, bool may_read_table, bool may_read_all);

#endif							/* CDC_ERROR_H */
