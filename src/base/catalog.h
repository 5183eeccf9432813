/*
 * catalog.h
 *		SPI on cdcsync's own tables, with the rights of the extension's owner.
 */
#ifndef CDC_CATALOG_H
#define CDC_CATALOG_H

#include "executor/spi.h"

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

/*
 * Run a kept statement; SPI is connected by the caller.  nulls may be NULL, else
 * 'n' per NULL argument.  Sees all that this transaction did.  Returns SPI's
 * result code; SPI_processed and SPI_tuptable are set.
 */
extern int	cdc_catalog_execute(CdcStatement *statement, Datum *values,
								const char *nulls);

/* The same for a SELECT, as a cursor */
extern Portal cdc_catalog_open_cursor(CdcStatement *statement, Datum *values);

/* Run any one command as the extension's owner; SPI is connected by the caller */
extern void cdc_catalog_command(const char *sql);

/*
 * A transaction of the worker, with SPI connected.  begin returns the memory context it
 * was called in, and commit goes back to it.
 */
extern MemoryContext cdc_catalog_begin(void);
extern void cdc_catalog_commit(MemoryContext caller);

/* A one-dimensional array as an argument, in CurrentMemoryContext */
extern Datum cdc_catalog_array(Datum *values, bool *nulls, int n, Oid type);

/* The extension's oid (InvalidOid where it is not created) and its owner */
extern Oid	cdc_catalog_extension(void);
extern Oid	cdc_catalog_owner(void);

/* A table of the extension, by its name */
extern Oid	cdc_catalog_table(const char *name);

#endif							/* CDC_CATALOG_H */
