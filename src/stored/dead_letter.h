/*
 * dead_letter.h
 *		Messages that could not be applied, kept whole.
 */
#ifndef CDC_DEAD_LETTER_H
#define CDC_DEAD_LETTER_H

#include "event/event.h"
#include "shared/error.h"

/* A dead letter that is to be applied; the message's dead_letter is its number */
typedef struct CdcDeadLetter
{
	char	   *subscription;
	CdcMessage	message;
} CdcDeadLetter;

extern void cdc_dead_letter_insert(const CdcMessage *message, const char *subscription,
								   const CdcError *error);
extern CdcDeadLetter *cdc_dead_letter_next(int64 after, MemoryContext context);

/*
 * What became of it.  Raises object_in_use if somebody has decided otherwise meanwhile.
 * SPI is connected.
 */
extern void cdc_dead_letter_set_applied(int64 id);
extern void cdc_dead_letter_set_failed(int64 id, const CdcError *error);
extern int64 cdc_dead_letter_prune(void);

#endif							/* CDC_DEAD_LETTER_H */
