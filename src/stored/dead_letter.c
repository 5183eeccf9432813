/*
 * dead_letter.c
 *		Messages that could not be applied, kept whole.
 *
 *		failed --retry_dead_letter()--> retry --the worker--> applied, or failed again
 *		failed, retry --skip_dead_letter()--> skipped --retry_dead_letter()--> retry
 *
 * A message is kept by the transaction that moves its partition's position past it.
 * Only the worker applies one, for it alone writes under the peer's replication origin;
 * the events after it have been applied by then, and versions decide as ever.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/own_row.h"
#include "base/result.h"
#include "event/headers.h"
#include "shared/control.h"
#include "stored/dead_letter.h"

/* What became of it, as the view shows it; who may read the rows sees the detail */
static void
set_error(CdcOwnRow *row, const CdcError *error)
{
	cdc_own_row_set_text(row, "sqlstate", unpack_sql_state(error->sqlstate));
	cdc_own_row_set_text(row, "message", error->message);
	cdc_own_row_set(row, "message_public", BOOLOID, BoolGetDatum(cdc_error_is_public(error)));
	cdc_own_row_set_text(row, "detail", error->detail);
	cdc_own_row_set_text(row, "context", error->context);
	cdc_own_row_set_text(row, "source_table", error->source_table);
}

/* They may be anything: text in no encoding */
static void
set_bytes(CdcOwnRow *row, const char *column, const char *bytes, int len)
{
	if (bytes)
		cdc_own_row_set(row, column, BYTEAOID, PointerGetDatum(cstring_to_text_with_len(bytes, len)));
	else
		cdc_own_row_set_null(row, column, BYTEAOID);
}

/* Of those that wait for somebody: are there as many as there may be? */
static bool
is_full(void)
{
	static CdcStatement select = {
		.sql = "SELECT FROM cdcsync.dead_letter_data WHERE done_at IS NULL ORDER BY id OFFSET $1 LIMIT 1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		offset = Int64GetDatum(cdc_max_dead_letters - 1);

	if (cdc_max_dead_letters <= 0)
		return cdc_max_dead_letters == 0;
	cdc_extension_execute(&select, &offset, NULL);
	return SPI_processed > 0;
}

/*
 * Keep a message, with what the server said; SPI is connected.  Raises an error, of what is
 * not mended by waiting, if there are too many: then its partition stops there, and
 * nothing is lost.
 */
void
cdc_dead_letter_insert(const CdcMessage *m, const char *subscription, const CdcError *error)
{
	CdcOwnRow	row = {.table = "dead_letter_data"};
	char	   *headers = cdc_headers_to_json(m->headers, m->headers_len);

	if (is_full())
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are as many dead letters as this database may keep"),
				 errdetail("This message cannot be applied: %s", error->message),
				 errhint("Look into cdcsync.dead_letter, and run cdcsync.retry_dead_letter or cdcsync.skip_dead_letter; or increase \"cdcsync.max_dead_letters\".")));
	cdc_own_row_set_text(&row, "subscription", subscription);
	cdc_own_row_set_text(&row, "topic", m->topic);
	cdc_own_row_set(&row, "partition", INT4OID, Int32GetDatum(m->partition));
	cdc_own_row_set(&row, "offset", INT8OID, Int64GetDatum(m->offset));
	set_bytes(&row, "key", m->key, m->key_len);
	set_bytes(&row, "value", m->value, m->value_len);
	set_bytes(&row, "headers", headers, headers ? strlen(headers) : 0);
	cdc_own_row_set(&row, "record_time", INT8OID, Int64GetDatum(m->timestamp));
	set_error(&row, error);
	(void) cdc_own_row_insert(&row, 0);
}

/* Of the first row; with a NUL behind them, as consumer.c has them; NULL for NULL */
static char *
result_bytes(const char *column, int *len)
{
	bool		isnull;
	Datum		value = cdc_result(0, column, &isnull);

	if (isnull)
		return NULL;
	*len = VARSIZE_ANY_EXHDR(PG_DETOAST_DATUM_PACKED(value));
	return text_to_cstring(DatumGetTextPP(value));
}

/*
 * For the worker: the one after number "after" that is to be applied, NULL if there is
 * none.  SPI is connected; the result is in the context given.
 */
