/*
 * relation.c
 *		Remote table -> local relation: key, columns, column map.
 *
 * One map per remote table, built at first use in a transaction and kept with its
 * plans and shapes until a relcache invalidation of the table, or a change of the
 * table rules, makes it stale.  The callback only clears a flag; the next open builds
 * anew.  The table stays locked to the end of the transaction that opened it, so a map
 * cannot go stale in use.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/owner.h"
#include "base/printable.h"
#include "base/table_name.h"
#include "event/decode_schema.h"
#include "table/objection.h"
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
static MemoryContext maps_context = NULL;
static uint64 invalidations = 0;

static void
maps_invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	MapEntry   *entry;

	invalidations++;
	hash_seq_init(&status, maps);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->map->relid == relid ||
			list_member_oid(entry->map->partitions, relid))
			entry->map->valid = false;
	}
}

static void
maps_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(((MapEntry *) 0)->source),
	.entrysize = sizeof(MapEntry)};

	maps_context = AllocSetContextCreate(TopMemoryContext, "cdcsync relation maps",
										 ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = maps_context;
	maps = hash_create("cdcsync relation maps", 32, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(maps_invalidate, (Datum) 0);
}

/* Then it is built anew, but for a transaction that may be using it */
static bool
map_is_full(const CdcRelation *map)
{
	return map->opened_at != GetCurrentTransactionStartTimestamp() &&
		(MemoryContextMemAllocated(map->context, true) > MAX_MEMORY ||
		 list_length(map->inserts) > MAX_INSERTS);
}

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
	MemoryContextDelete(map->context);
}

static char *
append_remedy(const char *remedies, const char *remedy)
{
	return remedies ? psprintf("%s; %s", remedies, remedy) : pstrdup(remedy);
}

static void
take_triggers(CdcRelation *map, Relation rel, List **names)
{
	Oid			own_schema = get_namespace_oid(CDC_EXTENSION_NAME, false);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];
		char	   *remedy;

		if ((trigger->tgenabled != TRIGGER_FIRES_ALWAYS &&
			 trigger->tgenabled != TRIGGER_FIRES_ON_REPLICA) ||
			get_func_namespace(trigger->tgfoid) == own_schema)
			continue;
		/* what mends it at the parent reaches the partitions */
		if (trigger->tgisclone && list_member(*names, makeString(trigger->tgname)))
			continue;
		*names = lappend(*names, makeString(pstrdup(trigger->tgname)));
		remedy = psprintf("ALTER TABLE %s ENABLE TRIGGER %s", cdc_table_name(RelationGetRelid(rel)),
						  quote_identifier(trigger->tgname));
		map->fires = append_remedy(map->fires, remedy);
		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype))
			map->fires_before = append_remedy(map->fires_before, remedy);
	}
}

/* Those of users that fire where changes are applied, its own and its partitions' */
static void
fill_triggers(CdcRelation *map, Relation rel)
{
	List	   *names = NIL;
	ListCell   *lc;

	take_triggers(map, rel, &names);
	if (map->partitioned)
		map->partitions = list_delete_first(find_all_inheritors(map->relid, AccessShareLock, NULL));
	foreach(lc, map->partitions)
	{
		Relation	partition = relation_open(lfirst_oid(lc), NoLock);

		take_triggers(map, partition, &names);
		relation_close(partition, NoLock);
	}
}

static bool
has_generated(Relation rel)
{
	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), i)->attgenerated)
			return true;
	}
	return false;
}

/* Who owns a table may have taken rights from himself */
static bool
owner_has_rights(Relation rel)
{
	AclMode		needed = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE;

	return pg_class_aclmask(RelationGetRelid(rel), rel->rd_rel->relowner, needed,
							ACLMASK_ALL) == needed;
}

static bool
is_plain(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass && !rel->rd_rel->relhasrules &&
		!has_generated(rel) && owner_has_rights(rel);
}

/*
 * Who changes a table by a copy that takes its place means the copy with its name; its
 * rule is still that of the one that went.
 */
static void
check_name(const CdcRelation *map)
{
	if (OidIsValid(cdc_table_rule_usurper(map->rule)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not the one that is registered under this name",
						map->source_name),
				 errdetail("That was renamed, and is %s.", map->qualified_name),
				 errhint("Run SELECT cdcsync.remove_table(%s), and cdcsync.add_table for the new one.",
						 quote_literal_cstr(map->qualified_name))));
}

