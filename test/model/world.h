/*
 * world.h
 *		What the model is made of: databases with one row, their logs and readers.
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

#define MAX_NODES		4
#define MAX_QUEUES		8
#define MAX_QUEUED		24		/* more events than this in a queue will never end */
#define MAX_BATCH		3
#define MAX_EMITTED		4		/* by one step */
#define NO_NODE			(-1)

/* Points in time; the first are older than anything that happens in the model */
#define TIME_FORGOTTEN	0		/* a row's commit time that the server has lost */
#define TIME_SNAPSHOT	1		/* commit clock: of snapshot rows */
#define TIME_SEED		2
#define TIME_BEGIN		100

/*
 * A version is 2 * t, where t is a point in time or the value of the version column,
 * or 2 * t + 1, just after it: a delete's under the version column.
 */
#define VERSION_OF(t)	(2 * (t))
#define TIME_OF(v)		((v) / 2)

/* A row as an event shows it.  Without a version column, column is 0 */
typedef struct Image
{
	int16_t		value;
	int16_t		column;
} Image;

/* The one row of a node, and what is remembered of its key; no padding, all is compared */
typedef struct Node
{
	int16_t		exists;
	Image		image;
	int16_t		version;
	int16_t		writer;			/* itself for local changes */
	int16_t		tombstone;
	int16_t		tombstone_version;
	int16_t		tombstone_writer;
	int16_t		pruned;
	int16_t		horizon;		/* newest tombstone pruned, if pruned */
} Node;

typedef struct Event
{
	int16_t		op;				/* 'c', 'u', 'd', 'r' */
	Image		before;			/* of 'u', 'd' */
	Image		after;			/* of 'c', 'u', 'r' */
	int16_t		time;			/* commit clock: source time; else 0 */
	int16_t		origin;			/* immediate sender of a forwarded change, or NO_NODE */
	int16_t		source;			/* whose log it is from */
} Event;

/* What is wrong without being seen in rows and queues */
typedef enum Wrong
{
	WRONG_NOTHING,
	WRONG_CONFLICT,				/* recorded where there was none */
	WRONG_LOSS					/* a row that its author had not seen went without a record */
} Wrong;

/* The whole; nodes and queues are numbers in the world's pools */
typedef struct State
{
	int16_t		now;
	int16_t		newest_version; /* of all that was written by hand */
	int16_t		newest_value;	/* -1: it is a delete */
	uint8_t		operations;
	uint8_t		disturbances;
	uint8_t		wrong;
	uint8_t		unused[7];
	uint32_t	node[MAX_NODES];
	uint32_t	queue[MAX_QUEUES];	/* by reader; then outboxes, with a shared topic */
} State;

typedef enum Topology
{
	TOPOLOGY_HUB,				/* node 0 is the server */
	TOPOLOGY_MESH,
	TOPOLOGY_SHARED,			/* one topic, everybody reads all of it */
	TOPOLOGY_CHAIN
} Topology;

/* What a local transaction may do; flags */
typedef enum Operation
{
	OP_INSERT = 1,
	OP_UPDATE = 2,
	OP_DELETE = 4,
	OP_UPDATE_UPDATE = 8,
	OP_DELETE_INSERT = 16,
	OP_INSERT_UPDATE = 32,
	OP_INSERT_DELETE = 64
} Operation;

/* What else may happen at any time; flags */
typedef enum Disturbance
{
	DISTURB_SNAPSHOT = 1,		/* the row as it stands goes to the log again */
	DISTURB_PRUNE = 2,			/* a tombstone that nobody needs any more is pruned */
	DISTURB_PRUNE_EARLY = 4,	/* any */
	DISTURB_FORGET = 8,			/* the commit time of a row that all have is lost */
	DISTURB_FORGET_EARLY = 16	/* of any */
} Disturbance;

typedef enum Start
{
	START_SAME,					/* everybody has the row */
	START_EMPTY,
	START_ONE,					/* the last node has it, and a snapshot of it is in its log */
	START_ALL_DIFFER,			/* likewise everybody, each another */
	START_BEFORE,				/* other rows of one version, from before they were sent */
	START_BEFORE_SENT			/* the same, and a snapshot of each is in its log */
} Start;

/* How versions are made: of a column by its trigger, or commit times */
typedef enum Clock
{
	CLOCK_TRIGGER,				/* the wall clock, but larger than the old version */
	CLOCK_COUNTER,				/* old version + 1 */
	CLOCK_COMMIT
} Clock;

struct Ablation;

typedef struct Config
{
	Clock		clock;
	Topology	topology;
	int			nodes;
	bool		origin_none;	/* all subscriptions; of a hub: the server's */
	bool		presets;		/* 'hub' on node 0, 'spoke' on the others */
	Start		start;
	int			operations;		/* how many */
	int			allowed;		/* which */
	int			disturbances;
	int			disturbing;
	int			batch;			/* at most so many events in one local commit; 0 is 1 */
	int			values;			/* rows have one of so many values; 0: all differ */
	int			skew[MAX_NODES];	/* of the clocks */
	int			statement_lag;	/* a trigger may see the clock this much before the commit */
	int			pace[2];		/* time between operations: either; pace[1] < 0: pace[0] */
	bool		hold;			/* events of the future wait for their time */
	bool		writers_wait;	/* local changes wait until their version is newer */
	bool		calm;			/* operations wait until all is quiet: no conflict then */
	bool		any_survivor;	/* it need not be the largest version */
	const struct Ablation *ablation;	/* the rule that is taken away, or NULL */
} Config;

/* A queue: the way from a log (or the shared topic: NO_NODE) to a reader */
typedef struct Channel
{
	int			from;
	int			to;
} Channel;

typedef struct World
{
	Config		config;
	int			nchannels;
	Channel		channels[MAX_QUEUES];
	int			nqueues;
	size_t		state_size;		/* that part of a State which is used */
	Pool		nodes;
	Pool		queues;
} World;

typedef struct Step
{
	State		state;
	char		text[800];		/* for people, if asked for */
} Step;

#define MAX_STEPS		256

extern void world_init(World *world, const Config *config);
extern void world_free(World *world);
extern void world_start(World *world, State *state);

/* Everything that may happen next; returns how many */
extern int	world_steps(World *world, const State *state, Step *steps, bool texts);

/* What is wrong with a state, or NULL; final: there is no next step */
extern const char *world_judge(World *world, const State *state, bool final);

/* The rows and queues of a state */
extern void world_describe(World *world, const State *state, char *text, size_t size);

#endif							/* MODEL_WORLD_H */
