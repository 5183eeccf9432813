/*
 * world.c
 *		Databases with one row, their logs and readers: all that may happen next.
 *
 * The model's world.  Some nodes hold one row of one table, or remember that it is gone.
 * A local transaction changes the row and appends events to the node's log; from there a
 * queue leads to each reader (or an outbox to the shared topic, from which a queue leads
 * to each reader).  A reader takes the first event, or the first few, of any of its
 * queues at any time, and what that changes goes to its own log.  Time passes with local
 * operations only, of which there are a few: so the world is finite, and every order in
 * which its parts may act is looked at.
 *
 * Not in it: several keys, secondary unique keys, handlings other than last_update_wins
 * and the presets, truncate, crashes, lost or repeated events, partitions that change,
 * races inside a node.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablation.h"
#include "apply.h"
#include "world.h"

/* The step that is being made */
typedef struct Making
{
	World	   *world;
	const State *from;
	Step	   *steps;
	int			nsteps;
	bool		texts;
} Making;

/* A local transaction in the making: of one node, at one time */
typedef struct Local
{
	int			me;
	int			time;			/* of its commit, by its own clock */
	int			lag;			/* of the trigger's clock */
	Node		node;
	int			nevents;
	Event		events[2];
} Local;

typedef struct OperationKind
{
	Operation	operation;
	bool		on_row;			/* needs a row; else needs that there is none */
	const char *name;
	int			nvalues;		/* how many rows it writes */
	void		(*run) (const Config *config, Local *local, const int *values);
} OperationKind;

static void start_row(World *world, State *state, int me, int value, int time);
static void start_queue(World *world, State *state, const Node *node, int me);
static void link_nodes(World *world, int a, int b);
static void steps_local(Making *m);
static void steps_operation(Making *m, const OperationKind *kind, int me, int pace);
static void step_local(Making *m, const OperationKind *kind, int me, int now, int lag,
					   const int *values);
static bool may_write(const Making *m, const Node *node, int time);
static void insert_row(const Config *config, Local *local, int value);
static void update_row(const Config *config, Local *local, int value);
static void delete_row(const Config *config, Local *local);
static void note_newest(State *state, const Node *node);
static void steps_read(Making *m, int channel);
static void step_read(Making *m, int channel, const Event *events, int n);
static bool belong_together(const Config *config, const Event *a, const Event *b);
static bool held(const Making *m, int reader, const Event *event);
static void steps_produce(Making *m);
static void steps_disturb(Making *m);
static void step_snapshot(Making *m, int me);
static void step_prune(Making *m, int me, bool early);
static void step_forget(Making *m, int me, bool early);
static bool all_know(const Making *m, int version);
static Step *make_step(Making *m);
static void emit(World *world, State *state, int me, const Event *events, int n);
static void set_queue(World *world, State *state, int queue, const Event *events, int n);
static void enqueue(World *world, State *state, int queue, const Event *event);
static void dequeue(World *world, State *state, int queue, int n);
static const Event *queued(const World *world, const State *state, int queue, int *n);
static const Node *get_node(const World *world, const State *state, int me);
static void set_node(World *world, State *state, int me, const Node *node);
static bool quiet(const World *world, const State *state);
static size_t put_event(char *text, size_t size, const Config *config, const Event *event);
static size_t put_node(char *text, size_t size, const Config *config, const Node *node);

static const Ablation no_ablation = {0};

static const Ablation *
ablation_of(const World *world)
{
	return world->config.ablation ? world->config.ablation : &no_ablation;
}

/* ---- the beginning ---- */

void
world_init(World *world, const Config *config)
{
	int			n = config->nodes;

	*world = (World){.config = *config};
	if (config->topology == TOPOLOGY_SHARED)
	{
		for (int i = 0; i < n; i++)
			world->channels[world->nchannels++] = (Channel){NO_NODE, i};
	}
	for (int a = 0; a < n; a++)
	{
		for (int b = a + 1; b < n; b++)
		{
			if (config->topology == TOPOLOGY_MESH ||
				(config->topology == TOPOLOGY_HUB && a == 0) ||
				(config->topology == TOPOLOGY_CHAIN && b == a + 1))
				link_nodes(world, a, b);
		}
	}
	world->nqueues = world->nchannels + (config->topology == TOPOLOGY_SHARED ? n : 0);
	world->state_size = offsetof(State, queue) + sizeof(uint32_t) * world->nqueues;
	pool_init(&world->nodes);
	pool_init(&world->queues);
}

