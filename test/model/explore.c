/*
 * explore.c
 *		All states that a world can come to, in the order of their distance.
 *
 * Breadth first, so that the way to what is wrong is a shortest one.  States are numbered
 * in the order in which they are found.  An endless way is found by taking away, as long
 * as there are any, states that no other leads to: what stays is a circle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"

typedef struct Search
{
	World		world;
	Pool		states;
	long		count;
	long		capacity;
	uint32_t   *number;			/* in the pool, per state */
	uint32_t   *parent;
	uint32_t   *first;			/* its first successor; there is one more entry */
	uint32_t   *successors;
	long		nsuccessors;
	long		successors_capacity;
	Step	   *steps;
} Search;

static long find_state(Search *s, const State *state, long parent);
static State get_state(const Search *s, long i);
static const char *look(Search *s, long i);
static const char *search(Search *s, long limit, long *at, bool *partial);
static long find_circle(Search *s);
static void show_way(Search *s, long to);
static void show_circle(Search *s, long from);
static void show_step(Search *s, const State *from, const State *to);
static void release(Search *s);

Result
explore(const Config *config, long limit, bool show)
{
	Search		s = {.steps = xcalloc(MAX_STEPS, sizeof(Step))};
	Result		result = {0};
	clock_t		start = clock();
	State		state;
	long		at = 0;

	world_init(&s.world, config);
	pool_init(&s.states);
	world_start(&s.world, &state);
	find_state(&s, &state, 0);
	result.problem = search(&s, limit, &at, &result.partial);
	if (result.problem)
	{
		if (show)
			show_way(&s, at);
	}
	else if (!result.partial && (at = find_circle(&s)) >= 0)
	{
		result.problem = "it never ends";
		if (show)
			show_circle(&s, at);
	}
	result.states = s.count;
	release(&s);
	result.seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
	return result;
}

/* The wrong that is found first, at *at; NULL if all is well */
static const char *
search(Search *s, long limit, long *at, bool *partial)
{
	for (long i = 0; i < s->count; i++)
	{
		const char *problem = look(s, i);

		*at = i;
		if (problem)
			return problem;
		if (s->count > limit)
		{
			*partial = true;
			return NULL;
		}
	}
	return NULL;
}

static const char *
look(Search *s, long i)
{
	State		state = get_state(s, i);
	int			nsteps = world_steps(&s->world, &state, s->steps, false);
	const char *problem = world_judge(&s->world, &state, nsteps == 0);

	if (problem)
		return problem;
	if (s->nsuccessors + nsteps > s->successors_capacity)
	{
		s->successors_capacity = s->successors_capacity * 2 + 1024;
		s->successors = xrealloc(s->successors, sizeof(uint32_t) * s->successors_capacity);
	}
	for (int k = 0; k < nsteps; k++)
		s->successors[s->nsuccessors++] = find_state(s, &s->steps[k].state, i);
	s->first[i + 1] = s->nsuccessors;
	return NULL;
}

/* Its number, a new one if it is new */
static long
find_state(Search *s, const State *state, long parent)
{
	bool		added;
	uint32_t	number = pool_add(&s->states, state, s->world.state_size, &added);

	if (!added)
		return pool_entry(&s->states, number)->note;
	if (s->count == s->capacity)
	{
		s->capacity = s->capacity * 2 + 1024;
		s->number = xrealloc(s->number, sizeof(uint32_t) * s->capacity);
		s->parent = xrealloc(s->parent, sizeof(uint32_t) * s->capacity);
		s->first = xrealloc(s->first, sizeof(uint32_t) * (s->capacity + 1));
		s->first[0] = 0;
	}
	s->number[s->count] = number;
	s->parent[s->count] = parent;
	pool_entry(&s->states, number)->note = s->count;
	return s->count++;
}

static State
get_state(const Search *s, long i)
{
	State		state = {0};

	memcpy(&state, pool_data(&s->states, s->number[i]), s->world.state_size);
	return state;
}

/* A state from which a way leads back to it; -1 if there is none */
static long
find_circle(Search *s)
{
	uint32_t   *leading = xcalloc(s->count, sizeof(uint32_t));
	uint32_t   *stack = xcalloc(s->count, sizeof(uint32_t));
	long		nstack = 0;
	long		left = s->count;
	long		found = -1;

	for (long k = 0; k < s->nsuccessors; k++)
		leading[s->successors[k]]++;
	for (long i = 0; i < s->count; i++)
	{
		if (leading[i] == 0)
			stack[nstack++] = i;
	}
	for (; nstack > 0; left--)
	{
		uint32_t	i = stack[--nstack];

		for (uint32_t k = s->first[i]; k < s->first[i + 1]; k++)
		{
			if (--leading[s->successors[k]] == 0)
				stack[nstack++] = s->successors[k];
		}
	}
	/* what is left is in a circle, or behind one: go back from there until a state repeats */
	for (long i = 0; left > 0 && i < s->count; i++)
	{
		if (leading[i] > 0)
		{
			found = i;
			break;
		}
	}
	free(leading);
	free(stack);
	return found;
}

/* ---- for people ---- */

static void
show_way(Search *s, long to)
{
	State		state = get_state(s, to);
	State		before;
	char		text[800];

	if (to != 0)
	{
		show_way(s, s->parent[to]);
		before = get_state(s, s->parent[to]);
		show_step(s, &before, &state);
	}
	world_describe(&s->world, &state, text, sizeof(text));
	printf("\t\t%s\n", text);
}

static void
show_step(Search *s, const State *from, const State *to)
{
	int			nsteps = world_steps(&s->world, from, s->steps, true);

	for (int k = 0; k < nsteps; k++)
	{
		if (memcmp(&s->steps[k].state, to, s->world.state_size) == 0)
		{
			printf("\t%s\n", s->steps[k].text);
			return;
		}
	}
}

/* From a state that is in a circle or behind one, some steps on */
static void
show_circle(Search *s, long from)
{
	long		i = from;

	show_way(s, from);
	printf("\t... and from there on without end, as in:\n");
	for (int k = 0; k < 12 && s->first[i] < s->first[i + 1]; k++)
	{
		State		before = get_state(s, i);
		State		state;

		i = s->successors[s->first[i + 1] - 1];
		state = get_state(s, i);
		show_step(s, &before, &state);
	}
}

static void
release(Search *s)
{
	world_free(&s->world);
	pool_free(&s->states);
	free(s->number);
	free(s->parent);
	free(s->first);
	free(s->successors);
	free(s->steps);
}
