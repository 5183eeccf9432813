/*
 * worker.h
 *		An apply worker of one database.
 */
#ifndef CDC_WORKER_H
#define CDC_WORKER_H

/* For the worker, in bgw_extra */
typedef struct CdcWorkerStart
{
	int			number;			/* of this one, from CDC_FIRST_WORKER */
	int			nworkers;		/* that share the database's partitions */
} CdcWorkerStart;

extern PGDLLEXPORT void cdc_worker_main(Datum main_arg);

#endif							/* CDC_WORKER_H */
