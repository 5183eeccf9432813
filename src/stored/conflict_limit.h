/*
 * conflict_limit.h
 *		How many records of conflicts there may be of a table.
 */
#ifndef CDC_CONFLICT_LIMIT_H
#define CDC_CONFLICT_LIMIT_H

extern void cdc_conflict_limit_keep(Oid relid, int64 nwritten);

#endif							/* CDC_CONFLICT_LIMIT_H */
