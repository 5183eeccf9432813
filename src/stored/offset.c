/*
 * offset.c
 *		The next offset of each topic-partition, in the caller's transaction.
 *
 * The row of a partition is written with every commit.  While any session holds an old
 * snapshot its dead versions cannot be removed, and finding the live one among them
 * through the index takes longer each time: so it is addressed by the place where it was
 * last written, and the page is cleaned of dead versions, which such an access does not do
 * by itself.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/table_write.h"
#include "base/unixtime.h"
#include "shared/control.h"
#include "stored/offset.h"

#define NARGS 8

/* Columns of cdcsync.subscription_offset, from 0 */
#define SUBSCRIPTION	0
#define TOPIC			1
#define PARTITION		2
#define NEXT_OFFSET		3
#define RECORD_TIME		4
#define CLUSTER_ID		5
#define EVENTS_OF		7

/* All stored offsets of this database: a list of CdcOffset in CurrentMemoryContext */
List *
cdc_offset_load_all(void)
{
	static CdcStatement load = {
		.sql = "SELECT subscription, topic, partition, next_offset, record_time, cluster_id, ctid, "
		"(EXTRACT(epoch FROM rewind_to) OPERATOR(pg_catalog.*) 1000)::bigint, events_of "
		"FROM cdcsync.subscription_offset"
	};
	MemoryContext context = CurrentMemoryContext;
	List	   *offsets = NIL;

	cdc_extension_execute(&load, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		CdcOffset  *offset = palloc0(sizeof(CdcOffset));
		bool		isnull;
		Datum		datum;

		offset->subscription = SPI_getvalue(tuple, desc, 1);
		offset->topic = SPI_getvalue(tuple, desc, 2);
		offset->partition = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
		offset->next_offset = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));
		datum = SPI_getbinval(tuple, desc, 5, &isnull);
		offset->record_time = isnull ? -1 : DatumGetInt64(datum);
		offset->cluster_id = SPI_getvalue(tuple, desc, 6);
		offset->tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 7, &isnull));
		datum = SPI_getbinval(tuple, desc, 8, &isnull);
		offset->rewind_to = isnull ? -1 : DatumGetInt64(datum);
		offset->table = SPI_getvalue(tuple, desc, 9);
		offsets = lappend(offsets, offset);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
	return offsets;
}

static void
set_args(const CdcOffset *offset, int64 from, Datum *args, char *nulls)
{
	memset(nulls, ' ', NARGS);
	nulls[NARGS] = '\0';
	args[0] = CStringGetTextDatum(offset->subscription);
	args[1] = CStringGetTextDatum(offset->topic);
	args[2] = Int32GetDatum(offset->partition);
	args[3] = Int64GetDatum(offset->next_offset);
	args[4] = Int64GetDatum(offset->record_time);
	if (offset->record_time < 0)
		nulls[4] = 'n';
	args[5] = (Datum) 0;
	if (offset->cluster_id)
		args[5] = CStringGetTextDatum(offset->cluster_id);
	else
		nulls[5] = 'n';
	args[6] = Int64GetDatum(from);
	args[7] = (Datum) 0;
	if (offset->table)
		args[7] = CStringGetTextDatum(offset->table);
	else
		nulls[7] = 'n';
}

static void
upsert(CdcOffset *offset)
{
	static CdcStatement upsert = {
		.sql = "INSERT INTO cdcsync.subscription_offset "
		"(subscription, topic, partition, next_offset, record_time, cluster_id, rewind_to) "
		"VALUES ($1, $2, $3, $4, $5, $6, pg_catalog.to_timestamp($7 OPERATOR(pg_catalog./) 1000.0)) "
		"ON CONFLICT (subscription, topic, partition) "
		"DO UPDATE SET next_offset = excluded.next_offset, "
		"record_time = excluded.record_time, cluster_id = excluded.cluster_id, rewind_to = excluded.rewind_to "
		"RETURNING ctid",
		.nargs = NARGS - 1,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, INT8OID, INT8OID, TEXTOID, INT8OID}
	};
	Datum		args[NARGS];
	char		nulls[NARGS + 1];

	set_args(offset, offset->rewind_to, args, nulls);
	if (offset->rewind_to < 0)
		nulls[6] = 'n';
	cdc_extension_execute(&upsert, args, nulls);
}

