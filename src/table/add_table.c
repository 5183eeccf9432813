/*
 * add_table.c
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
 * Each step may be taken again: alter_table_rule goes the same way over a table that is set
 * up, and so repairs what somebody took away.  The replica identity comes first, for it may
 * decide which index the key is; the rule comes before the triggers, which look for it.
 *
 * add_tables takes the tables of a schema one by one, each in a subtransaction that ends
 * with its locks where the table is refused; those that are registered stay locked to the
 * end, in the order of their names.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/extension.h"
#include "base/own_row.h"
#include "base/owner.h"
#include "base/result.h"
#include "base/subxact.h"
#include "base/table_name.h"
#include "shared/control.h"
#include "shared/stat.h"
#include "stored/subscription.h"
#include "stored/table_rule.h"
#include "table/add_table_check.h"
#include "table/key.h"
#include "table/publication.h"
#include "table/sequence_key.h"
#include "table/table_query.h"
#include "table/table_setup.h"
#include "table/tombstone_key.h"
#include "table/unsent.h"
#include "table/unversioned.h"

/* ---- steps ---- */

/* What every change of a rule begins with */
static void
begin_change(Oid relid)
{
	cdc_extension_check_encoding();
	cdc_add_table_check_owner(relid);
	cdc_control_notify_at_commit();
	cdc_table_rule_lock();
}

/* Returns the oids of the table and of all its partitions */
static List *
lock_table(Oid relid)
{
	LockRelationOid(relid, AccessExclusiveLock);
	/* it may have changed hands while we waited */
	cdc_add_table_check_owner(relid);
	return find_all_inheritors(relid, AccessExclusiveLock, NULL);
}

/* What add_table leaves besides the identity; harmless where it is there already */
static void
set_up(Oid relid, bool has_version)
{
	cdc_table_setup_triggers(relid, has_version);
	cdc_publication_add(relid);
	CacheInvalidateRelcacheByRelid(relid);
	cdc_add_table_warn_of_triggers(relid);
}

/* ---- the rule ---- */

/*
 * The row of a rule that is to be made or changed: the options that the function was given
 * are checked, and are in *rule as well.
 */
static CdcOwnRow
read_args(FunctionCallInfo fcinfo, CdcTableRule *rule)
{
	CdcOwnRow	row = {.table = "table_rule"};

	cdc_own_row_set(&row, "relation", OIDOID, ObjectIdGetDatum(rule->relid));
	cdc_option_read_args(cdc_table_rule_options, fcinfo, rule->relid, rule, &row);
	if (rule->source_table != NULL)
		cdc_own_row_set(&row, "own_name", BOOLOID,
						BoolGetDatum(cdc_table_rule_is_name(rule->relid, rule->source_schema,
															rule->source_table)));
	return row;
}

static void
refuse_shared_source(const CdcTableRule *asked)
{
	CdcTableRule *rule = cdc_table_rule_for_source(asked->source_schema, asked->source_table);

	if (rule != NULL && rule->relid != asked->relid)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("source table %s is registered for table %s already",
						quote_qualified_identifier(asked->source_schema, asked->source_table),
						cdc_table_name(rule->relid))));
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
	cdc_add_table_check_version_column(rule->relid, column);
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

/* One table, with the options that the function was given; SPI is not connected */
static void
add(FunctionCallInfo fcinfo, Oid relid)
{
	CdcTableRule rule = {.relid = relid};
	CdcOwnRow	row;
	List	   *members;
	ListCell   *lc;

	SPI_connect();
	begin_change(relid);
	foreach(lc, cdc_table_rule_delete_gone())
		cdc_stat_table_forget(lfirst_oid(lc));
	members = lock_table(relid);
	if (cdc_table_rule_for_relation(relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is registered already", get_rel_name(relid)),
				 errhint("Change its rule with cdcsync.alter_table_rule.")));
	cdc_table_setup_identity(members);
	cdc_add_table_check_table(relid, members);
	row = read_args(fcinfo, &rule);
	if (rule.version_column == NULL)
		cdc_add_table_check_commit_clock(relid);
	else
		cdc_add_table_check_version_column(relid, rule.version_column);
	/* without a source table, events have the table's own name */
	if (rule.source_table == NULL)
	{
		rule.source_schema = get_namespace_name(get_rel_namespace(relid));
		rule.source_table = get_rel_name(relid);
		cdc_own_row_set_text(&row, "source_table", quote_qualified_identifier(rule.source_schema, rule.source_table));
		cdc_own_row_set(&row, "own_name", BOOLOID, BoolGetDatum(true));
	}
	refuse_shared_source(&rule);

	(void) cdc_own_row_insert(&row, 0);
	set_up(relid, rule.version_column != NULL);
	follow_key(relid);
	if (rule.version_column == NULL)
		cdc_subscription_warn_of_paths();
	cdc_unsent_note_rows(relid, relid);
	cdc_sequence_key_notice(relid);
	SPI_finish();
}

