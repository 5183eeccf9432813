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

/* From a caught error; hint, which may be NULL, is for one that has none */
extern CdcError cdc_error_caught(const ErrorData *error, const char *hint);

/* What cdcsync, or Kafka's client, says of a partition; hint may be NULL */
extern CdcError cdc_error_own(const char *message, const char *hint);

/* All of it as one text for people, a line for each field */
extern char *cdc_error_text(const CdcError *error);

/* The same for the current user, who may not be allowed to see the values in it */
extern char *cdc_error_shown_text(const CdcError *error);

/* Has the message no values in it? */
extern bool cdc_error_is_public(const CdcError *error);

/*
 * In PG_CATCH(): raise the error again in the context given.  Where the user may not read
 * the table at work, or may but the error is about another one and he may not read all,
 * it comes without what may show values, which then is in the server's log alone.
 */
pg_noreturn extern void cdc_error_rethrow(MemoryContext context, bool may_read_table, bool may_read_all);

#endif							/* CDC_ERROR_H */
