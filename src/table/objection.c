/*
 * objection.c
 *		Why a table cannot take part.
 *
 * What is refused here could not be captured, or not be applied, or would let the nodes
 * part without anybody noticing: when a table is registered, when a command would change
 * a registered one so, and when changes are applied to one that became so all the same.
 * The catalog is asked, and nothing of the table's is run.
 *
 * An objection is a sentence in CurrentMemoryContext; who raises it puts the message above
 * it that says what was tried.  The order matters: only the first one is found.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/extension.h"
#include "table/key.h"
#include "table/objection.h"

/* One that may be raised */
typedef struct Reason
{
	CdcObjectionKind kind;
	char	   *(*find) (Relation rel);	/* a sentence, or NULL if it does not apply */
	bool		partitions;		/* asked of the table's partitions, too */
	int			sqlerrcode;
	const char *hint;
} Reason;

/* Whoever owns it, and whatever cdcsync.table_rule says: pg_write_all_data may write there */
bool
cdc_objection_is_reserved(Oid relid)
{
	Oid			schema = get_rel_namespace(relid);

	return IsCatalogRelationOid(relid) ||
		schema == get_namespace_oid("information_schema", true) ||
		schema == get_namespace_oid(CDC_EXTENSION_NAME, true);
}

static char *
find_reserved(Relation rel)
{
	return cdc_objection_is_reserved(RelationGetRelid(rel)) ? CDC_OBJECTION_RESERVED_DETAIL : NULL;
}

static char *
find_not_table(Relation rel)
{
	if (cdc_objection_is_table(RelationGetRelid(rel)))
		return NULL;
	return psprintf("\"%s\" is not a table.", RelationGetRelationName(rel));
}

/* Temporary tables are not in the log, unlogged ones neither */
static char *
find_not_permanent(Relation rel)
{
	if (RelationIsPermanent(rel))
		return NULL;
	return psprintf("\"%s\" is %s.", RelationGetRelationName(rel),
					rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ? "temporary" : "unlogged");
}

/* Rows are told apart by what a heap says of them */
static char *
find_access_method(Relation rel)
{
	Oid			method = rel->rd_rel->relam;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || method == HEAP_TABLE_AM_OID)
		return NULL;
	return psprintf("The access method of \"%s\" is \"%s\".", RelationGetRelationName(rel),
					get_am_name(method));
}

/* It is registered with its root, under whose name its changes are published */
static char *
find_partition(Relation rel)
{
	return rel->rd_rel->relispartition ? "It is a partition of another table." : NULL;
}

/* Neither triggers nor unique indexes reach the rows of inheritance children */
static char *
find_inheritance(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		(!has_superclass(relid) && find_inheritance_children(relid, NoLock) == NIL))
		return NULL;
	return "It takes part in table inheritance.";
}

/* Not even one that is disabled lets an INSERT ... ON CONFLICT pass */
static char *
find_rule(Relation rel)
{
	if (rel->rd_rules == NULL || rel->rd_rules->numLocks == 0)
		return NULL;
	return psprintf("\"%s\" has a rule.", RelationGetRelationName(rel));
}

/* Changes are written as the owner, who must be able to write every row */
static char *
find_row_security(Relation rel)
{
	if (rel->rd_rel->relrowsecurity && rel->rd_rel->relforcerowsecurity)
		return "Its row security binds its owner.";
	return NULL;
}

/* A unique or exclusion constraint, be it the key's or another one */
static char *
find_deferrable(Relation rel)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		bool		immediate;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(lc));
		immediate = ((Form_pg_index) GETSTRUCT(tuple))->indimmediate;
		ReleaseSysCache(tuple);
		if (!immediate)
			return psprintf("Constraint \"%s\" is deferrable.", get_rel_name(lfirst_oid(lc)));
	}
	return NULL;
}

/* Its keys are ranges, which are not met by equality */
static char *
find_overlaps(Relation rel)
{
	HeapTuple	tuple;
	bool		overlaps;

	list_free(RelationGetIndexList(rel));	/* finds the primary key, too */
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(rel->rd_pkindex));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	overlaps = ((Form_pg_index) GETSTRUCT(tuple))->indisexclusion;
	ReleaseSysCache(tuple);
	return overlaps ? "Its primary key is WITHOUT OVERLAPS." : NULL;
}

/* Nothing says which row an event is of */
static char *
find_no_key(Relation rel)
{
	if (OidIsValid(cdc_key_find_index(rel)))
		return NULL;
	return "It has neither a primary key nor a unique index over columns that are NOT NULL.";
}

