/*
 * relation.c
 *		Remote table -> local relation: found by the name that events have for it, and kept.
 *
 * One map per remote table (relation_fill.c says what it is made of), built at first use in
 * a transaction and kept with the plans and shapes that grow on it, until one of these:
 *
 *		an invalidation of the table, of one of its partitions, or of all (registered_table.c)
 *		a change of the table rules, of which the worker hears and resets all
 *		it has grown too large, for who can write to a topic can give each event another shape
 *
 * The table is locked as for writing to the end of the transaction that opened the map, and
 * nothing can be altered under that lock: so a map cannot go stale in use, and stays where
 * it is until the same table is opened again.  Only who opens it anew frees it.
 *
 * A map is made with the owner's rights, though nothing of the table is evaluated for it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/owner.h"
#include "table/relation.h"
#include "table/tombstone_key.h"

/*
 * What a map may remember.  A table's connectors write a handful of shapes; but who can
 * write to a topic can give each event another one.
 */
#define MAX_MEMORY	(8 * 1024 * 1024)
#define MAX_INSERTS	256

/* Hash entry; the key is "schema\ntable" */
typedef struct MapEntry
{
	char		source[2 * NAMEDATALEN + 8];
	CdcRelation *map;
} MapEntry;

static HTAB *maps = NULL;

/* Nobody uses it: see above */
static void
map_free(CdcRelation *map)
{
	ListCell   *lc;

	for (int i = 0; i < CDC_NSQL; i++)
		if (map->plans[i])
			SPI_freeplan(map->plans[i]);
	foreach(lc, map->inserts)
	{
		CdcInsert  *insert = lfirst(lc);

		if (insert->plan)
			SPI_freeplan(insert->plan);
	}
	cdc_registered_table_forget(&map->table);
	MemoryContextDelete(map->table.context);
}

/* In the transaction's memory until it is complete: an error leaves nothing */
static CdcRelation *
map_build(const char *schema, const char *table)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdcsync relation map",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CdcTableRule *rule = cdc_table_rule_for_source(schema, table);
	Relation	rel = rule ? try_relation_open(rule->relid, RowExclusiveLock) : NULL;
	CdcRelation *map;
	uint64		begun;
	CdcOwnerScope scope;

	if (rel == NULL)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	begun = cdc_registered_table_begin();
	map = palloc0(sizeof(CdcRelation));
	map->table.context = context;
	map->opened_at = GetCurrentTransactionStartTimestamp();
	map->source_name = quote_qualified_identifier(schema, table);
	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	cdc_relation_fill(map, rel, rule);
	cdc_tombstone_key_follow(map->key, map->clock);
	cdc_owner_end(&scope);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	cdc_registered_table_keep(&map->table, begun);
	return map;
}

/*
 * The map of a remote table; NULL if it is not registered.  In a transaction: the table
 * is locked as for writing, to the transaction's end.  The map stays where it is until
 * the same table is opened again, so open each table once and keep the pointer.
 */
CdcRelation *
cdc_relation_open(const char *schema, const char *table)
{
	HASHCTL		ctl = {.keysize = sizeof(((MapEntry *) 0)->source), .entrysize = sizeof(MapEntry)};
	char		source[sizeof(((MapEntry *) 0)->source)] = {0};
	MapEntry   *entry;
	CdcRelation *map;
	bool		full;

	if (maps == NULL)
		maps = hash_create("cdcsync relation maps", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	/* a name that no table here can have is not registered */
	if (strlen(schema) >= NAMEDATALEN || strlen(table) >= NAMEDATALEN)
		return NULL;
	snprintf(source, sizeof(source), "%s\n%s", schema, table);

	entry = hash_search(maps, source, HASH_FIND, NULL);
	/* one that is full is built anew, but for a transaction that may be using it */
	full = entry && entry->map->opened_at != GetCurrentTransactionStartTimestamp() &&
		(MemoryContextMemAllocated(entry->map->table.context, true) > MAX_MEMORY ||
		 list_length(entry->map->inserts) > MAX_INSERTS);
	if (entry && entry->map->table.valid && !full)
	{
		/* the lock brings pending invalidations in */
		LockRelationOid(entry->map->relid, RowExclusiveLock);
		if (entry->map->table.valid)
		{
			entry->map->opened_at = GetCurrentTransactionStartTimestamp();
			return entry->map;
		}
	}
	if (entry)
	{
		map_free(entry->map);
		hash_search(maps, source, HASH_REMOVE, NULL);
	}
	map = map_build(schema, table);
	if (map)
	{
		entry = hash_search(maps, source, HASH_ENTER, NULL);
		entry->map = map;
	}
	return map;
}
