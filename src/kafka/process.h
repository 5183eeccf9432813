/*
 * process.h
 *		The consumer process of an apply worker: started, watched, ended.
 */
#ifndef CDC_PROCESS_H
#define CDC_PROCESS_H

extern void cdc_process_init(void);
extern pgsocket cdc_process_start(void);
extern char *cdc_process_end(bool by_itself);

#endif							/* CDC_PROCESS_H */
