/*
 * tombstone_key.c
 *		Tombstones follow their table's key.
 *
 * A tombstone is found by the hash of its key.  The hash is another one after the table
 * got another key, and where hashing itself is another: in a dump that comes from a
 * machine of another byte order, after an upgrade of the server, or with another version
 * of a collation.  What they were made with stands in the table's rule, and is compared
 * when the table is mapped.
 *
 * Then all tombstones of the table are read by the former key and written by the present
 * one, in one transaction, by whoever comes first: the worker with its map, or add_table
 * and alter_table_rule.  The table is locked by then, so no delete is remembered by the
 * former key meanwhile.  One whose former key lacks a column of the present one says no
 * more which rows it was of: it is forgotten, and what it knew becomes the horizon.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/extension.h"
#include "base/result.h"
#include "base/session.h"
#include "table/tombstone_key.h"

#define FETCH_AT_ONCE 1000

typedef struct Rekeying
{
	CdcKey	   *key;
	CdcKey		former;			/* the same columns, by the names they had */
	CdcClock	clock;
	int64		nlost;
} Rekeying;

static char *
collation_version(Oid collation)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		version;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(collation);
	fcinfo->args[0].isnull = false;
	version = pg_collation_actual_version(fcinfo);
	return fcinfo->isnull ? "" : TextDatumGetCString(version);
}

/* All that the hash of a column depends on; two servers that write the same hash alike */
static void
append_hashing(StringInfo buf, const CdcKeyColumn *col)
{
	const char *how = col->is_counter ? "counter" :
		OidIsValid(col->hash.fn_oid) ? get_func_name(col->hash.fn_oid) :
		col->equal_image ? "bytes" : "none";

	appendStringInfoString(buf, ", ");
	if (OidIsValid(col->collation) && !get_collation_isdeterministic(col->collation))
		how = psprintf("%s %s %s", how, get_collation_name(col->collation),
					   collation_version(col->collation));
	/* a function that is not the server's may ask the database's collation: citext's does */
	else if (!col->is_counter && col->hash.fn_oid >= FirstNormalObjectId)
		how = psprintf("%s %s", how, collation_version(DEFAULT_COLLATION_OID));
	escape_json(buf, how);
}

/* As JSON: the columns with their numbers, and how each is hashed */
static char *
describe(const CdcKey *key)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"columns\": {");
	for (int i = 0; i < key->ncolumns; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", " : "");
		escape_json(&buf, key->columns[i].name);
		appendStringInfo(&buf, ": %d", key->columns[i].attnum);
	}
#ifdef WORDS_BIGENDIAN
	appendStringInfo(&buf, "}, \"hash\": [\"%d big-endian\"", PG_VERSION_NUM / 10000);
#else
	appendStringInfo(&buf, "}, \"hash\": [\"%d little-endian\"", PG_VERSION_NUM / 10000);
#endif
	for (int i = 0; i < key->ncolumns; i++)
		append_hashing(&buf, &key->columns[i]);
	appendStringInfoString(&buf, "]}");
	return buf.data;
}

/* NULL where nobody has said so yet */
static char *
stored_description(Oid relid, bool *found)
{
	static CdcStatement select = {
		.sql = "SELECT r.tombstone_key FROM cdcsync.table_rule AS r "
		"WHERE r.relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		arg = ObjectIdGetDatum(relid);

	cdc_extension_execute(&select, &arg, NULL);
	*found = SPI_processed > 0;
	return *found ? cdc_result_text(0, "tombstone_key") : NULL;
}

/* A column that was renamed keeps its number; a database restored from a dump keeps the names */
static char *
former_name(const CdcKeyColumn *col, Jsonb *columns)
{
	JsonbIterator *it = JsonbIteratorInit(&columns->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *name = NULL;

	if (getKeyJsonValueFromContainer(&columns->root, col->name, strlen(col->name), &value))
		return col->name;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvNumeric &&
				 DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value.val.numeric))) == col->attnum)
			return name;
	}
	return col->name;
}

static CdcKey
former_key(const CdcKey *key, const char *description)
{
	CdcKey		former = *key;
	Jsonb	   *jsonb;
	JsonbValue	buffer;
	JsonbValue *columns;

	if (description == NULL)
		return former;
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(description)));
	columns = getKeyJsonValueFromContainer(&jsonb->root, "columns", strlen("columns"), &buffer);
	if (columns == NULL || columns->type != jbvBinary)
		return former;
	jsonb = JsonbValueToJsonb(columns);
	former.columns = palloc(sizeof(CdcKeyColumn) * key->ncolumns);
	memcpy(former.columns, key->columns, sizeof(CdcKeyColumn) * key->ncolumns);
	for (int i = 0; i < key->ncolumns; i++)
		former.columns[i].name = former_name(&key->columns[i], jsonb);
	return former;
}

/* Whose key says too little: nobody can tell any more which key of now was deleted */
static void
lose(Rekeying *r, Datum tid)
{
	static CdcStatement forget = {
		.sql = "WITH old AS (DELETE FROM cdcsync.tombstone_data AS t "
		"WHERE t.ctid OPERATOR(pg_catalog.=) $1 RETURNING t.relation, COALESCE(t.version, "
		"CASE WHEN $2 THEN EXTRACT(epoch FROM pg_catalog.pg_xact_commit_timestamp(t.xmin)) "
		"OPERATOR(pg_catalog.*) 1000000 END) AS version) "
		"INSERT INTO cdcsync.tombstone_horizon AS h (relation, version) "
		"SELECT o.relation, o.version FROM old AS o "
		"ON CONFLICT (relation) DO UPDATE SET version = GREATEST(h.version, excluded.version)",
		.nargs = 2,
		.argtypes = {TIDOID, BOOLOID}
	};
	Datum		args[2] = {tid, BoolGetDatum(r->clock == CDC_CLOCK_COMMIT)};

	if (!cdc_clock_is_time(r->clock))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the deleted keys of table \"%s\" cannot follow its new key",
						get_rel_name(r->key->relid)),
				 errdetail("They lack a column of it, and by versions that do not grow with time nothing else tells what is older than a delete."),
				 errhint("Use cdcsync.remove_table and cdcsync.add_table, on every node: they forget the deletes.")));
	cdc_extension_execute(&forget, args, NULL);
	r->nlost++;
}

