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

#include "conflict.h"

static CdcDecision decide_upsert(const CdcSituation *s);
static CdcDecision decide_create(const CdcSituation *s);
static CdcDecision decide_replace(const CdcSituation *s);
static CdcDecision decide_delete(const CdcSituation *s);
static CdcDecision decide_remove(const CdcSituation *s);
static CdcDecision decide_null_value(const CdcSituation *s);
static bool own_is_news(const CdcSituation *s);

const char *const cdc_conflict_type_names[] = {
	[CDC_CT_INSERT_EXISTS] = "insert_exists",
	[CDC_CT_UPDATE_ORIGIN_DIFFERS] = "update_origin_differs",
	[CDC_CT_UPDATE_EXISTS] = "update_exists",
	[CDC_CT_UPDATE_MISSING] = "update_missing",
	[CDC_CT_UPDATE_DELETED] = "update_deleted",
	[CDC_CT_DELETE_ORIGIN_DIFFERS] = "delete_origin_differs",
	[CDC_CT_DELETE_EXISTS] = "delete_exists",
	[CDC_CT_DELETE_MISSING] = "delete_missing",
	[CDC_CT_MULTIPLE_UNIQUE_CONFLICTS] = "multiple_unique_conflicts",
	[CDC_CT_NONE] = "none"
};

static inline CdcDecision
decision(CdcAction action, CdcConflictType conflict, const char *reason)
{
	return (CdcDecision){.action = action, .conflict = conflict, .reason = reason};
}

CdcDecision
cdc_conflict_decide(const CdcSituation *s)
{
	if (s->own && !own_is_news(s))
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "own change, nothing newer");

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

/* Rule 1: own events and own echoes win only when newer than all that is known here */
static bool
own_is_news(const CdcSituation *s)
{
	return (!s->row || s->to_row == CDC_NEWER) &&
		(!s->tombstone || s->to_tombstone == CDC_NEWER);
}

static CdcDecision
decide_upsert(const CdcSituation *s)
{
	return s->row ? decide_replace(s) : decide_create(s);
}

/* Rule 3: an upsert meets no row */
static CdcDecision
decide_create(const CdcSituation *s)
{
	if (s->tombstone)
	{
		CdcConflictType conflict = s->own ? CDC_CT_NONE : CDC_CT_UPDATE_DELETED;

		if (s->to_tombstone == CDC_OLDER)
			return decision(CDC_ACTION_NONE, conflict, "older than the delete");
		if (s->to_tombstone == CDC_SAME && !s->same_writer)
			return decision(CDC_ACTION_NONE, conflict, "deleted by another node at the same time");
		if (s->op != CDC_OP_UPDATE)
			conflict = CDC_CT_NONE; /* a key that is used again */
		return decision(CDC_ACTION_PUT, conflict, "newer than the delete, created");
	}
	if (s->behind_horizon)
		return decision(CDC_ACTION_ERROR, CDC_CT_UPDATE_DELETED,
						"not newer than a pruned tombstone");
	if (s->op == CDC_OP_UPDATE)
		return decision(CDC_ACTION_PUT, s->own ? CDC_CT_NONE : CDC_CT_UPDATE_MISSING,
						"no row, created");
	return decision(CDC_ACTION_PUT, CDC_CT_NONE, "created");
}

/* Rules 4, 5 and 8: an upsert meets a row */
static CdcDecision
decide_replace(const CdcSituation *s)
{
	CdcConflictType conflict;

	if (s->equal)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "row is already so");

	conflict = s->op == CDC_OP_UPDATE ? CDC_CT_UPDATE_ORIGIN_DIFFERS : CDC_CT_INSERT_EXISTS;
	if (s->own || s->same_writer || s->before_is_row)
		conflict = CDC_CT_NONE;

	if (s->to_row == CDC_NEWER)
		return decision(CDC_ACTION_PUT, conflict, "newer");
	if (s->to_row == CDC_OLDER)
		return decision(CDC_ACTION_NONE, conflict, "older, local row kept");
	if (s->text_order > 0)
		return decision(CDC_ACTION_PUT, conflict, "same version, larger text");
	return decision(CDC_ACTION_NONE, conflict, "same version, smaller text, local row kept");
}

/* Rule 6: a delete meets no row */
static CdcDecision
decide_delete(const CdcSituation *s)
{
	if (s->row)
		return decide_remove(s);
	if (s->tombstone && s->to_tombstone != CDC_NEWER)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "already deleted");
	return decision(CDC_ACTION_RAISE, s->own ? CDC_CT_NONE : CDC_CT_DELETE_MISSING,
					"no row, delete remembered");
}

/* Rule 7: a delete meets a row */
static CdcDecision
decide_remove(const CdcSituation *s)
{
	bool		known = s->own || s->same_writer || s->before_is_row;

	if (s->to_row == CDC_OLDER)
		return decision(CDC_ACTION_NONE, known ? CDC_CT_NONE : CDC_CT_DELETE_EXISTS,
						"local row is newer, kept");
	return decision(CDC_ACTION_REMOVE, known ? CDC_CT_NONE : CDC_CT_DELETE_ORIGIN_DIFFERS,
					"deleted");
}

/* Rule 9: a null value that does not follow its delete; what it deletes has no version */
static CdcDecision
decide_null_value(const CdcSituation *s)
{
	if (!s->row)
		return decision(CDC_ACTION_NONE, CDC_CT_NONE, "no row");
	return decision(CDC_ACTION_ERROR, CDC_CT_DELETE_ORIGIN_DIFFERS,
					"a null value says nothing of the version it deletes");
}

void
cdc_conflict_net_begin(CdcNet *net, bool had_row)
{
	*net = (CdcNet){.had_row = had_row, .has_row = had_row};
}

void
cdc_conflict_net_add(CdcNet *net, CdcAction action)
{
	switch (action)
	{
		case CDC_ACTION_PUT:
			net->has_row = true;
			net->changed = true;
			break;
		case CDC_ACTION_REMOVE:
			net->has_row = false;
			net->changed = true;
			break;
		case CDC_ACTION_RAISE:
			net->raised = true;
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
cdc_conflict_net_write(const CdcNet *net)
{
	if (net->had_row)
	{
		if (!net->changed)
			return CDC_WRITE_NOTHING;
		return net->has_row ? CDC_WRITE_UPDATE : CDC_WRITE_DELETE;
	}
	if (net->has_row)
		return CDC_WRITE_INSERT;
	return net->changed || net->raised ? CDC_WRITE_THROUGH : CDC_WRITE_NOTHING;
}
