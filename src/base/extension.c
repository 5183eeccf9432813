/*
 * extension.c
 *		SPI on cdcsync's own tables, with the rights of the extension's owner.
 *
 * Users never have rights on these tables: the SQL functions check what the caller
 * may do, then come here.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/extension.h"
#include "base/session.h"

/* Whose rights and names those of the extension's owner are in place of */
typedef struct Caller
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
} Caller;

static Oid	owner = InvalidOid;		/* if known */

Oid
cdc_extension_oid(void)
{
	return get_extension_oid(CDC_EXTENSION_NAME, true);
}

static void
forget_owner(Datum arg, int cacheid, uint32 hashvalue)
{
	owner = InvalidOid;
}

/*
 * Nobody tells of changes of pg_extension; but with the extension its schema comes and
 * goes, and changes hands.
 */
static void
watch_owner(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_owner, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_owner, (Datum) 0);
	watching = true;
}

/* There is no syscache of extensions: one index lookup */
static Oid
extension_owner(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (!OidIsValid(result))
		elog(ERROR, "extension %u has no owner", extension);
	return result;
}

Oid
cdc_extension_owner(void)
{
	Oid			extension;

	if (OidIsValid(owner))
		return owner;
	watch_owner();
	extension = cdc_extension_oid();
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist in this database", CDC_EXTENSION_NAME),
				 errhint("Run CREATE EXTENSION %s.", CDC_EXTENSION_NAME)));
	return owner = extension_owner(extension);
}

/* A table of the extension, by its name */
Oid
cdc_extension_table(const char *name)
{
	return get_relname_relid(name, get_namespace_oid(CDC_EXTENSION_NAME, false));
}

/* Raises an error where the database is not in UTF8, in which events are written */
void
cdc_extension_check_encoding(void)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("database encoding %s is not supported", GetDatabaseEncodingName()),
				 errhint("Use cdcsync in a database with encoding UTF8.")));
}

MemoryContext
cdc_extension_begin(void)
{
	MemoryContext caller = CurrentMemoryContext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	return caller;
}

void
cdc_extension_commit(MemoryContext caller)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

static void
prepare(CdcStatement *statement)
{
	SPIPlanPtr	plan;

	if (statement->plan != NULL)
		return;
	plan = SPI_prepare(statement->sql, statement->nargs, statement->argtypes);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
}

/* The owner may do anything: what a name means is not the caller's to say.  An error ends it as well */
static Caller
become_owner(void)
{
	Caller		caller;

	GetUserIdAndSecContext(&caller.userid, &caller.sec_context);
	SetUserIdAndSecContext(cdc_extension_owner(),
						   caller.sec_context | SECURITY_LOCAL_USERID_CHANGE);
	caller.nestlevel = NewGUCNestLevel();
	cdc_session_pin_names();
	return caller;
}

static void
become_caller(const Caller *caller)
{
	AtEOXact_GUC(true, caller->nestlevel);
	SetUserIdAndSecContext(caller->userid, caller->sec_context);
}

/*
 * Run a kept statement; SPI is connected by the caller.  nulls may be NULL, else
 * 'n' per NULL argument.  Sees all that this transaction did.  Returns SPI's
 * result code; SPI_processed and SPI_tuptable are set.
 */
int
cdc_extension_execute(CdcStatement *statement, Datum *values, const char *nulls)
{
	Caller		caller = become_owner();
	int			result;

	prepare(statement);
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql,
			 SPI_result_code_string(result));

	become_caller(&caller);
	return result;
}

/* Run a statement that is not kept, likewise; nulls: 'n' per NULL argument */
void
cdc_extension_execute_once(const char *sql, int nargs, const Oid *argtypes, const Datum *values,
						   const char *nulls)
{
	Caller		caller = become_owner();
	int			result;
	result = SPI_execute_with_args(sql, nargs, unconstify(Oid *, argtypes),
								   unconstify(Datum *, values), nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	become_caller(&caller);
}

/* The same for a SELECT, as a cursor */
Portal
cdc_extension_open_cursor(CdcStatement *statement, Datum *values)
{
	Caller		caller = become_owner();
	Portal		portal;

	prepare(statement);
	portal = SPI_cursor_open(NULL, statement->plan, values, NULL, false);
	become_caller(&caller);
	return portal;
}

/* Run any one command as the extension's owner; SPI is connected by the caller */
void
cdc_extension_command(const char *sql)
{
	cdc_extension_execute_once(sql, 0, NULL, NULL, NULL);
}

/* A one-dimensional array as an argument, in CurrentMemoryContext */
Datum
cdc_extension_array(Datum *values, bool *nulls, int n, Oid type)
{
	int			dims[1] = {n};
	int			lbs[1] = {1};
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lbs, type, typlen,
											  typbyval, typalign));
}
