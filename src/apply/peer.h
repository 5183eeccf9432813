/*
 * peer.h
 *		What the events of peers tell of their makers, for check().
 */
#ifndef CDC_PEER_H
#define CDC_PEER_H

#include "apply/apply_item.h"

/* Things that should not be, as the last event that could tell has it */
typedef enum CdcPeerSign
{
	CDC_SIGN_NO_SCHEMA,			/* JSON without schemas, and modes that nobody told */
	CDC_SIGN_TEXT_BYTES,		/* bytea as text: binary.handling.mode is not bytes */
	CDC_SIGN_CONNECT_TIMES,		/* milliseconds for columns that hold more */
	CDC_SIGN_DOUBLE_DECIMALS,	/* binary floating point for numeric columns */
	CDC_SIGN_DEFAULTS,			/* NULL arrives as the column's default */
	CDC_SIGN_NO_BEFORE,			/* updates do not show the row that they replace */
	CDC_SIGN_BLIND_DELETES,		/* deletes do not show the row that they delete */
	CDC_SIGN_TRUNCATES,			/* truncates that this node does not obey */
	CDC_SIGN_TWO_LOGS,			/* events of two databases take turns under one name */
	CDC_SIGN_OWN_NAME,			/* events under this node's name that it did not write */
	CDC_SIGN_OWN_NEWS			/* own changes come back that are not known here */
} CdcPeerSign;

#define CDC_NSIGNS (CDC_SIGN_OWN_NEWS + 1)

/* cdcsync.c: in the hooks of these names */
extern void cdc_peer_shmem_request(void);
extern void cdc_peer_shmem_init(void);

/*
 * The worker looks at an event of a registered table, before it is applied, and at what
 * became of it; publishes once per batch; forgets all at its exit.
 */
extern void cdc_peer_see(const CdcApplyItem *item, const CdcRelation *rel, TimestampTz now);
extern void cdc_peer_see_outcome(const CdcApplyItem *item);
extern void cdc_peer_publish(void);
extern void cdc_peer_forget(void);
extern void cdc_peer_forget_database(Oid dboid);

#endif							/* CDC_PEER_H */
