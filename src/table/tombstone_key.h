/*
 * tombstone_key.h
 *		Tombstones follow their table's key.
 */
#ifndef CDC_TOMBSTONE_KEY_H
#define CDC_TOMBSTONE_KEY_H

#include "table/clock.h"
#include "table/key.h"

extern void cdc_tombstone_key_follow(CdcKey *key, CdcClock clock);

#endif							/* CDC_TOMBSTONE_KEY_H */
