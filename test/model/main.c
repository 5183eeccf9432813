/*
 * main.c
 *		make model: does last-writer-wins end equal and silent, whatever comes first?
 *
 * Looks at every interleaving of a few operations on a few databases, of everything their
 * connectors send and their workers read, deciding by src/apply/conflict.c itself.  In each
 * configuration all nodes must end with the same row, the largest version, and without a
 * way to go on for ever.  Then each rule is taken away in turn, and must be missed in at
 * least one configuration: a check that could not fail would show nothing.
 *
 *	model [-v] [-d more] [-l limit] [name]
 *
 * -v shows the way to what a missing rule does; -d so many operations more; -l states per
 * configuration (default 20000000); name: only configurations whose names have it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablation.h"
#include "explore.h"

#define BASIC	(OP_INSERT | OP_UPDATE | OP_DELETE)
#define PAIRS	(OP_UPDATE | OP_UPDATE_UPDATE | OP_DELETE | OP_DELETE_INSERT)

typedef struct Case
{
	char		name[100];
	Config		config;
	bool		small;			/* also looked at for each rule that is taken away */
} Case;

static Case cases[256];
static int	ncases = 0;

static long limit = 20000000;
static int	deeper = 0;
static bool show_all = false;
static const char *only = NULL;

static void
add(const char *clock, const char *name, Config config, bool small)
{
	Case	   *c = &cases[ncases++];

	if (config.pace[0] == 0 && config.pace[1] == 0)
		config.pace[0] = 10, config.pace[1] = -1;
	if (config.nodes == 0)
		config.nodes = 3;
	if (config.allowed == 0)
		config.allowed = BASIC;
	config.operations += deeper;
	snprintf(c->name, sizeof(c->name), "%s: %s", clock, name);
	c->config = config;
	c->small = small;
}

/* With a clock and its skew, everything under the version column */
static void
add_column(const char *name, Config base)
{
	bool		lag = base.statement_lag > 0;
	Config		c;

#define WITH(...) (c = base, __VA_ARGS__, c)
	add(name, "hub", WITH(c.operations = 4), false);
	add(name, "hub, from nothing", WITH(c.operations = 4, c.start = START_EMPTY), false);
	add(name, "hub, batches of 3", WITH(c.operations = lag ? 3 : 4, c.batch = 3), !lag);
	add(name, "hub, two changes in a transaction", WITH(c.operations = 3, c.allowed = PAIRS), true);
	add(name, "hub, server reads origin none", WITH(c.operations = 3, c.origin_none = true), false);
	add(name, "mesh, origin none", WITH(c.operations = 4, c.topology = TOPOLOGY_MESH, c.origin_none = true), false);
	add(name, "mesh, origin none, batches of 2", WITH(c.operations = 3, c.topology = TOPOLOGY_MESH, c.origin_none = true, c.batch = 2), true);
	add(name, "mesh, origin any", WITH(c.operations = 3, c.topology = TOPOLOGY_MESH), false);
	add(name, "mesh, origin any, batches of 2", WITH(c.operations = 3, c.topology = TOPOLOGY_MESH, c.batch = 2), false);
	add(name, "two nodes", WITH(c.operations = 5, c.nodes = 2, c.allowed = BASIC | PAIRS), false);
	add(name, "two nodes, batches of 3", WITH(c.operations = 3, c.nodes = 2, c.allowed = BASIC | PAIRS, c.batch = 3), false);
	add(name, "shared topic, origin none", WITH(c.operations = 3, c.topology = TOPOLOGY_SHARED, c.origin_none = true), false);
	add(name, "shared topic, origin any", WITH(c.operations = 2, c.topology = TOPOLOGY_SHARED), true);
	add(name, "chain of 4", WITH(c.operations = 3, c.nodes = 4, c.topology = TOPOLOGY_CHAIN), false);
	add(name, "hub, snapshots", WITH(c.operations = 3, c.disturbances = 1, c.disturbing = DISTURB_SNAPSHOT), true);
	add(name, "mesh, snapshots", WITH(c.operations = 2, c.topology = TOPOLOGY_MESH, c.origin_none = true, c.disturbances = 2, c.disturbing = DISTURB_SNAPSHOT), false);
	add(name, "hub, a new client", WITH(c.operations = 2, c.start = START_ONE), false);
	add(name, "hub, all begin with other rows", WITH(c.operations = 2, c.start = START_ALL_DIFFER, c.any_survivor = true), false);
	add(name, "hub, rows of before", WITH(c.operations = lag ? 3 : 4, c.start = START_BEFORE, c.batch = 2), true);
	add(name, "hub, rows of before, sent meanwhile", WITH(c.operations = 2, c.start = START_BEFORE_SENT), false);
	add(name, "mesh, rows of before", WITH(c.operations = 3, c.topology = TOPOLOGY_MESH, c.origin_none = true, c.start = START_BEFORE), false);
	add(name, "chain of 4, rows of before", WITH(c.operations = 2, c.nodes = 4, c.topology = TOPOLOGY_CHAIN, c.start = START_BEFORE), false);
	/* a year's retention is longer than any clock is wrong; numbers are never pruned */
	if (base.clock == CLOCK_TRIGGER && !lag)
		add(name, "hub, tombstones pruned", WITH(c.operations = 3, c.disturbances = 1, c.disturbing = DISTURB_PRUNE), false);
	add(name, "hub, one at a time: no conflict", WITH(c.operations = 4, c.calm = true), false);
}

