/*
 * trigger.c
 *		The triggers of registered tables: versions grow strictly, deletes are remembered.
 *
 * A local write gets a version above the row's old one, and above the tombstone of a key
 * that is used again.  Wall clocks may therefore be wrong.
 *
 *		~cdcsync_version            BEFORE INSERT OR UPDATE      gives a row its version
 *		~cdcsync_version_check...   AFTER INSERT, UPDATE of key  looks for a tombstone again
 *		~cdcsync_tombstone...       AFTER DELETE, UPDATE of key  remembers the key that went
 *
 * The second is there because a BEFORE trigger runs before the wait for a concurrent delete
 * of the same key, and so cannot see that delete's tombstone.
 *
 * They fire in every session, for whoever writes the table, and run with that one's rights
 * and settings: keys are compared and hashed by functions of operator classes, which
 * superusers make.  What is done to the row is done as its owner.  Rows that are written
 * for a peer have their version and their tombstones already (writing.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "base/guc.h"
#include "base/owner.h"
#include "base/session.h"
#include "base/table_lift.h"
#include "table/clock.h"
#include "table/registered_table.h"
#include "table/tombstone.h"
#include "table/writing.h"

/* A local write, as one of the triggers meets it */
typedef struct LocalWrite
{
	CdcRegisteredTable *table;
	Relation	rel;			/* on which the trigger stands */
	TupleDesc	desc;
	bool		update;
	HeapTuple	old;			/* the row that was there: NULL for an insert */
	HeapTuple	new;			/* that will be: NULL for a delete */
} LocalWrite;

/* What a function is a trigger for; as another one its rows would not be what it takes them for */
typedef struct TriggerKind
{
	const char *function;
	const char *event;
	TriggerEvent timing;
	TriggerEvent besides_update;
} TriggerKind;

static const TriggerKind version_kind =
{"version_trigger", "BEFORE INSERT OR UPDATE", TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_INSERT};
static const TriggerKind version_check_kind =
{"version_check_trigger", "AFTER INSERT OR UPDATE", TRIGGER_EVENT_AFTER, TRIGGER_EVENT_INSERT};
static const TriggerKind tombstone_kind =
{"tombstone_trigger", "AFTER DELETE OR UPDATE", TRIGGER_EVENT_AFTER, TRIGGER_EVENT_DELETE};

static bool
is_kind(const TriggerKind *kind, TriggerEvent event)
{
	return TRIGGER_FIRED_FOR_ROW(event) && (event & TRIGGER_EVENT_TIMINGMASK) == kind->timing &&
		(TRIGGER_FIRED_BY_UPDATE(event) || (event & TRIGGER_EVENT_OPMASK) == kind->besides_update);
}

/*
 * What a trigger was called for; false if that is no local write of a registered table, but
 * one for a peer, or of a table that was removed.
 */
static bool
begin(LocalWrite *w, FunctionCallInfo fcinfo, const TriggerKind *kind)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !is_kind(kind, trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"cdcsync.%s\" was not called as a trigger %s FOR EACH ROW",
						kind->function, kind->event),
				 errhint("cdcsync.add_table creates the triggers it needs.")));
	w->rel = trigdata->tg_relation;
	w->desc = RelationGetDescr(w->rel);
	w->update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	w->old = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ? NULL : trigdata->tg_trigtuple;
	w->new = w->update ? trigdata->tg_newtuple : w->old ? NULL : trigdata->tg_trigtuple;
	w->table = cdc_registered_table_open(w->rel);
	if (w->table == NULL || cdc_writing_for_peer(w->table->key->relid))
		return false;
	cdc_writing_note_local(w->table->key->relid);
	return true;
}

/* The key's values of a row; false if one is NULL: the constraint will say so */
static bool
key_of(const LocalWrite *w, HeapTuple tuple, Datum *values)
{
	for (int i = 0; i < w->table->key->ncolumns; i++)
	{
		bool		isnull;

		values[i] = heap_getattr(tuple, w->table->key_attnums[i], w->desc, &isnull);
		if (isnull)
			return false;
	}
	return true;
}

static CdcVersion
version_of(const LocalWrite *w, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, w->table->version_attnum, w->desc, &isnull);

	return cdc_clock_read(w->table->clock, value, isnull);
}

static bool
uses_other_key(const LocalWrite *w)
{
	Datum		old_key[INDEX_MAX_KEYS];
	Datum		new_key[INDEX_MAX_KEYS];

	return w->old == NULL ||
		(key_of(w, w->old, old_key) && key_of(w, w->new, new_key) &&
		 cdc_key_compare(w->table->key, old_key, new_key) != 0);
}

