/*
 * owner.c
 *		The rights of a table's owner, while its rows are made and written.
 *
 * Code of users runs on the way of a change into its table: a domain's constraint when
 * the value is decoded, an operator when keys are compared, then defaults, expression
 * indexes and triggers.  None of it may run with the worker's rights.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/owner.h"

void
cdc_owner_begin(CdcOwnerScope *scope, Oid owner)
{
	GetUserIdAndSecContext(&scope->userid, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	/* settings that the owner's code may change end with it */
	scope->nestlevel = NewGUCNestLevel();
}

void
cdc_owner_end(const CdcOwnerScope *scope)
{
	AtEOXact_GUC(false, scope->nestlevel);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}
