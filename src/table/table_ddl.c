/*
 * table_ddl.c
 *		Commands that change registered tables.
 *
 * What add_table gave a table holds for partitions that are made or attached later, and
 * what it refuses is refused whenever it comes to be: the identity that events need is
 * set again, cdcsync's triggers go on firing in every session, and a command that makes
 * the table one that cannot take part fails.  Only what a command adds is held against
 * it, so that a table with several faults can be mended step by step; and a table may be
 * without a key for a while, for nothing can be written to it then.
 *
 * Only tables that the command has locked for a change are looked at: of those that
 * another backend changed it takes care itself.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/table_name.h"
#include "table/registered_table.h"
#include "table/table_ddl.h"
#include "table/table_setup.h"
#include "table/unsent.h"

/* The one that a command names which can add what is refused */
static RangeVar *
changed_table(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return ((AlterTableStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->relation;
		case T_RuleStmt:
			return ((RuleStmt *) stmt)->relation;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			/* a new table changes the one it is a partition or a child of */
			return ((CreateStmt *) stmt)->inhRelations == NIL ? NULL :
				linitial(((CreateStmt *) stmt)->inhRelations);
		default:
			return NULL;
	}
}

static bool
has_command(const AlterTableStmt *stmt, AlterTableType type)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == type)
			return true;
	}
	return false;
}

/* What of the command matters, before anything is looked up */
static void
note_kind(CdcDdl *ddl, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			ddl->sets_identity = has_command((AlterTableStmt *) stmt, AT_ReplicaIdentity);
			ddl->attaches = has_command((AlterTableStmt *) stmt, AT_AttachPartition);
			break;
		case T_TruncateStmt:
			ddl->truncates = true;
			break;
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_CreateStmt:
			ddl->names = true;
			break;
		default:
			break;
	}
}

/* pg_upgrade must get what it had */
static bool
is_set_up(void)
{
	return IsTransactionState() && !IsBinaryUpgrade && !creating_extension &&
		OidIsValid(cdc_extension_oid()) && OidIsValid(cdc_extension_table("table_rule"));
}

/* The lock goes at once, lest the command has to wait for a stronger one while it is held */
static CdcObjection
objection_to(Oid relid, const CdcTableRule *rule)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	CdcObjection objection = {0};

	if (rel != NULL)
	{
		objection = cdc_objection_find(rel, relid != rule->relid);
		relation_close(rel, AccessShareLock);
	}
	return objection;
}

static List *
add_root(List *roots, Oid relid)
{
	CdcTableRule *rule = OidIsValid(relid) ? cdc_registered_table_rule(relid) : NULL;

	return rule ? list_append_unique_oid(roots, rule->relid) : roots;
}

/* The registered tables that lose a partition, of whatever level; a table that goes as a whole is not to be found after it */
static List *
losing_tables(Node *stmt)
{
	List	   *roots = NIL;
	ListCell   *lc;

	if (IsA(stmt, AlterTableStmt) &&
		(has_command((AlterTableStmt *) stmt, AT_DetachPartition) ||
		 has_command((AlterTableStmt *) stmt, AT_DetachPartitionFinalize)))
		return add_root(NIL, RangeVarGetRelid(((AlterTableStmt *) stmt)->relation, NoLock, true));
	if (!IsA(stmt, DropStmt) || ((DropStmt *) stmt)->removeType != OBJECT_TABLE)
		return NIL;
	foreach(lc, ((DropStmt *) stmt)->objects)
	{
		Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (OidIsValid(relid) && get_rel_relispartition(relid))
			roots = add_root(roots, relid);
	}
	return roots;
}

/* Before a command; nothing is locked when it returns */
CdcDdl
cdc_table_ddl_begin(Node *stmt)
{
	CdcDdl		ddl = {0};
	RangeVar   *table = changed_table(stmt);
	Oid			relid;
	CdcTableRule *rule;

	note_kind(&ddl, stmt);
	if (!is_set_up())
		return ddl;
	ddl.loses = losing_tables(stmt);
	if (table == NULL)
		return ddl;
	ddl.adds = true;
	relid = RangeVarGetRelid(table, NoLock, true);
	if (!OidIsValid(relid) || !object_ownercheck(RelationRelationId, relid, GetUserId()) ||
		!cdc_objection_is_table(relid))
		return ddl;
	rule = cdc_registered_table_rule(relid);
	if (rule)
		ddl.objection = objection_to(relid, rule).kind;
	return ddl;
}

/* By this command, for a change */
static bool
is_locked(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		locked = RelationIsValid(rel) &&
		CheckRelationLockedByMe(rel, ShareUpdateExclusiveLock, true);

	if (RelationIsValid(rel))
		RelationClose(rel);
	return locked;
}

/* The table has got the name of a registered one: those who apply to it must hear of that */
static void
warn_of_usurper(Oid relid)
{
	CdcTableRule *rule = cdc_table_rule_for_source(get_namespace_name(get_rel_namespace(relid)),
												   get_rel_name(relid));

	if (rule == NULL || cdc_table_rule_usurper(rule) != relid)
		return;
	CacheInvalidateRelcacheByRelid(rule->relid);
	ereport(WARNING,
			(errmsg("table \"%s\" is not registered, but has the name of one that is",
					get_rel_name(relid)),
			 errdetail("That is %s now.  Events are applied to neither, and changes of the new one are not captured.",
					   cdc_table_name(rule->relid)),
			 errhint("Use cdcsync.remove_table for the old one and cdcsync.add_table for the new one.")));
}

