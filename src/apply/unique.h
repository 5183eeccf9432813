/*
 * unique.h
 *		Unique indexes other than the key's: who has the values of a new row?
 */
#ifndef CDC_UNIQUE_H
#define CDC_UNIQUE_H

#include "apply/key_state.h"

/*
 * The rows with other keys that have one of the row's unique values, locked: a list of
 * CdcKeyState, each row once.  SPI is connected, the owner's rights are in force.
 */
extern List *cdc_unique_find(CdcTableApply *ta, const Datum *key, const CdcRow *row);

#endif							/* CDC_UNIQUE_H */
