/*
 * retention.c
 *		What is kept for a time is forgotten: a little at a time.
 *
 * Applying goes first: a turn takes a bounded time, waits for nobody's row, and cannot
 * end the worker.  What hinders one kind does not hinder the others.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/block.h"

#include "base/extension.h"
#include "base/subxact.h"
#include "stored/conflict_log.h"
#include "stored/dead_letter.h"
#include "table/tombstone.h"
#include "worker/retention.h"

typedef struct Kind
{
	const char *what;
	bool		(*forget) (void);	/* true if there is more */
} Kind;

static bool attempt(const Kind *kind);

static BlockNumber next_block = 0;	/* of the tombstones */

typedef struct Attempt
{
	const Kind *kind;
	bool		more;
} Attempt;

static bool
forget_tombstones(void)
{
	(void) cdc_tombstone_prune(&next_block);
	return next_block > 0;
}

static bool
forget_conflicts(void)
{
	return cdc_conflict_log_prune() == CDC_PRUNE_AT_ONCE;
}

static bool
forget_dead_letters(void)
{
	return cdc_dead_letter_prune() == CDC_PRUNE_AT_ONCE;
}

static const Kind kinds[] = {
	{"tombstones", forget_tombstones},
	{"conflicts", forget_conflicts},
	{"dead letters", forget_dead_letters},
};

static void
forget_some(void *arg)
{
	Attempt    *attempt = arg;

	attempt->more = attempt->kind->forget();
}

static bool
any_error(const ErrorData *error)
{
	return true;
}

static bool
attempt(const Kind *kind)
{
	MemoryContext caller = cdc_extension_begin();
	Attempt		attempt = {.kind = kind};
	ErrorData  *error = cdc_subxact_attempt(forget_some, &attempt, any_error);

	if (error != NULL)
		ereport(LOG,
				(errmsg("cdcsync could not forget %s that are due: %s", kind->what, error->message),
				 errdetail("It tries again by itself.")));
	cdc_extension_commit(caller);
	return error == NULL && attempt.more;
}

/*
 * Forget some tombstones, conflicts and dead letters that are due; each in a transaction
 * of its own.  What cannot be done now is left for the next time, with a line in the
 * server's log.  Returns true while there is more.
 */
bool
cdc_retention_turn(void)
{
	bool		more = false;

	for (int i = 0; i < lengthof(kinds); i++)
		more |= attempt(&kinds[i]);
	return more;
}
