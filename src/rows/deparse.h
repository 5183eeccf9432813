/*
 * deparse.h
 *		The SQL text of the few statements of one mapped relation.
 *
 * All read the ephemeral named relation cdcsync_batch, whose columns are n, tid, xid
 * and c1 … cN in the order of the relation's columns.  Texts are in CurrentMemoryContext;
 * nothing is executed here.
 */
#ifndef CDC_DEPARSE_H
#define CDC_DEPARSE_H

#include "table/relation.h"

extern char *cdc_deparse_statement(const CdcRelation *rel, CdcStatementKind kind);
extern char *cdc_deparse_insert(const CdcRelation *rel, const Bitmapset *present);
extern char *cdc_deparse_truncate(const CdcRelation *rel);

#endif							/* CDC_DEPARSE_H */
