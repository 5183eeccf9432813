/*
 * identity.c
 *		Is this the database that the catalogs belong to?
 *
 * A dump that is restored elsewhere, or a database made from this one as a template,
 * brings the subscriptions and their offsets with it; a physical copy keeps the system
 * identifier and the oid and goes on as the same node.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"

#include "base/extension.h"
#include "base/result.h"
#include "stored/identity.h"

/* Of this database, and the transaction that says so: what a dump brings has another one */
static Datum *
identity_args(void)
{
	static Datum args[3];

	args[0] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	args[1] = ObjectIdGetDatum(MyDatabaseId);
	args[2] = TransactionIdGetDatum(GetCurrentTransactionId());
	return args;
}

/* The first who asks says which database it is */
void
cdc_identity_remember(void)
{
	static CdcStatement remember = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid, written_by) "
		"SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM cdcsync.local_identity) "
		"ON CONFLICT (singleton) DO NOTHING",
		.nargs = 3,
		.argtypes = {TEXTOID, OIDOID, XIDOID}
	};

	cdc_extension_execute(&remember, identity_args(), NULL);
}

/* With a warning that says what to do in either case */
static void
pause_all(void)
{
	static CdcStatement pause = {
		.sql = "UPDATE cdcsync.subscription SET enabled = false WHERE enabled",
	};

	cdc_extension_execute(&pause, NULL, NULL);
	if (SPI_processed > 0)
		ereport(WARNING,
				(errmsg("cdcsync subscriptions are paused, for this database is a copy of another one"),
				 errdetail("Two databases must not act as one node."),
				 errhint("In place of the other, as after pg_upgrade: run cdcsync.resume(). Beside it: set cdcsync.node_name to a name of its own first.")));
}

/* Locks in the order of cdc_identity_accept: the identity, then the subscriptions */
void
cdc_identity_check(void)
{
	static CdcStatement compare = {
		.sql = "SELECT FROM cdcsync.local_identity WHERE system_identifier OPERATOR(pg_catalog.=) $1 "
		"AND database_oid OPERATOR(pg_catalog.=) $2",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};
	static CdcStatement lock = {
		.sql = "SELECT system_identifier OPERATOR(pg_catalog.=) $1 "
		"AND database_oid OPERATOR(pg_catalog.=) $2 AS same FROM cdcsync.local_identity FOR UPDATE",
		.nargs = 2,
		.argtypes = {TEXTOID, OIDOID}
	};

	cdc_identity_remember();
	cdc_extension_execute(&compare, identity_args(), NULL);
	if (SPI_processed > 0)
		return;
	/* waits for a resume() that has not committed, and keeps others waiting: they go on from the pause */
	cdc_extension_execute(&lock, identity_args(), NULL);
	if (SPI_processed == 0 || !cdc_result_bool(0, "same"))
		pause_all();
}

/*
 * What a dump has brought was committed when it was restored, and is older than that: by
 * its commit time it would win over all changes since the dump.  A copy of the files
 * keeps transactions and their times.
 */
static void
take_restored_over(void)
{
	static CdcStatement statements[] = {
		{
			.sql = "UPDATE cdcsync.local_identity SET commits_known_from = "
			"pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) "
			"WHERE written_by IS NULL OR NOT (xmin OPERATOR(pg_catalog.=) written_by)"
		},
		/* when a tombstone was written is known: the delete's transaction ended soon after */
		{
			.sql = "UPDATE cdcsync.tombstone_data AS t SET version = "
			"EXTRACT(epoch FROM t.written_at) OPERATOR(pg_catalog.*) 1000000 "
			"FROM cdcsync.table_rule AS r WHERE r.relation OPERATOR(pg_catalog.=) t.relation "
			"AND r.version_column IS NULL AND t.version IS NULL"
		}
	};

	cdc_extension_execute(&statements[0], NULL, NULL);
	if (SPI_processed == 0)
		return;
	cdc_extension_execute(&statements[1], NULL, NULL);
	CacheInvalidateRelcacheByRelid(cdc_extension_table("local_identity"));
}

/* To be called before a subscription is enabled: the check locks in that order, too */
void
cdc_identity_accept(void)
{
	static CdcStatement accept = {
		.sql = "INSERT INTO cdcsync.local_identity (system_identifier, database_oid, written_by) "
		"VALUES ($1, $2, $3) "
		"ON CONFLICT (singleton) DO UPDATE SET system_identifier = excluded.system_identifier, "
		"database_oid = excluded.database_oid, written_by = excluded.written_by",
		.nargs = 3,
		.argtypes = {TEXTOID, OIDOID, XIDOID}
	};

	take_restored_over();
	cdc_extension_execute(&accept, identity_args(), NULL);
}
