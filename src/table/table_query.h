/*
 * table_query.h
 *		Questions about a user's table, asked with its owner's rights.
 */
#ifndef CDC_TABLE_QUERY_H
#define CDC_TABLE_QUERY_H

/*
 * May the current user read all rows of this table?  Raises an error if not, or if it is
 * no table: views and foreign tables are others' code.
 */
extern void cdc_table_query_check(Oid relid);

/*
 * Run a query about tables of one owner, as he and restricted; SPI is connected by the
 * caller.  Names in the text are qualified, or pg_catalog's.  Leaves its rows in
 * SPI_tuptable and returns how many they are.  The text must not be a caller's.
 */
extern uint64 cdc_table_query(Oid owner, const char *sql, int nargs, Oid *argtypes,
							  Datum *args);

/* May this role, who is to run the query, do so without row security that hides rows from it? */
extern bool cdc_table_query_sees_all(Oid role, Oid relid);

/* The owner of a relation */
extern Oid	cdc_table_query_owner(Oid relid);

#endif							/* CDC_TABLE_QUERY_H */