/* What add_table refuses may have come to be since */
static void
check_writable(CdcRelation *map, Relation rel)
{
	CdcObjection objection = cdc_objection_find(rel, false);

	if (objection.detail)
		ereport(ERROR,
				(errcode(objection.sqlerrcode),
				 errmsg("no changes can be applied to table %s", map->qualified_name),
				 errdetail_internal("%s", objection.detail),
				 objection.hint ? errhint("%s", objection.hint) : 0));
}

static const char *
remote_name(CdcRelation *map, const char *local)
{
	ListCell   *lc;

	foreach(lc, map->rule->column_map)
	{
		CdcColumnPair *pair = lfirst(lc);

		if (strcmp(pair->local, local) == 0)
			return pair->remote;
	}
	return local;
}

static void
fill_columns(CdcRelation *map, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *referable = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);

	map->columns = palloc0(sizeof(CdcColumn) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		CdcColumn  *col = &map->columns[map->ncolumns];
		Oid			function;
		bool		is_varlena;

		if (att->attisdropped || att->attgenerated)
			continue;
		col->name = pstrdup(NameStr(att->attname));
		col->remote_name = pstrdup(remote_name(map, col->name));
		col->attnum = att->attnum;
		col->collation = att->attcollation;
		col->referable = bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber,
									   referable);
		col->updatable = att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS;
		map->updatable |= col->updatable;
		map->updatable_apart |= col->updatable && !col->referable;
		getTypeOutputInfo(att->atttypid, &function, &is_varlena);
		fmgr_info(function, &col->output);
		cdc_value_type_init(&col->vt, col->name, att->atttypid, att->atttypmod);
		map->ncolumns++;
	}
	map->all_columns = bms_add_range(NULL, 0, map->ncolumns - 1);
}

static void
fill_key(CdcRelation *map, Relation rel)
{
	map->key = cdc_key_make(rel);
	for (int k = 0; k < map->key->ncolumns; k++)
	{
		for (int i = 0; i < map->ncolumns; i++)
		{
			if (map->columns[i].attnum == map->key->columns[k].attnum)
				map->key_column[k] = i;
		}
	}
}

static void
check_commit_times(const CdcRelation *map)
{
	if (!cdc_clock_has_commit_times())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no version column, and commit times are not kept",
						map->qualified_name),
				 errhint("Set \"track_commit_timestamp\" to \"on\" and restart the server.")));
}

static void
fill_version(CdcRelation *map, Relation rel)
{
	const char *name = map->rule->version_column;

	map->version = -1;
	map->clock = CDC_CLOCK_COMMIT;
	if (name == NULL)
	{
		check_commit_times(map);
		return;
	}
	for (int i = 0; i < map->ncolumns; i++)
	{
		CdcColumn  *col = &map->columns[i];

		if (strcmp(col->name, name) != 0)
			continue;
		map->version = i;
		map->clock = cdc_clock_for_type(col->vt.type, col->vt.typmod, name);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("version column \"%s\" of table \"%s\" does not exist", name,
					RelationGetRelationName(rel)),
			 errhint("Name it anew with cdcsync.alter_table_rule.")));
}

/* Ties are broken by text, in an order that is the same on every node */
static void
fill_order(CdcRelation *map)
{
	map->by_remote_name = palloc(sizeof(int) * map->ncolumns);
	for (int i = 0; i < map->ncolumns; i++)
	{
		int			j = i;

		for (; j > 0 && strcmp(map->columns[map->by_remote_name[j - 1]].remote_name,
							   map->columns[i].remote_name) > 0; j--)
			map->by_remote_name[j] = map->by_remote_name[j - 1];
		map->by_remote_name[j] = i;
	}
}

