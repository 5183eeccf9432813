/*
 * session.h
 *		The settings under which changes are applied.
 */
#ifndef CDC_SESSION_H
#define CDC_SESSION_H

/* True while this process applies remote changes: cdcsync's triggers return at once */
extern bool cdc_session_applying;

/* The worker's session, once, for its life */
extern void cdc_session_pin(void);

/*
 * The same for a stretch of a user's transaction (the doors).  Between the two an
 * error ends the stretch as well.
 */
extern int	cdc_session_begin(void);

/* The same, but what is written is a local change: cdcsync's triggers do their work */
extern int	cdc_session_begin_local(void);
extern void cdc_session_end(int nestlevel);

/*
 * A stretch of a user's session in which the texts of values can be read back anywhere.
 * An error ends it as well.
 */
extern int	cdc_session_begin_texts(void);
extern void cdc_session_end_texts(int nestlevel);

#endif							/* CDC_SESSION_H */
