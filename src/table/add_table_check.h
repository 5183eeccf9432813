/*
 * add_table_check.h
 *		Whether a table can be registered.
 */
#ifndef CDC_ADD_TABLE_CHECK_H
#define CDC_ADD_TABLE_CHECK_H

#include "nodes/pg_list.h"

extern void cdc_add_table_check_owner(Oid relid);
extern void cdc_add_table_check_table(Oid relid, List *members);
extern char *cdc_add_table_objection(Oid relid, const char **hint);
extern void cdc_add_table_check_version_column(Oid relid, const char *column);
extern void cdc_add_table_check_commit_clock(Oid relid);

/* Say which triggers fire where its changes are applied; the rule is there already */
extern void cdc_add_table_warn_of_triggers(Oid relid);

#endif							/* CDC_ADD_TABLE_CHECK_H */
