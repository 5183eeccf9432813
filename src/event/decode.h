/*
 * decode.h
 *		Message bytes -> change event.
 */
#ifndef CDC_DECODE_H
#define CDC_DECODE_H

#include "event/event.h"

extern CdcEvent *cdc_decode_message(const CdcMessage *message);

#endif							/* CDC_DECODE_H */
