/*
 * register_check.h
 *		Whether a table can be registered.
 */
#ifndef CDC_REGISTER_CHECK_H
#define CDC_REGISTER_CHECK_H

#include "nodes/pg_list.h"

/*
 * Who may change the table, and what is a table at all; without any lock, so that only
 * such a user can stand in others' way.
 */
extern void cdc_register_check_owner(Oid relid);

/*
 * Its kind, rights, constraints and key; members are the table and its partitions, all
 * locked.
 */
extern void cdc_register_check_table(Oid relid, List *members);

/*
 * Why a table could not be registered now: a sentence, or NULL; *hint: what to do, or
 * NULL.  Locks what it looks at as for reading.
 */
extern char *cdc_register_objection(Oid relid, const char **hint);

/* A version column; the table is locked, SPI is connected by the caller */
extern void cdc_register_check_version_column(Oid relid, const char *column);

/* That commit times are kept, for a table without one */
extern void cdc_register_check_commit_clock(Oid relid);

/* Say which triggers fire where its changes are applied; the rule is there already */
extern void cdc_register_warn_of_triggers(Oid relid);

#endif							/* CDC_REGISTER_CHECK_H */
