/*
 * clock.c
 *		Versions: read, compare, keep growing.
 *
 * The version column is a hybrid clock per row.  Remote changes carry their version;
 * local ones get theirs from the trigger here, which keeps it strictly growing: above
 * the row's old version, and above the tombstone of a key that is used again.  Wall
 * clocks may therefore be wrong.
 *
 * A BEFORE trigger runs before the wait for a concurrent delete of the same key, and so
 * cannot see that delete's tombstone: an AFTER trigger looks again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "registered.h"
#include "session.h"
#include "tombstone.h"

#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef struct ClockType
{
	Oid			type;
	CdcClock	clock;
} ClockType;

static const ClockType clock_types[] = {
	{TIMESTAMPTZOID, CDC_CLOCK_TIMESTAMPTZ},
	{TIMESTAMPOID, CDC_CLOCK_TIMESTAMP},
	{INT2OID, CDC_CLOCK_INT2},
	{INT4OID, CDC_CLOCK_INT4},
	{INT8OID, CDC_CLOCK_INT8},
	{NUMERICOID, CDC_CLOCK_NUMERIC},
};

static CdcVersion next_version(CdcClock clock, const CdcVersion *after);
static Datum version_datum(CdcClock clock, const CdcVersion *version);
static int64 clock_now(CdcClock clock);
static bool key_changed(CdcRegistered *reg, TriggerData *trigdata);
static bool raise_floor(CdcVersion *floor, CdcRegistered *reg, HeapTuple tuple,
						TupleDesc desc);
static CdcVersion tuple_version(CdcRegistered *reg, HeapTuple tuple, TupleDesc desc);
static void lift_row(CdcRegistered *reg, const Datum *key, const CdcVersion *version);

CdcClock
cdc_clock_for_type(Oid type, int32 typmod, const char *column)
{
	for (int i = 0; i < lengthof(clock_types); i++)
	{
		if (clock_types[i].type != type)
			continue;
		if ((type == TIMESTAMPTZOID || type == TIMESTAMPOID) &&
			typmod >= 0 && typmod < MAX_TIMESTAMP_PRECISION)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("version column \"%s\" cannot hold microseconds", column),
					 errdetail("Versions grow by one microsecond at least."),
					 errhint("Use %s without a precision.", format_type_be(type))));
		return clock_types[i].clock;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("column \"%s\" of type %s cannot be a version column", column,
					format_type_be(type)),
			 errhint("Use a column of type timestamp with time zone, timestamp, smallint, integer, bigint or numeric.")));
}

bool
cdc_clock_is_time(CdcClock clock)
{
	return clock == CDC_CLOCK_TIMESTAMPTZ || clock == CDC_CLOCK_TIMESTAMP;
}

CdcVersion
cdc_clock_read(CdcClock clock, Datum value, bool isnull)
{
	CdcVersion	version = {.known = !isnull};
	bool		finite = true;

	if (isnull)
		return version;
	switch (clock)
	{
		case CDC_CLOCK_TIMESTAMPTZ:
		case CDC_CLOCK_TIMESTAMP:
			version.value = DatumGetTimestampTz(value);
			finite = !TIMESTAMP_NOT_FINITE(version.value);
			break;
		case CDC_CLOCK_INT2:
			version.value = DatumGetInt16(value);
			break;
		case CDC_CLOCK_INT4:
			version.value = DatumGetInt32(value);
			break;
		case CDC_CLOCK_INT8:
			version.value = DatumGetInt64(value);
			break;
		case CDC_CLOCK_NUMERIC:
			version.numeric = DatumGetNumeric(value);
			finite = !numeric_is_nan(version.numeric) && !numeric_is_inf(version.numeric);
			break;
	}
	if (!finite)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a version must be finite"),
				 errhint("Write a finite value into the version column.")));
	return version;
}

int
cdc_clock_compare(const CdcVersion *a, const CdcVersion *b)
{
	int			order = 0;

	if (a->known != b->known)
		return a->known ? 1 : -1;
	if (a->known && a->numeric)
		order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a->numeric),
												  NumericGetDatum(b->numeric)));
	else if (a->known && a->value != b->value)
		order = a->value > b->value ? 1 : -1;
	return order ? order : (int) a->deleted - (int) b->deleted;
}

Datum
cdc_clock_to_stored(CdcClock clock, const CdcVersion *version, bool *isnull)
{
	Numeric		n;

	*isnull = !version->known;
	if (!version->known)
		return (Datum) 0;
	if (clock == CDC_CLOCK_NUMERIC)
		return NumericGetDatum(version->numeric);
	n = int64_to_numeric(version->value);
	if (cdc_clock_is_time(clock))
		return DirectFunctionCall2(numeric_add, NumericGetDatum(n),
								   NumericGetDatum(int64_to_numeric(UNIX_EPOCH_USECS)));
	return NumericGetDatum(n);
}

CdcVersion
cdc_clock_from_stored(CdcClock clock, Datum stored, bool isnull)
{
	CdcVersion	version = {.known = !isnull, .deleted = true};

	if (isnull)
		return version;
	if (clock == CDC_CLOCK_NUMERIC)
	{
		version.numeric = DatumGetNumeric(stored);
		return version;
	}
	if (cdc_clock_is_time(clock))
		stored = DirectFunctionCall2(numeric_sub, stored,
									 NumericGetDatum(int64_to_numeric(UNIX_EPOCH_USECS)));
	version.value = DatumGetInt64(DirectFunctionCall1(numeric_int8, stored));
	return version;
}

/* The version of a local write that must come after another one, if that is known */
static CdcVersion
next_version(CdcClock clock, const CdcVersion *after)
{
	CdcVersion	next = {.known = true};

	if (clock == CDC_CLOCK_NUMERIC)
	{
		Numeric		one = int64_to_numeric(1);

		next.numeric = one;
		if (after->known)
			next.numeric = DatumGetNumeric(DirectFunctionCall2(numeric_add,
															   NumericGetDatum(after->numeric),
															   NumericGetDatum(one)));
		return next;
	}
	next.value = clock_now(clock);
	if (after->known && after->value >= next.value)
		next.value = after->value + 1;
	return next;
}

