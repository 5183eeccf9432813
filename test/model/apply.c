/*
 * apply.c
 *		A node takes in events of one log, deciding by src/apply/conflict.c.
 *
 * Does for one key of the model what src/apply/apply_table.c and src/apply/effect.c do for the keys of
 * a batch: compares, lets cdc_conflict_decide() decide event after event on the row in
 * memory, carries that out, and turns the net effect into the changes that a connector
 * would read from this node's log.
 */
#include "postgres.h"

#include "apply/conflict.h"

#include "ablation.h"
#include "apply.h"

/* The key while a batch is decided */
typedef struct Memory
{
	Node		node;
	CdcEffect		net;
	const Event *last_delete;
} Memory;

static bool take(const Config *config, int me, Memory *memory, const Event *event,
				 Outcome *outcome, int n);
static CdcSituation situation_of(const Config *config, int me, const Node *node,
								 const Event *event);
static void compare_to_row(const Config *config, CdcSituation *s, const Node *node,
						   const Event *event, int version);
static void compare_to_tombstone(CdcSituation *s, const Node *node, const Event *event,
								 int version);
static bool loses(const CdcSituation *s, const CdcDecision *d, const Node *node,
				  const Event *event);
static CdcOp op_of(const Event *event);
static CdcOrder order_of(int a, int b);
static bool same_image(Image a, Image b);
static void carry_out(Memory *memory, CdcAction action, const Event *event, int version);
static void write_net(const Config *config, const Node *stored, const Memory *memory, int stamp,
					  int origin, Outcome *outcome);
static void write_delete(const Config *config, const Node *stored, const Memory *memory,
						 int stamp, int origin, Outcome *outcome);
static void emit(Outcome *outcome, int op, Image before, Image after, int stamp, int origin);

static const Image no_image = {0, 0};
static const Ablation no_ablation = {0};

static const Ablation *
ablation_of(const Config *config)
{
	return config->ablation ? config->ablation : &no_ablation;
}

bool
apply_skips(const Config *config, int reader, const Event *event)
{
	bool		none = config->origin_none &&
		(config->topology != TOPOLOGY_HUB || reader == 0);

	return none && !ablation_of(config)->reads_forwarded &&
		event->origin != NO_NODE && event->origin != reader;
}

int
apply_version(const Config *config, const Event *event)
{
	if (config->clock == CLOCK_COMMIT)
		return VERSION_OF(event->op == 'r' && !ablation_of(config)->snapshot_has_time ?
						  TIME_SNAPSHOT : event->time);
	if (event->op == 'd')
		return VERSION_OF(event->before.column) + 1;
	return VERSION_OF(event->after.column);
}

void
apply_events(const Config *config, int me, const Node *node, const Event *events, int nevents,
			 Outcome *outcome)
{
	Memory		memory = {.node = *node};
	int			stamp = config->clock == CLOCK_COMMIT ?
		TIME_OF(apply_version(config, events)) : 0;

	*outcome = (Outcome){.node = *node};
	cdc_conflict_effect_begin(&memory.net, node->exists);
	for (int i = 0; i < nevents; i++)
	{
		if (!take(config, me, &memory, &events[i], outcome, i))
			return;
	}
	write_net(config, node, &memory, stamp, events->source, outcome);
	outcome->node = memory.node;
	outcome->node.tombstone = node->tombstone;
	outcome->node.tombstone_version = node->tombstone_version;
	outcome->node.tombstone_writer = node->tombstone_writer;
	if (memory.last_delete)
		apply_raise_tombstone(&outcome->node, memory.node.tombstone_version,
							  memory.node.tombstone_writer);
	apply_tidy(config, &outcome->node);
}

/* One event; false: the error way */
static bool
take(const Config *config, int me, Memory *memory, const Event *event, Outcome *outcome, int n)
{
	const Ablation *ablation = ablation_of(config);
	CdcSituation s = situation_of(config, me, &memory->node, event);
	CdcDecision d;

	if (ablation->situation)
		ablation->situation(&s);
	d = cdc_conflict_decide(&s);
	if (ablation->decision)
		ablation->decision(&s, &d);
	outcome->reasons[n] = d.reason;
	outcome->conflict |= d.conflict != CDC_CT_NONE;
	outcome->lost |= loses(&s, &d, &memory->node, event);
	outcome->stopped = d.action == CDC_ACTION_ERROR;
	if (outcome->stopped)
		return false;
	carry_out(memory, d.action, event, apply_version(config, event));
	cdc_conflict_effect_add(&memory->net, d.action);
	return true;
}

static CdcSituation
situation_of(const Config *config, int me, const Node *node, const Event *event)
{
	int			version = apply_version(config, event);
	CdcSituation s = {.op = op_of(event)};

	s.commit_clock = config->clock == CLOCK_COMMIT;
	if (config->presets)
		s.preset = me == 0 ? CDC_PRESET_HUB : CDC_PRESET_SPOKE;
	s.own_echo = event->source != me && event->origin == me;
	s.own = event->source == me || s.own_echo;
	if (node->exists)
		compare_to_row(config, &s, node, event, version);
	if (!node->exists || s.own)
		compare_to_tombstone(&s, node, event, version);
	return s;
}

