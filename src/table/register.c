/*
 * register.c
 *		add_table, remove_table, alter_table_rule: key, identity, triggers, publication.
 *
 * The caller must own the table.  What is then done to it is done with its owner's rights,
 * and what is done to cdcsync's publication and catalogs with those of the extension's.
 *
 * Locks: first the rules, so that registrations queue up while they hold nothing; then
 * the table with all its partitions, in the strongest mode at once, for half of the
 * commands below need it and a lock that grows may deadlock.  A rule therefore changes
 * while nobody writes the table, and the invalidation of its relcache entry tells every
 * backend that keeps something of the rule.
 *
 * The triggers fire in every session (ENABLE ALWAYS) and depend on the extension, which
 * takes them along when it is dropped; so does the publication.  Their names sort after
 * all that a person would choose: triggers fire in the order of their names.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/owner.h"
#include "shared/control.h"
#include "shared/stat.h"
#include "stored/subscription.h"
#include "stored/subscription_check.h"
#include "stored/table_rule.h"
#include "table/key.h"
#include "table/objection.h"
#include "table/register.h"
#include "table/register_check.h"
#include "table/table_query.h"
#include "table/tombstone_key.h"
#include "table/unsent.h"
#include "table/unversioned.h"

#define EXTENSION_NAME		"cdcsync"	/* its schema has the same name */
#define PUBLICATION_NAME	"cdcsync"

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

/* ---- steps ---- */

/* What every change of a rule begins with */
static void
begin_change(Oid relid)
{
	cdc_check_encoding();
	cdc_register_check_owner(relid);
	cdc_control_notify_at_commit();
	cdc_table_rule_lock();
}

/* Returns the oids of the table and of all its partitions */
static List *
lock_table(Oid relid)
{
	LockRelationOid(relid, AccessExclusiveLock);
	/* it may have changed hands while we waited */
	cdc_register_check_owner(relid);
	return find_all_inheritors(relid, AccessExclusiveLock, NULL);
}

/* A command that a table's owner may give, with his rights: it may run code of his */
static void
owner_command(Oid relid, const char *sql)
{
	CdcOwnerScope scope;
	int			result;

	cdc_owner_begin(&scope, cdc_table_query_owner(relid));
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	cdc_owner_end(&scope);
}

static void
forget_gone_tables(void)
{
	ListCell   *lc;

	foreach(lc, cdc_table_rule_delete_gone())
		cdc_stat_table_forget(lfirst_oid(lc));
}

static char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* false: it was so before */
static bool
set_identity_of(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	bool		full = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;

	relation_close(rel, NoLock);
	if (!full)
		owner_command(relid, psprintf("ALTER TABLE %s REPLICA IDENTITY FULL", table_name(relid)));
	return !full;
}

/*
 * Deletes and updates are decided by the row their author saw: events must show it.
 * Comes before what asks for the key, for the identity may decide which index that is.
 */
static void
set_replica_identity(List *members)
{
	ListCell   *lc;

	foreach(lc, members)
	{
		if (cdc_objection_is_table(lfirst_oid(lc)))
			(void) set_identity_of(lfirst_oid(lc));
	}
}

static char *
key_column_differs(const CdcKeyColumn *col)
{
	const char *name = quote_identifier(col->name);
	char	   *old = psprintf("OLD.%s", name);
	char	   *new = psprintf("NEW.%s", name);
	StringInfoData buf;

	if (OidIsValid(col->collation))
		new = psprintf("(%s COLLATE %s)", new, generate_collation_name(col->collation));
	initStringInfo(&buf);
	appendStringInfoString(&buf, "NOT (");
	generate_operator_clause(&buf, old, col->type, col->equality, new, col->type);
	appendStringInfoChar(&buf, ')');
	return buf.data;
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
		appendStringInfo(&buf, "%s%s", i == 0 ? "WHEN (" : " OR ",
						 key_column_differs(&key->columns[i]));
	appendStringInfoChar(&buf, ')');
	relation_close(rel, NoLock);
	return buf.data;
}

static void
create_triggers(Oid relid, bool has_version)
{
	char	   *table = table_name(relid);
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
		cdc_catalog_command(psprintf("CREATE OR REPLACE TRIGGER %s %s ON %s FOR EACH ROW %s "
									 "EXECUTE FUNCTION " EXTENSION_NAME ".%s()",
									 name, def->event, table,
									 def->on_key_change ? condition : "", def->function));
		owner_command(relid, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, name));
		cdc_catalog_command(psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION "
									 EXTENSION_NAME, name, table));
	}
}

