/*
 * altered.c
 *		Which relations a command has changed.
 *
 * Whatever the command is called and however it names them: the server invalidates the
 * relcache entries of what it changes, in this backend as well, and tells it here.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/altered.h"

static CdcAltered *current = NULL;	/* the innermost command */

/* A reset of the whole cache tells nothing: of its own changes the backend hears one by one */
static void
note(Datum arg, Oid relid)
{
	MemoryContext old;

	if (current == NULL || !OidIsValid(relid))
		return;
	old = MemoryContextSwitchTo(current->context);
	current->relids = list_append_unique_oid(current->relids, relid);
	MemoryContextSwitchTo(old);
}

void
cdc_altered_begin(CdcAltered *altered)
{
	static bool watching = false;

	if (!watching)
		CacheRegisterRelcacheCallback(note, (Datum) 0);
	watching = true;
	altered->outer = current;
	altered->context = CurrentMemoryContext;
	altered->relids = NIL;
	current = altered;
}

void
cdc_altered_end(CdcAltered *altered)
{
	current = altered->outer;
}
