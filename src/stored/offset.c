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
#include "base/own_row.h"
#include "base/result.h"
#include "base/table_write.h"
#include "base/unixtime.h"
#include "shared/control.h"
#include "stored/offset.h"

/* Columns of cdcsync.subscription_offset, from 0 */
#define SUBSCRIPTION	0
#define TOPIC			1
#define PARTITION		2
#define NEXT_OFFSET		3
#define RECORD_TIME		4
#define CLUSTER_ID		5
#define EVENTS_OF		7

/* Where row n of SPI's result is */
static void
take_tid(CdcOffset *offset, uint64 n)
{
	bool		isnull;

	offset->tid = *(ItemPointer) DatumGetPointer(cdc_result(n, "ctid", &isnull));
}

/* The row of a position, by its three key columns */
static CdcOwnRow
row_of(const CdcOffset *offset)
{
	CdcOwnRow	row = {.table = "subscription_offset"};

	cdc_own_row_set_text(&row, "subscription", offset->subscription);
	cdc_own_row_set_text(&row, "topic", offset->topic);
	cdc_own_row_set(&row, "partition", INT4OID, Int32GetDatum(offset->partition));
	return row;
}

/* What the position is, and by what the log is recognised */
static void
set_position(CdcOwnRow *row, const CdcOffset *offset)
{
	cdc_own_row_set(row, "next_offset", INT8OID, Int64GetDatum(offset->next_offset));
	if (offset->record_time < 0)
		cdc_own_row_set_null(row, "record_time", INT8OID);
	else
		cdc_own_row_set(row, "record_time", INT8OID, Int64GetDatum(offset->record_time));
	cdc_own_row_set_text(row, "cluster_id", offset->cluster_id);
}

/* All stored offsets of this database: a list of CdcOffset in CurrentMemoryContext */
List *
cdc_offset_load_all(void)
{
	static CdcStatement load = {
		.sql = "SELECT subscription, topic, partition, next_offset, record_time, cluster_id, ctid, "
		"(EXTRACT(epoch FROM rewind_to) OPERATOR(pg_catalog.*) 1000)::bigint AS rewind_to, events_of "
		"FROM cdcsync.subscription_offset"
	};
	MemoryContext context = CurrentMemoryContext;
	List	   *offsets = NIL;

	cdc_extension_execute(&load, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		CdcOffset  *offset = palloc0(sizeof(CdcOffset));

		offset->subscription = cdc_result_text(i, "subscription");
		offset->topic = cdc_result_text(i, "topic");
		offset->partition = (int32) cdc_result_int8(i, "partition", 0);
		offset->next_offset = cdc_result_int8(i, "next_offset", 0);
		offset->record_time = cdc_result_int8(i, "record_time", -1);
		offset->cluster_id = cdc_result_text(i, "cluster_id");
		offset->rewind_to = cdc_result_int8(i, "rewind_to", -1);
		offset->table = cdc_result_text(i, "events_of");
		take_tid(offset, i);
		offsets = lappend(offsets, offset);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
	return offsets;
}

/* Store the first position of a partition; sets offset->tid */
void
cdc_offset_create(CdcOffset *offset)
{
	MemoryContext context = CurrentMemoryContext;
	CdcOwnRow	row = row_of(offset);

	set_position(&row, offset);
	if (offset->rewind_to >= 0)
		cdc_own_row_set(&row, "rewind_to", TIMESTAMPTZOID,
						TimestampTzGetDatum(cdc_unixtime_to_timestamptz(offset->rewind_to * 1000)));
	(void) cdc_own_row_upsert(&row, 3);
	take_tid(offset, 0);
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
}

/* Another row may have come to stand at that place */
static bool
is_position(TupleTableSlot *slot, const CdcOffset *offset, int64 from)
{
	slot_getallattrs(slot);
	return DatumGetInt64(slot->tts_values[NEXT_OFFSET]) == from &&
		DatumGetInt32(slot->tts_values[PARTITION]) == offset->partition &&
		strcmp(TextDatumGetCString(slot->tts_values[TOPIC]), offset->topic) == 0 &&
		strcmp(TextDatumGetCString(slot->tts_values[SUBSCRIPTION]), offset->subscription) == 0;
}

/* All columns as they are stored, but for what the position changes */
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
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(&offset->tid);
	bool		updated = false;
	Buffer		buffer;

	if (block < RelationGetNumberOfBlocks(table))
	{
		buffer = ReadBuffer(table, block);
		heap_page_prune_opt_compat(table, buffer);
		ReleaseBuffer(buffer);
		updated = table_tuple_fetch_row_version(table, &offset->tid, GetActiveSnapshot(), stored) &&
			is_position(stored, offset, from);
	}
	if (updated)
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

/*
 * Store a new position over the one at offset->tid, which was from, and update that.
 * Raises object_in_use if the position was changed or the subscription removed
 * meanwhile: what was read for it must not be applied.
 */
void
cdc_offset_advance(CdcOffset *offset, int64 from)
{
	MemoryContext context = CurrentMemoryContext;
	CdcOwnRow	row;

	if (update_in_place(offset, from))
		return;
	row = row_of(offset);
	cdc_own_row_set(&row, "next_offset", INT8OID, Int64GetDatum(from));
	set_position(&row, offset);
	cdc_own_row_set_text(&row, "events_of", offset->table);
	if (!cdc_own_row_update(&row, 4))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the position of subscription \"%s\" has just been changed or removed",
						offset->subscription)));
	take_tid(offset, 0);
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
	MemoryContext context = CurrentMemoryContext;
	Datum		args[5] = {CStringGetTextDatum(offset->subscription), CStringGetTextDatum(offset->topic),
	Int32GetDatum(offset->partition), Int64GetDatum(offset->next_offset), Int64GetDatum(offset->rewind_to)};
	bool		stored;

	cdc_extension_execute(&update, args, NULL);
	stored = SPI_processed > 0;
	if (stored)
	{
		take_tid(offset, 0);
		offset->record_time = -1;
		offset->rewind_to = -1;
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(context);
	return stored;
}

/* ---- SQL interface ---- */

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
		{
			int64		offset = value.type != jbvNumeric ? -1 :
				DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value.val.numeric)));

			if (offset < 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("offsets must be numbers that are not negative")));
			move_to(subscription, names[1], names[2], offset);
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("offsets must be a JSON object of topics and partitions"),
					 errhint("Write it as {\"server.public.todos\": {\"0\": 17}}.")));
	}
}

/* Locks the position, so that the worker does not pass it at this moment */
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
	int64		next;

	cdc_extension_execute(&lock, position, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" has no position in topic \"%s\" partition %d",
						TextDatumGetCString(position[0]), TextDatumGetCString(position[1]),
						DatumGetInt32(position[2])),
				 errhint("See cdcsync.stat_subscription.")));
	next = cdc_result_int8(0, "next_offset", 0);
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