CdcDeadLetter *
cdc_dead_letter_next(int64 after, MemoryContext context)
{
	static CdcStatement select = {
		.sql = "SELECT subscription, topic, partition, \"offset\", key, value, record_time, id "
		"FROM cdcsync.dead_letter_data "
		"WHERE status OPERATOR(pg_catalog.=) 'retry' AND id OPERATOR(pg_catalog.>) $1 "
		"ORDER BY id LIMIT 1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(after);
	MemoryContext old;
	CdcDeadLetter *letter;
	CdcMessage *m;

	cdc_extension_execute(&select, &arg, NULL);
	if (SPI_processed == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	letter = palloc0(sizeof(CdcDeadLetter));
	letter->subscription = cdc_result_text(0, "subscription");
	m = &letter->message;
	m->topic = cdc_result_text(0, "topic");
	m->partition = (int32) cdc_result_int8(0, "partition", 0);
	m->offset = cdc_result_int8(0, "offset", 0);
	m->key = result_bytes("key", &m->key_len);
	m->value = result_bytes("value", &m->value_len);
	m->timestamp = cdc_result_int8(0, "record_time", 0);
	m->dead_letter = cdc_result_int8(0, "id", 0);
	m->tail_known = true;		/* a null value was judged when it came */
	MemoryContextSwitchTo(old);
	return letter;
}

/* That it is still to be applied, and what becomes of it; raises object_in_use if somebody decided otherwise */
static void
set_outcome(int64 id, const char *status, TimestampTz *done_at, const CdcError *error)
{
	CdcOwnRow	row = {.table = "dead_letter_data"};

	cdc_own_row_set(&row, "id", INT8OID, Int64GetDatum(id));
	cdc_own_row_set_text(&row, "status", "retry");
	cdc_own_row_set_text(&row, "status", status);
	if (done_at)
		cdc_own_row_set(&row, "done_at", TIMESTAMPTZOID, TimestampTzGetDatum(*done_at));
	if (error)
		set_error(&row, error);
	if (!cdc_own_row_update(&row, 2))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("dead letter " INT64_FORMAT " is no longer to be applied", id)));
}

void
cdc_dead_letter_set_applied(int64 id)
{
	TimestampTz now = GetCurrentTimestamp();

	set_outcome(id, "applied", &now, NULL);
}

void
cdc_dead_letter_set_failed(int64 id, const CdcError *error)
{
	set_outcome(id, "failed", NULL, error);
}

/*
 * Forget those that were applied or skipped longer ago than cdcsync.dead_letter_retention;
 * SPI is connected.  Returns how many: CDC_PRUNE_AT_ONCE if there may be more.
 */
int64
cdc_dead_letter_prune(void)
{
	static CdcStatement prune = {
		.sql = "DELETE FROM cdcsync.dead_letter_data AS d WHERE d.id OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT l.id FROM cdcsync.dead_letter_data AS l "
		"WHERE $1 OPERATOR(pg_catalog.>=) 0 AND l.done_at OPERATOR(pg_catalog.<) "
		"(pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $1)) "
		"ORDER BY l.done_at LIMIT " CppAsString2(CDC_PRUNE_AT_ONCE) " FOR UPDATE SKIP LOCKED))",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	Datum		arg = Int32GetDatum(cdc_dead_letter_retention);

	cdc_extension_execute(&prune, &arg, NULL);
	return SPI_processed;
}

/* ---- SQL interface ---- */

pg_noreturn static void
refuse_status(int64 id)
{
	static CdcStatement select = {
		.sql = "SELECT status, subscription FROM cdcsync.dead_letter_data WHERE id OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	cdc_extension_execute(&select, &arg, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("dead letter " INT64_FORMAT " does not exist", id),
				 errhint("See cdcsync.dead_letter.")));
	if (strcmp(cdc_result_text(0, "status"), "applied") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("dead letter " INT64_FORMAT " has been applied", id)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subscription \"%s\" does not exist",
					cdc_result_text(0, "subscription")),
			 errdetail("It brought dead letter " INT64_FORMAT ".", id),
			 errhint("Apply it by hand with cdcsync.apply(topic, convert_from(key, 'UTF8'), convert_from(value, 'UTF8')), or run cdcsync.skip_dead_letter.")));
}

/* A notice at commit lets the worker look */
static void
set_status(int64 id, const char *status)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.dead_letter_data AS l SET status = $2, "
		"done_at = CASE WHEN $2 OPERATOR(pg_catalog.=) 'skipped' THEN pg_catalog.clock_timestamp() END "
		"WHERE l.id OPERATOR(pg_catalog.=) $1 AND l.status OPERATOR(pg_catalog.<>) 'applied' "
		"AND ($2 OPERATOR(pg_catalog.=) 'skipped' OR EXISTS (SELECT FROM cdcsync.subscription AS s "
		"WHERE s.name OPERATOR(pg_catalog.=) l.subscription))",
		.nargs = 2,
		.argtypes = {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(id), CStringGetTextDatum(status)};

	cdc_control_notify_at_commit();
	SPI_connect();
	cdc_extension_execute(&update, args, NULL);
	if (SPI_processed == 0)
		refuse_status(id);
	SPI_finish();
}

/* retry_dead_letter(id): the worker applies it, and says in status what became of it */
PG_FUNCTION_INFO_V1(cdcsync_retry_dead_letter);
Datum
cdcsync_retry_dead_letter(PG_FUNCTION_ARGS)
{
	set_status(PG_GETARG_INT64(0), "retry");
	PG_RETURN_VOID();
}

/* skip_dead_letter(id): it is not to be applied */
PG_FUNCTION_INFO_V1(cdcsync_skip_dead_letter);
Datum
cdcsync_skip_dead_letter(PG_FUNCTION_ARGS)
{
	set_status(PG_GETARG_INT64(0), "skipped");
	PG_RETURN_VOID();
}
