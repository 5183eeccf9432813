/*
 * relation_fill.c
 *		Remote table -> local relation: what a map is made of.
 *
 * Of the local table: which columns take part and under which names, how each is compared
 * and printed, what may fire where changes are applied, which indexes are unique; and
 * whether the table can be written without a statement (plain).  What a registered table
 * is for everybody, key, clock and version column, is registered_table.c's.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/table_name.h"
#include "table/column.h"
#include "table/objection.h"
#include "table/relation.h"

/* One command after the other */
static char *
append_remedy(const char *remedies, const char *remedy)
{
	return remedies ? psprintf("%s; %s", remedies, remedy) : pstrdup(remedy);
}

/* Those of one relation that fire under the replica role; cdcsync's own do nothing there */
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
		map->table.partitions = list_delete_first(find_all_inheritors(map->relid, AccessShareLock, NULL));
	foreach(lc, map->table.partitions)
	{
		Relation	partition = relation_open(lfirst_oid(lc), NoLock);

		take_triggers(map, partition, &names);
		relation_close(partition, NoLock);
	}
}

/* A statement would compute them */
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

/* Whether a statement would but check, store and index its rows; who owns a table may have taken rights from himself */
static bool
is_plain(Relation rel)
{
	AclMode		needed = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE;

	return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass && !rel->rd_rel->relhasrules && !has_generated(rel) &&
		pg_class_aclmask(RelationGetRelid(rel), rel->rd_rel->relowner, needed, ACLMASK_ALL) == needed;
}

/*
 * What add_table refuses may have come to be since, and commit times may be kept no more.
 * And who changes a table by a copy that takes its place means the copy with its name; its
 * rule is still that of the one that went.
 */
static void
check_applicable(const CdcRelation *map, Relation rel)
{
	CdcObjection objection;

	if (OidIsValid(cdc_table_rule_usurper(map->rule)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not the one that is registered under this name",
						map->source_name),
				 errdetail("That was renamed, and is %s.", map->qualified_name),
				 errhint("Run SELECT cdcsync.remove_table(%s), and cdcsync.add_table for the new one.",
						 quote_literal_cstr(map->qualified_name))));
	objection = cdc_objection_find(rel, false);
	if (objection.detail)
		ereport(ERROR,
				(errcode(objection.sqlerrcode),
				 errmsg("no changes can be applied to table %s", map->qualified_name),
				 errdetail_internal("%s", objection.detail),
				 objection.hint ? errhint("%s", objection.hint) : 0));
	if (map->rule->version_column == NULL && !cdc_clock_has_commit_times())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no version column, and commit times are not kept",
						map->qualified_name),
				 errhint("Set \"track_commit_timestamp\" to \"on\" and restart the server.")));
}

/* What takes part, in the table's order; referable: what foreign keys may point to is written apart, so that others are spared */
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

		if (!cdc_column_travels(att))
			continue;
		col->name = pstrdup(NameStr(att->attname));
		col->remote_name = pstrdup(cdc_table_rule_remote_name(map->rule, col->name));
		col->attnum = att->attnum;
		col->counts = cdc_column_counts(map->rule, att);
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

/* Where the key's columns and the version column are among those of the map */
static void
fill_places(CdcRelation *map)
{
	map->version = -1;
	for (int i = 0; i < map->ncolumns; i++)
	{
		AttrNumber	attnum = map->columns[i].attnum;

		for (int k = 0; k < map->key->ncolumns; k++)
		{
			if (map->key->columns[k].attnum == attnum)
				map->key_column[k] = i;
		}
		if (attnum == map->table.version_attnum)
			map->version = i;
	}
	/* one that was dropped and added again as a generated column */
	if (map->rule->version_column && map->version < 0)
		cdc_registered_table_no_version(map->relid, map->rule->version_column);
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

/* Its columns have names of their own, which need no quotes and are nobody else's */
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

/*
 * All that a map has from the rule and the catalogs, in CurrentMemoryContext; the table is
 * open and locked.  Raises an error if no changes can be applied to it.
 */
void
cdc_relation_fill(CdcRelation *map, Relation rel, CdcTableRule *rule)
{
	map->relid = RelationGetRelid(rel);
	map->owner = rel->rd_rel->relowner;
	map->rule = rule;
	map->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	fill_triggers(map, rel);
	map->plain = is_plain(rel) && !map->fires;
	map->qualified_name = cdc_table_name(map->relid);
	check_applicable(map, rel);
	cdc_registered_table_fill(&map->table, rel, rule);
	map->key = map->table.key;
	map->clock = map->table.clock;
	fill_columns(map, rel);
	fill_places(map);
	fill_order(map);
	fill_batch_desc(map, rel);
	map->unique_indexes = cdc_key_find_unique_indexes(rel, map->key->index);
}
