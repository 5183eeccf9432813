/*
 * admission.h
 *		Who may speak in a subscription's topics.
 */
#ifndef CDC_ADMISSION_H
#define CDC_ADMISSION_H

#include "event/event.h"
#include "stored/subscription.h"

extern bool cdc_admission_allows(const CdcApplyOptions *options, const char *topic, const char *peer);
extern void cdc_admission_check(const CdcApplyOptions *options, const CdcEvent *event);

#endif							/* CDC_ADMISSION_H */
