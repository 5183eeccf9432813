/*
 * identity.h
 *		Is this the database that the catalogs belong to?
 */
#ifndef CDC_IDENTITY_H
#define CDC_IDENTITY_H

/*
 * Remember this database at first use (remember; check does so, too).  In one that is not the remembered one (a dump
 * restored elsewhere, a copy by template) pause all subscriptions, with a WARNING: it
 * must not consume its origin's topics by itself.  cdcsync.resume takes it as the
 * rightful one.  In a transaction, SPI is connected by the caller.
 */
extern void cdc_identity_remember(void);
extern void cdc_identity_check(void);
extern void cdc_identity_accept(void);

#endif							/* CDC_IDENTITY_H */
