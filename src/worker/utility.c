/*
 * utility.c
 *		Utility commands that concern the apply workers.
 *
 * A connected worker blocks commands that need a database or the extension for
 * themselves: it is held off, from before the command to the end of the transaction.
 * Only for who may give the command: a hold is not a way to stop somebody's worker.
 * What the dropped database or extension leaves outside its catalogs goes after it.
 * Any DDL may mend what a stopped partition has stumbled over: that of a registered table
 * lets it try again at once, other DDL at growing intervals.  What it must not do to such
 * a table is table_ddl.c's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/altered.h"
#include "base/extension.h"
#include "base/subxact.h"
#include "shared/control.h"
#include "shared/peer_stat.h"
#include "shared/stat.h"
#include "table/origin.h"
#include "table/publication.h"
#include "table/table_ddl.h"
#include "worker/utility.h"

#define LANGUAGE_NAME "plpgsql"	/* of some of its functions, and an extension that takes it along */

/* What is to be done after a command; nothing of its parse tree may be looked at then */
typedef struct Aftermath
{
	Oid			dropped;		/* database that the command drops */
	Oid			probed;			/* database that it may open to connections */
	bool		extension;		/* it may have dropped the extension */
	bool		retry;			/* it may have mended something */
	bool		ddl;			/* what it alters is of interest, */
	CdcDdl		of_tables;		/* and of these more */
} Aftermath;

static ProcessUtility_hook_type prev_process_utility = NULL;

static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

static bool
may_create_database(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return result;
}

/* Its owner may, and who may copy it, to copy it */
static bool
may_stop(Oid dboid, bool to_copy)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	Form_pg_database form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_database) GETSTRUCT(tuple);
	result = has_privs_of_role(GetUserId(), form->datdba) ||
		(to_copy && form->datistemplate && may_create_database());
	ReleaseSysCache(tuple);
	return result;
}

static void
hold_template(const CreatedbStmt *stmt)
{
	DefElem    *option = find_option(stmt->options, "template");
	Oid			dboid;

	dboid = get_database_oid(option != NULL && option->arg != NULL ? defGetString(option) :
							 "template1", true);
	if (OidIsValid(dboid) && may_stop(dboid, true))
		cdc_control_hold(dboid);
}

/* Returns the database's oid, or InvalidOid if the command will fail or do nothing */
static Oid
hold_database(const char *name)
{
	Oid			dboid = get_database_oid(name, true);

	if (!OidIsValid(dboid) || !may_stop(dboid, false))
		return InvalidOid;
	cdc_control_hold(dboid);
	return dboid;
}

/* Returns the database if its options may open it to connections */
static Oid
alter_database(const AlterDatabaseStmt *stmt)
{
	if (find_option(stmt->options, "tablespace") != NULL)
		(void) hold_database(stmt->dbname);
	if (find_option(stmt->options, "allow_connections") != NULL)
		return get_database_oid(stmt->dbname, true);
	return InvalidOid;
}

/* A worker would go on with the old value: it never begins a session of its own accord */
static bool
sets_cdcsync(const VariableSetStmt *stmt)
{
	return stmt->kind == VAR_RESET_ALL || pg_strncasecmp(stmt->name, "cdcsync.", 8) == 0;
}

static bool
names_cdcsync(const DropStmt *stmt)
{
	ListCell   *lc;

	if (stmt->removeType != OBJECT_EXTENSION && stmt->removeType != OBJECT_SCHEMA)
		return false;
	foreach(lc, stmt->objects)
	{
		if (strcmp(strVal(lfirst(lc)), CDC_EXTENSION_NAME) == 0 ||
			(stmt->behavior == DROP_CASCADE && strcmp(strVal(lfirst(lc)), LANGUAGE_NAME) == 0))
			return true;
	}
	return false;
}

static bool
drops_owner(const DropOwnedStmt *stmt, Oid owner)
{
	ListCell   *lc;

	foreach(lc, stmt->roles)
	{
		if (get_rolespec_oid(lfirst(lc), true) == owner)
			return has_privs_of_role(GetUserId(), owner);
	}
	return false;
}

