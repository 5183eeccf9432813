/*
 * table_write.h
 *		Rows written through the table's access method, without triggers, rules and defaults.
 */
#ifndef CDC_TABLE_WRITE_H
#define CDC_TABLE_WRITE_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

/* A command that writes rows of one table; open until its end */
typedef struct CdcTableWrite
{
	Relation	table;
	EState	   *estate;
	ResultRelInfo *result;
	bool		indexes_open;	/* most updates need none */
	CommandId	cid;
} CdcTableWrite;

/* name is the command's, for the error of a read-only transaction; end makes the rows visible */
extern void cdc_table_write_begin(CdcTableWrite *w, Oid relid, CmdType command, const char *name);
extern void cdc_table_write_end(CdcTableWrite *w);
extern bool cdc_table_write_update(CdcTableWrite *w, const ItemPointerData *tid,
								   TupleTableSlot *slot);
extern void cdc_table_write_entries(CdcTableWrite *w, TupleTableSlot *slot, bool update,
									bool summarizing);
extern bool cdc_table_write_tuple(Relation table, const ItemPointerData *tid,
								  TupleTableSlot *slot);

#endif							/* CDC_TABLE_WRITE_H */
