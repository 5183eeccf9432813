/*
 * writing.h
 *		Statements that write rows for a peer.
 */
#ifndef CDC_WRITING_H
#define CDC_WRITING_H

/* What the statement that runs now does; its members are writing.c's */
typedef struct CdcWriting
{
	bool		active;
	Oid			relid;			/* the registered table whose rows are a peer's, or InvalidOid */
	int			outer_role;		/* session_replication_role outside of it */
	int			nested;			/* functions of users that it has called, one within the other */
} CdcWriting;

extern void cdc_writing_hook(void);
extern void cdc_writing_expect(void);

/*
 * From here to the end only those triggers and rules fire that are told to fire for
 * replicated changes, and cdcsync's own pass over the rows of the table: they are written
 * as a peer sent them.  With InvalidOid they do their work.  Functions of users that are
 * called meanwhile are outside of it.  Takes what begin has returned; the caller ends it on
 * errors, too.
 */
extern CdcWriting cdc_writing_begin(Oid relid);
extern void cdc_writing_end(CdcWriting outer);

/* Since then, has a trigger met a local change of this registered table? */
extern void cdc_writing_watch(Oid relid);
extern bool cdc_writing_touched(Oid relid);
extern void cdc_writing_note_local(Oid relid);
extern bool cdc_writing_for_peer(Oid relid);

#endif							/* CDC_WRITING_H */
