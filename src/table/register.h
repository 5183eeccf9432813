/*
 * register.h
 *		What other modules need of the registration of tables.
 */
#ifndef CDC_REGISTER_H
#define CDC_REGISTER_H

#include "base/compat.h"

extern void cdc_register_own_publication(void);
pg_noreturn extern void cdc_register_no_such_rule(Oid relid);
extern bool cdc_register_keep(Oid relid);
extern void cdc_register_publish(Oid relid);

#endif							/* CDC_REGISTER_H */
