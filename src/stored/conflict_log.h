/*
 * conflict_log.h
 *		The record of conflicts: cdcsync.conflict_history, and the server's log.
 */
#ifndef CDC_CONFLICT_LOG_H
#define CDC_CONFLICT_LOG_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "event/conflict_type.h"
#include "event/event.h"

/* What is NULL is not known, or there is none */
typedef struct CdcConflictRecord
{
	Oid			relation;
	Jsonb	   *key;
	CdcConflictType type;
	CdcResolution resolution;
	Jsonb	   *local_row;
	Jsonb	   *remote_row;
	Jsonb	   *before_row;
	const char *local_version;
	const char *remote_version;
	const char *local_origin;
	const char *remote_origin;
	const char *subscription;	/* NULL at the doors, like partition and offset */
	const char *topic;
	int32		partition;
	int64		offset;
	const char *table_name;		/* these two for the server's log */
	const char *key_text;
	const char *hint;			/* likewise, a constant */
} CdcConflictRecord;

/* The columns of cdcsync.conflict, in order */
#define CDC_CONFLICT_COLUMNS 15

extern CdcConflictRecord *cdc_conflict_log_copy(const CdcConflictRecord *record);
extern void cdc_conflict_log_values(const CdcConflictRecord *record, Datum *values, bool *nulls);
extern void cdc_conflict_log_write(List *records);
extern void cdc_conflict_log_report(List *records);

/*
 * A conflict whose handling is "error" undoes its transaction.  Its record is kept in
 * memory until the partition stops at that message, and then written in a transaction
 * of its own; once, however often the message is tried.
 */
extern void cdc_conflict_log_stash(const CdcConflictRecord *record, const CdcMessage *message);
extern void cdc_conflict_log_write_stashed(const CdcMessage *message);
extern int64 cdc_conflict_log_prune(void);

#endif							/* CDC_CONFLICT_LOG_H */
