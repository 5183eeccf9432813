/*
 * session.h
 *		The settings under which changes are applied.
 */
#ifndef CDC_SESSION_H
#define CDC_SESSION_H

extern void cdc_session_pin(void);
extern void cdc_session_set_patience(bool patient);

/* The same for a stretch of a user's session; an error ends it as well */
extern int	cdc_session_begin(void);
extern void cdc_session_end(int nestlevel);

extern void cdc_session_pin_names(void);

/*
 * A stretch of a user's session in which the texts of values can be read back anywhere.
 * An error ends it as well.
 */
extern int	cdc_session_begin_texts(void);
extern void cdc_session_end_texts(int nestlevel);

#endif							/* CDC_SESSION_H */
