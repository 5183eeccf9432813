/*
 * apply.h
 *		A node takes in events of one log, deciding by src/apply/conflict.c.
 */
#ifndef MODEL_APPLY_H
#define MODEL_APPLY_H

#include "world.h"

typedef struct Outcome
{
	Node		node;
	bool		stopped;		/* the error way: nothing is done, to be tried again */
	bool		conflict;		/* one was recorded */
	bool		lost;			/* none was, and a row went that the event's author had not seen */
	int			nevents;
	Event		events[MAX_EMITTED];	/* that go to the node's log; source is not set */
	const char *reasons[MAX_BATCH]; /* what was decided of each, for people */
} Outcome;

/* The events are of one log and, under the commit clock, of one version */
extern void apply_events(const Config *config, int me, const Node *node, const Event *events,
						 int nevents, Outcome *outcome);

/* The version of a change, as everybody computes it */
extern int	apply_version(const Config *config, const Event *event);

/* Whether a subscription leaves an event out (rule 1) */
extern bool apply_skips(const Config *config, int reader, const Event *event);

/* Remember a delete, unless a newer one is remembered */
extern void apply_raise_tombstone(Node *node, int version, int writer);

/* Forget what can make no difference any more, so that fewer states differ */
extern void apply_tidy(const Config *config, Node *node);

#endif							/* MODEL_APPLY_H */
