/*
 * apply_context.h
 *		The message and the table at work, for what is said of errors.
 */
#ifndef CDC_APPLY_CONTEXT_H
#define CDC_APPLY_CONTEXT_H

#include "event/event.h"

/* This message is being worked at, until the next one is, or none */
extern void cdc_apply_context_set(const CdcMessage *message);
extern void cdc_apply_context_clear(void);

/* Whatever goes wrong from here on is about this message, the only one of a try; NULL ends that */
extern void cdc_apply_context_set_alone(const CdcMessage *message);

/*
 * The table that it is about, and the one of that name at the peer; relid is InvalidOid
 * where it is not registered, source NULL where nothing is known yet.  Names are quoted.
 */
typedef struct CdcApplyTable
{
	Oid			relid;
	const char *name;
	const char *source;
} CdcApplyTable;

extern void cdc_apply_context_set_table(Oid relid, const char *name, const char *source);
extern CdcApplyTable cdc_apply_context_table(void);

/* "message of topic ...", or NULL */
extern char *cdc_apply_context_line(void);

/* What cdcsync itself has to say of an error of other code, which knows nothing of apply's settings; or NULL */
extern const char *cdc_apply_context_hint(const ErrorData *error);

/* An ErrorContextCallback's: says where the message at work stands, and that hint */
extern void cdc_apply_context_callback(void *arg);

#endif							/* CDC_APPLY_CONTEXT_H */
