/*
 * net.h
 *		Writes the net effect that a batch has on each key.
 */
#ifndef CDC_NET_H
#define CDC_NET_H

#include "apply/key_state.h"

/*
 * Write what the keys' events come to, and their tombstones.  Raises
 * serialization_failure when a row is no longer what was read.
 */
extern void cdc_net_write(CdcTableApply *ta);
extern uint64 cdc_net_transactions_ended(void);

#endif							/* CDC_NET_H */
