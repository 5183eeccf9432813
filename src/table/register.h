/*
 * register.h
 *		What other modules need of the registration of tables.
 */
#ifndef CDC_REGISTER_H
#define CDC_REGISTER_H

#include "base/compat.h"

/*
 * Before DROP EXTENSION: a dump does not bring along that the publication goes with the
 * extension.  In a transaction.
 */
extern void cdc_register_own_publication(void);

/* Raises the error that there is no rule for it */
pg_noreturn extern void cdc_register_no_such_rule(Oid relid);

/*
 * What add_table gave a registered table, or a partition of one, after a command changed
 * it: the identity, and that its triggers fire in every session.  true: the identity was
 * another one.  SPI is connected by the caller, and the table locked.
 */
extern bool cdc_register_keep(Oid relid);

/* Add a table to the publication; SPI is connected by the caller */
extern void cdc_register_publish(Oid relid);

#endif							/* CDC_REGISTER_H */
