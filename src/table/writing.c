/*
 * writing.c
 *		Statements that write rows for a peer.
 *
 * Only such a statement itself runs under session_replication_role = replica, and only
 * its own rows are a peer's.  What it calls of users (triggers, functions in CHECKs,
 * generated columns, index expressions, defaults) is code of somebody's own: it runs under
 * the session's role, so that everybody's triggers and foreign keys hold for what it
 * writes, and what it writes is a local change.
 *
 * The server calls a hook around functions that it is told to, and asks when it looks one
 * up; some it keeps for the life of the process (what measures a range type, with the
 * type).  So the worker has all of them called so.  Other sessions cannot, for then nothing
 * in SQL is inlined: what one of them has looked up before it applies by hand stays as it
 * is.
 *
 * The role is set as a variable, not as a setting: each statement is planned and run under
 * one and the same role, so that no cached plan has to be thrown away.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/lsyscache.h"

#include "base/extension.h"
#include "table/origin.h"
#include "table/writing.h"

static CdcWriting now = {0};
static bool expected = false;	/* by the worker, for all its life */
static Oid watched = InvalidOid;
static bool touched = false;
static needs_fmgr_hook_type prev_needs_fmgr = NULL;
static fmgr_hook_type prev_fmgr = NULL;

/* The server's own functions are not asked about, unless they are in SQL; the extension's are part of the statement */
static bool
needs_hook(Oid function)
{
	if (prev_needs_fmgr && prev_needs_fmgr(function))
		return true;
	return (expected || (now.active && now.nested == 0)) &&
		get_func_namespace(function) != get_namespace_oid(CDC_EXTENSION_NAME, true);
}

static void
around_function(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	if (event == FHET_START && prev_fmgr)
		prev_fmgr(event, flinfo, arg);
	if (now.active && event == FHET_START && now.nested++ == 0)
	{
		SessionReplicationRole = now.outer_role;
		cdc_origin_suspend();
	}
	if (now.active && event != FHET_START && --now.nested == 0)
	{
		SessionReplicationRole = SESSION_REPLICATION_ROLE_REPLICA;
		cdc_origin_resume();
	}
	if (event != FHET_START && prev_fmgr)
		prev_fmgr(event, flinfo, arg);
}

/* Once, when the library is loaded */
void
cdc_writing_hook(void)
{
	prev_needs_fmgr = needs_fmgr_hook;
	needs_fmgr_hook = needs_hook;
	prev_fmgr = fmgr_hook;
	fmgr_hook = around_function;
}

/* In the worker, before anything of users is looked up */
void
cdc_writing_expect(void)
{
	expected = true;
}

CdcWriting
cdc_writing_begin(Oid relid)
{
	CdcWriting	outer = now;

	now = (CdcWriting){.active = true, .relid = relid, .outer_role = SessionReplicationRole};
	SessionReplicationRole = SESSION_REPLICATION_ROLE_REPLICA;
	return outer;
}

void
cdc_writing_end(CdcWriting outer)
{
	SessionReplicationRole = now.outer_role;
	now = outer;
}

/* Is a row of this registered table that a trigger meets now a peer's? */
bool
cdc_writing_for_peer(Oid relid)
{
	return now.active && now.nested == 0 && OidIsValid(now.relid) && now.relid == relid;
}

void
cdc_writing_watch(Oid relid)
{
	watched = relid;
	touched = false;
}

bool
cdc_writing_touched(Oid relid)
{
	return touched && watched == relid;
}

/* A trigger met a local change of a registered table */
void
cdc_writing_note_local(Oid relid)
{
	touched |= watched == relid;
	cdc_origin_note_local();
}
