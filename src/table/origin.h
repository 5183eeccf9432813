/*
 * origin.h
 *		The replication origin of the apply worker's transactions.
 */
#ifndef CDC_ORIGIN_H
#define CDC_ORIGIN_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "base/compat.h"

extern void cdc_origin_begin(int worker, const char *peer);

/* Stamp the commit to come: Kafka offset + 1 and source time (µs since 1970) */
extern void cdc_origin_stamp(int64 next_offset, int64 source_time);

/* What is written in between is not the peer's: nothing outside of its transactions */
extern void cdc_origin_suspend(void);
extern void cdc_origin_resume(void);

/*
 * A trigger met a local change.  A transaction has one origin: settle, at its end, makes
 * one that holds local changes as well this node's own, so that they go everywhere.
 */
extern void cdc_origin_note_local(void);
extern void cdc_origin_settle(void);

/* Let go of the session's origin; on every exit and error path, never fails */
extern void cdc_origin_reset(void);
extern bool cdc_origin_is_own(const char *origin);
extern const char *cdc_origin_last_node(const char *origin);
extern char *cdc_origin_writer(ReplOriginId id);

/* The current transaction's origin (0: none), and the commit time it will have as far as is known */
extern ReplOriginId cdc_origin_session(void);
extern TimestampTz cdc_origin_commit_time(void);
extern void cdc_origin_drop_all(Oid dboid);

#endif							/* CDC_ORIGIN_H */