static Oid
schema_owner(void)
{
	Oid			schema = get_namespace_oid(CDC_EXTENSION_NAME, true);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

static bool
may_drop_extension(Node *stmt)
{
	Oid			owner;

	if (IsA(stmt, DropStmt) && !names_cdcsync((DropStmt *) stmt))
		return false;
	if (!OidIsValid(cdc_extension_oid()))
		return false;

	if (IsA(stmt, DropOwnedStmt))
		return drops_owner((DropOwnedStmt *) stmt, cdc_extension_owner()) ||
			drops_owner((DropOwnedStmt *) stmt, schema_owner());
	owner = ((DropStmt *) stmt)->removeType == OBJECT_SCHEMA ? schema_owner() :
		cdc_extension_owner();
	return has_privs_of_role(GetUserId(), owner);
}

/* True if the command can drop the extension from this database */
static bool
hold_extension(Node *stmt)
{
	if (!may_drop_extension(stmt))
		return false;
	cdc_control_hold(MyDatabaseId);
	cdc_publication_own();
	return true;
}

static Aftermath
before_command(Node *stmt)
{
	Aftermath	aftermath = {0};

	aftermath.retry = GetCommandLogLevel(stmt) == LOGSTMT_DDL;
	aftermath.ddl = aftermath.retry || IsA(stmt, TruncateStmt);
	if (aftermath.ddl)
		aftermath.of_tables = cdc_table_ddl_begin(stmt);
	switch (nodeTag(stmt))
	{
		case T_CreatedbStmt:
			hold_template((CreatedbStmt *) stmt);
			break;
		case T_DropdbStmt:
			aftermath.dropped = hold_database(((DropdbStmt *) stmt)->dbname);
			break;
		case T_AlterDatabaseStmt:
			aftermath.probed = alter_database((AlterDatabaseStmt *) stmt);
			break;
		case T_AlterDatabaseSetStmt:
			if (sets_cdcsync(((AlterDatabaseSetStmt *) stmt)->setstmt))
				(void) hold_database(((AlterDatabaseSetStmt *) stmt)->dbname);
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				(void) hold_database(((RenameStmt *) stmt)->subname);
			break;
		case T_DropStmt:
		case T_DropOwnedStmt:
			aftermath.extension = hold_extension(stmt);
			break;
		case T_TransactionStmt:
			/* the DDL in it was done long ago, and ends only now */
			aftermath.retry = ((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED;
			break;
		default:
			break;
	}
	return aftermath;
}

static void
attempt_drop_origins(void *arg)
{
	HOLD_INTERRUPTS();			/* an error ends that, too */
	cdc_origin_drop_all(*(Oid *) arg);
	RESUME_INTERRUPTS();
}

static bool
is_any_error(const ErrorData *error)
{
	return true;
}

/* The database's files are gone: nothing may undo that it is gone from the catalog */
static void
drop_origins(Oid dboid)
{
	ErrorData  *error = cdc_subxact_attempt(attempt_drop_origins, &dboid, is_any_error);

	if (error != NULL)
		ereport(WARNING,
				(errmsg("the replication origins of the dropped database stay: %s", error->message),
				 errhint("Run SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname LIKE 'cdcsync:%u:%%'.",
						 dboid)));
}

static void
after_command(const Aftermath *aftermath)
{
	if (OidIsValid(aftermath->dropped))
	{
		drop_origins(aftermath->dropped);
		cdc_stat_forget_database(aftermath->dropped);
		cdc_peer_stat_forget_database(aftermath->dropped);
	}
	if (OidIsValid(aftermath->probed))
		cdc_control_probe_at_commit(aftermath->probed);
	if (aftermath->extension)
	{
		CommandCounterIncrement();
		if (!OidIsValid(cdc_extension_oid()))
		{
			cdc_origin_drop_all(MyDatabaseId);
			cdc_stat_forget_database(MyDatabaseId);
			cdc_peer_stat_forget_database(MyDatabaseId);
		}
	}
}

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	Aftermath	aftermath = {0};
	CdcAltered	altered = {0};
	bool		concerned;

	if (!IsParallelWorker())
		aftermath = before_command(pstmt->utilityStmt);
	if (aftermath.ddl)
		cdc_altered_begin(&altered);
	PG_TRY();
	{
		if (prev_process_utility)
			prev_process_utility(pstmt, query, read_only_tree, context, params, query_env,
								 dest, qc);
		else
			standard_ProcessUtility(pstmt, query, read_only_tree, context, params, query_env,
									dest, qc);
		if (aftermath.ddl && IsTransactionState())
			CommandCounterIncrement();
	}
	PG_FINALLY();
	{
		if (aftermath.ddl)
			cdc_altered_end(&altered);
	}
	PG_END_TRY();
	after_command(&aftermath);
	concerned = cdc_table_ddl_end(&aftermath.of_tables, altered.relids);
	if (aftermath.retry)
		cdc_control_retry_at_commit(concerned);
}

void
cdc_utility_hook(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