static void
link_nodes(World *world, int a, int b)
{
	world->channels[world->nchannels++] = (Channel){a, b};
	world->channels[world->nchannels++] = (Channel){b, a};
}

void
world_free(World *world)
{
	pool_free(&world->nodes);
	pool_free(&world->queues);
}

/* Everybody has read everything, but for what the kind of start leaves to be read */
void
world_start(World *world, State *state)
{
	int			n = world->config.nodes;
	Start		start = world->config.start;
	Node		nothing = {0};

	*state = (State){.now = TIME_BEGIN, .newest_version = -1};
	for (int i = 0; i < MAX_NODES; i++)
		set_node(world, state, i, &nothing);
	for (int i = 0; i < world->nqueues; i++)
		set_queue(world, state, i, NULL, 0);
	for (int i = 0; i < n; i++)
	{
		if (start == START_SAME)
			start_row(world, state, i, 0, TIME_SEED);
		else if (start == START_BEFORE || start == START_BEFORE_SENT)
			start_row(world, state, i, i % 2, TIME_SEED);
		else if (start == START_ALL_DIFFER || (start == START_ONE && i == n - 1))
			start_row(world, state, i, i % 2, TIME_SEED + i);
		if (start != START_SAME && start != START_BEFORE)
			start_queue(world, state, get_node(world, state, i), i);
	}
}

static void
start_row(World *world, State *state, int me, int value, int time)
{
	const Config *config = &world->config;
	Node		node = {.exists = true, .image = {value, 0}, .version = VERSION_OF(time)};

	if (config->clock != CLOCK_COMMIT)
		node.image.column = time;
	node.writer = config->start == START_SAME ? 0 : me;
	set_node(world, state, me, &node);
	note_newest(state, &node);
}

static void
start_queue(World *world, State *state, const Node *node, int me)
{
	Event		event = {.op = 'r', .after = node->image, .origin = NO_NODE};

	if (node->exists)
		emit(world, state, me, &event, 1);
}

/* ---- what may happen next ---- */

int
world_steps(World *world, const State *state, Step *steps, bool texts)
{
	Making		m = {.world = world, .from = state, .steps = steps, .texts = texts};

	if (state->operations < world->config.operations)
		steps_local(&m);
	for (int i = 0; i < world->nchannels; i++)
		steps_read(&m, i);
	steps_produce(&m);
	if (state->disturbances < world->config.disturbances)
		steps_disturb(&m);
	return m.nsteps;
}

static bool
quiet(const World *world, const State *state)
{
	for (int i = 0; i < world->nqueues; i++)
	{
		int			n;

		queued(world, state, i, &n);
		if (n > 0)
			return false;
	}
	return true;
}

/* ---- local operations ---- */

static void
do_insert(const Config *config, Local *local, const int *values)
{
	insert_row(config, local, values[0]);
}

static void
do_update(const Config *config, Local *local, const int *values)
{
	update_row(config, local, values[0]);
}

static void
do_delete(const Config *config, Local *local, const int *values)
{
	delete_row(config, local);
}

static void
do_update_update(const Config *config, Local *local, const int *values)
{
	update_row(config, local, values[0]);
	update_row(config, local, values[1]);
}

static void
do_delete_insert(const Config *config, Local *local, const int *values)
{
	delete_row(config, local);
	insert_row(config, local, values[0]);
}

static void
do_insert_update(const Config *config, Local *local, const int *values)
{
	insert_row(config, local, values[0]);
	update_row(config, local, values[1]);
}

static void
do_insert_delete(const Config *config, Local *local, const int *values)
{
	insert_row(config, local, values[0]);
	delete_row(config, local);
}

static const OperationKind operation_kinds[] = {
	{OP_INSERT, false, "insert", 1, do_insert},
	{OP_UPDATE, true, "update", 1, do_update},
	{OP_DELETE, true, "delete", 0, do_delete},
	{OP_UPDATE_UPDATE, true, "update+update", 2, do_update_update},
	{OP_DELETE_INSERT, true, "delete+insert", 1, do_delete_insert},
	{OP_INSERT_UPDATE, false, "insert+update", 2, do_insert_update},
	{OP_INSERT_DELETE, false, "insert+delete", 1, do_insert_delete}
};