/* An event's key could not be written */
static char *
find_generated_key(Relation rel)
{
	CdcKey	   *key = cdc_key_make(rel);

	for (int i = 0; i < key->ncolumns; i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), key->columns[i].attnum - 1)->attgenerated)
			return psprintf("Key column \"%s\" is generated.", key->columns[i].name);
	}
	return NULL;
}

/* Such a column can be inserted, but never updated; a key's never is */
static char *
find_identity_always(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	CdcKey	   *key = cdc_key_make(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS &&
			!cdc_key_has_column(key, att->attnum))
			return psprintf("Column \"%s\" is GENERATED ALWAYS AS IDENTITY and not part of the key.",
							NameStr(att->attname));
	}
	return NULL;
}

static char *
find_virtual(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
			return psprintf("Column \"%s\" is generated and not stored.",
							NameStr(att->attname));
	}
	return NULL;
}

/* In this order: each may rely on those before */
static const Reason reasons[] = {
	{CDC_OBJECTION_RESERVED, find_reserved, true, ERRCODE_WRONG_OBJECT_TYPE, NULL},
	{CDC_OBJECTION_NOT_TABLE, find_not_table, true, ERRCODE_WRONG_OBJECT_TYPE, NULL},
	{CDC_OBJECTION_NOT_PERMANENT, find_not_permanent, true, ERRCODE_WRONG_OBJECT_TYPE,
	"Only the changes of permanent, logged tables can be captured."},
	{CDC_OBJECTION_ACCESS_METHOD, find_access_method, true, ERRCODE_FEATURE_NOT_SUPPORTED,
	"Run ALTER TABLE ... SET ACCESS METHOD heap."},
	{CDC_OBJECTION_PARTITION, find_partition, false, ERRCODE_WRONG_OBJECT_TYPE,
	"Register the partitioned table at the root."},
	{CDC_OBJECTION_INHERITANCE, find_inheritance, false, ERRCODE_WRONG_OBJECT_TYPE,
	"Use declarative partitioning."},
	{CDC_OBJECTION_RULE, find_rule, true, ERRCODE_INVALID_TABLE_DEFINITION,
	"Changes cannot be written through rules: use a trigger instead."},
	{CDC_OBJECTION_ROW_SECURITY, find_row_security, false, ERRCODE_INVALID_TABLE_DEFINITION,
	"Changes are written with the owner's rights: run ALTER TABLE ... NO FORCE ROW LEVEL SECURITY."},
	{CDC_OBJECTION_DEFERRABLE, find_deferrable, true, ERRCODE_INVALID_TABLE_DEFINITION,
	"Deferrable constraints are not enforced while changes are applied: drop it and add it again as NOT DEFERRABLE."},
	{CDC_OBJECTION_OVERLAPS, find_overlaps, false, ERRCODE_FEATURE_NOT_SUPPORTED,
	"Keys of rows are compared for equality: use a primary key without WITHOUT OVERLAPS."},
	{CDC_OBJECTION_NO_KEY, find_no_key, false, ERRCODE_INVALID_TABLE_DEFINITION,
	"Add a primary key."},
	{CDC_OBJECTION_GENERATED_KEY, find_generated_key, false, ERRCODE_INVALID_TABLE_DEFINITION,
	"Use a key of columns that can be written."},
	{CDC_OBJECTION_IDENTITY_ALWAYS, find_identity_always, false, ERRCODE_INVALID_TABLE_DEFINITION,
	"Run ALTER TABLE ... ALTER COLUMN ... SET GENERATED BY DEFAULT."},
	{CDC_OBJECTION_VIRTUAL, find_virtual, false, ERRCODE_FEATURE_NOT_SUPPORTED,
	"The server refuses updates of such a table while it is published: drop the column and add it again as STORED."},
};

/*
 * The first objection to a table, or to a partition of one; the table is open.  In
 * CurrentMemoryContext.
 */
CdcObjection
cdc_objection_find(Relation rel, bool as_partition)
{
	for (int i = 0; i < lengthof(reasons); i++)
	{
		const Reason *reason = &reasons[i];
		char	   *detail;

		if (as_partition && !reason->partitions)
			continue;
		detail = reason->find(rel);
		if (detail)
			return (CdcObjection){.kind = reason->kind, .sqlerrcode = reason->sqlerrcode,
			.detail = detail, .hint = reason->hint};
	}
	return (CdcObjection){0};
}

/* A plain or partitioned table, without an error; false for what else is a partition */
bool
cdc_objection_is_table(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE;
}
