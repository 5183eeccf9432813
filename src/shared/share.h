/*
 * share.h
 *		Places in shared memory that the databases of the server share.
 */
#ifndef CDC_SHARE_H
#define CDC_SHARE_H

extern int	cdc_share_find(const void *places, Size size, int n);

#endif							/* CDC_SHARE_H */
