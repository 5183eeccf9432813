/*
 * table_ddl.h
 *		Commands that change registered tables.
 */
#ifndef CDC_TABLE_DDL_H
#define CDC_TABLE_DDL_H

#include "nodes/pg_list.h"

#include "table/objection.h"

/* What a command can do to a registered table, as far as it matters here */
typedef struct CdcDdl
{
	bool		adds;			/* it may make a table one that add_table would refuse */
	bool		sets_identity;	/* REPLICA IDENTITY, by name */
	bool		attaches;		/* a partition */
	bool		names;			/* a table, anew */
	bool		truncates;
	List	   *loses;			/* oids of registered tables that lose a partition with its rows */
	CdcObjectionKind objection; /* that there was to the table before */
} CdcDdl;

extern CdcDdl cdc_table_ddl_begin(Node *stmt);
extern bool cdc_table_ddl_end(const CdcDdl *ddl, const List *altered);

#endif							/* CDC_TABLE_DDL_H */
