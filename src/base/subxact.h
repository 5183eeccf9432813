/*
 * subxact.h
 *		Work that may fail, in a subtransaction.
 */
#ifndef CDC_SUBXACT_H
#define CDC_SUBXACT_H

/*
 * Do some work in a subtransaction.  An error that is tolerated undoes it: then the
 * result is a copy of the error in CurrentMemoryContext, to be freed by FreeErrorData;
 * NULL if all went well.  Other errors pass.
 */
extern ErrorData *cdc_subxact_attempt(void (*work) (void *arg), void *arg,
									  bool (*tolerated) (const ErrorData *error));

/* Those of constraints */
extern bool cdc_subxact_is_constraint(const ErrorData *error);

#endif							/* CDC_SUBXACT_H */
