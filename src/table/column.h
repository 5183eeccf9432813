/*
 * column.h
 *		Which columns of a registered table take part, and in what.
 */
#ifndef CDC_COLUMN_H
#define CDC_COLUMN_H

#include "catalog/pg_attribute.h"

#include "stored/table_rule.h"

extern bool cdc_column_travels(Form_pg_attribute att);
extern bool cdc_column_counts(const CdcTableRule *rule, Form_pg_attribute att);

#endif							/* CDC_COLUMN_H */
