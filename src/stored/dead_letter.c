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
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "event/headers.h"
#include "shared/control.h"
#include "stored/dead_letter.h"

#define ERROR_ARGS 6			/* sqlstate, message, message_public, detail, context, source_table */

static Datum
text_datum(const char *text, char *null)
{
	if (text == NULL)
	{
		*null = 'n';
		return (Datum) 0;
	}
	return CStringGetTextDatum(text);
}

static void
set_error_args(const CdcError *error, Datum *args, char *nulls)
{
	args[0] = CStringGetTextDatum(unpack_sql_state(error->sqlstate));
	args[1] = CStringGetTextDatum(error->message);
	args[2] = BoolGetDatum(cdc_error_is_public(error));
	args[3] = text_datum(error->detail, &nulls[3]);
	args[4] = text_datum(error->context, &nulls[4]);
	args[5] = text_datum(error->source_table, &nulls[5]);
}

/* They may be anything: text in no encoding */
static Datum
bytes_datum(const char *bytes, int len, char *null)
{
	if (bytes == NULL)
	{
		*null = 'n';
		return (Datum) 0;
	}
	return PointerGetDatum(cstring_to_text_with_len(bytes, len));
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
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.dead_letter_data (sqlstate, message, message_public, detail, "
		"context, source_table, subscription, topic, partition, \"offset\", key, value, headers, "
		"record_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		.nargs = ERROR_ARGS + 8,
		.argtypes = {TEXTOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		INT4OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, INT8OID}
	};
	Datum		args[ERROR_ARGS + 8];
	char		nulls[ERROR_ARGS + 8];
	char	   *headers = cdc_headers_to_json(m->headers, m->headers_len);
	int			n = ERROR_ARGS;

	if (is_full())
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are as many dead letters as this database may keep"),
				 errdetail("This message cannot be applied: %s", error->message),
				 errhint("Look into cdcsync.dead_letter, and run cdcsync.retry_dead_letter or cdcsync.skip_dead_letter; or increase \"cdcsync.max_dead_letters\".")));
	memset(nulls, ' ', sizeof(nulls));
	set_error_args(error, args, nulls);
	args[n++] = CStringGetTextDatum(subscription);
	args[n++] = CStringGetTextDatum(m->topic);
	args[n++] = Int32GetDatum(m->partition);
	args[n++] = Int64GetDatum(m->offset);
	args[n] = bytes_datum(m->key, m->key_len, &nulls[n]), n++;
	args[n] = bytes_datum(m->value, m->value_len, &nulls[n]), n++;
	args[n] = bytes_datum(headers, headers ? strlen(headers) : 0, &nulls[n]), n++;
	args[n++] = Int64GetDatum(m->timestamp);
	cdc_extension_execute(&insert, args, nulls);
}

/* With a NUL behind them, as consumer.c has them; NULL for NULL */
static char *
tuple_bytes(HeapTuple tuple, TupleDesc desc, int column, int *len)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, column, &isnull);

	if (isnull)
		return NULL;
	*len = VARSIZE_ANY_EXHDR(PG_DETOAST_DATUM_PACKED(value));
	return text_to_cstring(DatumGetTextPP(value));
}

static CdcDeadLetter *
from_tuple(HeapTuple tuple, TupleDesc desc)
{
	CdcDeadLetter *letter = palloc0(sizeof(CdcDeadLetter));
	CdcMessage *m = &letter->message;
	bool		isnull;

	letter->subscription = SPI_getvalue(tuple, desc, 1);
	m->topic = SPI_getvalue(tuple, desc, 2);
	m->partition = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
	m->offset = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));
	m->key = tuple_bytes(tuple, desc, 5, &m->key_len);
	m->value = tuple_bytes(tuple, desc, 6, &m->value_len);
	m->timestamp = DatumGetInt64(SPI_getbinval(tuple, desc, 7, &isnull));
	m->dead_letter = DatumGetInt64(SPI_getbinval(tuple, desc, 8, &isnull));
	m->tail_known = true;		/* a null value was judged when it came */
	return letter;
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

	cdc_extension_execute(&select, &arg, NULL);
	if (SPI_processed == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	letter = from_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	MemoryContextSwitchTo(old);
	return letter;
}

static void
check_written(int64 id)
{
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("dead letter " INT64_FORMAT " is no longer to be applied", id)));
}

void
cdc_dead_letter_set_applied(int64 id)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.dead_letter_data "
		"SET status = 'applied', done_at = pg_catalog.clock_timestamp() "
		"WHERE id OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'retry'",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	cdc_extension_execute(&update, &arg, NULL);
	check_written(id);
}

void
cdc_dead_letter_set_failed(int64 id, const CdcError *error)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.dead_letter_data "
		"SET status = 'failed', sqlstate = $1, message = $2, message_public = $3, detail = $4, "
		"context = $5, source_table = $6 "
		"WHERE id OPERATOR(pg_catalog.=) $7 AND status OPERATOR(pg_catalog.=) 'retry'",
		.nargs = ERROR_ARGS + 1,
		.argtypes = {TEXTOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[ERROR_ARGS + 1];
	char		nulls[] = "       ";

	set_error_args(error, args, nulls);
	args[ERROR_ARGS] = Int64GetDatum(id);
	cdc_extension_execute(&update, args, nulls);
	check_written(id);
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
	if (strcmp(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), "applied") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("dead letter " INT64_FORMAT " has been applied", id)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subscription \"%s\" does not exist",
					SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2)),
			 errdetail("It brought dead letter " INT64_FORMAT ".", id),
			 errhint("Apply it by hand with cdcsync.apply(topic, convert_from(key, 'UTF8'), convert_from(value, 'UTF8')), or run cdcsync.skip_dead_letter.")));
}

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