/* A write that uses a key must come after the key's tombstone: was the floor too low? */
static bool
raise_floor(const LocalWrite *w, CdcVersion *floor)
{
	Datum		key[INDEX_MAX_KEYS];
	CdcTombstone tombstone;

	if (!key_of(w, w->new, key))
		return false;
	tombstone = cdc_tombstone_read(w->table->key, w->table->clock, key);
	if (!tombstone.found || cdc_clock_compare(&tombstone.version, floor) <= 0)
		return false;
	*floor = tombstone.version;
	floor->deleted = false;
	return true;
}

PG_FUNCTION_INFO_V1(cdcsync_version_trigger);
Datum
cdcsync_version_trigger(PG_FUNCTION_ARGS)
{
	LocalWrite	w;
	CdcVersion	floor = {0};
	CdcVersion	version;
	Datum		value;
	bool		isnull = false;
	int			attnum;

	if (!begin(&w, fcinfo, &version_kind))
		PG_RETURN_POINTER(w.new);
	version = version_of(&w, w.new);
	if (w.old)
		floor = version_of(&w, w.old);
	if (uses_other_key(&w))
		(void) raise_floor(&w, &floor);
	if (version.known && cdc_clock_compare(&version, &floor) > 0)
	{
		if (!cdc_clock_leaves_room(w.table->clock, &version, &floor))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("version leaves no room for later ones"),
					 errdetail("It is too long, or too near to the largest value of its type."),
					 errhint("Write a smaller value, or NULL, into the version column.")));
		PG_RETURN_POINTER(w.new);
	}

	version = cdc_clock_next(w.table->clock, &floor);
	value = cdc_clock_to_datum(w.table->clock, &version);
	attnum = w.table->version_attnum;
	PG_RETURN_POINTER(heap_modify_tuple_by_cols(w.new, w.desc, 1, &attnum, &value, &isnull));
}

/*
 * The row is not newer than its tombstone, which is the floor.  It is its transaction's
 * own, so nobody else can be at it; another trigger may have been.
 *
 * Whoever may insert need not have the right to update: it is the owner's, and none of the
 * caller's settings holds.
 */
static void
lift_row(const LocalWrite *w, const CdcVersion *floor)
{
	TupleTableSlot *slot = cdc_table_lift_find(w->rel, &w->new->t_self);
	AttrNumber	attnum = w->table->version_attnum;
	CdcVersion	version;
	Datum		value;
	bool		isnull;
	int			nestlevel;
	CdcOwnerScope scope;

	if (slot == NULL)
		return;
	value = slot_getattr(slot, attnum, &isnull);
	version = cdc_clock_read(w->table->clock, value, isnull);
	if (cdc_clock_compare(&version, floor) <= 0)
	{
		version = cdc_clock_next(w->table->clock, floor);
		nestlevel = cdc_session_begin();
		cdc_owner_begin(&scope, w->rel->rd_rel->relowner);
		cdc_table_lift(w->rel, slot, attnum, cdc_clock_to_datum(w->table->clock, &version));
		cdc_owner_end(&scope);
		cdc_session_end(nestlevel);
	}
	ExecDropSingleTupleTableSlot(slot);
}

PG_FUNCTION_INFO_V1(cdcsync_version_check_trigger);
Datum
cdcsync_version_check_trigger(PG_FUNCTION_ARGS)
{
	LocalWrite	w;
	CdcVersion	floor;

	if (!begin(&w, fcinfo, &version_check_kind))
		PG_RETURN_POINTER(NULL);
	floor = version_of(&w, w.new);
	if (raise_floor(&w, &floor))
		lift_row(&w, &floor);
	PG_RETURN_POINTER(NULL);
}

/* Under the commit clock a delete's version is known when it has committed, and asked of xmin then */
PG_FUNCTION_INFO_V1(cdcsync_tombstone_trigger);
Datum
cdcsync_tombstone_trigger(PG_FUNCTION_ARGS)
{
	LocalWrite	w;
	Datum		key[INDEX_MAX_KEYS];
	CdcTombstoneRow row = {.key = key, .peer = cdc_node_name};

	if (!begin(&w, fcinfo, &tombstone_kind) || !key_of(&w, w.old, key))
		PG_RETURN_POINTER(NULL);
	if (w.table->clock != CDC_CLOCK_COMMIT)
	{
		row.version = version_of(&w, w.old);
		row.version.deleted = true;
	}
	cdc_tombstone_raise(w.table->key, w.table->clock, &row, 1);
	PG_RETURN_POINTER(NULL);
}
