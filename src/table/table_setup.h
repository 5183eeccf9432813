/*
 * table_setup.h
 *		What add_table gives a table: its replica identity and cdcsync's triggers.
 */
#ifndef CDC_TABLE_SETUP_H
#define CDC_TABLE_SETUP_H

#include "nodes/pg_list.h"

extern void cdc_table_setup_identity(const List *members);
extern void cdc_table_setup_triggers(Oid relid, bool has_version);
extern void cdc_table_setup_drop_triggers(Oid relid);
extern bool cdc_table_setup_keep(Oid relid);

#endif							/* CDC_TABLE_SETUP_H */
