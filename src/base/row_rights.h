/*
 * row_rights.h
 *		Who may read the rows of a table, also where cdcsync shows them.
 */
#ifndef CDC_ROW_RIGHTS_H
#define CDC_ROW_RIGHTS_H

extern bool cdc_may_read_rows(Oid relid);

#endif							/* CDC_ROW_RIGHTS_H */
