/*
 * peer.h
 *		What the events of peers tell of their makers, for check().
 */
#ifndef CDC_PEER_H
#define CDC_PEER_H

#include "apply/apply_item.h"

/*
 * The worker looks at an event of a registered table, before it is applied, and at what
 * became of it; publishes once per batch (shared/peer_stat.h).
 */
extern void cdc_peer_see(const CdcApplyItem *item, const CdcRelation *rel, TimestampTz now);
extern void cdc_peer_see_outcome(const CdcApplyItem *item);
extern void cdc_peer_publish(void);

#endif							/* CDC_PEER_H */
