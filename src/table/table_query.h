/*
 * table_query.h
 *		Questions about a user's table and commands to it, with its owner's rights.
 */
#ifndef CDC_TABLE_QUERY_H
#define CDC_TABLE_QUERY_H

extern void cdc_table_query_check(Oid relid);
extern uint64 cdc_table_query(Oid owner, const char *sql, int nargs, Oid *argtypes,
							  Datum *args);
extern bool cdc_table_query_sees_all(Oid role, Oid relid);
extern Oid	cdc_table_query_owner(Oid relid);
extern void cdc_table_query_command(Oid relid, const char *sql);

#endif							/* CDC_TABLE_QUERY_H */
