/*
 * retention.h
 *		What is kept for a time is forgotten: a little at a time.
 */
#ifndef CDC_RETENTION_H
#define CDC_RETENTION_H

extern bool cdc_retention_turn(void);

#endif							/* CDC_RETENTION_H */
