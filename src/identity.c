/*
 * identity.c
 *		Is this the database that the catalogs belong to?
 *
 * A dump that is restored elsewhere, or a database made from this one as a template,
 * brings the subscriptions and their offsets with it; a physical copy keeps the system
 * identifier and the oid and goes on as the same node.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "identity.h"

static bool is_remembered(void);
static bool is_remembered_by_now(void);
static void pause_all(void);
static Datum *identity_args(void);

void
cdc_identity_remember(void)
{
	static CdcStatement remember = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid) "
		"SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM cdcsync.local_identity) "
		"ON CONFLICT (singleton) DO NOTHING",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};

	cdc_catalog_execute(&remember, identity_args(), NULL);
}

void
cdc_identity_check(void)
{
	cdc_identity_remember();
	if (!is_remembered() && !is_remembered_by_now())
		pause_all();
}

static bool
is_remembered(void)
{
	static CdcStatement compare = {
		.sql = "SELECT FROM cdcsync.local_identity WHERE system_identifier OPERATOR(pg_catalog.=) $1 "
		"AND database_oid OPERATOR(pg_catalog.=) $2",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};

	cdc_catalog_execute(&compare, identity_args(), NULL);
	return SPI_processed > 0;
}

/* Waits for a resume() that has not committed, and keeps others waiting: they go on from the pause */
static bool
is_remembered_by_now(void)
{
	static CdcStatement lock = {
		.sql = "SELECT system_identifier OPERATOR(pg_catalog.=) $1 "
		"AND database_oid OPERATOR(pg_catalog.=) $2 FROM cdcsync.local_identity FOR UPDATE",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};
	bool		isnull;

	cdc_catalog_execute(&lock, identity_args(), NULL);
	return SPI_processed > 0 &&
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static void
pause_all(void)
{
	static CdcStatement pause = {
		.sql = "UPDATE cdcsync.subscription SET enabled = false WHERE enabled",
	};

	cdc_catalog_execute(&pause, NULL, NULL);
	if (SPI_processed > 0)
		ereport(WARNING,
				(errmsg("cdcsync subscriptions are paused, for this database is a copy of another one"),
				 errdetail("Two databases must not act as one node."),
				 errhint("In place of the other, as after pg_upgrade: run cdcsync.resume(). Beside it: set cdcsync.node_name to a name of its own first.")));
}

/* To be called before a subscription is enabled: the check locks in that order, too */
void
cdc_identity_accept(void)
{
	static CdcStatement accept = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid) VALUES ($1, $2) "
		"ON CONFLICT (singleton) DO UPDATE SET system_identifier = excluded.system_identifier, "
		"database_oid = excluded.database_oid",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};

	cdc_catalog_execute(&accept, identity_args(), NULL);
}

static Datum *
identity_args(void)
{
	static Datum args[2];

	args[0] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	args[1] = ObjectIdGetDatum(MyDatabaseId);
	return args;
}
