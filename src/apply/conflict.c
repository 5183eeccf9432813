/*
 * conflict.c
 *		The decision rules of last-writer-wins: pure functions.
 *
 * What comes in is already compared (versions, texts, presence); what goes out is
 * what to do.  No SPI, catalog, Kafka, setting or fmgr: the file links into a model
 * checker as it stands.  The numbers in the comments are those of the rules in
 * doc/conflicts.md.
 *
 * Several events of one key in a batch are decided one after the other on the row in
 * memory; only then their net effect is taken, never before, for the nodes would part
 * otherwise.
 */
#include "postgres.h"

#include "apply/conflict.h"

/* What it means to apply the remote change of a conflict */
static const CdcAction remote_actions[] = {
	[CDC_CT_INSERT_EXISTS] = CDC_ACTION_PUT,
	[CDC_CT_UPDATE_ORIGIN_DIFFERS] = CDC_ACTION_PUT,
	[CDC_CT_UPDATE_EXISTS] = CDC_ACTION_PUT,
	[CDC_CT_UPDATE_MISSING] = CDC_ACTION_PUT,
	[CDC_CT_UPDATE_DELETED] = CDC_ACTION_PUT,
	[CDC_CT_DELETE_ORIGIN_DIFFERS] = CDC_ACTION_REMOVE,
	[CDC_CT_DELETE_EXISTS] = CDC_ACTION_REMOVE,
	[CDC_CT_DELETE_MISSING] = CDC_ACTION_RAISE,
	[CDC_CT_MULTIPLE_UNIQUE_CONFLICTS] = CDC_ACTION_PUT,
	[CDC_CT_NONE] = CDC_ACTION_NONE
};

static inline CdcDecision
decision(CdcAction action, CdcConflictType conflict, const char *reason)
{
	return (CdcDecision){.action = action, .conflict = conflict, .reason = reason};
}

/*
 * Rule 1: own events and own echoes win only when newer than all that is known here.
 * A spoke takes its echoes as any change: the server has decided them.
 */
static bool
own_is_stale(const CdcSituation *s)
{
	if (s->preset == CDC_PRESET_SPOKE && s->own_echo)
		return false;
	return (s->row && s->to_row != CDC_NEWER) ||
		(s->tombstone && s->to_tombstone != CDC_NEWER);
}

/* Rule 8: did the author know what is here?  Decides nothing but whether to record it */
static bool
was_known(const CdcSituation *s)
{
	return s->own || s->same_writer || s->before_is_row;
}

static CdcDecision
decide_hub_replace(const CdcSituation *s, CdcConflictType conflict)
{
	if (s->op != CDC_OP_UPDATE)
		return decision(CDC_ACTION_NONE, conflict, "key exists, ignored");
	if (s->before_is_row)
		return decision(CDC_ACTION_PUT, conflict, "applied");
	if (s->to_row == CDC_NEWER)
		return decision(CDC_ACTION_PUT, conflict, "newer");
	return decision(CDC_ACTION_NONE, conflict, "not newer, local row kept");
}

static CdcDecision
decide_by_version(const CdcSituation *s, CdcConflictType conflict)
{
	if (s->to_row == CDC_NEWER)
		return decision(CDC_ACTION_PUT, conflict, "newer");
	if (s->to_row == CDC_OLDER)
		return decision(CDC_ACTION_NONE, conflict, "older, local row kept");
	if (s->commit_clock && s->same_writer)
		return decision(CDC_ACTION_PUT, conflict, "same time, later in the log");
	if (s->text_order > 0)
		return decision(CDC_ACTION_PUT, conflict, "same version, larger text");
	return decision(CDC_ACTION_NONE, conflict, "same version, smaller text, local row kept");
}

/* Rules 4 and 5: an upsert meets a row */
static CdcDecision
decide_replace(const CdcSituation *s)
{
	CdcConflictType conflict;

	if (s->equal && s->commit_clock && s->to_row == CDC_NEWER)
		return decision(CDC_ACTION_TOUCH, CDC_CT_NONE, "row is already so, version recorded");
	if (s->equal)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "row is already so");

	conflict = s->op == CDC_OP_UPDATE ? CDC_CT_UPDATE_ORIGIN_DIFFERS : CDC_CT_INSERT_EXISTS;
	if (was_known(s))
		conflict = CDC_CT_NONE;
	switch (s->preset)
	{
		case CDC_PRESET_HUB:
			return decide_hub_replace(s, conflict);
		case CDC_PRESET_SPOKE:
			return decision(CDC_ACTION_PUT, conflict, "the server has decided");
		case CDC_PRESET_NONE:
			break;
	}
	return decide_by_version(s, conflict);
}

