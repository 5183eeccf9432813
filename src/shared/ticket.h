/*
 * ticket.h
 *		Questions of waiting backends to the workers, and what wakes the former.
 */
#ifndef CDC_TICKET_H
#define CDC_TICKET_H

extern uint64 cdc_ticket_draw(void);
extern uint64 cdc_ticket_pending(void);
extern bool cdc_ticket_is_answered(uint64 ticket);
extern void cdc_ticket_answer(uint64 ticket);
extern void cdc_progress(void);
extern void cdc_progress_prepare(void);	/* waiting backend */
extern void cdc_progress_wait(long timeout_ms);	/* at most; -1: no limit */
extern void cdc_progress_cancel(void);

#endif							/* CDC_TICKET_H */