static void
fill_batch_desc(CdcRelation *map, Relation rel)
{
	TupleDesc	desc = CreateTemplateTupleDesc(map->ncolumns + CDC_BATCH_FIRST);

	TupleDescInitEntry(desc, CDC_BATCH_N + 1, "n", INT4OID, -1, 0);
	TupleDescInitEntry(desc, CDC_BATCH_TID + 1, "tid", TIDOID, -1, 0);
	TupleDescInitEntry(desc, CDC_BATCH_XID + 1, "xid", XIDOID, -1, 0);
	for (int i = 0; i < map->ncolumns; i++)
	{
		CdcColumn  *col = &map->columns[i];
		AttrNumber	attno = CDC_BATCH_FIRST + i + 1;
		char		name[NAMEDATALEN];

		snprintf(name, sizeof(name), "c%d", i + 1);
		TupleDescInitEntry(desc, attno, name, col->vt.type, col->vt.typmod,
						   TupleDescAttr(RelationGetDescr(rel), col->attnum - 1)->attndims);
		TupleDescInitEntryCollation(desc, attno, col->collation);
	}
	TupleDescFinalize(desc);
	map->batch_desc = desc;
}

static void
map_fill(CdcRelation *map, Relation rel)
{
	map->relid = RelationGetRelid(rel);
	map->owner = rel->rd_rel->relowner;
	map->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	fill_triggers(map, rel);
	map->plain = is_plain(rel) && !map->fires;
	map->qualified_name = cdc_table_name(RelationGetRelid(rel));
	check_name(map);
	check_writable(map, rel);
	fill_columns(map, rel);
	fill_key(map, rel);
	fill_version(map, rel);
	fill_order(map);
	fill_batch_desc(map, rel);
	map->unique_indexes = cdc_key_find_unique_indexes(rel, map->key->index);
}

static CdcRelation *
map_build(const char *schema, const char *table)
{
	MemoryContext context;
	MemoryContext old;
	CdcRelation *map;
	CdcTableRule *rule;
	Relation	rel;
	uint64		before;
	CdcOwnerScope scope;

	/* in the transaction's memory until it is complete: an error leaves nothing */
	context = AllocSetContextCreate(CurrentMemoryContext, "cdcsync relation map",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	rule = cdc_table_rule_for_source(schema, table);
	rel = rule ? try_relation_open(rule->relid, RowExclusiveLock) : NULL;
	if (rel == NULL)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	before = invalidations;
	map = palloc0(sizeof(CdcRelation));
	map->opened_at = GetCurrentTransactionStartTimestamp();
	map->context = context;
	map->rule = rule;
	map->source_name = quote_qualified_identifier(schema, table);
	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	map_fill(map, rel);
	cdc_tombstone_key_follow(map->key, map->clock);
	cdc_owner_end(&scope);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, maps_context);
	map->valid = (before == invalidations);
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
	char		source[2 * NAMEDATALEN + 8] = {0};
	MapEntry   *entry;
	CdcRelation *map;

	if (maps == NULL)
		maps_init();
	/* a name that no table here can have is not registered */
	if (strlen(schema) >= NAMEDATALEN || strlen(table) >= NAMEDATALEN)
		return NULL;
	snprintf(source, sizeof(source), "%s\n%s", schema, table);

	entry = hash_search(maps, source, HASH_FIND, NULL);
	if (entry && entry->map->valid && !map_is_full(entry->map))
	{
		/* the lock brings pending invalidations in */
		LockRelationOid(entry->map->relid, RowExclusiveLock);
		if (entry->map->valid)
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

/* Forget all maps: table rules have changed */
void
cdc_relation_reset(void)
{
	HASH_SEQ_STATUS status;
	MapEntry   *entry;

	if (maps == NULL)
		return;
	hash_seq_init(&status, maps);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->map->valid = false;
}

static bool
same_names(const CdcShape *shape, const CdcImage *image)
{
	for (int i = 0; i < image->nfields; i++)
	{
		const CdcField *field = &image->fields[i];

		if (shape->name_lengths[i] != field->namelen ||
			memcmp(shape->names[i], field->name, field->namelen) != 0)
			return false;
	}
	return true;
}

static CdcShape *
find_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	ListCell   *lc;

	foreach(lc, rel->shapes)
	{
		CdcShape   *shape = lfirst(lc);

		if (shape->of_key == of_key && shape->schema == image->schema &&
			shape->nfields == image->nfields &&
			(image->schema != NULL || same_names(shape, image)))
			return shape;
	}
	return NULL;
}

static int
find_column(CdcRelation *rel, const CdcField *field)
{
	for (int c = 0; c < rel->ncolumns; c++)
	{
		const char *name = rel->columns[c].remote_name;

		if (strncmp(name, field->name, field->namelen) == 0 && name[field->namelen] == '\0')
			return c;
	}
	return -1;
}

static const CdcColumn *
find_local_column(const CdcRelation *rel, const char *name)
{
	for (int c = 0; c < rel->ncolumns; c++)
	{
		if (strcmp(rel->columns[c].name, name) == 0)
			return &rel->columns[c];
	}
	return NULL;
}

/* A field without a column is an error, unless that column is generated here */
static void
check_unmapped(CdcRelation *rel, const CdcField *field)
{
	char	   *name = cdc_excerpt(field->name, field->namelen);
	AttrNumber	attnum = field->namelen < NAMEDATALEN ? get_attnum(rel->relid, name) : 0;
	const CdcColumn *mapped;

	if (attnum > 0 && get_attgenerated(rel->relid, attnum))
		return;
	mapped = attnum > 0 ? find_local_column(rel, name) : NULL;
	if (mapped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table %s takes the column \"%s\" of events, and the event has a column \"%s\"",
						name, rel->qualified_name, mapped->remote_name, name),
				 errdetail("So says the rule's column_map."),
				 errhint("If it was renamed at the peer, too, run SELECT cdcsync.alter_table_rule(%s, column_map => '{}'), with what else is to be mapped.",
						 quote_literal_cstr(rel->qualified_name))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of the event does not exist in table %s", name,
					rel->qualified_name),
			 field->schema ?
			 errdetail("Its Debezium type is %s.", cdc_decode_schema_name(field->schema)) : 0,
			 errhint("Add the column, or map it to another one with cdcsync.alter_table_rule.")));
}

