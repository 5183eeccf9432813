/*
 * conflict_log.c
 *		The record of conflicts: cdcsync.conflict_history, and the server's log.
 *
 * Records are written with the rows they are about, by one statement per transaction, in
 * a subtransaction.  The server's log gets a line for each up to a limit per minute; how
 * many were left out is said with the first line of a later minute.
 *
 * The record is for people, and never stops what it is about: what goes wrong in writing it
 * is a warning, but for the end of the process or the query.  It commits with the rows, so
 * what is rolled back and tried again leaves one record; the log's line comes after the
 * commit.
 *
 * A conflict whose handling is "error" undoes its transaction, and its record with it.
 * That one record is kept in memory, with the address of the message it is about, until the
 * partition stops there, and is then written in a transaction of its own; once, however
 * often the message is tried: the table is asked whether it has it.
 *
 * Who may see a row's values is decided by the view cdcsync.conflict_history; nobody else
 * reads the table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/guc.h"
#include "base/log_limit.h"
#include "base/printable.h"
#include "base/subxact.h"
#include "stored/conflict_limit.h"
#include "stored/conflict_log.h"

/* A record whose transaction was undone, with the message it is about */
static CdcConflictRecord *stashed = NULL;
static const CdcMessage *stashed_message = NULL;
static MemoryContext stash_context = NULL;

static Jsonb *
copy_jsonb(const Jsonb *jsonb)
{
	Jsonb	   *copy;

	if (jsonb == NULL)
		return NULL;
	copy = palloc(VARSIZE(jsonb));
	memcpy(copy, jsonb, VARSIZE(jsonb));
	return copy;
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

/* A deep copy, in CurrentMemoryContext */
CdcConflictRecord *
cdc_conflict_log_copy(const CdcConflictRecord *record)
{
	CdcConflictRecord *copy = palloc(sizeof(CdcConflictRecord));

	*copy = *record;
	copy->key = copy_jsonb(record->key);
	copy->local_row = copy_jsonb(record->local_row);
	copy->remote_row = copy_jsonb(record->remote_row);
	copy->before_row = copy_jsonb(record->before_row);
	copy->local_version = copy_text(record->local_version);
	copy->remote_version = copy_text(record->remote_version);
	copy->local_origin = copy_text(record->local_origin);
	copy->remote_origin = copy_text(record->remote_origin);
	copy->subscription = copy_text(record->subscription);
	copy->topic = copy_text(record->topic);
	copy->table_name = copy_text(record->table_name);
	copy->key_text = copy_text(record->key_text);
	return copy;
}

static void
set_jsonb(Datum *value, bool *isnull, Jsonb *jsonb)
{
	*value = JsonbPGetDatum(jsonb);
	*isnull = jsonb == NULL;
}

static void
set_text(Datum *value, bool *isnull, const char *text)
{
	*isnull = text == NULL;
	*value = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* As values of cdcsync.conflict; both arrays have CDC_CONFLICT_COLUMNS */
void
cdc_conflict_log_values(const CdcConflictRecord *record, Datum *values, bool *nulls)
{
	bool		by_worker = record->subscription != NULL;
	int			n = 0;

	memset(nulls, false, sizeof(bool) * CDC_CONFLICT_COLUMNS);
	values[n++] = ObjectIdGetDatum(record->relation);
	values[n++] = JsonbPGetDatum(record->key);
	values[n++] = CStringGetTextDatum(cdc_conflict_type_names[record->type]);
	values[n++] = CStringGetTextDatum(cdc_resolution_names[record->resolution]);
	set_jsonb(&values[n], &nulls[n], record->local_row), n++;
	set_jsonb(&values[n], &nulls[n], record->remote_row), n++;
	set_jsonb(&values[n], &nulls[n], record->before_row), n++;
	set_text(&values[n], &nulls[n], record->local_version), n++;
	set_text(&values[n], &nulls[n], record->remote_version), n++;
	set_text(&values[n], &nulls[n], record->local_origin), n++;
	set_text(&values[n], &nulls[n], record->remote_origin), n++;
	set_text(&values[n], &nulls[n], record->subscription), n++;
	set_text(&values[n], &nulls[n], record->topic), n++;
	nulls[n] = nulls[n + 1] = !by_worker;
	values[n++] = Int32GetDatum(record->partition);
	values[n++] = Int64GetDatum(record->offset);
	Assert(n == CDC_CONFLICT_COLUMNS);
}

/* ---- the table ---- */

/* Whoever waits for the end of the process or the query shall not wait for this */
static bool
is_tolerated(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION;
}

/* In a subtransaction; what is tolerated becomes a warning */
static void
attempt(void (*write) (void *), List *records)
{
	ErrorData  *error = cdc_subxact_attempt(write, records, is_tolerated);

	if (error == NULL)
		return;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not record %d conflicts: %s", list_length(records), cdc_printable(error->message)),
			 errhint("The changes themselves are applied.  Look at table cdcsync.conflict_data.")));
	FreeErrorData(error);
}

