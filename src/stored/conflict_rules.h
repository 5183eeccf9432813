/*
 * conflict_rules.h
 *		How conflicts are handled, as a subscription or a table rule says it.
 */
#ifndef CDC_CONFLICT_RULES_H
#define CDC_CONFLICT_RULES_H

#include "event/conflict_type.h"

typedef struct CdcConflictRules
{
	bool		whole;			/* one word for all types, which overrides a preset, too */
	CdcPreset	preset;
	bool		given[CDC_NCONFLICT_TYPES];
	CdcHandling handling[CDC_NCONFLICT_TYPES];
	char	   *function[CDC_NCONFLICT_TYPES];	/* quoted and qualified, of FUNCTION */
} CdcConflictRules;

/*
 * Read 'last_update_wins', 'hub', 'spoke', a resolution, or a JSON object of conflict
 * types and resolutions or functions.  Raises invalid_parameter_value for anything else.
 * The result is in CurrentMemoryContext; NULL for NULL.
 */
extern CdcConflictRules *cdc_conflict_rules_parse(const char *text);

/* The same, and that the functions exist: raises an error if not */
extern void cdc_conflict_rules_check(const char *text);

/* What holds: the table's word, else the subscription's, else last_update_wins; both may be NULL */
extern CdcPreset cdc_conflict_rules_preset(const CdcConflictRules *table,
										   const CdcConflictRules *subscription);
extern CdcHandling cdc_conflict_rules_handling(const CdcConflictRules *table,
											   const CdcConflictRules *subscription,
											   CdcConflictType type, const char **function);

/* A handling by its name, but for functions; false if there is none of this name */
extern bool cdc_conflict_rules_find_handling(const char *name, CdcHandling *handling);

/* A function that handles conflicts, by its quoted name; raises an error if there is none */
extern Oid	cdc_conflict_rules_find_function(const char *function);

/* The type of a handler's argument, cdcsync.conflict */
extern Oid	cdc_conflict_rules_argument_type(void);

#endif							/* CDC_CONFLICT_RULES_H */
