/*
 * apply_context.h
 *		The message at work, for the context line of errors.
 */
#ifndef CDC_APPLY_CONTEXT_H
#define CDC_APPLY_CONTEXT_H

#include "event.h"

/* This message is being worked at, until the next one is, or none */
extern void cdc_apply_context_set(const CdcMessage *message);
extern void cdc_apply_context_clear(void);

/* Whatever goes wrong from here on is about this message, the only one of a try; NULL ends that */
extern void cdc_apply_context_set_alone(const CdcMessage *message);

/* An ErrorContextCallback's: says where the message at work stands */
extern void cdc_apply_context_callback(void *arg);

#endif							/* CDC_APPLY_CONTEXT_H */
