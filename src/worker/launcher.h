/*
 * launcher.h
 *		The process that starts the apply workers.
 */
#ifndef CDC_LAUNCHER_H
#define CDC_LAUNCHER_H

extern void cdc_launcher_register(void);
extern PGDLLEXPORT void cdc_launcher_main(Datum main_arg);

#endif							/* CDC_LAUNCHER_H */