static CdcDecision
decide_against_tombstone(const CdcSituation *s)
{
	CdcConflictType conflict = s->own ? CDC_CT_NONE : CDC_CT_UPDATE_DELETED;

	if (s->to_tombstone == CDC_OLDER)
		return decision(CDC_ACTION_NONE, conflict, "older than the delete");
	if (s->to_tombstone == CDC_SAME && !s->same_writer)
		return decision(CDC_ACTION_NONE, conflict, "deleted by another node at the same time");
	if (s->op != CDC_OP_UPDATE || s->same_writer)
		conflict = CDC_CT_NONE; /* a key that is used again */
	return decision(CDC_ACTION_PUT, conflict, "newer than the delete, created");
}

/* Rule 3: an upsert meets no row; presets ignore tombstones */
static CdcDecision
decide_create(const CdcSituation *s)
{
	if (s->preset == CDC_PRESET_NONE && s->tombstone)
		return decide_against_tombstone(s);
	if (s->preset == CDC_PRESET_NONE && s->behind_horizon)
		return decision(CDC_ACTION_ERROR, CDC_CT_UPDATE_DELETED,
						"not newer than a pruned tombstone");
	if (s->op == CDC_OP_UPDATE)
		return decision(CDC_ACTION_PUT, s->own ? CDC_CT_NONE : CDC_CT_UPDATE_MISSING,
						"no row, created");
	return decision(CDC_ACTION_PUT, CDC_CT_NONE, "created");
}

static CdcDecision
decide_upsert(const CdcSituation *s)
{
	/* rule 2: a snapshot says nothing of when its rows were written */
	if (s->op == CDC_OP_READ && s->commit_clock && (s->row || s->tombstone))
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "snapshot row of a key that is known here");
	return s->row ? decide_replace(s) : decide_create(s);
}

/* Rule 7: a delete meets a row */
static CdcDecision
decide_remove(const CdcSituation *s)
{
	bool		known = was_known(s);
	CdcConflictType removed = known ? CDC_CT_NONE : CDC_CT_DELETE_ORIGIN_DIFFERS;
	CdcConflictType kept = known && !s->made_up ? CDC_CT_NONE : CDC_CT_DELETE_EXISTS;

	/* an update that spells the key otherwise is read as delete and insert, in any order */
	if (s->respelled && s->same_writer)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "the key was spelled so before");
	if (s->preset == CDC_PRESET_HUB)
		return decision(CDC_ACTION_REMOVE, removed, "deleted");
	if (s->preset == CDC_PRESET_SPOKE && !s->before_is_row)
		return decision(CDC_ACTION_NONE, kept, "edited here, kept");
	if (s->preset == CDC_PRESET_NONE && s->to_row == CDC_OLDER)
		return decision(CDC_ACTION_NONE, kept, s->made_up ?
						"local row is newer than a delete that does not show its row, kept" :
						"local row is newer, kept");
	return decision(CDC_ACTION_REMOVE, removed, "deleted");
}

/* Rule 6: a delete meets no row */
static CdcDecision
decide_delete(const CdcSituation *s)
{
	CdcConflictType conflict = s->own ? CDC_CT_NONE : CDC_CT_DELETE_MISSING;

	if (s->row)
		return decide_remove(s);
	if (s->tombstone && s->to_tombstone != CDC_NEWER)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "already deleted");
	if (s->preset != CDC_PRESET_NONE)
		return decision(CDC_ACTION_NONE, conflict, "no row, ignored");
	return decision(CDC_ACTION_RAISE, conflict, "no row, delete remembered");
}

/*
 * Rule 9: a null value that does not follow its delete.  Under the commit clock it is a
 * delete at its record's time; else what it deletes has no version.
 */
static CdcDecision
decide_null_value(const CdcSituation *s)
{
	if (!s->row)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "no row");
	if (s->table_by_name)
		return decision(CDC_ACTION_ERROR, CDC_CT_NONE,
						"by the name of its topic the null value may be of another table");
	if (s->commit_clock)
		return decide_remove(s);
	return decision(CDC_ACTION_ERROR, CDC_CT_DELETE_ORIGIN_DIFFERS,
					"a null value says nothing of the version it deletes");
}

static CdcDecision
decide_by_op(const CdcSituation *s)
{
	switch (s->op)
	{
		case CDC_OP_CREATE:
		case CDC_OP_UPDATE:
		case CDC_OP_READ:
			return decide_upsert(s);
		case CDC_OP_DELETE:
			return decide_delete(s);
		case CDC_OP_NULL_VALUE:
			return decide_null_value(s);
		case CDC_OP_TRUNCATE:
		case CDC_OP_IGNORED:
			break;				/* have no key: never come here */
	}
	return decision(CDC_ACTION_ERROR, CDC_CT_NONE, "not a change of a row");
}

/* What is kept is a row or the memory of a delete; without either nothing was done */
static CdcResolution
resolution_of(const CdcSituation *s, CdcAction action)
{
	if (action == CDC_ACTION_ERROR)
		return CDC_RESOLUTION_ERROR;
	if (action != CDC_ACTION_NONE)
		return CDC_RESOLUTION_APPLY_REMOTE;
	return s->row || s->tombstone || s->unique_rows > 0 ? CDC_RESOLUTION_KEEP_LOCAL :
		CDC_RESOLUTION_SKIP;
}