/* Under the commit clock; rows have one of two values, so that equal rows meet */
static void
add_commit(const char *name, Config base)
{
	bool		skewed = base.hold || base.writers_wait;
	bool		ties = base.pace[1] > 0 && base.pace[0] == 0;
	Config		c;

	base.clock = CLOCK_COMMIT;
	base.values = 2;
	add(name, "hub", WITH(c.operations = 3), false);
	add(name, "hub, from nothing", WITH(c.operations = skewed ? 3 : 4, c.start = START_EMPTY), false);
	add(name, "hub, server reads origin none", WITH(c.operations = 3, c.origin_none = true), false);
	add(name, "mesh, origin none", WITH(c.operations = 3, c.topology = TOPOLOGY_MESH, c.origin_none = true), ties);
	add(name, "mesh, origin any, one change of a key in a transaction", WITH(c.operations = skewed ? 2 : 3, c.topology = TOPOLOGY_MESH), false);
	add(name, "two nodes", WITH(c.operations = 4, c.nodes = 2), false);
	add(name, "shared topic, origin none", WITH(c.operations = skewed ? 2 : 3, c.topology = TOPOLOGY_SHARED, c.origin_none = true), false);
	add(name, "chain of 4", WITH(c.operations = skewed ? 2 : 3, c.nodes = 4, c.topology = TOPOLOGY_CHAIN), false);
	add(name, "hub, snapshots", WITH(c.operations = 2, c.disturbances = 1, c.disturbing = DISTURB_SNAPSHOT), true);
	add(name, "hub, from nothing, snapshots", WITH(c.operations = skewed ? 2 : 3, c.start = START_EMPTY, c.disturbances = 1, c.disturbing = DISTURB_SNAPSHOT), false);
	add(name, "hub, a new client", WITH(c.operations = 2, c.start = START_ONE), false);
	if (!base.hold)
		add(name, "hub, one at a time: no conflict", WITH(c.operations = 3, c.calm = true), false);
	/* not two changes of a key in each of two transactions that commit in the same microsecond */
	if (!ties)
	{
		add(name, "hub, two changes in a transaction", WITH(c.operations = 2, c.allowed = PAIRS), true);
		add(name, "hub, transactions in batches", WITH(c.operations = 2, c.allowed = PAIRS, c.batch = 2), true);
		add(name, "mesh, origin none, one transaction of two changes", WITH(c.operations = 1, c.topology = TOPOLOGY_MESH, c.origin_none = true, c.allowed = PAIRS), true);
		add(name, "mesh, origin none, two changes in a transaction", WITH(c.operations = 2, c.topology = TOPOLOGY_MESH, c.origin_none = true, c.allowed = PAIRS), true);
	}
	/* what is forgotten or pruned was written longer ago than any clock is wrong */
	if (!ties && !base.writers_wait)
	{
		add(name, "hub, commit times forgotten", WITH(c.operations = 2, c.disturbances = 1, c.disturbing = DISTURB_FORGET), false);
		add(name, "hub, tombstones pruned", WITH(c.operations = 2, c.disturbances = 1, c.disturbing = DISTURB_PRUNE), false);
	}
}

