/*
 * effect.h
 *		Writes the net effect that a batch has on each key.
 */
#ifndef CDC_EFFECT_H
#define CDC_EFFECT_H

#include "apply/key_state.h"

/*
 * Write what the keys' events come to, and their tombstones.  Raises
 * serialization_failure when a row is no longer what was read.
 */
extern void cdc_effect_write(CdcTableApply *ta);
extern uint64 cdc_effect_transactions_ended(void);

#endif							/* CDC_EFFECT_H */
