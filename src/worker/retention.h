/*
 * retention.h
 *		What is kept for a time is forgotten: a little at a time.
 */
#ifndef CDC_RETENTION_H
#define CDC_RETENTION_H

/*
 * Forget some tombstones, conflicts and dead letters that are due; each in a transaction
 * of its own.  What cannot be done now is left for the next time, with a line in the
 * server's log.  Returns true while there is more.
 */
extern bool cdc_retention_turn(void);

#endif							/* CDC_RETENTION_H */