/* By last-writer-wins, or by a preset */
CdcDecision
cdc_conflict_decide(const CdcSituation *s)
{
	CdcDecision d;

	if (s->own && own_is_stale(s))
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "own change, nothing newer");
	d = decide_by_op(s);
	if (d.action == CDC_ACTION_PUT)
		d = cdc_conflict_decide_unique(s, d);
	d.resolution = resolution_of(s, d.action);
	return d;
}

/* The same conflict, handled otherwise */
CdcDecision
cdc_conflict_handle(const CdcSituation *s, CdcDecision d, CdcHandling handling)
{
	switch (handling)
	{
		case CDC_HANDLING_APPLY_REMOTE:
			d.action = remote_actions[d.conflict];
			d.reason = "conflict, remote change applied";
			break;
		case CDC_HANDLING_KEEP_LOCAL:
		case CDC_HANDLING_SKIP:
			d.action = CDC_ACTION_NONE;
			d.reason = handling == CDC_HANDLING_SKIP ? "conflict, skipped" :
				"conflict, local state kept";
			break;
		case CDC_HANDLING_ERROR:
			d.action = CDC_ACTION_ERROR;
			d.reason = "conflicts of this type are errors here";
			break;
		case CDC_HANDLING_LAST_UPDATE_WINS:
		case CDC_HANDLING_FUNCTION:
			return d;
	}
	d.resolution = handling == CDC_HANDLING_SKIP ? CDC_RESOLUTION_SKIP :
		resolution_of(s, d.action);
	return d;
}

/* The same conflict, of which a handler made a row of both sides */
CdcDecision
cdc_conflict_merge(CdcDecision d)
{
	d.action = CDC_ACTION_MERGE;
	d.resolution = CDC_RESOLUTION_MERGE;
	d.reason = "conflict, merged by the handler";
	return d;
}

/*
 * The row to be would take unique values of other rows: the newest of all stays.  Under
 * a preset the server's word goes on a spoke.
 */
CdcDecision
cdc_conflict_decide_unique(const CdcSituation *s, CdcDecision d)
{
	int			found = s->unique_rows;

	if (found == 0)
		return d;
	if (s->op != CDC_OP_UPDATE && s->row)
		found++;				/* its key, too */
	if (found > 1)
		d.conflict = CDC_CT_MULTIPLE_UNIQUE_CONFLICTS;
	else
		d.conflict = s->op == CDC_OP_UPDATE ? CDC_CT_UPDATE_EXISTS : CDC_CT_INSERT_EXISTS;
	if (s->preset == CDC_PRESET_SPOKE || s->to_unique_rows == CDC_NEWER)
		d.reason = "newer than the rows that had its unique values";
	else
	{
		d.action = CDC_ACTION_NONE;
		d.reason = "older than a row that has its unique value";
	}
	d.resolution = resolution_of(s, d.action);
	return d;
}

/* An insert whose key exists, and that does not get as far, is about its key */
bool
cdc_conflict_is_unique(const CdcSituation *s, CdcConflictType conflict)
{
	return conflict == CDC_CT_UPDATE_EXISTS || conflict == CDC_CT_MULTIPLE_UNIQUE_CONFLICTS ||
		(conflict == CDC_CT_INSERT_EXISTS && !s->row);
}

void
cdc_conflict_effect_begin(CdcEffect *effect, bool had_row)
{
	*effect = (CdcEffect){.had_row = had_row, .has_row = had_row};
}

void
cdc_conflict_effect_add(CdcEffect *effect, CdcAction action)
{
	switch (action)
	{
		case CDC_ACTION_PUT:
		case CDC_ACTION_MERGE:
		case CDC_ACTION_TOUCH:
			effect->has_row = true;
			effect->changed = true;
			break;
		case CDC_ACTION_REMOVE:
			effect->has_row = false;
			effect->changed = true;
			break;
		case CDC_ACTION_RAISE:
			effect->raised = true;
			break;
		case CDC_ACTION_NONE:
		case CDC_ACTION_ERROR:
			break;
	}
}

/*
 * A key that had no row and has none, but was deleted meanwhile, is written through:
 * a hub's clients learn of the delete from the hub's log alone.
 */
CdcWrite
cdc_conflict_effect_write(const CdcEffect *effect)
{
	if (effect->had_row)
	{
		if (!effect->changed)
			return CDC_WRITE_NOTHING;
		return effect->has_row ? CDC_WRITE_UPDATE : CDC_WRITE_DELETE;
	}
	if (effect->has_row)
		return CDC_WRITE_INSERT;
	return effect->changed || effect->raised ? CDC_WRITE_THROUGH : CDC_WRITE_NOTHING;
}