static void
take_tid(CdcOffset *offset)
{
	bool		isnull;
	Datum		tid = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	offset->tid = *(ItemPointer) DatumGetPointer(tid);
}

/* Store the first position of a partition; sets offset->tid */
void
cdc_offset_create(CdcOffset *offset)
{
	MemoryContext context = CurrentMemoryContext;

	upsert(offset);
	take_tid(offset);
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
}

/* What stands at this place, if the table still has it */
static bool
fetch_row(Relation table, ItemPointer tid, TupleTableSlot *slot)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	Buffer		buffer;

	if (block >= RelationGetNumberOfBlocks(table))
		return false;
	buffer = ReadBuffer(table, block);
	heap_page_prune_opt_compat(table, buffer);
	ReleaseBuffer(buffer);
	return table_tuple_fetch_row_version(table, tid, GetActiveSnapshot(), slot);
}

static bool
is_position(TupleTableSlot *slot, const CdcOffset *offset, int64 from)
{
	slot_getallattrs(slot);
	return DatumGetInt64(slot->tts_values[NEXT_OFFSET]) == from &&
		DatumGetInt32(slot->tts_values[PARTITION]) == offset->partition &&
		strcmp(TextDatumGetCString(slot->tts_values[TOPIC]), offset->topic) == 0 &&
		strcmp(TextDatumGetCString(slot->tts_values[SUBSCRIPTION]), offset->subscription) == 0;
}

static void
store_position(TupleTableSlot *slot, const TupleTableSlot *stored, const CdcOffset *offset)
{
	int			natts = stored->tts_tupleDescriptor->natts;

	memcpy(slot->tts_values, stored->tts_values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, stored->tts_isnull, sizeof(bool) * natts);
	slot->tts_values[NEXT_OFFSET] = Int64GetDatum(offset->next_offset);
	slot->tts_values[RECORD_TIME] = Int64GetDatum(offset->record_time);
	slot->tts_isnull[RECORD_TIME] = offset->record_time < 0;
	slot->tts_isnull[CLUSTER_ID] = offset->cluster_id == NULL;
	if (offset->cluster_id)
		slot->tts_values[CLUSTER_ID] = CStringGetTextDatum(offset->cluster_id);
	slot->tts_isnull[EVENTS_OF] = offset->table == NULL;
	if (offset->table)
		slot->tts_values[EVENTS_OF] = CStringGetTextDatum(offset->table);
	ExecStoreVirtualTuple(slot);
}

/* False if the row is no longer there: moved by VACUUM FULL, or of an aborted transaction */
static bool
update_in_place(CdcOffset *offset, int64 from)
{
	Relation	table = table_open(cdc_extension_table("subscription_offset"), RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(table, NULL);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool		updated = false;

	if (fetch_row(table, &offset->tid, stored) && is_position(stored, offset, from))
	{
		store_position(slot, stored, offset);
		updated = cdc_table_write_tuple(table, &offset->tid, slot);
	}
	if (updated)
		offset->tid = slot->tts_tid;
	ExecDropSingleTupleTableSlot(stored);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, NoLock);
	return updated;
}

/* False if there is no row with that position any more: the worker has not heard of it yet */
static bool
update_by_key(CdcOffset *offset, int64 from)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription_offset "
		"SET next_offset = $4, record_time = $5, cluster_id = $6, events_of = $8 "
		"WHERE subscription OPERATOR(pg_catalog.=) $1 "
		"AND topic OPERATOR(pg_catalog.=) $2 AND partition OPERATOR(pg_catalog.=) $3 "
		"AND next_offset OPERATOR(pg_catalog.=) $7 RETURNING ctid",
		.nargs = NARGS,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, INT8OID, INT8OID, TEXTOID, INT8OID, TEXTOID}
	};
	Datum		args[NARGS];
	char		nulls[NARGS + 1];

	set_args(offset, from, args, nulls);
	cdc_extension_execute(&update, args, nulls);
	return SPI_processed == 1;
}

