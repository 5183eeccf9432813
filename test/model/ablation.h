/*
 * ablation.h
 *		The rules taken away one at a time: each must be missed somewhere.
 */
#ifndef MODEL_ABLATION_H
#define MODEL_ABLATION_H

#include <stdbool.h>

struct CdcSituation;
struct CdcDecision;

typedef struct Ablation
{
	const char *rule;
	const char *name;			/* what is done instead */
	bool		column;			/* makes a difference under the version column */
	bool		commit;			/* under the commit clock */
	void		(*situation) (struct CdcSituation *situation);	/* perturbs what is known */
	void		(*decision) (const struct CdcSituation *situation, struct CdcDecision *decision);
	bool		reads_forwarded;	/* with origin none, too */
	bool		snapshot_has_time;	/* commit clock: a snapshot row is of its snapshot's time */
	bool		no_write_through;
	bool		no_lift;
	bool		no_growth;		/* the trigger only sets the clock */
	bool		insert_ignores_tombstone;	/* it does not see to it that an insert exceeds it */
	bool		version_is_row; /* what has the version of before is taken for it */
	bool		no_hold;		/* commit clock: events of the future are taken at once */
} Ablation;

extern const Ablation ablations[];
extern const int nablations;

#endif							/* MODEL_ABLATION_H */