#define CONFLICT_COLUMNS \
	"relation, key, conflict_type, resolution, local_row, remote_row, before_row, " \
	"local_version, remote_version, local_origin, remote_origin, subscription, topic, " \
	"partition, \"offset\""

/* Of each table that they are of */
static void
keep_limits(List *records)
{
	List	   *relids = NIL;
	ListCell   *lc;
	ListCell   *r;

	foreach(lc, records)
		relids = list_append_unique_oid(relids, ((const CdcConflictRecord *) lfirst(lc))->relation);
	foreach(r, relids)
	{
		int64		n = 0;

		foreach(lc, records)
			n += ((const CdcConflictRecord *) lfirst(lc))->relation == lfirst_oid(r) ? 1 : 0;
		cdc_conflict_limit_keep(lfirst_oid(r), n);
	}
}

/* One statement for all: an array per column */
static void
insert_records(void *arg)
{
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.conflict_data (" CONFLICT_COLUMNS ") "
		"SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
		"pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), "
		"pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8), "
		"pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), "
		"pg_catalog.unnest($12), pg_catalog.unnest($13), pg_catalog.unnest($14), "
		"pg_catalog.unnest($15)) AS n",
		.nargs = CDC_CONFLICT_COLUMNS,
		.argtypes = {OIDARRAYOID, JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID,
		JSONBARRAYOID, JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT8ARRAYOID}
	};
	static const Oid types[] = {OIDOID, JSONBOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, JSONBOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID};
	List	   *records = arg;
	int			n = list_length(records);
	Datum	   *values = palloc(sizeof(Datum) * n * CDC_CONFLICT_COLUMNS);
	bool	   *nulls = palloc(sizeof(bool) * n * CDC_CONFLICT_COLUMNS);
	Datum		args[CDC_CONFLICT_COLUMNS];
	ListCell   *lc;

	foreach(lc, records)
	{
		Datum		row[CDC_CONFLICT_COLUMNS];
		bool		row_nulls[CDC_CONFLICT_COLUMNS];

		cdc_conflict_log_values(lfirst(lc), row, row_nulls);
		for (int i = 0; i < CDC_CONFLICT_COLUMNS; i++)
		{
			values[i * n + foreach_current_index(lc)] = row[i];
			nulls[i * n + foreach_current_index(lc)] = row_nulls[i];
		}
	}
	for (int i = 0; i < CDC_CONFLICT_COLUMNS; i++)
		args[i] = cdc_extension_array(values + i * n, nulls + i * n, n, types[i]);
	cdc_extension_execute(&insert, args, NULL);
	keep_limits(records);
}

/*
 * Write a list of records to cdcsync.conflict_data, in the current transaction; SPI is
 * connected.  What goes wrong is a WARNING: it never stops the changes themselves.
 */
void
cdc_conflict_log_write(List *records)
{
	if (records != NIL)
		attempt(insert_records, records);
}

/*
 * Forget records older than cdcsync.conflict_retention; SPI is connected.  Returns how
 * many: at most CDC_PRUNE_AT_ONCE.
 */
