/*
 * worker.h
 *		The apply worker of one database.
 */
#ifndef CDC_WORKER_H
#define CDC_WORKER_H

extern PGDLLEXPORT void cdc_worker_main(Datum main_arg);

#endif							/* CDC_WORKER_H */
