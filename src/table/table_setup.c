/*
 * table_setup.c
 *		What add_table gives a table: its replica identity and cdcsync's triggers.
 *
 * The triggers fire in every session (ENABLE ALWAYS) and depend on the extension, which
 * takes them along when it is dropped.  Their names sort after all that a person would
 * choose: triggers fire in the order of their names.
 *
 * What is done to the table is done with its owner's rights, for ALTER TABLE and DROP
 * TRIGGER may run code of his; creating a trigger evaluates nothing, and needs the right
 * to a function that an owner need not have.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/table_name.h"
#include "table/key.h"
#include "table/objection.h"
#include "table/table_query.h"
#include "table/table_setup.h"

/* A trigger of a registered table */
typedef struct TriggerDef
{
	const char *name;
	const char *event;
	bool		on_key_change;	/* only where the key changes */
	bool		for_version;	/* only where there is a version column */
	const char *function;
} TriggerDef;

/* By event alone, not "UPDATE OF key": other triggers may change a key as well */
static const TriggerDef trigger_defs[] = {
	{"~cdcsync_version", "BEFORE INSERT OR UPDATE", false, true, "version_trigger"},
	{"~cdcsync_version_check", "AFTER INSERT", false, true, "version_check_trigger"},
	{"~cdcsync_version_check_key", "AFTER UPDATE", true, true, "version_check_trigger"},
	{"~cdcsync_tombstone", "AFTER DELETE", false, false, "tombstone_trigger"},
	{"~cdcsync_tombstone_key", "AFTER UPDATE", true, false, "tombstone_trigger"},
};

/* false: it was so before */
static bool
set_identity_of(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	bool		full = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;

	relation_close(rel, NoLock);
	if (!full)
		cdc_table_query_command(relid, psprintf("ALTER TABLE %s REPLICA IDENTITY FULL", cdc_table_name(relid)));
	return !full;
}

/*
 * Deletes and updates are decided by the row their author saw: events must show it.
 * Comes before what asks for the key, for the identity may decide which index that is.
 */
void
cdc_table_setup_identity(const List *members)
{
	const ListCell *lc;

	foreach(lc, members)
	{
		if (cdc_objection_is_table(lfirst_oid(lc)))
			(void) set_identity_of(lfirst_oid(lc));
	}
}

/* With its schema, which is not in the search_path of who runs the command */
static char *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/* WHEN the key changes, by its index's equality, as everywhere */
static char *
key_change_condition(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	CdcKey	   *key = cdc_key_make(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < key->ncolumns; i++)
	{
		const CdcKeyColumn *col = &key->columns[i];
		const char *name = quote_identifier(col->name);
		char	   *new = psprintf("NEW.%s", name);

		if (OidIsValid(col->collation))
			new = psprintf("(%s COLLATE %s)", new, collation_name(col->collation));
		appendStringInfo(&buf, "%sNOT (", i == 0 ? "WHEN (" : " OR ");
		generate_operator_clause(&buf, psprintf("OLD.%s", name), col->type, col->equality, new, col->type);
		appendStringInfoChar(&buf, ')');
	}
	appendStringInfoChar(&buf, ')');
	relation_close(rel, NoLock);
	return buf.data;
}

/* Harmless where they are there already; SPI is connected by the caller */
void
cdc_table_setup_triggers(Oid relid, bool has_version)
{
	char	   *table = cdc_table_name(relid);
	char	   *condition = key_change_condition(relid);

	for (int i = 0; i < lengthof(trigger_defs); i++)
	{
		const TriggerDef *def = &trigger_defs[i];
		const char *name = quote_identifier(def->name);

		if (def->for_version && !has_version)
			continue;
		/*
		 * Not as the table's owner, who need not have the right to the function.  Of a
		 * partitioned table the server looks at the key of its partitions; one with
		 * expressions to fold has no unique index, and has been refused.
		 */
		cdc_extension_command(psprintf("CREATE OR REPLACE TRIGGER %s %s ON %s FOR EACH ROW %s "
									 "EXECUTE FUNCTION " CDC_EXTENSION_NAME ".%s()",
									 name, def->event, table,
									 def->on_key_change ? condition : "", def->function));
		cdc_table_query_command(relid, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, name));
		cdc_extension_command(psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION "
									 CDC_EXTENSION_NAME, name, table));
	}
}

static bool
is_own_trigger(const char *name)
{
	for (int i = 0; i < lengthof(trigger_defs); i++)
	{
		if (strcmp(trigger_defs[i].name, name) == 0)
			return true;
	}
	return false;
}

/* ENABLE TRIGGER ALL, as pg_restore --disable-triggers ends, makes them ordinary ones */
static void
keep_triggers(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	TriggerDesc *desc = CopyTriggerDesc(rel->trigdesc);

	relation_close(rel, NoLock);
	for (int i = 0; desc && i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN && is_own_trigger(trigger->tgname))
			cdc_table_query_command(relid, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
										  cdc_table_name(relid), quote_identifier(trigger->tgname)));
	}
}

/*
 * What add_table gave a registered table, or a partition of one, after a command changed
 * it: the identity, and that its triggers fire in every session.  true: the identity was
 * another one.  SPI is connected by the caller, and the table locked.
 */
bool
cdc_table_setup_keep(Oid relid)
{
	keep_triggers(relid);
	return set_identity_of(relid);
}

/* The identity stays as it is: whoever reads the topic may need it */
void
cdc_table_setup_drop_triggers(Oid relid)
{
	for (int i = 0; i < lengthof(trigger_defs); i++)
	{
		const char *name = trigger_defs[i].name;

		if (OidIsValid(get_trigger_oid(relid, name, true)))
			cdc_table_query_command(relid, psprintf("DROP TRIGGER %s ON %s", quote_identifier(name),
										  cdc_table_name(relid)));
	}
}
