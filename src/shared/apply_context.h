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
extern char *cdc_apply_context_line(void);
extern const char *cdc_apply_context_hint(const ErrorData *error);
extern void cdc_apply_context_callback(void *arg);

#endif							/* CDC_APPLY_CONTEXT_H */