static void
steps_local(Making *m)
{
	const Config *config = &m->world->config;

	if (config->calm && !quiet(m->world, m->from))
		return;
	for (int me = 0; me < config->nodes; me++)
	{
		bool		exists = get_node(m->world, m->from, me)->exists;

		for (size_t i = 0; i < sizeof(operation_kinds) / sizeof(*operation_kinds); i++)
		{
			const OperationKind *kind = &operation_kinds[i];

			if (!(config->allowed & kind->operation) || exists != kind->on_row)
				continue;
			steps_operation(m, kind, me, config->pace[0]);
			if (config->pace[1] >= 0)
				steps_operation(m, kind, me, config->pace[1]);
		}
	}
}

/* Every combination of values, and of what the trigger's clock may say */
static void
steps_operation(Making *m, const OperationKind *kind, int me, int pace)
{
	const Config *config = &m->world->config;
	int			now = m->from->now + pace;
	int			fresh = 2 * (m->from->operations + 1);
	int			choices = config->values ? config->values : 1;
	int			combinations = 1;

	if (!may_write(m, get_node(m->world, m->from, me), now + config->skew[me]))
		return;
	for (int i = 0; i < kind->nvalues; i++)
		combinations *= choices;
	for (int i = 0; i < combinations; i++)
	{
		int			values[2] = {i % choices, i / choices};

		if (!config->values && kind->nvalues > 0)
		{
			values[kind->nvalues - 1] = fresh;
			if (kind->nvalues > 1)
				values[0] = fresh + 1;	/* the larger text comes first */
		}
		step_local(m, kind, me, now, 0, values);
		if (config->statement_lag)
			step_local(m, kind, me, now, config->statement_lag, values);
	}
}

/* Two commits of a node have two times; and those who heed others' times write later */
static bool
may_write(const Making *m, const Node *node, int time)
{
	const Config *config = &m->world->config;
	int			known = node->exists ? node->version : node->tombstone_version;

	if (!config->writers_wait && config->pace[0] != 0)
		return true;
	return known < VERSION_OF(time);
}

static void
step_local(Making *m, const OperationKind *kind, int me, int now, int lag, const int *values)
{
	World	   *world = m->world;
	const Config *config = &world->config;
	Local		local = {.me = me, .time = now + config->skew[me], .lag = lag};
	Step	   *step = make_step(m);
	size_t		at = 0;

	local.node = *get_node(world, m->from, me);
	kind->run(config, &local, values);
	step->state.now = now;
	step->state.operations++;
	set_node(world, &step->state, me, &local.node);
	note_newest(&step->state, &local.node);
	emit(world, &step->state, me, local.events, local.nevents);
	if (!m->texts)
		return;
	at = snprintf(step->text, sizeof(step->text), "N%d %s at %d", me, kind->name, local.time);
	for (int i = 0; i < local.nevents; i++)
		at += put_event(step->text + at, sizeof(step->text) - at, config, &local.events[i]);
	at += snprintf(step->text + at, sizeof(step->text) - at, "   => ");
	put_node(step->text + at, sizeof(step->text) - at, config, &local.node);
}

/* The value of the version column that the trigger sets, old being what it must exceed */
static int
new_column(const Config *config, const Local *local, bool has_old, int old)
{
	int			clock = local->time - local->lag;

	if (config->clock == CLOCK_COMMIT)
		return 0;
	if (config->clock == CLOCK_COUNTER)
		return has_old ? old + 1 : 1;
	if (config->ablation && config->ablation->no_growth)
		return clock;
	return has_old && old >= clock ? old + 1 : clock;
}

static void
append_event(const Config *config, Local *local, int op, Image before, Image after)
{
	local->events[local->nevents++] = (Event){
		.op = op, .before = before, .after = after, .origin = NO_NODE,
		.time = config->clock == CLOCK_COMMIT ? local->time : 0
	};
}

static void
write_row(const Config *config, Local *local, Image image)
{
	Node	   *node = &local->node;

	node->exists = true;
	node->image = image;
	node->version = VERSION_OF(config->clock == CLOCK_COMMIT ? local->time : image.column);
	node->writer = local->me;
	apply_tidy(config, node);
}

static void
insert_row(const Config *config, Local *local, int value)
{
	Node	   *node = &local->node;
	bool		floor = node->tombstone &&
		!(config->ablation && config->ablation->insert_ignores_tombstone);
	Image		image = {value, new_column(config, local, floor, TIME_OF(node->tombstone_version))};

	append_event(config, local, 'c', (Image){0}, image);
	write_row(config, local, image);
}

static void
update_row(const Config *config, Local *local, int value)
{
	Image		before = local->node.image;
	Image		image = {value, new_column(config, local, true, before.column)};

	append_event(config, local, 'u', before, image);
	write_row(config, local, image);
}

