/*
 * unversioned.h
 *		Rows of registered tables that were written while no trigger fired.
 */
#ifndef CDC_UNVERSIONED_H
#define CDC_UNVERSIONED_H

extern bool cdc_unversioned_can_be(Oid relid, const char *column);

/*
 * Give them versions, as local writes of the table's owner; SPI is connected by the caller,
 * and the table locked.
 */
extern void cdc_unversioned_mend(Oid relid, const char *column);

#endif							/* CDC_UNVERSIONED_H */