/* What add_table leaves besides the identity; harmless where it is there already */
static void
set_up(Oid relid, bool has_version)
{
	create_triggers(relid, has_version);
	cdc_register_publish(relid);
	CacheInvalidateRelcacheByRelid(relid);
	cdc_register_warn_of_triggers(relid);
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
			owner_command(relid, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
										  table_name(relid), quote_identifier(trigger->tgname)));
	}
}

/*
 * What add_table gave a registered table, or a partition of one, after a command changed
 * it: the identity, and that its triggers fire in every session.  true: the identity was
 * another one.  SPI is connected by the caller, and the table locked.
 */
bool
cdc_register_keep(Oid relid)
{
	keep_triggers(relid);
	return set_identity_of(relid);
}

static void
drop_triggers(Oid relid)
{
	for (int i = 0; i < lengthof(trigger_defs); i++)
	{
		const char *name = trigger_defs[i].name;

		if (OidIsValid(get_trigger_oid(relid, name, true)))
			owner_command(relid, psprintf("DROP TRIGGER %s ON %s", quote_identifier(name),
										  table_name(relid)));
	}
}

/* ---- the publication ---- */

static Oid
publication_owner(Oid pubid)
{
	HeapTuple	tuple = SearchSysCache1(PUBLICATIONOID, ObjectIdGetDatum(pubid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for publication %u", pubid);
	owner = ((Form_pg_publication) GETSTRUCT(tuple))->pubowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* One that somebody else made: he could take out of it what others put in */
static void
refuse_foreign_publication(Oid pubid)
{
	Oid			owner = publication_owner(pubid);

	if (has_privs_of_role(owner, cdc_catalog_owner()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("publication \"%s\" belongs to role \"%s\"", PUBLICATION_NAME,
					GetUserNameFromId(owner, false)),
			 errdetail("Its owner could take others' tables out of it."),
			 errhint("Run ALTER PUBLICATION %s OWNER TO %s.", PUBLICATION_NAME,
					 quote_identifier(GetUserNameFromId(cdc_catalog_owner(), false)))));
}

/* It is made if there is none */
static Publication *
get_publication(void)
{
	if (!OidIsValid(get_publication_oid(PUBLICATION_NAME, true)))
		cdc_catalog_command("CREATE PUBLICATION " PUBLICATION_NAME
							" WITH (publish_via_partition_root = true)");
	refuse_foreign_publication(get_publication_oid(PUBLICATION_NAME, false));
	return GetPublicationByName(PUBLICATION_NAME, false);
}

/* DROP EXTENSION shall drop it; a dump does not bring that along */
static void
own_publication(Oid pubid)
{
	Oid			extension = cdc_catalog_extension();
	ObjectAddress depender;
	ObjectAddress referenced;

	if (list_member_oid(getAutoExtensionsOfObject(PublicationRelationId, pubid), extension))
		return;
	ObjectAddressSet(depender, PublicationRelationId, pubid);
	ObjectAddressSet(referenced, ExtensionRelationId, extension);
	recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO_EXTENSION);
}

static bool
is_published(const Publication *publication, Oid relid)
{
	return publication->alltables ||
		SearchSysCacheExists2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid),
							  ObjectIdGetDatum(publication->oid));
}

/* Add a table to the publication; SPI is connected by the caller */
void
cdc_register_publish(Oid relid)
{
	Publication *publication = get_publication();

	own_publication(publication->oid);
	/* under REPLICA IDENTITY FULL the server refuses updates of a row that is not published whole */
	if (!cdc_publishes_generated(publication))
		cdc_catalog_command("ALTER PUBLICATION " PUBLICATION_NAME
							" SET (" CDC_PUBLISH_GENERATED ")");
	if (!is_published(publication, relid))
		cdc_catalog_command(psprintf("ALTER PUBLICATION " PUBLICATION_NAME " ADD TABLE %s",
									 table_name(relid)));
	if (!XLogLogicalInfoActive())
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes of table \"%s\" cannot be captured yet", get_rel_name(relid)),
				 errhint("Set \"wal_level\" to \"logical\" and restart the server.")));
}

/*
 * Before DROP EXTENSION: a dump does not bring along that the publication goes with the
 * extension.  In a transaction.
 */
void
cdc_register_own_publication(void)
{
	Oid			pubid = get_publication_oid(PUBLICATION_NAME, true);

	if (!OidIsValid(pubid) || !has_privs_of_role(publication_owner(pubid), cdc_catalog_owner()))
		return;
	own_publication(pubid);
	CommandCounterIncrement();
}

static void
unpublish(Oid relid)
{
	Publication *publication = GetPublicationByName(PUBLICATION_NAME, true);

	if (publication != NULL && !publication->alltables && is_published(publication, relid))
		cdc_catalog_command(psprintf("ALTER PUBLICATION " PUBLICATION_NAME " DROP TABLE %s",
									 table_name(relid)));
}

