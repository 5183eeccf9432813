/*
 * unsent.h
 *		What happened to registered tables here and does not travel, until it is mended.
 */
#ifndef CDC_UNSENT_H
#define CDC_UNSENT_H

/* Members of cdcsync.unsent.what */
#define CDC_UNSENT_ROWS		"rows"	/* were there before changes were captured */
#define CDC_UNSENT_TRUNCATE	"truncate"
#define CDC_UNSENT_DETACH	"detach"	/* a partition and its rows went */

/* Remember it, or forget it; SPI is connected by the caller */
extern void cdc_unsent_note(Oid relid, const char *what);
extern void cdc_unsent_forget(Oid relid, const char *what);
extern void cdc_unsent_note_rows(Oid relid, Oid of);

#endif							/* CDC_UNSENT_H */
