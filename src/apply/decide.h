/*
 * decide.h
 *		Events meet their key: what conflict.c needs to know, and what it decides.
 */
#ifndef CDC_DECIDE_H
#define CDC_DECIDE_H

#include "apply/key_state.h"

/* Decide a key's events one after the other, on the row in memory; its write is set */
extern void cdc_decide_key(CdcTableApply *ta, CdcKeyState *ks);

#endif							/* CDC_DECIDE_H */
