/*
 * give_way.h
 *		A worker whose transaction takes long gives way to commands that wait for its tables.
 */
#ifndef CDC_GIVE_WAY_H
#define CDC_GIVE_WAY_H

#include "datatype/timestamp.h"

extern int64 cdc_give_way_look(int64 now);

#endif							/* CDC_GIVE_WAY_H */
