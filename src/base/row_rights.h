/*
 * row_rights.h
 *		Who may read the rows of a table, also where cdcsync shows them.
 */
#ifndef CDC_ROW_RIGHTS_H
#define CDC_ROW_RIGHTS_H

/*
 * May the current user read all rows of this table?  InvalidOid, or a table that is
 * gone, stands for any table: that may who reads all of them.
 */
extern bool cdc_may_read_rows(Oid relid);

#endif							/* CDC_ROW_RIGHTS_H */
