/*
 * ablation.c
 *		The rules taken away one at a time: each must be missed somewhere.
 *
 * A rule is taken away by falsifying what src/apply/conflict.c is told, or what it answers;
 * what is not decided there, but belongs to the rules, by flags that the rest of the
 * model heeds.
 */
#include "postgres.h"

#include "apply/conflict.h"

#include "ablation.h"

static bool
is_upsert(const CdcSituation *s)
{
	return s->op == CDC_OP_CREATE || s->op == CDC_OP_UPDATE || s->op == CDC_OP_READ;
}

static void
not_own(CdcSituation *s)
{
	s->own = s->own_echo = false;
}

static void
read_as_update(CdcSituation *s)
{
	if (s->op == CDC_OP_READ)
		s->op = CDC_OP_UPDATE;
}

static void
no_tombstone(CdcSituation *s)
{
	s->tombstone = false;
}

static void
equal_passes_tombstone(CdcSituation *s)
{
	if (is_upsert(s) && s->tombstone && !s->row && s->to_tombstone == CDC_SAME)
		s->to_tombstone = CDC_NEWER;
}

static void
equal_stops_at_tombstone(CdcSituation *s)
{
	if (is_upsert(s) && s->tombstone && !s->row && s->to_tombstone == CDC_SAME)
		s->to_tombstone = CDC_OLDER;
}

static void
no_touch(const CdcSituation *s, CdcDecision *d)
{
	if (d->action == CDC_ACTION_TOUCH)
		d->action = CDC_ACTION_NONE;
}

static void
always_touch(const CdcSituation *s, CdcDecision *d)
{
	if (is_upsert(s) && s->row && s->equal && d->action == CDC_ACTION_NONE)
		d->action = CDC_ACTION_TOUCH;
}

static void
no_version(CdcSituation *s)
{
	if (is_upsert(s) && s->row)
		s->to_row = CDC_NEWER;
}

static void
no_text(CdcSituation *s)
{
	if (s->to_row == CDC_SAME)
		s->text_order = 0;
}

static void
no_later_in_log(CdcSituation *s)
{
	if (is_upsert(s) && s->row && s->to_row == CDC_SAME)
		s->same_writer = false;
}

static void
no_raise(const CdcSituation *s, CdcDecision *d)
{
	if (d->action == CDC_ACTION_RAISE)
		d->action = CDC_ACTION_NONE;
}

static void
delete_loses_ties(CdcSituation *s)
{
	if (s->op == CDC_OP_DELETE && s->row && s->to_row == CDC_SAME)
		s->to_row = CDC_OLDER;
}

static void
delete_always(const CdcSituation *s, CdcDecision *d)
{
	if (s->op == CDC_OP_DELETE && s->row)
		d->action = CDC_ACTION_REMOVE;
}

const Ablation ablations[] = {
	{"rule 1", "own changes are as any", .commit = true, .situation = not_own},
	{"rule 1", "origin none reads forwarded changes", .commit = true, .reads_forwarded = true},
	{"rule 2", "snapshot row is an update of its time", .commit = true,
	.situation = read_as_update, .snapshot_has_time = true},
	{"rule 3", "tombstones are ignored", .column = true, .commit = true,
	.situation = no_tombstone},
	{"rule 3", "any peer's upsert passes an equal tombstone", .commit = true,
	.situation = equal_passes_tombstone},
	{"rule 3", "no upsert passes an equal tombstone", .commit = true,
	.situation = equal_stops_at_tombstone},
	{"rule 4", "equal row, newer: not touched", .commit = true, .decision = no_touch},
	{"rule 4", "equal row is written again", .column = true, .commit = true,
	.decision = always_touch},
	{"rule 5", "versions are ignored", .column = true, .commit = true, .situation = no_version},
	{"rule 5", "same version: row is kept whatever the text", .column = true, .commit = true,
	.situation = no_text},
	{"rule 5", "same version: not by place in the log", .commit = true,
	.situation = no_later_in_log},
	{"rule 6", "delete of a missing row is ignored", .column = true, .commit = true,
	.decision = no_raise},
	{"rule 6", "not written through", .column = true, .commit = true, .no_write_through = true},
	{"rule 7", "delete loses ties", .commit = true, .situation = delete_loses_ties},
	{"rule 7", "row is not lifted to the deleted version", .column = true, .no_lift = true},
	{"rule 7", "delete always wins", .column = true, .commit = true, .decision = delete_always},
	{"rule 8", "rows of one version are the same row", .column = true, .version_is_row = true},
	{"clock", "versions need not grow", .column = true, .no_growth = true},
	{"clock", "insert need not exceed the tombstone", .column = true,
	.insert_ignores_tombstone = true},
	{"clock", "events of the future are not held", .commit = true, .no_hold = true}
};

const int	nablations = lengthof(ablations);