/* Under the commit clock the trigger's tombstone has this commit's time, whatever was there */
static void
delete_row(const Config *config, Local *local)
{
	Node	   *node = &local->node;
	Image		before = node->image;

	append_event(config, local, 'd', before, (Image){0});
	node->exists = false;
	node->image = (Image){0};
	node->version = node->writer = 0;
	if (config->clock == CLOCK_COMMIT)
		node->tombstone = false;
	apply_raise_tombstone(node, apply_version(config, &local->events[local->nevents - 1]),
						  local->me);
}

/* The largest of all versions; of equal ones the delete, then the larger text */
static void
note_newest(State *state, const Node *node)
{
	int			version = node->exists ? node->version : node->tombstone_version;
	int			value = node->exists ? node->image.value : -1;

	if (version < state->newest_version)
		return;
	if (version == state->newest_version &&
		(state->newest_value == -1 || (value != -1 && value <= state->newest_value)))
		return;
	state->newest_version = version;
	state->newest_value = value;
}

/* ---- readers ---- */

static void
steps_read(Making *m, int channel)
{
	const Config *config = &m->world->config;
	int			batch = config->batch ? config->batch : 1;
	int			n;
	const Event *events = queued(m->world, m->from, channel, &n);

	for (int i = 0; i < n && i < batch; i++)
	{
		if ((i > 0 && !belong_together(config, &events[0], &events[i])) ||
			held(m, m->world->channels[channel].to, &events[i]))
			return;
		step_read(m, channel, events, i + 1);
	}
}

/* A local transaction is of one peer, and under the commit clock of one source time */
static bool
belong_together(const Config *config, const Event *a, const Event *b)
{
	return a->source == b->source && (config->clock != CLOCK_COMMIT ||
									  apply_version(config, a) == apply_version(config, b));
}

/* In the end time goes on without operations */
static bool
held(const Making *m, int reader, const Event *event)
{
	const Config *config = &m->world->config;

	return config->hold && !ablation_of(m->world)->no_hold &&
		m->from->operations < config->operations &&
		TIME_OF(apply_version(config, event)) > m->from->now + config->skew[reader] + 5;
}

static void
step_read(Making *m, int channel, const Event *events, int n)
{
	World	   *world = m->world;
	int			me = world->channels[channel].to;
	Outcome		outcome;
	Step	   *step;
	size_t		at;

	apply_events(&world->config, me, get_node(world, m->from, me), events, n, &outcome);
	if (outcome.stopped)
		return;
	step = make_step(m);
	dequeue(world, &step->state, channel, n);
	set_node(world, &step->state, me, &outcome.node);
	emit(world, &step->state, me, outcome.events, outcome.nevents);
	if (world->config.calm && outcome.conflict)
		step->state.wrong = WRONG_CONFLICT;
	if (outcome.lost)
		step->state.wrong = WRONG_LOSS;
	if (!m->texts)
		return;
	at = snprintf(step->text, sizeof(step->text), "N%d gets", me);
	for (int i = 0; i < n; i++)
	{
		at += put_event(step->text + at, sizeof(step->text) - at, &world->config, &events[i]);
		at += snprintf(step->text + at, sizeof(step->text) - at, ": %s;", outcome.reasons[i]);
	}
	at += snprintf(step->text + at, sizeof(step->text) - at, "   => ");
	put_node(step->text + at, sizeof(step->text) - at, &world->config, &outcome.node);
}

/* A node's connector brings its next event into the shared topic */
static void
steps_produce(Making *m)
{
	World	   *world = m->world;

	if (world->config.topology != TOPOLOGY_SHARED)
		return;
	for (int me = 0; me < world->config.nodes; me++)
	{
		int			outbox = world->nchannels + me;
		int			n;
		const Event *events = queued(world, m->from, outbox, &n);
		Step	   *step;

		if (n == 0)
			continue;
		step = make_step(m);
		for (int i = 0; i < world->nchannels; i++)
		{
			if (!apply_skips(&world->config, world->channels[i].to, events))
				enqueue(world, &step->state, i, events);
		}
		if (m->texts)
			put_event(step->text + snprintf(step->text, sizeof(step->text), "N%d produces", me),
					  sizeof(step->text) - 20, &world->config, events);
		dequeue(world, &step->state, outbox, 1);
	}
}

/* ---- disturbances ---- */