/* What the wall clock says, in the version's own measure; other clocks begin at 1 */
static int64
clock_now(CdcClock clock)
{
	/* a timestamp without time zone counts in UTC, as the session's zone may change */
	return cdc_clock_is_time(clock) ? GetCurrentTimestamp() : 1;
}

static Datum
version_datum(CdcClock clock, const CdcVersion *version)
{
	switch (clock)
	{
		case CDC_CLOCK_INT2:
			return DirectFunctionCall1(int82, Int64GetDatum(version->value));
		case CDC_CLOCK_INT4:
			return DirectFunctionCall1(int84, Int64GetDatum(version->value));
		case CDC_CLOCK_NUMERIC:
			return NumericGetDatum(version->numeric);
		case CDC_CLOCK_TIMESTAMPTZ:
		case CDC_CLOCK_TIMESTAMP:
		case CDC_CLOCK_INT8:
			break;
	}
	return Int64GetDatum(version->value);
}

static CdcVersion
tuple_version(CdcRegistered *reg, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, reg->version_attnum, desc, &isnull);

	return cdc_clock_read(reg->clock, value, isnull);
}

static bool
key_changed(CdcRegistered *reg, TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Datum		old_key[INDEX_MAX_KEYS];
	Datum		new_key[INDEX_MAX_KEYS];

	return cdc_registered_key(reg, trigdata->tg_trigtuple, desc, old_key) &&
		cdc_registered_key(reg, trigdata->tg_newtuple, desc, new_key) &&
		cdc_key_compare(reg->key, old_key, new_key) != 0;
}