static void
compare_to_row(const Config *config, CdcSituation *s, const Node *node, const Event *event,
			   int version)
{
	s->row = true;
	s->to_row = order_of(version, node->version);
	s->same_writer = node->writer == event->source;
	if (event->op != 'd')
	{
		s->equal = same_image(event->after, node->image);
		s->text_order = event->after.value != node->image.value ?
			event->after.value - node->image.value : event->after.column - node->image.column;
	}
	if (event->op == 'u' || event->op == 'd')
		s->before_is_row = ablation_of(config)->version_is_row ?
			event->before.column == node->image.column :
			same_image(event->before, node->image);
}

/* A row gives way, without a record, to who had neither seen nor written it */
static bool
loses(const CdcSituation *s, const CdcDecision *d, const Node *node, const Event *event)
{
	bool		has_before = event->op == 'u' || event->op == 'd';

	return d->conflict == CDC_CT_NONE && node->exists && !s->own && !s->same_writer &&
		((d->action == CDC_ACTION_PUT && !same_image(event->after, node->image)) ||
		 d->action == CDC_ACTION_REMOVE) &&
		!(has_before && same_image(event->before, node->image));
}

static void
compare_to_tombstone(CdcSituation *s, const Node *node, const Event *event, int version)
{
	s->tombstone = node->tombstone;
	if (s->tombstone)
		s->to_tombstone = order_of(version, node->tombstone_version);
	if (s->row)
		return;
	if (s->tombstone)
		s->same_writer = node->tombstone_writer == event->source;
	else
		s->behind_horizon = node->pruned && version <= node->horizon;
}

static CdcOp
op_of(const Event *event)
{
	switch (event->op)
	{
		case 'c':
			return CDC_OP_CREATE;
		case 'u':
			return CDC_OP_UPDATE;
		case 'd':
			return CDC_OP_DELETE;
		default:
			return CDC_OP_READ;
	}
}

static CdcOrder
order_of(int a, int b)
{
	return a < b ? CDC_OLDER : a > b ? CDC_NEWER : CDC_SAME;
}

static bool
same_image(Image a, Image b)
{
	return a.value == b.value && a.column == b.column;
}

static void
carry_out(Memory *memory, CdcAction action, const Event *event, int version)
{
	Node	   *node = &memory->node;

	switch (action)
	{
		case CDC_ACTION_PUT:
		case CDC_ACTION_TOUCH:
			node->exists = true;
			node->image = event->after;
			node->version = version;
			node->writer = event->source;
			break;
		case CDC_ACTION_REMOVE:
		case CDC_ACTION_RAISE:
			node->exists = false;
			node->image = no_image;
			node->version = node->writer = 0;
			node->tombstone = true;
			node->tombstone_version = version;
			node->tombstone_writer = event->source;
			memory->last_delete = event;
			break;
		case CDC_ACTION_NONE:
		case CDC_ACTION_ERROR:
		case CDC_ACTION_MERGE:	/* a handler's, which the model has none of */
			break;
	}
}

void
apply_raise_tombstone(Node *node, int version, int writer)
{
	if (node->tombstone && node->tombstone_version >= version)
		return;
	node->tombstone = true;
	node->tombstone_version = version;
	node->tombstone_writer = writer;
}

/* A row that is newer than the tombstone can only go by a delete that is newer, too */
void
apply_tidy(const Config *config, Node *node)
{
	if (!config->presets && node->exists && node->tombstone &&
		node->tombstone_version < node->version)
		node->tombstone = node->tombstone_version = node->tombstone_writer = 0;
}

static void
write_net(const Config *config, const Node *stored, const Memory *memory, int stamp, int origin,
		  Outcome *outcome)
{
	const Node *node = &memory->node;

	switch (cdc_conflict_effect_write(&memory->net))
	{
		case CDC_WRITE_NOTHING:
			break;
		case CDC_WRITE_INSERT:
			emit(outcome, 'c', no_image, node->image, stamp, origin);
			break;
		case CDC_WRITE_UPDATE:
			emit(outcome, 'u', stored->image, node->image, stamp, origin);
			break;
		case CDC_WRITE_DELETE:
			write_delete(config, stored, memory, stamp, origin, outcome);
			break;
		case CDC_WRITE_THROUGH:
			if (ablation_of(config)->no_write_through)
				break;
			emit(outcome, 'c', no_image, memory->last_delete->before, stamp, origin);
			emit(outcome, 'd', memory->last_delete->before, no_image, stamp, origin);
			break;
	}
}

/* Under the version column, the delete that goes on from here is of what its author saw */
static void
write_delete(const Config *config, const Node *stored, const Memory *memory, int stamp,
			 int origin, Outcome *outcome)
{
	Image		seen = memory->last_delete->before;
	Image		gone = stored->image;

	if (config->clock != CLOCK_COMMIT && VERSION_OF(seen.column) != stored->version &&
		!ablation_of(config)->no_lift)
	{
		emit(outcome, 'u', gone, seen, stamp, origin);
		gone = seen;
	}
	emit(outcome, 'd', gone, no_image, stamp, origin);
}

static void
emit(Outcome *outcome, int op, Image before, Image after, int stamp, int origin)
{
	outcome->events[outcome->nevents++] = (Event){
		.op = op, .before = before, .after = after, .time = stamp, .origin = origin
	};
}
