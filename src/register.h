/*
 * register.h
 *		What other modules need of the registration of tables.
 */
#ifndef CDC_REGISTER_H
#define CDC_REGISTER_H

/*
 * Before DROP EXTENSION: a dump does not bring along that the publication goes with the
 * extension.  In a transaction.
 */
extern void cdc_register_own_publication(void);

#endif							/* CDC_REGISTER_H */