int64
cdc_conflict_log_prune(void)
{
	static CdcStatement prune = {
		.sql = "DELETE FROM cdcsync.conflict_data AS d WHERE d.id OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT c.id FROM cdcsync.conflict_data AS c "
		"WHERE $1 OPERATOR(pg_catalog.>=) 0 AND c.at OPERATOR(pg_catalog.<) "
		"(pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $1)) "
		"ORDER BY c.at LIMIT " CppAsString2(CDC_PRUNE_AT_ONCE) " FOR UPDATE SKIP LOCKED))",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	Datum		args[1] = {Int32GetDatum(cdc_conflict_retention)};

	cdc_extension_execute(&prune, args, NULL);
	return SPI_processed;
}

/* ---- the server's log ---- */

/* One line; everything in it that others wrote is shown without control characters */
static void
report(const CdcConflictRecord *record)
{
	ereport(WARNING,
			(errmsg("conflict %s in table %s: %s", cdc_conflict_type_names[record->type],
					record->table_name, cdc_resolution_names[record->resolution]),
			 errdetail("Key %s, change by \"%s\" in topic \"%s\" partition %d offset " INT64_FORMAT ".",
					   cdc_printable(record->key_text),
					   record->remote_origin ? cdc_printable(record->remote_origin) : "",
					   cdc_printable(record->topic), record->partition, record->offset),
			 record->hint ? errhint("%s", record->hint) : 0));
}

/* After the commit, the worker: a WARNING for each, up to cdcsync.conflict_log_limit a minute */
void
cdc_conflict_log_report(List *records)
{
	static CdcLogLimit limit = {.what = "conflicts", .where = "cdcsync.conflict_history"};
	TimestampTz now;
	ListCell   *lc;

	if (records == NIL)
		return;
	now = GetCurrentTimestamp();
	foreach(lc, records)
	{
		if (cdc_log_limit_admit(&limit, now))
			report(lfirst(lc));
	}
}

/* ---- errors ---- */

void
cdc_conflict_log_stash(const CdcConflictRecord *record, const CdcMessage *message)
{
	MemoryContext old;

	if (record->subscription == NULL)
		return;					/* at the doors, who asked hears of it */
	if (stash_context == NULL)
		stash_context = AllocSetContextCreate(TopMemoryContext, "cdcsync conflict record",
											  ALLOCSET_SMALL_SIZES);
	stashed = NULL;
	MemoryContextReset(stash_context);
	old = MemoryContextSwitchTo(stash_context);
	stashed = cdc_conflict_log_copy(record);
	stashed_message = message;
	MemoryContextSwitchTo(old);
}

/* Unless it is there already, from the last time the message was tried */
static void
insert_once(void *arg)
{
	static CdcStatement find = {
		.sql = "SELECT FROM cdcsync.conflict_data AS c "
		"WHERE c.resolution OPERATOR(pg_catalog.=) 'error' "
		"AND c.subscription OPERATOR(pg_catalog.=) $1 AND c.topic OPERATOR(pg_catalog.=) $2 "
		"AND c.partition OPERATOR(pg_catalog.=) $3 AND c.\"offset\" OPERATOR(pg_catalog.=) $4 "
		"LIMIT 1",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, INT8OID}
	};
	const CdcConflictRecord *record = linitial((List *) arg);
	Datum		args[4];

	args[0] = CStringGetTextDatum(record->subscription);
	args[1] = CStringGetTextDatum(record->topic);
	args[2] = Int32GetDatum(record->partition);
	args[3] = Int64GetDatum(record->offset);
	cdc_extension_execute(&find, args, NULL);
	if (SPI_processed == 0)
		insert_records(arg);
}

void
cdc_conflict_log_write_stashed(const CdcMessage *message)
{
	MemoryContext context;
	List	   *records;

	if (stashed == NULL || stashed_message != message)
		return;
	records = list_make1(stashed);
	context = cdc_extension_begin();
	attempt(insert_once, records);
	cdc_extension_commit(context);
	cdc_conflict_log_report(records);
	stashed = NULL;
}

/* prune_conflicts(): by hand, all that is due */
PG_FUNCTION_INFO_V1(cdcsync_prune_conflicts);
Datum
cdcsync_prune_conflicts(PG_FUNCTION_ARGS)
{
	int64		total = 0;
	int64		pruned;

	SPI_connect();
	do
	{
		pruned = cdc_conflict_log_prune();
		total += pruned;
	} while (pruned == CDC_PRUNE_AT_ONCE);
	SPI_finish();
	PG_RETURN_INT64(total);
}