/*
 * Store a new position over the one at offset->tid, which was from, and update that.
 * Raises object_in_use if the position was changed or the subscription removed
 * meanwhile: what was read for it must not be applied.
 */
void
cdc_offset_advance(CdcOffset *offset, int64 from)
{
	MemoryContext context = CurrentMemoryContext;

	if (update_in_place(offset, from))
		return;
	if (!update_by_key(offset, from))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the position of subscription \"%s\" has just been changed or removed",
						offset->subscription)));
	take_tid(offset);
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
}

/*
 * Store the position that was found for offset->rewind_to, and be done with that: sets
 * tid.  False if the position was changed again or the subscription removed meanwhile.
 */
bool
cdc_offset_rewind(CdcOffset *offset)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription_offset "
		"SET next_offset = $4, record_time = NULL, rewind_to = NULL "
		"WHERE subscription OPERATOR(pg_catalog.=) $1 "
		"AND topic OPERATOR(pg_catalog.=) $2 AND partition OPERATOR(pg_catalog.=) $3 "
		"AND (EXTRACT(epoch FROM rewind_to) OPERATOR(pg_catalog.*) 1000)::bigint "
		"OPERATOR(pg_catalog.=) $5 RETURNING ctid",
		.nargs = 5,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, INT8OID, INT8OID}
	};
	Datum		args[NARGS];
	char		nulls[NARGS + 1];
	MemoryContext context = CurrentMemoryContext;
	bool		stored;

	set_args(offset, -1, args, nulls);
	args[4] = Int64GetDatum(offset->rewind_to);
	nulls[4] = ' ';
	cdc_extension_execute(&update, args, nulls);
	stored = SPI_processed > 0;
	if (stored)
	{
		take_tid(offset);
		offset->record_time = -1;
		offset->rewind_to = -1;
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
	return stored;
}

/* ---- SQL interface ---- */

/* Of a JSON number */
static int64
offset_from_json(const JsonbValue *value)
{
	int64		offset = -1;

	if (value->type == jbvNumeric)
		offset = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
	if (offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("offsets must be numbers that are not negative")));
	return offset;
}

static void
move_to(Datum subscription, const char *topic, const char *partition, int64 offset)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription_offset "
		"SET next_offset = $4, record_time = NULL, rewind_to = NULL "
		"WHERE subscription OPERATOR(pg_catalog.=) $1 "
		"AND topic OPERATOR(pg_catalog.=) $2 AND partition::pg_catalog.text OPERATOR(pg_catalog.=) $3",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4] = {subscription, CStringGetTextDatum(topic), CStringGetTextDatum(partition),
	Int64GetDatum(offset)};

	cdc_extension_execute(&update, args, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" has no position in topic \"%s\" partition %s",
						TextDatumGetCString(subscription), topic, partition),
				 errhint("See cdcsync.stat_subscription.")));
}

/* {"topic": {"partition": offset}}: at depth 1 are topics, at depth 2 partitions */
static void
move_all(Datum subscription, Jsonb *offsets)
{
	JsonbIterator *it = JsonbIteratorInit(&offsets->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *names[3] = {NULL, NULL, NULL};
	int			depth = 0;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_OBJECT && depth < 2)
			depth++;
		else if (token == WJB_END_OBJECT)
			depth--;
		else if (token == WJB_KEY)
			names[depth] = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && depth == 2)
			move_to(subscription, names[1], names[2], offset_from_json(&value));
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("offsets must be a JSON object of topics and partitions"),
					 errhint("Write it as {\"server.public.todos\": {\"0\": 17}}.")));
	}
}

