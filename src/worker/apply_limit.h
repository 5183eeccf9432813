/*
 * apply_limit.h
 *		How long a local transaction of the worker may take, and what interrupts it.
 */
#ifndef CDC_APPLY_LIMIT_H
#define CDC_APPLY_LIMIT_H

/* Why a transaction was cancelled, if it was by one of these */
typedef enum CdcCancelled
{
	CDC_NOT_CANCELLED,
	CDC_TIMED_OUT,
	CDC_INTERRUPTED
} CdcCancelled;

extern void cdc_apply_limit_init(void);
extern void cdc_apply_limit_forget(void);

/*
 * Around such a transaction.  When its time is over, or on SIGINT, it ends in the server's
 * query_canceled.  end also after an error, before anything else; it may be called without
 * begin, never fails, and says why, once.
 */
extern void cdc_apply_limit_begin(void);
extern CdcCancelled cdc_apply_limit_end(void);

#endif							/* CDC_APPLY_LIMIT_H */
