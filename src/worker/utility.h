/*
 * utility.h
 *		Utility commands that concern the apply workers.
 */
#ifndef CDC_UTILITY_H
#define CDC_UTILITY_H

extern void cdc_utility_hook(void);

#endif							/* CDC_UTILITY_H */
