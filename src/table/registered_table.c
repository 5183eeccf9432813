/*
 * registered_table.c
 *		What a backend keeps of a registered table: rule, key, clock, version column.
 *
 * There is one cache of that, with two ways in: by the relation that a trigger stands on or
 * a function is asked about, here, which may be a partition of the table; and by the name
 * that events have for it, in relation.c, whose map of the columns begins with the same
 * struct.
 *
 * One relcache callback serves all of them.  A rule is changed under the table's strongest
 * lock and with an invalidation of its relcache entry (add_table.c), so the callback hears
 * of rules as well; and of the key's index, the columns and the owner anyway.  It only
 * clears a flag, for nothing can be read there: the next open makes it anew.  What comes in
 * while the catalogs are read makes the new one stale at once, which the count of
 * invalidations shows.
 *
 * A stale one goes with the transaction, not at once: a trigger further up may be using it
 * when one that its own writes fired finds it stale.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "table/registered_table.h"

/* Hash entry */
typedef struct RelationEntry
{
	Oid			relid;
	CdcRegisteredTable *table;
} RelationEntry;

static HTAB *by_relation = NULL;
static dlist_head kept = DLIST_STATIC_INIT(kept);
static uint64 invalidations = 0;

static bool
is_made_of(const CdcRegisteredTable *table, Oid relid)
{
	return !OidIsValid(relid) || table->relid == relid ||
		(table->rule && table->rule->relid == relid) ||
		list_member_oid(table->partitions, relid);
}

static void
invalidate(Datum arg, Oid relid)
{
	dlist_iter	iter;

	invalidations++;
	dlist_foreach(iter, &kept)
	{
		CdcRegisteredTable *table = dlist_container(CdcRegisteredTable, node, iter.cur);

		if (is_made_of(table, relid))
			table->valid = false;
	}
}

/* Before the catalogs are read; what it returns is for keep */
uint64
cdc_registered_table_begin(void)
{
	static bool watching = false;

	if (!watching)
		CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
	watching = true;
	return invalidations;
}

/* Its memory lasts until it is forgotten; the caller finds it again */
void
cdc_registered_table_keep(CdcRegisteredTable *table, uint64 begun)
{
	table->valid = begun == invalidations;
	MemoryContextSetParent(table->context, CacheMemoryContext);
	dlist_push_head(&kept, &table->node);
}

void
cdc_registered_table_forget(CdcRegisteredTable *table)
{
	dlist_delete(&table->node);
	MemoryContextSetParent(table->context, TopTransactionContext);
}

/* All that is kept is stale: the worker has heard of a change of the rules */
void
cdc_registered_table_reset(void)
{
	invalidate((Datum) 0, InvalidOid);
}

/* Raises the error that the rule's version column is none of its table */
void
cdc_registered_table_no_version(Oid relid, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("version column \"%s\" of table \"%s\" does not exist", column, get_rel_name(relid)),
			 errhint("Name it anew with cdcsync.alter_table_rule.")));
}

static void
fill_version(CdcRegisteredTable *table, Relation root, const char *column)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(root), column);
	Form_pg_attribute att;

	if (attnum == InvalidAttrNumber)
		cdc_registered_table_no_version(RelationGetRelid(root), column);
	att = TupleDescAttr(RelationGetDescr(root), attnum - 1);
	table->version_column = pstrdup(column);
	table->version_type = att->atttypid;
	table->clock = cdc_clock_for_type(att->atttypid, att->atttypmod, column);
	table->version_attnum = get_attnum(table->relid, column);
}

/*
 * From the rule and the catalogs, in CurrentMemoryContext; the rule is of the relation, or
 * of the one it is a partition of.  Raises an error if that has no key any more, or not
 * the version column.
 */
void
cdc_registered_table_fill(CdcRegisteredTable *table, Relation rel, CdcTableRule *rule)
{
	Relation	root = table_open(rule->relid, AccessShareLock);

	table->relid = RelationGetRelid(rel);
	table->rule = rule;
	table->owner = root->rd_rel->relowner;
	table->key = cdc_key_make(root);
	for (int i = 0; i < table->key->ncolumns; i++)
		table->key_attnums[i] = get_attnum(table->relid, table->key->columns[i].name);
	table->clock = CDC_CLOCK_COMMIT;
	if (rule->version_column)
		fill_version(table, root, rule->version_column);
	table_close(root, NoLock);
}

/* ---- by the relation ---- */

/*
 * The rule of a table, or of the table it is a partition of; NULL if none is registered.
 * In CurrentMemoryContext.
 */
CdcTableRule *
cdc_registered_table_rule(Oid relid)
{
	CdcTableRule *rule = cdc_table_rule_for_relation(relid);

	if (rule == NULL && get_rel_relispartition(relid))
	{
		List	   *ancestors = get_partition_ancestors(relid);
		ListCell   *lc;

		foreach(lc, ancestors)
		{
			rule = cdc_table_rule_for_relation(lfirst_oid(lc));
			if (rule)
				break;
		}
	}
	return rule;
}

/* In the transaction's memory until it is complete: an error leaves nothing */
static CdcRegisteredTable *
make(Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdcsync registered table",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	uint64		begun = cdc_registered_table_begin();
	CdcRegisteredTable *table = palloc0(sizeof(CdcRegisteredTable));
	CdcTableRule *rule = cdc_registered_table_rule(RelationGetRelid(rel));

	table->context = context;
	table->relid = RelationGetRelid(rel);
	if (rule)
		cdc_registered_table_fill(table, rel, rule);
	MemoryContextSwitchTo(old);
	cdc_registered_table_keep(table, begun);
	return table;
}

static RelationEntry *
find_entry(Oid relid)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(RelationEntry)};
	RelationEntry *entry;
	bool		found;

	if (by_relation == NULL)
		by_relation = hash_create("cdcsync registered tables", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	entry = hash_search(by_relation, &relid, HASH_ENTER, &found);
	if (!found)
		entry->table = NULL;
	return entry;
}

/* NULL if neither the table nor a parent of it is registered.  Lasts as long as the transaction */
CdcRegisteredTable *
cdc_registered_table_open(Relation rel)
{
	RelationEntry *entry = find_entry(RelationGetRelid(rel));

	if (entry->table && !entry->table->valid)
	{
		cdc_registered_table_forget(entry->table);
		entry->table = NULL;
	}
	if (entry->table == NULL)
		entry->table = make(rel);
	return entry->table->rule ? entry->table : NULL;
}