/*
 * Rows that the key here does not tell apart are one here: a message key must not have
 * columns besides, unless it is another key that the table has here, too.
 */
static const char *
find_foreign_column(const CdcRelation *rel, const Bitmapset *present)
{
	Bitmapset  *attnums = NULL;
	const char *foreign = NULL;
	ListCell   *lc;

	for (int i = -1; (i = bms_next_member(present, i)) >= 0;)
	{
		attnums = bms_add_member(attnums, rel->columns[i].attnum);
		if (!cdc_key_has_column(rel->key, rel->columns[i].attnum))
			foreign = rel->columns[i].name;
	}
	if (foreign == NULL)
		return NULL;
	foreach(lc, rel->unique_indexes)
	{
		if (cdc_key_index_is_of(lfirst_oid(lc), attnums))
			return NULL;
	}
	return foreign;
}

/* An error leaves nothing in the map's memory */
static CdcShape *
make_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	MemoryContext old = CurrentMemoryContext;
	CdcShape   *shape;

	for (int i = 0; i < image->nfields && !of_key; i++)
	{
		if (find_column(rel, &image->fields[i]) < 0)
			check_unmapped(rel, &image->fields[i]);
	}

	MemoryContextSwitchTo(rel->context);
	shape = palloc0(sizeof(CdcShape));
	shape->schema = image->schema;
	shape->of_key = of_key;
	shape->nfields = image->nfields;
	shape->names = palloc(sizeof(char *) * image->nfields);
	shape->name_lengths = palloc(sizeof(int) * image->nfields);
	shape->field = palloc(sizeof(int) * rel->ncolumns);
	for (int c = 0; c < rel->ncolumns; c++)
		shape->field[c] = -1;
	for (int i = 0; i < image->nfields; i++)
	{
		const CdcField *field = &image->fields[i];
		int			column = find_column(rel, field);

		shape->names[i] = pnstrdup(field->name, field->namelen);
		shape->name_lengths[i] = field->namelen;
		if (column >= 0)
		{
			shape->field[column] = i;
			shape->present = bms_add_member(shape->present, column);
		}
	}
	if (of_key)
		shape->foreign_column = find_foreign_column(rel, shape->present);
	rel->shapes = lcons(shape, rel->shapes);
	MemoryContextSwitchTo(old);
	return shape;
}

/*
 * The shape of a row image, or of a message key; an image is of one relation.  Raises a
 * data error for a field of a row image that has no local column.
 */
CdcShape *
cdc_relation_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	CdcShape   *shape = image->shape;

	if (shape)
		return shape;
	shape = find_shape(rel, image, of_key);
	if (shape == NULL)
		shape = make_shape(rel, image, of_key);
	unconstify(CdcImage *, image)->shape = shape;
	return shape;
}