/* What the server decides stands, whatever the versions: they need only agree and rest */
static void
add_presets(const char *name, Config base)
{
	Config		c;

	base.presets = true;
	base.any_survivor = true;
	if (base.clock == CLOCK_COMMIT)
		base.values = 2;
	add(name, "hub and spoke presets, one client", WITH(c.nodes = 2, c.operations = 3), false);
	add(name, "hub and spoke presets", WITH(c.operations = 2), false);
}

static void
add_all(void)
{
	add_column("trigger, skewed", (Config){.skew = {35, 0, -20, 10}, .statement_lag = 15});
	add_column("trigger", (Config){0});
	add_column("counter", (Config){.clock = CLOCK_COUNTER});
	add_commit("commit", (Config){0});
	add_commit("commit, server ahead, events wait", (Config){.hold = true, .skew = {35}, .pace = {10, 40}});
	add_commit("commit, client ahead, events wait", (Config){.hold = true, .skew = {0, 35}, .pace = {10, 40}});
	add_commit("commit, server ahead, writers wait", (Config){.writers_wait = true, .skew = {35}, .pace = {10, 40}});
	add_commit("commit, equal times", (Config){.pace = {0, 10}});
	add_presets("trigger", (Config){0});
	add_presets("counter", (Config){.clock = CLOCK_COUNTER});
	add_presets("commit", (Config){.clock = CLOCK_COMMIT});
}

static bool
is_meant(const Case *c)
{
	return only == NULL || strstr(c->name, only) != NULL;
}

/* Returns how many configurations are wrong */
static int
check_all(void)
{
	int			wrong = 0;

	for (int i = 0; i < ncases; i++)
	{
		Result		r;

		if (!is_meant(&cases[i]))
			continue;
		r = explore(&cases[i].config, limit, true);
		printf("%-75s %9ld states %5.1f s  %s\n", cases[i].name, r.states, r.seconds,
			   r.problem ? r.problem : r.partial ? "nothing wrong so far" : "ok");
		fflush(stdout);
		wrong += r.problem != NULL;
	}
	return wrong;
}

/* Returns false if nothing is wrong without the rule */
static bool
is_missed(const Ablation *ablation)
{
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < ncases; i++)
		{
			Config		config = cases[i].config;
			Result		r;

			if (cases[i].small != (pass == 0) || config.presets ||
				!(config.clock == CLOCK_COMMIT ? ablation->commit : ablation->column))
				continue;
			config.ablation = ablation;
			r = explore(&config, limit, show_all);
			if (r.problem == NULL)
				continue;
			printf("without %s (%s): %s, in \"%s\"\n", ablation->rule, ablation->name, r.problem,
				   cases[i].name);
			fflush(stdout);
			return true;
		}
	}
	printf("without %s (%s): NOT MISSED\n", ablation->rule, ablation->name);
	return false;
}

int
main(int argc, char **argv)
{
	int			wrong;
	int			option;

	while ((option = getopt(argc, argv, "vd:l:")) != -1)
	{
		if (option == 'v')
			show_all = true;
		else if (option == 'd')
			deeper = atoi(optarg);
		else if (option == 'l')
			limit = atol(optarg);
		else
			return 2;
	}
	only = optind < argc ? argv[optind] : NULL;
	add_all();
	wrong = check_all();
	for (int i = 0; only == NULL && i < nablations; i++)
		wrong += !is_missed(&ablations[i]);
	printf("%d wrong\n", wrong);
	return wrong > 0;
}
