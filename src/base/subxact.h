/*
 * subxact.h
 *		Work that may fail, in a subtransaction.
 */
#ifndef CDC_SUBXACT_H
#define CDC_SUBXACT_H

extern ErrorData *cdc_subxact_attempt(void (*work) (void *arg), void *arg,
									  bool (*tolerated) (const ErrorData *error));
extern bool cdc_subxact_is_constraint(const ErrorData *error);

#endif							/* CDC_SUBXACT_H */
