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

extern CdcConflictRules *cdc_conflict_rules_parse(const char *text);
extern Datum cdc_conflict_rules_check(Oid relid, Datum value);

/* What holds: the table's word, else the subscription's, else last_update_wins; both may be NULL */
extern CdcPreset cdc_conflict_rules_preset(const CdcConflictRules *table,
										   const CdcConflictRules *subscription);
extern CdcHandling cdc_conflict_rules_handling(const CdcConflictRules *table,
											   const CdcConflictRules *subscription,
											   CdcConflictType type, const char **function);
extern bool cdc_conflict_rules_find_handling(const char *name, CdcHandling *handling);
extern Oid	cdc_conflict_rules_find_function(const char *function);

/* The type of a handler's argument, cdcsync.conflict */
extern Oid	cdc_conflict_rules_argument_type(void);

#endif							/* CDC_CONFLICT_RULES_H */