PG_FUNCTION_INFO_V1(cdcsync_add_table);
Datum
cdcsync_add_table(PG_FUNCTION_ARGS)
{
	add(fcinfo, table_arg(fcinfo));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cdcsync_alter_table_rule);
Datum
cdcsync_alter_table_rule(PG_FUNCTION_ARGS)
{
	CdcTableRule asked = {.relid = table_arg(fcinfo)};
	CdcTableRule *rule;
	CdcOwnRow	row;
	List	   *members;

	SPI_connect();
	begin_change(asked.relid);
	members = lock_table(asked.relid);
	rule = cdc_table_rule_for_relation(asked.relid);
	if (rule == NULL)
		cdc_table_rule_missing(asked.relid);
	cdc_table_setup_identity(members);
	cdc_add_table_check_table(asked.relid, members);
	row = read_args(fcinfo, &asked);
	if (asked.version_column != NULL)
		check_renamed_version_column(rule, asked.version_column);
	if (asked.source_table != NULL)
		refuse_shared_source(&asked);

	(void) cdc_own_row_update(&row, 1);
	cdc_unsent_forget(asked.relid, CDC_UNSENT_TRUNCATE);
	cdc_unsent_forget(asked.relid, CDC_UNSENT_DETACH);
	set_up(asked.relid, rule->version_column != NULL);
	follow_key(asked.relid);
	if (rule->version_column != NULL)
		cdc_unversioned_mend(asked.relid, asked.version_column ? asked.version_column :
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
		cdc_table_rule_missing(relid);
	cdc_table_setup_drop_triggers(relid);
	cdc_publication_remove(relid);
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
	cdc_add_table_check_owner(relid);
	SPI_connect();
	cdc_add_table_check_table(relid, lock_table(relid));
	cdc_table_query_command(relid, psprintf("ALTER TABLE %s ADD COLUMN %s pg_catalog.timestamptz NOT NULL "
								  "DEFAULT '1970-01-01 00:00:00+00'",
								  cdc_table_name(relid), column));
	cdc_table_query_command(relid, psprintf("ALTER TABLE %s ALTER COLUMN %s "
								  "SET DEFAULT pg_catalog.clock_timestamp()",
								  cdc_table_name(relid), column));
	SPI_finish();
	PG_RETURN_VOID();
}

/* ---- all of a schema ---- */

/* A table that is to be registered, as the work of a subtransaction */
typedef struct Candidate
{
	FunctionCallInfo fcinfo;
	Oid			relid;
} Candidate;

static void
add_candidate(void *arg)
{
	add(((Candidate *) arg)->fcinfo, ((Candidate *) arg)->relid);
}

/* What is wrong with the table, or with who asks; neither with the server nor with the command */
static bool
is_about_table(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category != ERRCODE_OPERATOR_INTERVENTION && category != ERRCODE_INSUFFICIENT_RESOURCES &&
		category != ERRCODE_SYSTEM_ERROR && category != ERRCODE_INTERNAL_ERROR;
}

/*
 * Plain and partitioned tables by name, in which order they are locked.  Partitions go with
 * their table, and an extension's tables are its own.
 */
static List *
tables_of(Oid schema)
{
	static CdcStatement select = {
		.sql = "SELECT c.oid FROM pg_catalog.pg_class AS c "
		"WHERE c.relnamespace OPERATOR(pg_catalog.=) $1 AND NOT c.relispartition "
		"AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[]) ORDER BY c.relname",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	MemoryContext caller = CurrentMemoryContext;
	Datum		arg = ObjectIdGetDatum(schema);
	List	   *result = NIL;

	SPI_connect();
	cdc_extension_execute(&select, &arg, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Oid			relid = (Oid) cdc_result_int8(i, "oid", 0);

		if (!OidIsValid(getExtensionOfObject(RelationRelationId, relid)))
			result = lappend_oid(result, relid);
	}
	SPI_finish();
	return result;
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/*
 * add_tables(schema, ...): add_table of each, and a row that says what was done.  What one
 * is refused for stops no other.  Those that were registered stay locked to the end of the
 * transaction.
 */
PG_FUNCTION_INFO_V1(cdcsync_add_tables);
Datum
cdcsync_add_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("schema must not be null")));
	foreach(lc, tables_of(PG_GETARG_OID(0)))
	{
		Candidate	candidate = {fcinfo, lfirst_oid(lc)};
		bool		known = cdc_table_rule_for_relation(candidate.relid) != NULL;
		ErrorData  *error = known ? NULL : cdc_subxact_attempt(add_candidate, &candidate, is_about_table);
		Datum		values[5] = {ObjectIdGetDatum(candidate.relid)};
		bool		nulls[5] = {false};

		values[1] = CStringGetTextDatum(known ? "unchanged" : error ? "refused" : "registered");
		values[2] = text_or_null(error ? error->message : NULL, &nulls[2]);
		values[3] = text_or_null(error ? error->detail : NULL, &nulls[3]);
		values[4] = text_or_null(error ? error->hint : NULL, &nulls[4]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
