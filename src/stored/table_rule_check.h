/*
 * table_rule_check.h
 *		What add_table and alter_table_rule accept, as far as it is about names.
 */
#ifndef CDC_TABLE_RULE_CHECK_H
#define CDC_TABLE_RULE_CHECK_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct CdcColumnPair
{
	char	   *remote;
	char	   *local;
} CdcColumnPair;

/* They raise an error that says what is accepted */
extern Datum cdc_table_rule_check_source(Oid relid, Datum name);
extern void cdc_table_rule_check_column_map(Oid relid, List *map);

#endif							/* CDC_TABLE_RULE_CHECK_H */
