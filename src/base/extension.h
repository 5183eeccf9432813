/*
 * extension.h
 *		SPI on cdcsync's own tables, with the rights of the extension's owner.
 */
#ifndef CDC_EXTENSION_H
#define CDC_EXTENSION_H

#include "executor/spi.h"

#define CDC_EXTENSION_NAME "cdcsync"	/* its schema has the same name */

#define CDC_STATEMENT_MAX_ARGS 16

/* Rows of a record for people that one statement forgets, at most */
#define CDC_PRUNE_AT_ONCE 1000

/* A statement that is planned at first use and kept for the session */
typedef struct CdcStatement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[CDC_STATEMENT_MAX_ARGS];
	SPIPlanPtr	plan;
} CdcStatement;

extern int	cdc_extension_execute(CdcStatement *statement, Datum *values,
								const char *nulls);
extern Portal cdc_extension_open_cursor(CdcStatement *statement, Datum *values);
extern void cdc_extension_execute_once(const char *sql, int nargs, const Oid *argtypes,
									   const Datum *values, const char *nulls);
extern void cdc_extension_command(const char *sql);

/*
 * A transaction of the worker, with SPI connected.  begin returns the memory context it
 * was called in, and commit goes back to it.
 */
extern MemoryContext cdc_extension_begin(void);
extern void cdc_extension_commit(MemoryContext caller);
extern Datum cdc_extension_array(Datum *values, bool *nulls, int n, Oid type);

/* The extension's oid (InvalidOid where it is not created) and its owner */
extern Oid	cdc_extension_oid(void);
extern Oid	cdc_extension_owner(void);
extern Oid	cdc_extension_table(const char *name);
extern void cdc_extension_check_encoding(void);

#endif							/* CDC_EXTENSION_H */
