/*
 * unsent.c
 *		What happened to registered tables here and does not travel, until it is mended.
 *
 * The command says so when it is typed; check() goes on saying it to those who come later.
 * It is forgotten when somebody says that it was mended (alter_table_rule, republish), or
 * the table is registered no more.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/extension.h"
#include "base/table_name.h"
#include "table/table_query.h"
#include "table/unsent.h"

static void
execute(CdcStatement *statement, Oid relid, const char *what)
{
	Datum		values[2] = {ObjectIdGetDatum(relid), CStringGetTextDatum(what)};

	cdc_extension_execute(statement, values, NULL);
}

/* SPI is connected, as for all here.  The time is that of the last time */
void
cdc_unsent_note(Oid relid, const char *what)
{
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.unsent (relation, what) VALUES ($1, $2) "
		"ON CONFLICT (relation, what) DO UPDATE SET at = excluded.at",
		.nargs = 2,
		.argtypes = {OIDOID, TEXTOID}
	};

	execute(&insert, relid, what);
}

/* Somebody has mended it */
void
cdc_unsent_forget(Oid relid, const char *what)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.unsent WHERE relation OPERATOR(pg_catalog.=) $1 "
		"AND what OPERATOR(pg_catalog.=) $2",
		.nargs = 2,
		.argtypes = {OIDOID, TEXTOID}
	};

	execute(&delete, relid, what);
}

/*
 * A registered table has got rows of another one, which is it or became a partition of it:
 * if a connector has begun already, it will not send them.  Says so, and remembers it.
 */
void
cdc_unsent_note_rows(Oid relid, Oid of)
{
	static CdcStatement connector = {
		.sql = "SELECT FROM pg_catalog.pg_replication_slots "
		"WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database() "
		"AND plugin OPERATOR(pg_catalog.=) 'pgoutput' AND NOT temporary"
	};

	/* a connector that is made later begins with a snapshot of all rows */
	cdc_extension_execute(&connector, NULL, NULL);
	if (SPI_processed == 0 ||
		cdc_table_query(cdc_table_query_owner(of), psprintf("SELECT FROM %s LIMIT 1", cdc_table_name(of)),
						0, NULL, NULL) == 0)
		return;
	cdc_unsent_note(relid, CDC_UNSENT_ROWS);
	ereport(NOTICE,
			(errmsg("rows that table \"%s\" has already are not sent to other nodes",
					get_rel_name(of)),
			 errdetail("The connector of this database sends what is written from now on."),
			 errhint("When the other nodes are ready: SELECT * FROM cdcsync.republish(%s, '-infinity').",
					 quote_literal_cstr(cdc_table_name(relid)))));
}
