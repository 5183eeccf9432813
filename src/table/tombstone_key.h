/*
 * tombstone_key.h
 *		Tombstones follow their table's key.
 */
#ifndef CDC_TOMBSTONE_KEY_H
#define CDC_TOMBSTONE_KEY_H

#include "table/clock.h"
#include "table/key.h"

/*
 * If the tombstones of a registered table were written by another key, or hashed
 * otherwise than here and now, write them anew.  Those whose keys lack a column of the
 * key are forgotten, and raise the table's horizon; raises an error where there is none,
 * by integer and numeric versions.  With the rights of the table's owner; connects to
 * SPI by itself.
 */
extern void cdc_tombstone_key_follow(CdcKey *key, CdcClock clock);

#endif							/* CDC_TOMBSTONE_KEY_H */