/* ---- the rule ---- */

/* A name without a schema is one of the local table's schema */
static void
read_source_table(CdcTableRuleChange *change, text *name)
{
	List	   *parts = textToQualifiedNameList(name);

	if (list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid source table \"%s\"", text_to_cstring(name)),
				 errhint("Give it as \"schema.table\".")));
	change->source_schema = list_length(parts) == 2 ? strVal(linitial(parts)) :
		get_namespace_name(get_rel_namespace(change->relid));
	change->source_table = strVal(llast(parts));
}

/* Does the map, but for one of its pairs, give a value to this local column? */
static bool
is_mapped(List *map, const char *local, const CdcColumnPair *except)
{
	ListCell   *lc;

	foreach(lc, map)
	{
		const CdcColumnPair *pair = lfirst(lc);

		if (pair != except && strcmp(pair->local, local) == 0)
			return true;
	}
	return false;
}

static void
check_column_pair(Oid relid, List *map, const CdcColumnPair *pair)
{
	AttrNumber	attnum = get_attnum(relid, pair->local);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", pair->local,
						get_rel_name(relid)),
				 errhint("column_map maps remote column names to local ones.")));
	if (get_attgenerated(relid, attnum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\", which is generated", pair->local)));
	if (is_mapped(map, pair->local, pair))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\" twice", pair->local)));
	/* a column that is not mapped keeps its name, and would get the value as well */
	if (get_attnum(relid, pair->remote) > 0 && !is_mapped(map, pair->remote, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("remote column \"%s\" belongs to two columns", pair->remote),
				 errdetail("column_map gives it to column \"%s\", but there is a column \"%s\", too.",
						   pair->local, pair->remote),
				 errhint("Map another remote column to \"%s\".", pair->remote)));
}

static void
check_column_map(Oid relid, List *map)
{
	ListCell   *lc;

	foreach(lc, map)
		check_column_pair(relid, map, lfirst(lc));
}

/* The arguments that add_table and alter_table_rule have in common, but the table */
static void
read_args(FunctionCallInfo fcinfo, CdcTableRuleChange *change, bool *truncate)
{
	if (!PG_ARGISNULL(1))
		change->version_column = NameStr(*PG_GETARG_NAME(1));
	if (!PG_ARGISNULL(2))
	{
		change->conflicts = text_to_cstring(PG_GETARG_TEXT_PP(2));
		cdc_subscription_check_option("conflicts", change->conflicts);
	}
	if (!PG_ARGISNULL(3))
		read_source_table(change, PG_GETARG_TEXT_PP(3));
	if (!PG_ARGISNULL(4))
	{
		change->column_map = PG_GETARG_JSONB_P(4);
		check_column_map(change->relid, cdc_table_rule_column_map(change->column_map));
	}
	if (!PG_ARGISNULL(5))
	{
		*truncate = PG_GETARG_BOOL(5);
		change->truncate = truncate;
	}
}

static void
refuse_shared_source(const CdcTableRuleChange *change)
{
	CdcTableRule *rule = cdc_table_rule_for_source(change->source_schema, change->source_table);

	if (rule != NULL && rule->relid != change->relid)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("source table %s is registered for table %s already",
						quote_qualified_identifier(change->source_schema, change->source_table),
						table_name(rule->relid))));
}

/* The versions of tombstones are those of the old column: it may only have been renamed */
static void
check_renamed_version_column(const CdcTableRule *rule, const char *column)
{
	if (rule->version_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot give table \"%s\" a version column", get_rel_name(rule->relid)),
				 errdetail("Its versions are commit timestamps."),
				 errhint("Use cdcsync.remove_table and cdcsync.add_table on every node.")));
	if (strcmp(rule->version_column, column) == 0)
		return;
	if (get_attnum(rule->relid, rule->version_column) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change the version column of table \"%s\"",
						get_rel_name(rule->relid)),
				 errdetail("Column \"%s\" is still there, so it has not been renamed.",
						   rule->version_column),
				 errhint("Use cdcsync.remove_table and cdcsync.add_table on every node.")));
	cdc_register_check_version_column(rule->relid, column);
}

/* Its tombstones, too, are those of the key that it has now */
static void
follow_key(Oid relid)
{
	CdcTableRule *rule = cdc_table_rule_for_relation(relid);
	Relation	rel = relation_open(relid, NoLock);
	CdcClock	clock = CDC_CLOCK_COMMIT;
	CdcOwnerScope scope;

	if (rule->version_column != NULL)
		clock = cdc_clock_for_type(get_atttype(relid, get_attnum(relid, rule->version_column)),
								   -1, rule->version_column);
	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	cdc_tombstone_key_follow(cdc_key_make(rel), clock);
	cdc_owner_end(&scope);
	relation_close(rel, NoLock);
}

