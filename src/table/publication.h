/*
 * publication.h
 *		The publication of registered tables.
 */
#ifndef CDC_PUBLICATION_H
#define CDC_PUBLICATION_H

extern void cdc_publication_add(Oid relid);
extern void cdc_publication_remove(Oid relid);
extern void cdc_publication_own(void);

#endif							/* CDC_PUBLICATION_H */