static void
steps_disturb(Making *m)
{
	const Config *config = &m->world->config;

	for (int me = 0; me < config->nodes; me++)
	{
		if (config->disturbing & DISTURB_SNAPSHOT)
			step_snapshot(m, me);
		if (config->disturbing & DISTURB_PRUNE)
			step_prune(m, me, false);
		if (config->disturbing & DISTURB_PRUNE_EARLY)
			step_prune(m, me, true);
		if (config->disturbing & DISTURB_FORGET)
			step_forget(m, me, false);
		if (config->disturbing & DISTURB_FORGET_EARLY)
			step_forget(m, me, true);
	}
}

static void
step_snapshot(Making *m, int me)
{
	const Config *config = &m->world->config;
	const Node *node = get_node(m->world, m->from, me);
	Event		event = {.op = 'r', .after = node->image, .origin = NO_NODE};
	Step	   *step;

	if (!node->exists)
		return;
	if (config->clock == CLOCK_COMMIT)
		event.time = m->from->now + config->skew[me] + 6;
	step = make_step(m);
	step->state.disturbances++;
	emit(m->world, &step->state, me, &event, 1);
	if (m->texts)
		snprintf(step->text, sizeof(step->text), "N%d: a snapshot sends its row", me);
}

static void
step_prune(Making *m, int me, bool early)
{
	Node		node = *get_node(m->world, m->from, me);
	Step	   *step;

	if (!node.tombstone || node.exists || (!early && !all_know(m, node.tombstone_version)))
		return;
	if (!node.pruned || node.horizon < node.tombstone_version)
		node.horizon = node.tombstone_version;
	node.pruned = true;
	node.tombstone = node.tombstone_version = node.tombstone_writer = 0;
	step = make_step(m);
	step->state.disturbances++;
	set_node(m->world, &step->state, me, &node);
	if (m->texts)
		snprintf(step->text, sizeof(step->text), "N%d: the tombstone is pruned", me);
}

static void
step_forget(Making *m, int me, bool early)
{
	Node		node = *get_node(m->world, m->from, me);
	Step	   *step;

	if (!node.exists || m->world->config.clock != CLOCK_COMMIT ||
		(!early && !all_know(m, node.version)))
		return;
	node.version = VERSION_OF(TIME_FORGOTTEN);
	step = make_step(m);
	step->state.disturbances++;
	set_node(m->world, &step->state, me, &node);
	if (m->texts)
		snprintf(step->text, sizeof(step->text), "N%d: the row's commit time is forgotten", me);
}

/* Is nothing as old as this version on its way, and does nobody know less? */
static bool
all_know(const Making *m, int version)
{
	const World *world = m->world;

	for (int i = 0; i < world->nqueues; i++)
	{
		int			n;
		const Event *events = queued(world, m->from, i, &n);

		for (int k = 0; k < n; k++)
		{
			if (apply_version(&world->config, &events[k]) <= version)
				return false;
		}
	}
	for (int i = 0; i < world->config.nodes; i++)
	{
		const Node *node = get_node(world, m->from, i);
		int			known = node->exists ? node->version : node->pruned ? node->horizon :
			node->tombstone_version;

		if (known < version)
			return false;
	}
	return true;
}

/* ---- states ---- */

static Step *
make_step(Making *m)
{
	Step	   *step = &m->steps[m->nsteps++];

	if (m->nsteps > MAX_STEPS)
	{
		fprintf(stderr, "model: more than %d steps from one state\n", MAX_STEPS);
		exit(2);
	}
	step->state = *m->from;
	step->text[0] = '\0';
	return step;
}

/* To the log of a node, that is into the queues of its readers */
static void
emit(World *world, State *state, int me, const Event *events, int n)
{
	for (int k = 0; k < n; k++)
	{
		Event		event = events[k];

		event.source = me;
		if (world->config.topology == TOPOLOGY_SHARED)
		{
			enqueue(world, state, world->nchannels + me, &event);
			continue;
		}
		for (int i = 0; i < world->nchannels; i++)
		{
			if (world->channels[i].from == me &&
				!apply_skips(&world->config, world->channels[i].to, &event))
				enqueue(world, state, i, &event);
		}
	}
}

static void
set_queue(World *world, State *state, int queue, const Event *events, int n)
{
	bool		added;

	state->queue[queue] = pool_add(&world->queues, events, sizeof(Event) * n, &added);
}

