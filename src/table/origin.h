/*
 * origin.h
 *		The replication origin of the apply worker's transactions.
 */
#ifndef CDC_ORIGIN_H
#define CDC_ORIGIN_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "base/compat.h"

/*
 * Make the current transaction's changes those of a peer: sets up the session's
 * origin "cdcsync:<database oid>:<worker>:<peer>", made at first use.  Call it in a
 * transaction, with SPI connected; it stays until another peer is begun or
 * cdc_origin_reset.  Raises configuration_limit_exceeded with a hint when the server has
 * no free place, or this database has its share.
 */
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

/* Does a source.origin end in this node's name: is the event our own echo? */
extern bool cdc_origin_is_own(const char *origin);

/* The node that a source.origin ends in; the whole of a name without colons */
extern const char *cdc_origin_last_node(const char *origin);

/*
 * Who wrote what carries this origin: the peer of an origin of cdcsync, else this node.
 * In a transaction; the result is in CurrentMemoryContext.
 */
extern char *cdc_origin_writer(ReplOriginId id);

/* The current transaction's origin (0: none), and the commit time it will have as far as is known */
extern ReplOriginId cdc_origin_session(void);
extern TimestampTz cdc_origin_commit_time(void);

/* Drop all origins of a database; in a transaction, no worker may hold one */
extern void cdc_origin_drop_all(Oid dboid);

#endif							/* CDC_ORIGIN_H */
