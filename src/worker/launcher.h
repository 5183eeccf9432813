/*
 * launcher.h
 *		The process that starts the apply workers.
 */
#ifndef CDC_LAUNCHER_H
#define CDC_LAUNCHER_H

/* While the library is preloaded: let the postmaster run the launcher */
extern void cdc_launcher_register(void);

extern PGDLLEXPORT void cdc_launcher_main(Datum main_arg);

#endif							/* CDC_LAUNCHER_H */
