/*
 * table_name.h
 *		The name of a table as SQL takes it.
 */
#ifndef CDC_TABLE_NAME_H
#define CDC_TABLE_NAME_H

extern char *cdc_table_name(Oid relid);

#endif							/* CDC_TABLE_NAME_H */