static void
check_next_offset(Datum *position, int64 offset)
{
	static CdcStatement lock = {
		.sql = "SELECT next_offset FROM cdcsync.subscription_offset "
		"WHERE subscription OPERATOR(pg_catalog.=) $1 "
		"AND topic OPERATOR(pg_catalog.=) $2 AND partition OPERATOR(pg_catalog.=) $3 FOR UPDATE",
		.nargs = 3,
		.argtypes = {TEXTOID, TEXTOID, INT4OID}
	};
	bool		isnull;
	int64		next;

	cdc_extension_execute(&lock, position, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" has no position in topic \"%s\" partition %d",
						TextDatumGetCString(position[0]), TextDatumGetCString(position[1]),
						DatumGetInt32(position[2])),
				 errhint("See cdcsync.stat_subscription.")));
	next = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (next != offset)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot skip offset " INT64_FORMAT, offset),
				 errdetail("The next one to apply is " INT64_FORMAT ".", next),
				 errhint("The message that a partition is stopped at is the one with next_offset in cdcsync.stat_subscription.")));
}

/*
 * skip(subscription, topic, partition, offset): go on behind the next message.  It must
 * be that one, so that whoever asks twice does not skip two.
 */
PG_FUNCTION_INFO_V1(cdcsync_skip);
Datum
cdcsync_skip(PG_FUNCTION_ARGS)
{
	static CdcStatement advance = {
		.sql = "UPDATE cdcsync.subscription_offset SET next_offset = $4, record_time = NULL "
		"WHERE subscription OPERATOR(pg_catalog.=) $1 "
		"AND topic OPERATOR(pg_catalog.=) $2 AND partition OPERATOR(pg_catalog.=) $3",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, INT8OID}
	};
	int64		offset = PG_GETARG_INT64(3);
	Datum		args[4] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2),
	Int64GetDatum(offset + 1)};

	cdc_control_notify_at_commit();
	SPI_connect();
	check_next_offset(args, offset);
	cdc_extension_execute(&advance, args, NULL);
	SPI_finish();
	ereport(LOG,
			(errmsg("subscription \"%s\" skips topic \"%s\" partition %d offset " INT64_FORMAT,
					TextDatumGetCString(args[0]), TextDatumGetCString(args[1]),
					PG_GETARG_INT32(2), offset)));
	PG_RETURN_VOID();
}

/*
 * rewind(subscription, to timestamptz): read again what is in the topics since then.  The
 * worker asks the broker where that is.
 */
PG_FUNCTION_INFO_V1(cdcsync_rewind_time);
Datum
cdcsync_rewind_time(PG_FUNCTION_ARGS)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.subscription_offset SET rewind_to = $2 "
		"WHERE subscription OPERATOR(pg_catalog.=) $1",
		.nargs = 2,
		.argtypes = {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	TimestampTz to = PG_GETARG_TIMESTAMPTZ(1);

	if (TIMESTAMP_NOT_FINITE(to) || to < -CDC_UNIX_EPOCH_USECS)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time out of range: \"%s\"", timestamptz_to_str(to)),
				 errhint("Kafka's times begin in 1970.")));
	cdc_control_notify_at_commit();
	SPI_connect();
	cdc_extension_execute(&update, args, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" has no positions", TextDatumGetCString(args[0])),
				 errhint("See cdcsync.stat_subscription.")));
	SPI_finish();
	PG_RETURN_VOID();
}

/* rewind(subscription, offsets jsonb): read on from these, back or forward */
PG_FUNCTION_INFO_V1(cdcsync_rewind_offsets);
Datum
cdcsync_rewind_offsets(PG_FUNCTION_ARGS)
{
	cdc_control_notify_at_commit();
	SPI_connect();
	move_all(PG_GETARG_DATUM(0), PG_GETARG_JSONB_P(1));
	SPI_finish();
	PG_RETURN_VOID();
}
