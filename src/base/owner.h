/*
 * owner.h
 *		The rights of a table's owner, while its rows are made and written.
 */
#ifndef CDC_OWNER_H
#define CDC_OWNER_H

typedef struct CdcOwnerScope
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
} CdcOwnerScope;

/* An error in between ends the scope with its (sub)transaction */
extern void cdc_owner_begin(CdcOwnerScope *scope, Oid owner);
extern void cdc_owner_end(const CdcOwnerScope *scope);

#endif							/* CDC_OWNER_H */
