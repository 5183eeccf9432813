/*
 * table_rule.h
 *		The catalog of table rules: which local tables take part, and how.
 */
#ifndef CDC_TABLE_RULE_H
#define CDC_TABLE_RULE_H

#include "nodes/pg_list.h"

#include "base/compat.h"
#include "base/own_row.h"
#include "stored/conflict_rules.h"
#include "stored/option.h"

typedef struct CdcColumnPair
{
	char	   *remote;
	char	   *local;
} CdcColumnPair;

typedef struct CdcTableRule
{
	Oid			relid;
	char	   *source_schema;	/* the table's name as events say it */
	char	   *source_table;
	bool		own_name;		/* which was the local table's own when it was given */
	char	   *version_column; /* NULL: commit timestamp */
	List	   *column_map;		/* of CdcColumnPair *; columns not named keep their name */
	bool		truncate;		/* obey truncate events */
	CdcConflictRules *conflicts;	/* NULL: as the subscription says */
} CdcTableRule;

/*
 * The rule for a remote table, or for a local one; NULL if it is not registered, or
 * its table is gone.  In a transaction; they connect to SPI by themselves, and the
 * result is in CurrentMemoryContext.
 */
extern CdcTableRule *cdc_table_rule_for_source(const char *schema, const char *table);
extern CdcTableRule *cdc_table_rule_for_relation(Oid relid);
extern CdcTableRule *cdc_table_rule_for_topic(const char *topic, int *n);
pg_noreturn extern void cdc_table_rule_missing(Oid relid);
extern const char *cdc_table_rule_remote_name(const CdcTableRule *rule, const char *local);
extern bool cdc_table_rule_is_name(Oid relid, const char *schema, const char *table);
extern Oid	cdc_table_rule_usurper(const CdcTableRule *rule);

/* Those of add_table() and alter_table_rule() */
extern const CdcOptions cdc_table_rule_options;

/*
 * The rest is for add_table.c; SPI is connected by the caller, who has locked the
 * rules against others who change them (to the transaction's end).
 */
extern void cdc_table_rule_lock(void);

/* Both forget the tombstones as well.  false: there was none; the oids of tables gone */
extern bool cdc_table_rule_delete(Oid relid);
extern List *cdc_table_rule_delete_gone(void);

#endif							/* CDC_TABLE_RULE_H */