/* A write that uses a key must come after the key's tombstone: was the floor too low? */
static bool
raise_floor(CdcVersion *floor, CdcRegistered *reg, HeapTuple tuple, TupleDesc desc)
{
	Datum		key[INDEX_MAX_KEYS];
	CdcTombstone tombstone;

	if (!cdc_registered_key(reg, tuple, desc, key))
		return false;			/* a NULL key: the constraint will say so */
	tombstone = cdc_tombstone_read(reg->key, reg->clock, key);
	if (!tombstone.found || cdc_clock_compare(&tombstone.version, floor) <= 0)
		return false;
	*floor = tombstone.version;
	floor->deleted = false;
	return true;
}

/* An AFTER trigger found that the row just written is not newer than its tombstone */
static void
lift_row(CdcRegistered *reg, const Datum *key, const CdcVersion *version)
{
	StringInfoData sql;
	Relation	root = table_open(reg->key->relid, NoLock);
	Oid			types[INDEX_MAX_KEYS + 1];
	Datum		values[INDEX_MAX_KEYS + 1];
	Oid			userid;
	int			sec_context;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s SET %s = $1 WHERE ", cdc_registered_name(root),
					 quote_identifier(reg->version_column));
	types[0] = reg->version_type;
	values[0] = version_datum(reg->clock, version);
	for (int i = 0; i < reg->key->ncolumns; i++)
	{
		appendStringInfo(&sql, "%s%s ", i ? " AND " : "",
						 quote_identifier(reg->key->columns[i].name));
		cdc_key_append_equality(&sql, &reg->key->columns[i]);
		appendStringInfo(&sql, " $%d", i + 2);
		types[i + 1] = reg->key->columns[i].type;
		values[i + 1] = key[i];
	}

	/* whoever may insert need not have the right to update */
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(root->rd_rel->relowner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	SPI_execute_with_args(sql.data, reg->key->ncolumns + 1, types, values, NULL, false, 0);
	SPI_finish();
	SetUserIdAndSecContext(userid, sec_context);
	table_close(root, NoLock);
}

/*
 * BEFORE INSERT OR UPDATE, each row: gives a local write its version.
 */
PG_FUNCTION_INFO_V1(cdcsync_version_trigger);
Datum
cdcsync_version_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	tuple;
	CdcRegistered *reg;
	CdcVersion	floor = {0};
	CdcVersion	version;
	Datum		value;
	bool		isnull = false;
	int			attnum;

	cdc_registered_check_trigger(fcinfo, "version_trigger");
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple :
		trigdata->tg_trigtuple;
	reg = cdc_session_applying ? NULL : cdc_registered_open(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(tuple);

	desc = RelationGetDescr(trigdata->tg_relation);
	version = tuple_version(reg, tuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		floor = tuple_version(reg, trigdata->tg_trigtuple, desc);
	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) || key_changed(reg, trigdata))
		raise_floor(&floor, reg, tuple, desc);
	if (version.known && cdc_clock_compare(&version, &floor) > 0)
		PG_RETURN_POINTER(tuple);

	version = next_version(reg->clock, &floor);
	value = version_datum(reg->clock, &version);
	attnum = reg->version_attnum;
	PG_RETURN_POINTER(heap_modify_tuple_by_cols(tuple, desc, 1, &attnum, &value, &isnull));
}

/*
 * AFTER INSERT, AFTER UPDATE of the key, each row: looks for a tombstone that was not
 * there yet when the row got its version.
 */
PG_FUNCTION_INFO_V1(cdcsync_version_check_trigger);
Datum
cdcsync_version_check_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	TupleDesc	desc;
	CdcRegistered *reg;
	CdcVersion	floor;

	cdc_registered_check_trigger(fcinfo, "version_check_trigger");
	reg = cdc_session_applying ? NULL : cdc_registered_open(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(NULL);

	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple :
		trigdata->tg_trigtuple;
	desc = RelationGetDescr(trigdata->tg_relation);
	floor = tuple_version(reg, tuple, desc);
	if (raise_floor(&floor, reg, tuple, desc))
	{
		CdcVersion	version = next_version(reg->clock, &floor);
		Datum		key[INDEX_MAX_KEYS];

		cdc_registered_key(reg, tuple, desc, key);
		lift_row(reg, key, &version);
	}
	PG_RETURN_POINTER(NULL);
}
