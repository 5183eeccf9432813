/*
 * unique.h
 *		Unique indexes other than the key's: who has the values of a new row?
 */
#ifndef CDC_UNIQUE_H
#define CDC_UNIQUE_H

#include "apply/key_state.h"

extern List *cdc_unique_find(CdcTableApply *ta, const Datum *key, const CdcRow *row);

#endif							/* CDC_UNIQUE_H */
