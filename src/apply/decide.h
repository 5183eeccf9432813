/*
 * decide.h
 *		Events meet their key: what conflict.c needs to know, and what it decides.
 */
#ifndef CDC_DECIDE_H
#define CDC_DECIDE_H

#include "apply/key_state.h"

extern void cdc_decide_key(CdcTableApply *ta, CdcKeyState *ks);

#endif							/* CDC_DECIDE_H */
