/*
 * decode.h
 *		Message bytes -> change event.
 */
#ifndef CDC_DECODE_H
#define CDC_DECODE_H

#include "event/event.h"

/*
 * Decode a message.  The event and what it points to are allocated in
 * CurrentMemoryContext or point into the message's bytes; schemas are cached for
 * the life of the process.  Raises a data error (class 22) for what cannot be
 * decoded.
 */
extern CdcEvent *cdc_decode_message(const CdcMessage *message);

#endif							/* CDC_DECODE_H */
