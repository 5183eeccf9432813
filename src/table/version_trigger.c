/*
 * version_trigger.c
 *		The triggers that keep a version column strictly growing.
 *
 * A local write gets a version above the row's old one, and above the tombstone of a key
 * that is used again.  Wall clocks may therefore be wrong.
 *
 * A BEFORE trigger runs before the wait for a concurrent delete of the same key, and so
 * cannot see that delete's tombstone: an AFTER trigger looks again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "base/owner.h"
#include "base/session.h"
#include "base/table_lift.h"
#include "table/clock.h"
#include "table/registered_table.h"
#include "table/tombstone.h"

static bool
key_changed(CdcRegisteredTable *reg, TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Datum		old_key[INDEX_MAX_KEYS];
	Datum		new_key[INDEX_MAX_KEYS];

	return cdc_registered_table_key(reg, trigdata->tg_trigtuple, desc, old_key) &&
		cdc_registered_table_key(reg, trigdata->tg_newtuple, desc, new_key) &&
		cdc_key_compare(reg->key, old_key, new_key) != 0;
}

/* A write that uses a key must come after the key's tombstone: was the floor too low? */
static bool
raise_floor(CdcVersion *floor, CdcRegisteredTable *reg, HeapTuple tuple, TupleDesc desc)
{
	Datum		key[INDEX_MAX_KEYS];
	CdcTombstone tombstone;

	if (!cdc_registered_table_key(reg, tuple, desc, key))
		return false;			/* a NULL key: the constraint will say so */
	tombstone = cdc_tombstone_read(reg->key, reg->clock, key);
	if (!tombstone.found || cdc_clock_compare(&tombstone.version, floor) <= 0)
		return false;
	*floor = tombstone.version;
	floor->deleted = false;
	return true;
}

static CdcVersion
tuple_version(CdcRegisteredTable *reg, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, reg->version_attnum, desc, &isnull);

	return cdc_clock_read(reg->clock, value, isnull);
}

static void
check_room(CdcRegisteredTable *reg, const CdcVersion *version, const CdcVersion *floor)
{
	if (!cdc_clock_leaves_room(reg->clock, version, floor))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("version leaves no room for later ones"),
				 errdetail("It is too long, or too near to the largest value of its type."),
				 errhint("Write a smaller value, or NULL, into the version column.")));
}

/* Whoever may insert need not have the right to update: it is the owner's.  None of the caller's settings holds */
static void
write_version(CdcRegisteredTable *reg, Relation rel, TupleTableSlot *slot, const CdcVersion *version)
{
	int			nestlevel = cdc_session_begin();
	CdcOwnerScope scope;

	cdc_owner_begin(&scope, rel->rd_rel->relowner);
	cdc_table_lift(rel, slot, reg->version_attnum, cdc_clock_to_datum(reg->clock, version));
	cdc_owner_end(&scope);
	cdc_session_end(nestlevel);
}

/*
 * An AFTER trigger found that the row it is about is not newer than its tombstone, which
 * is the floor.  The row is its transaction's own, so nobody else can be at it; another
 * trigger may have been.
 */
static void
lift_row(CdcRegisteredTable *reg, Relation rel, const ItemPointerData *tid, const CdcVersion *floor)
{
	TupleTableSlot *slot = cdc_table_lift_find(rel, tid);
	CdcVersion	version;
	Datum		value;
	bool		isnull;

	if (slot == NULL)
		return;
	value = slot_getattr(slot, reg->version_attnum, &isnull);
	version = cdc_clock_read(reg->clock, value, isnull);
	if (cdc_clock_compare(&version, floor) <= 0)
	{
		version = cdc_clock_next(reg->clock, floor);
		write_version(reg, rel, slot, &version);
	}
	ExecDropSingleTupleTableSlot(slot);
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
	CdcRegisteredTable *reg;
	CdcVersion	floor = {0};
	CdcVersion	version;
	Datum		value;
	bool		isnull = false;
	int			attnum;

	cdc_registered_table_check_trigger(fcinfo, "version_trigger");
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple :
		trigdata->tg_trigtuple;
	reg = cdc_registered_table_open_local(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(tuple);

	desc = RelationGetDescr(trigdata->tg_relation);
	version = tuple_version(reg, tuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		floor = tuple_version(reg, trigdata->tg_trigtuple, desc);
	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) || key_changed(reg, trigdata))
		raise_floor(&floor, reg, tuple, desc);
	if (version.known && cdc_clock_compare(&version, &floor) > 0)
	{
		check_room(reg, &version, &floor);
		PG_RETURN_POINTER(tuple);
	}

	version = cdc_clock_next(reg->clock, &floor);
	value = cdc_clock_to_datum(reg->clock, &version);
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
	CdcRegisteredTable *reg;
	CdcVersion	floor;

	cdc_registered_table_check_trigger(fcinfo, "version_check_trigger");
	reg = cdc_registered_table_open_local(trigdata->tg_relation);
	if (reg == NULL)
		PG_RETURN_POINTER(NULL);

	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple :
		trigdata->tg_trigtuple;
	desc = RelationGetDescr(trigdata->tg_relation);
	floor = tuple_version(reg, tuple, desc);
	if (raise_floor(&floor, reg, tuple, desc))
		lift_row(reg, trigdata->tg_relation, &tuple->t_self, &floor);
	PG_RETURN_POINTER(NULL);
}
