/*
 * explore.h
 *		All states that a world can come to, in the order of their distance.
 */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "world.h"

typedef struct Result
{
	const char *problem;		/* NULL: none was found */
	bool		partial;		/* there are more states than the limit */
	long		states;
	double		seconds;
} Result;

/*
 * Look at every state, until one is wrong or there are more than limit; and then for a
 * way that leads back to where it was, for ever.  show: print the way to what is wrong.
 */
extern Result explore(const Config *config, long limit, bool show);

#endif							/* MODEL_EXPLORE_H */