/*
 * What is written anew has another transaction: under the commit clock the delete's time
 * is kept, or else when its tombstone was written, if the commit time is gone (pg_upgrade)
 * or is a restore's.  A delete of this transaction still has its commit to come.
 * Most that an upgrade of the server leaves are right as they are, and may be very many.
 */
static void
rekey(Rekeying *r, HeapTuple tuple, TupleDesc desc)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.tombstone_data AS t SET key_hash = $2, key = $3, "
		"version = COALESCE(t.version, CASE WHEN $4 THEN "
		"EXTRACT(epoch FROM COALESCE(CASE WHEN EXISTS (SELECT FROM cdcsync.local_identity AS l "
		"WHERE l.xmin OPERATOR(pg_catalog.=) l.written_by) "
		"THEN pg_catalog.pg_xact_commit_timestamp(t.xmin) END, t.written_at)) "
		"OPERATOR(pg_catalog.*) 1000000 END) "
		"WHERE t.ctid OPERATOR(pg_catalog.=) $1",
		.nargs = 4,
		.argtypes = {TIDOID, INT8OID, JSONBOID, BOOLOID}
	};
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull;
	Datum		tid = SPI_getbinval(tuple, desc, 1, &isnull);
	Jsonb	   *stored = DatumGetJsonbP(SPI_getbinval(tuple, desc, 2, &isnull));
	TransactionId xmin = DatumGetTransactionId(SPI_getbinval(tuple, desc, 3, &isnull));
	Datum		hash = SPI_getbinval(tuple, desc, 4, &isnull);
	bool		is_open = r->clock == CDC_CLOCK_COMMIT &&
		DatumGetBool(SPI_getbinval(tuple, desc, 5, &isnull));
	Jsonb	   *key;
	Datum		args[4] = {tid};

	if (!cdc_key_from_jsonb(&r->former, stored, values))
	{
		lose(r, tid);
		return;
	}
	args[1] = Int64GetDatum(cdc_key_hash(r->key, values));
	key = cdc_key_to_jsonb(r->key, values);
	if (!is_open && DatumGetInt64(hash) == DatumGetInt64(args[1]) &&
		compareJsonbContainers(&stored->root, &key->root) == 0)
		return;
	args[2] = JsonbPGetDatum(key);
	args[3] = BoolGetDatum(r->clock == CDC_CLOCK_COMMIT &&
						   !TransactionIdIsCurrentTransactionId(xmin));
	cdc_extension_execute(&update, args, NULL);
}

/* By a cursor, for they may be millions */
static void
rekey_all(Rekeying *r)
{
	static CdcStatement select = {
		.sql = "SELECT t.ctid, t.key, t.xmin, t.key_hash, t.version IS NULL FROM cdcsync.tombstone_data AS t "
		"WHERE t.relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		arg = ObjectIdGetDatum(r->key->relid);
	Portal		portal = cdc_extension_open_cursor(&select, &arg);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdcsync keys of tombstones",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	for (SPI_cursor_fetch(portal, true, FETCH_AT_ONCE); SPI_processed > 0;
		 SPI_cursor_fetch(portal, true, FETCH_AT_ONCE))
	{
		SPITupleTable *table = SPI_tuptable;
		uint64		n = SPI_processed;

		for (uint64 i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			rekey(r, table->vals[i], table->tupdesc);
		}
		SPI_freetuptable(table);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	SPI_cursor_close(portal);
}

/* For the next time */
static void
store_description(Oid relid, const char *description)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.table_rule SET tombstone_key = $2 "
		"WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = 2,
		.argtypes = {OIDOID, TEXTOID}
	};
	Datum		args[2] = {ObjectIdGetDatum(relid), CStringGetTextDatum(description)};

	cdc_extension_execute(&update, args, NULL);
}

/*
 * If the tombstones of a registered table were written by another key, or hashed
 * otherwise than here and now, write them anew.  Those whose keys lack a column of the
 * key are forgotten, and raise the table's horizon; raises an error where there is none,
 * by integer and numeric versions.  With the rights of the table's owner; connects to
 * SPI by itself.
 */
void
cdc_tombstone_key_follow(CdcKey *key, CdcClock clock)
{
	Rekeying	r = {.key = key,.clock = clock};
	int			nestlevel = cdc_session_begin_texts();
	char	   *now = describe(key);
	char	   *stored;
	bool		found;

	SPI_connect();
	stored = stored_description(key->relid, &found);
	if (found && (stored == NULL || strcmp(stored, now) != 0))
	{
		r.former = former_key(key, stored);
		rekey_all(&r);
		store_description(key->relid, now);
		if (r.nlost > 0)
			ereport(WARNING,
					(errmsg(INT64_FORMAT " deleted keys of table \"%s\" are forgotten", r.nlost,
							get_rel_name(r.key->relid)),
					 errdetail("They lack a column of the table's new key."),
					 errhint("A change of a key without a row that is not newer than they are stops its partition, for it may be of a deleted row.")));
	}
	SPI_finish();
	cdc_session_end_texts(nestlevel);
}
