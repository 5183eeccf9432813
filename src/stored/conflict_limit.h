/*
 * conflict_limit.h
 *		How many records of conflicts there may be of a table.
 */
#ifndef CDC_CONFLICT_LIMIT_H
#define CDC_CONFLICT_LIMIT_H

#include "nodes/pg_list.h"

extern void cdc_conflict_limit_keep(List *records);

#endif							/* CDC_CONFLICT_LIMIT_H */
