/*
 * registered_table.c
 *		What cdcsync's triggers need to know of their table.
 *
 * A cache in every backend that writes a registered table: one entry per table the
 * triggers stand on, built from the table rule of it or of the root it is a partition
 * of.  The relcache callback only clears the entry's flag; the next use builds anew.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "stored/table_rule.h"
#include "table/registered_table.h"
#include "table/writing.h"

static HTAB *registered_cache = NULL;
static uint64 invalidations = 0;

static void
cache_invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CdcRegisteredTable *entry;

	invalidations++;
	hash_seq_init(&status, registered_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		/* a partition's entry stands on its root's key as well */
		if (!OidIsValid(relid) || entry->relid == relid ||
			(entry->valid && entry->registered && entry->key->relid == relid))
			entry->valid = false;
	}
}

static void
cache_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(CdcRegisteredTable)};

	registered_cache = hash_create("cdcsync registered tables", 16, &ctl,
								   HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(cache_invalidate, (Datum) 0);
}

static void
fill_version(CdcRegisteredTable *entry, Relation rel, Relation root, const char *column)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(root), column);
	Form_pg_attribute att;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("version column \"%s\" of table \"%s\" does not exist", column,
						RelationGetRelationName(root)),
				 errhint("Name it anew with cdcsync.alter_table_rule.")));
	att = TupleDescAttr(RelationGetDescr(root), attnum - 1);
	entry->version_column = pstrdup(column);
	entry->version_type = att->atttypid;
	entry->clock = cdc_clock_for_type(att->atttypid, att->atttypmod, column);
	entry->version_attnum = get_attnum(RelationGetRelid(rel), column);
}

static void
fill_from_rule(CdcRegisteredTable *entry, Relation rel, CdcTableRule *rule)
{
	Relation	root = table_open(rule->relid, AccessShareLock);

	entry->key = cdc_key_make(root);
	entry->clock = CDC_CLOCK_COMMIT;
	if (rule->version_column)
		fill_version(entry, rel, root, rule->version_column);
	for (int i = 0; i < entry->key->ncolumns; i++)
		entry->key_attnums[i] = get_attnum(RelationGetRelid(rel), entry->key->columns[i].name);
	entry->registered = true;
	table_close(root, NoLock);
}

static void
entry_build(CdcRegisteredTable *entry, Relation rel)
{
	uint64		before = invalidations;
	CdcTableRule *rule;

	if (entry->context)
		MemoryContextDelete(entry->context);
	entry->registered = false;
	entry->version_column = NULL;
	entry->context = NULL;
	entry->context = AllocSetContextCreate(CacheMemoryContext, "cdcsync registered table",
										   ALLOCSET_SMALL_SIZES);
	rule = cdc_registered_table_rule(RelationGetRelid(rel));
	if (rule != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(entry->context);

		fill_from_rule(entry, rel, rule);
		MemoryContextSwitchTo(old);
	}
	/* what came in while the catalogs were read makes it stale again */
	entry->valid = (before == invalidations);
}

/* NULL if neither the table nor a parent of it is registered */
CdcRegisteredTable *
cdc_registered_table_open(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CdcRegisteredTable *entry;
	bool		found;

	if (registered_cache == NULL)
		cache_init();
	entry = hash_search(registered_cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->context = NULL;
	}
	if (!entry->valid)
		entry_build(entry, rel);
	return entry->registered ? entry : NULL;
}

/* For a trigger; NULL also if the row it meets is written for a peer */
CdcRegisteredTable *
cdc_registered_table_open_local(Relation rel)
{
	CdcRegisteredTable *reg = cdc_registered_table_open(rel);

	if (reg == NULL || cdc_writing_for_peer(reg->key->relid))
		return NULL;
	cdc_writing_note_local(reg->key->relid);
	return reg;
}

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

/* The key's values of a row of that table; false if one is NULL */
bool
cdc_registered_table_key(CdcRegisteredTable *reg, HeapTuple tuple, TupleDesc desc, Datum *values)
{
	for (int i = 0; i < reg->key->ncolumns; i++)
	{
		bool		isnull;

		values[i] = heap_getattr(tuple, reg->key_attnums[i], desc, &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/* Refuse to be called as anything but a row trigger */
void
cdc_registered_table_check_trigger(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"cdcsync.%s\" was not called as a row trigger", function),
				 errhint("cdcsync.add_table creates the triggers it needs.")));
}