/* Raises the error that there is no rule for it */
void
cdc_register_no_such_rule(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" is not registered", get_rel_name(relid)),
			 errhint("Register it with cdcsync.add_table.")));
}

/* ---- small ones ---- */

static Oid
table_arg(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null")));
	return PG_GETARG_OID(0);
}

/* ---- SQL interface ---- */

PG_FUNCTION_INFO_V1(cdcsync_add_table);
Datum
cdcsync_add_table(PG_FUNCTION_ARGS)
{
	CdcTableRuleChange change = {.relid = table_arg(fcinfo)};
	bool		truncate;
	List	   *members;

	SPI_connect();
	begin_change(change.relid);
	forget_gone_tables();
	members = lock_table(change.relid);
	if (cdc_table_rule_for_relation(change.relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is registered already", get_rel_name(change.relid)),
				 errhint("Change its rule with cdcsync.alter_table_rule.")));
	set_replica_identity(members);
	cdc_register_check_table(change.relid, members);
	read_args(fcinfo, &change, &truncate);
	if (change.version_column == NULL)
		cdc_register_check_commit_clock(change.relid);
	else
		cdc_register_check_version_column(change.relid, change.version_column);
	if (change.source_table == NULL)
	{
		change.source_schema = get_namespace_name(get_rel_namespace(change.relid));
		change.source_table = get_rel_name(change.relid);
	}
	refuse_shared_source(&change);

	cdc_table_rule_insert(&change);
	set_up(change.relid, change.version_column != NULL);
	follow_key(change.relid);
	if (change.version_column == NULL)
		cdc_subscription_warn_of_paths();
	cdc_unsent_note_rows(change.relid, change.relid);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_alter_table_rule);
Datum
cdcsync_alter_table_rule(PG_FUNCTION_ARGS)
{
	CdcTableRuleChange change = {.relid = table_arg(fcinfo)};
	bool		truncate;
	CdcTableRule *rule;
	List	   *members;

	SPI_connect();
	begin_change(change.relid);
	members = lock_table(change.relid);
	rule = cdc_table_rule_for_relation(change.relid);
	if (rule == NULL)
		cdc_register_no_such_rule(change.relid);
	set_replica_identity(members);
	cdc_register_check_table(change.relid, members);
	read_args(fcinfo, &change, &truncate);
	if (change.version_column != NULL)
		check_renamed_version_column(rule, change.version_column);
	if (change.source_table != NULL)
		refuse_shared_source(&change);

	cdc_table_rule_update(&change);
	cdc_unsent_forget(change.relid, CDC_UNSENT_TRUNCATE);
	cdc_unsent_forget(change.relid, CDC_UNSENT_DETACH);
	set_up(change.relid, rule->version_column != NULL);
	follow_key(change.relid);
	if (rule->version_column != NULL)
		cdc_unversioned_mend(change.relid, change.version_column ? change.version_column :
							 rule->version_column);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_remove_table);
Datum
cdcsync_remove_table(PG_FUNCTION_ARGS)
{
	Oid			relid = table_arg(fcinfo);

	SPI_connect();
	begin_change(relid);
	(void) lock_table(relid);
	if (!cdc_table_rule_delete(relid))
		cdc_register_no_such_rule(relid);
	drop_triggers(relid);
	unpublish(relid);
	CacheInvalidateRelcacheByRelid(relid);
	cdc_stat_table_forget(relid);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Rows that are there already were written before anybody counted: they get one
 * version, the same on every node, so that they are older than any later change and
 * nodes that hold different rows of one key choose the same.
 */
PG_FUNCTION_INFO_V1(cdcsync_add_version_column);
Datum
cdcsync_add_version_column(PG_FUNCTION_ARGS)
{
	Oid			relid = table_arg(fcinfo);
	const char *column;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column_name must not be null")));
	column = quote_identifier(NameStr(*PG_GETARG_NAME(1)));
	cdc_register_check_owner(relid);
	SPI_connect();
	cdc_register_check_table(relid, lock_table(relid));
	owner_command(relid, psprintf("ALTER TABLE %s ADD COLUMN %s pg_catalog.timestamptz NOT NULL "
								  "DEFAULT '1970-01-01 00:00:00+00'",
								  table_name(relid), column));
	owner_command(relid, psprintf("ALTER TABLE %s ALTER COLUMN %s "
								  "SET DEFAULT pg_catalog.clock_timestamp()",
								  table_name(relid), column));
	SPI_finish();
	PG_RETURN_VOID();
}
