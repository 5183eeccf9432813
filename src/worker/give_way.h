/*
 * give_way.h
 *		A worker whose transaction takes long gives way to commands that wait for its tables.
 */
#ifndef CDC_GIVE_WAY_H
#define CDC_GIVE_WAY_H

#include "datatype/timestamp.h"

/*
 * For the launcher: interrupt the workers that have been in a transaction for long, and
 * have a lock that somebody waits for.  When it is to be called again, in ticks.
 */
extern int64 cdc_give_way_look(int64 now);

#endif							/* CDC_GIVE_WAY_H */
