/*
 * sequence_key.c
 *		Keys that are drawn from a sequence.
 *
 * Each node has its own sequence, and what it applies does not move it: two nodes draw the
 * same number for different rows, which are then one row.  Nothing fails, so that is said
 * when the table is registered.  Not of keys with more columns, of which another one may
 * be the node's; and not of a sequence with an increment, which somebody has thought of.
 *
 * The column's default is read as it is stored, and not evaluated.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/table_name.h"
#include "table/key.h"
#include "table/sequence_key.h"

typedef struct Drawing
{
	bool		found;
	Oid			sequence;		/* InvalidOid: not known before it is drawn from */
} Drawing;

/* serial and DEFAULT nextval() call the function, an identity has a node of its own */
static bool
find_drawing(Node *node, void *context)
{
	Drawing    *drawing = context;

	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr))
		*drawing = (Drawing){true, ((NextValueExpr *) node)->seqid};
	else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL)
	{
		Node	   *arg = linitial(((FuncExpr *) node)->args);

		drawing->found = true;
		if (IsA(arg, Const) && !((Const *) arg)->constisnull)
			drawing->sequence = DatumGetObjectId(((Const *) arg)->constvalue);
	}
	return drawing->found || expression_tree_walker(node, find_drawing, context);
}

/* What lets each of up to ten nodes draw numbers of its own */
static const char *
remedy(Oid relid, const CdcKeyColumn *col, Oid sequence)
{
	const char *name;

	if (!OidIsValid(sequence) || (col->type != INT2OID && col->type != INT4OID && col->type != INT8OID))
		return "Use a key that no two nodes make, such as a uuid with DEFAULT gen_random_uuid().";
	name = cdc_table_name(sequence);
	return psprintf("When all nodes have the same rows, run on each, with another digit in place of the last 1: "
					"ALTER SEQUENCE %s INCREMENT BY 10; "
					"SELECT setval(%s, (coalesce(max(%s), 0) / 10 + 1) * 10 + 1) FROM %s;  "
					"or use a key that no two nodes make, such as a uuid with DEFAULT gen_random_uuid().",
					name, quote_literal_cstr(name), quote_identifier(col->name), cdc_table_name(relid));
}

/* A NOTICE, if the key of this table is one column that is; the table is locked */
void
cdc_sequence_key_notice(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	CdcKey	   *key = cdc_key_make(rel);
	Drawing		drawing = {0};
	HeapTuple	tuple;
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	if (key->ncolumns == 1)
		(void) find_drawing(build_column_default(rel, key->columns[0].attnum), &drawing);
	cdc_owner_end(&scope);
	relation_close(rel, NoLock);
	tuple = OidIsValid(drawing.sequence) ? SearchSysCache1(SEQRELID, ObjectIdGetDatum(drawing.sequence)) : NULL;
	if (HeapTupleIsValid(tuple))
	{
		drawing.found = ((Form_pg_sequence) GETSTRUCT(tuple))->seqincrement == 1;
		ReleaseSysCache(tuple);
	}
	if (drawing.found)
		ereport(NOTICE,
				(errmsg("key column \"%s\" of table \"%s\" is drawn from a sequence",
						key->columns[0].name, get_rel_name(relid)),
				 errdetail("Rows that two nodes insert under one number are one row: the newer one replaces the other."),
				 errhint("%s", remedy(relid, &key->columns[0], drawing.sequence))));
}