static void
enqueue(World *world, State *state, int queue, const Event *event)
{
	Event		events[MAX_QUEUED + 1];
	int			n;
	const Event *old = queued(world, state, queue, &n);

	if (n > MAX_QUEUED)
		return;					/* too many already, as world_judge says */
	memcpy(events, old, sizeof(Event) * n);
	events[n] = *event;
	set_queue(world, state, queue, events, n + 1);
}

static void
dequeue(World *world, State *state, int queue, int n)
{
	Event		events[MAX_QUEUED + 1];
	int			old_n;
	const Event *old = queued(world, state, queue, &old_n);

	memcpy(events, old + n, sizeof(Event) * (old_n - n));
	set_queue(world, state, queue, events, old_n - n);
}

static const Event *
queued(const World *world, const State *state, int queue, int *n)
{
	*n = pool_entry(&world->queues, state->queue[queue])->len / sizeof(Event);
	return pool_data(&world->queues, state->queue[queue]);
}

static const Node *
get_node(const World *world, const State *state, int me)
{
	return pool_data(&world->nodes, state->node[me]);
}

static void
set_node(World *world, State *state, int me, const Node *node)
{
	bool		added;

	state->node[me] = pool_add(&world->nodes, node, sizeof(Node), &added);
}

/* ---- judging and describing ---- */

const char *
world_judge(World *world, const State *state, bool final)
{
	const Node *first = get_node(world, state, 0);

	if (state->wrong == WRONG_CONFLICT)
		return "a conflict is recorded where there was none";
	if (state->wrong == WRONG_LOSS)
		return "a row that nobody had seen is lost, and not on record";
	for (int i = 0; i < world->nqueues; i++)
	{
		int			n;

		queued(world, state, i, &n);
		if (n > MAX_QUEUED)
			return "queues grow without end";
		if (final && n > 0)
			return "an event stays in its queue";
	}
	/* what is read in the end does not depend on what happens later */
	if (!quiet(world, state))
		return NULL;
	/* rows that were never sent stay apart until somebody writes one */
	if (world->config.start == START_BEFORE && state->operations == 0)
		return NULL;
	for (int i = 1; i < world->config.nodes; i++)
	{
		const Node *node = get_node(world, state, i);

		if (node->exists != first->exists || node->image.value != first->image.value ||
			node->image.column != first->image.column)
			return "databases differ";
	}
	if (!world->config.any_survivor && state->newest_version >= 0 &&
		(first->exists ? first->image.value : -1) != state->newest_value)
		return "the survivor is not the largest version";
	return NULL;
}

static size_t
put_image(char *text, size_t size, const Config *config, bool exists, Image image)
{
	if (!exists)
		return snprintf(text, size, "-");
	if (config->clock == CLOCK_COMMIT)
		return snprintf(text, size, "%d", image.value);
	return snprintf(text, size, "%d@%d", image.value, image.column);
}

static size_t
put_event(char *text, size_t size, const Config *config, const Event *event)
{
	size_t		at = snprintf(text, size, " %c[", event->op);

	at += put_image(text + at, size - at, config, event->op == 'u' || event->op == 'd',
					event->before);
	at += snprintf(text + at, size - at, " -> ");
	at += put_image(text + at, size - at, config, event->op != 'd', event->after);
	if (config->clock == CLOCK_COMMIT)
		at += snprintf(text + at, size - at, " at %d", event->time);
	if (event->origin != NO_NODE)
		at += snprintf(text + at, size - at, " origin N%d", event->origin);
	return at + snprintf(text + at, size - at, "] of N%d", event->source);
}

static size_t
put_node(char *text, size_t size, const Config *config, const Node *node)
{
	size_t		at = put_image(text, size, config, node->exists, node->image);

	if (node->exists && config->clock == CLOCK_COMMIT)
		at += snprintf(text + at, size - at, " ver %d by N%d", TIME_OF(node->version), node->writer);
	if (node->tombstone)
		at += snprintf(text + at, size - at, " tombstone %d%s by N%d",
					   TIME_OF(node->tombstone_version),
					   node->tombstone_version % 2 ? "+" : "", node->tombstone_writer);
	if (node->pruned)
		at += snprintf(text + at, size - at, " horizon %d", TIME_OF(node->horizon));
	return at;
}

void
world_describe(World *world, const State *state, char *text, size_t size)
{
	size_t		at = 0;

	for (int i = 0; i < world->config.nodes; i++)
	{
		at += snprintf(text + at, size - at, "%sN%d ", i ? " | " : "", i);
		at += put_node(text + at, size - at, &world->config, get_node(world, state, i));
	}
}
