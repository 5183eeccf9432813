/*
 * session.c
 *		The settings under which changes are applied.
 *
 * Text forms must not depend on the database's or the role's settings, locks and
 * snapshots not on their time-outs, and plans not on the moment they were made: a
 * plan made while a table was empty would read the whole table for ever.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/guc.h"

#include "base/session.h"

/* Not an empty one: then a temporary type or table would be found before the server's of that name */
#define SAFE_SEARCH_PATH	"pg_catalog, pg_temp"
#define LOCK_TIMEOUT		"3s"
#define LOCK_TIMEOUT_SHORT	"300ms"

typedef struct PinnedSetting
{
	const char *name;
	const char *value;
} PinnedSetting;

/* Text forms */
static const PinnedSetting text_settings[] = {
	{"bytea_output", "hex"},
	{"DateStyle", "ISO, YMD"},
	{"extra_float_digits", "1"},
	{"IntervalStyle", "postgres"},
	{"lc_monetary", "C"},
	{"TimeZone", "UTC"},
	{"xmloption", "content"},
};

static const PinnedSetting apply_settings[] = {
	/* which rows and names; writing.c says whose triggers and rules */
	{"row_security", "on"},
	{"search_path", SAFE_SEARCH_PATH},
	{"session_replication_role", "origin"},
	/* transactions */
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"idle_in_transaction_session_timeout", "0"},
	{"lock_timeout", LOCK_TIMEOUT},
	{"statement_timeout", "0"},
	{"synchronous_commit", "off"},
	/* plans: nested loops over the key's index, made once */
	{"enable_bitmapscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_material", "off"},
	{"enable_memoize", "off"},
	{"enable_mergejoin", "off"},
	{"enable_seqscan", "off"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
	{"plan_cache_mode", "force_generic_plan"},
	/* since 17 */
	{"transaction_timeout", "0"},
};

static bool patient = true;

static void
pin(const PinnedSetting *settings, int n, GucAction action)
{
	for (int i = 0; i < n; i++)
	{
		const PinnedSetting *s = &settings[i];

		if (GetConfigOption(s->name, true, false) == NULL)
			continue;			/* this server does not have it */
		(void) set_config_option(s->name, s->value, PGC_SUSET, PGC_S_SESSION, action, true,
								 ERROR, false);
	}
}

/*
 * Names without a schema are the server's until the caller's GUC nest level ends, whatever
 * the user's search_path finds and whatever temporary objects he has.
 */
void
cdc_session_pin_names(void)
{
	static const PinnedSetting search_path = {"search_path", SAFE_SEARCH_PATH};

	if (strcmp(namespace_search_path, SAFE_SEARCH_PATH) != 0)
		pin(&search_path, 1, GUC_ACTION_SAVE);
}

static void
pin_settings(GucAction action)
{
	pin(text_settings, lengthof(text_settings), action);
	pin(apply_settings, lengthof(apply_settings), action);
}

/* The worker's session, once, for its life */
void
cdc_session_pin(void)
{
	pin_settings(GUC_ACTION_SET);
}

/* In the worker, outside of transactions: how long locks are waited for */
void
cdc_session_set_patience(bool now)
{
	PinnedSetting timeout = {"lock_timeout", now ? LOCK_TIMEOUT : LOCK_TIMEOUT_SHORT};

	if (patient != now)
		pin(&timeout, 1, GUC_ACTION_SET);
	patient = now;
}

int
cdc_session_begin(void)
{
	int			nestlevel = NewGUCNestLevel();

	pin_settings(GUC_ACTION_SAVE);
	return nestlevel;
}

void
cdc_session_end(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}

int
cdc_session_begin_texts(void)
{
	int			nestlevel = NewGUCNestLevel();

	/* mostly they are right, and setting them takes longer than looking */
	if (DateStyle != USE_ISO_DATES || IntervalStyle != INTSTYLE_POSTGRES ||
		extra_float_digits < 1)
		pin(text_settings, lengthof(text_settings), GUC_ACTION_SAVE);
	return nestlevel;
}

void
cdc_session_end_texts(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}