static void
warn_of_truncate(const CdcTableRule *rule)
{
	if (rule->truncate)
		return;
	cdc_unsent_note(rule->relid, CDC_UNSENT_TRUNCATE);
	ereport(WARNING,
			(errmsg("TRUNCATE of table \"%s\" is not known to other nodes",
					get_rel_name(rule->relid)),
			 errdetail("They keep the rows, and send them again where they change them."),
			 errhint("Use DELETE; or empty the table on all nodes.")));
}

/*
 * Only the first objection is known: it hides those after it, and those after the lack of
 * a key are not asked for then.
 */
static bool
is_added(CdcObjectionKind before, CdcObjectionKind after)
{
	if (after == CDC_OBJECTION_NONE || after == CDC_OBJECTION_NO_KEY)
		return false;
	return before == CDC_OBJECTION_NONE || before == CDC_OBJECTION_NO_KEY || after < before;
}

/* Only what the command has added to the table as it was */
static void
refuse_added(const CdcDdl *ddl, Oid relid, const CdcTableRule *rule)
{
	CdcObjection objection = objection_to(relid, rule);

	if (!is_added(ddl->objection, objection.kind))
		return;
	ereport(ERROR,
			(errcode(objection.sqlerrcode),
			 errmsg("cannot change registered table \"%s\" this way", get_rel_name(rule->relid)),
			 errdetail_internal("%s", objection.detail),
			 objection.hint ? errhint("%s", objection.hint) : 0));
}

static void
warn_of_detach(const CdcTableRule *rule)
{
	cdc_unsent_note(rule->relid, CDC_UNSENT_DETACH);
	ereport(WARNING,
			(errmsg("rows of the partition that table \"%s\" has lost stay on other nodes",
					get_rel_name(rule->relid)),
			 errdetail("There is no partition for them here, if they change them."),
			 errhint("Detach or drop the partition on all nodes.")));
}

/* Rules are of tables, whatever their names; events are of names */
static void
warn_of_name(const CdcTableRule *rule)
{
	if (!rule->own_name ||
		cdc_table_rule_is_name(rule->relid, rule->source_schema, rule->source_table))
		return;
	ereport(WARNING,
			(errmsg("registered table \"%s\" has another name now", rule->source_table),
			 errdetail("Events of other nodes still name it %s, and its own go to another topic.",
					   quote_qualified_identifier(rule->source_schema, rule->source_table)),
			 errhint("Rename it on all nodes, change their subscriptions, and run cdcsync.alter_table_rule with the new source_table.  If another table takes its place, use cdcsync.remove_table, and cdcsync.add_table for that.")));
}

static void
tend_registered(const CdcDdl *ddl, Oid relid, const CdcTableRule *rule)
{
	if (ddl->adds)
		refuse_added(ddl, relid, rule);
	if (cdc_table_setup_keep(relid) && ddl->sets_identity)
		ereport(NOTICE,
				(errmsg("table \"%s\" keeps REPLICA IDENTITY FULL", get_rel_name(relid)),
				 errdetail("It is registered, so events must show the row that was there.")));
	if (ddl->attaches && relid != rule->relid &&
		get_rel_relkind(relid) == RELKIND_RELATION)
		cdc_unsent_note_rows(rule->relid, relid);
	if (ddl->names && relid == rule->relid)
		warn_of_name(rule);
}

/* Returns whether it is registered; warned: those of which it has been said already, for another partition */
static bool
tend(const CdcDdl *ddl, Oid relid, List **warned)
{
	CdcTableRule *rule = cdc_registered_table_rule(relid);
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	if (rule == NULL)
	{
		if (ddl->names)
			warn_of_usurper(relid);
	}
	else if (ddl->truncates)
	{
		if (!list_member_oid(*warned, rule->relid))
			warn_of_truncate(rule);
		MemoryContextSwitchTo(caller);	/* a statement has left SPI's */
		*warned = lappend_oid(*warned, rule->relid);
	}
	else
		tend_registered(ddl, relid, rule);
	SPI_finish();
	return rule != NULL;
}

static void
tend_losing(const List *roots)
{
	const ListCell *lc;

	foreach(lc, roots)
	{
		CdcTableRule *rule = cdc_table_rule_for_relation(lfirst_oid(lc));

		if (rule == NULL || !cdc_objection_is_table(rule->relid))
			continue;			/* dropped as well */
		SPI_connect();
		warn_of_detach(rule);
		SPI_finish();
	}
}

/*
 * After it, with the relations that it changed: gives partitions what add_table gave
 * their table, warns of what other nodes will not know, and raises an error if the table
 * may not be so.  Returns whether it has changed a registered one.
 */
bool
cdc_table_ddl_end(const CdcDdl *ddl, const List *altered)
{
	const ListCell *lc;
	List	   *warned = NIL;
	bool		any = false;

	if (altered == NIL || !is_set_up())
		return false;
	foreach(lc, altered)
	{
		Oid			relid = lfirst_oid(lc);

		if (cdc_objection_is_table(relid) && is_locked(relid))
			any |= tend(ddl, relid, &warned);
	}
	tend_losing(ddl->loses);
	return any;
}
