/*
 * owner.c
 *		The rights of a table's owner, while its rows are made and written.
 *
 * Code of users runs on the way of a change into its table: a domain's constraint when
 * the value is decoded, an operator when keys are compared, then defaults, expression
 * indexes and triggers.  None of it may run with the worker's rights.
 *
 * Nor may who comes by, with fewer rights than the owner's, say what the names in it mean:
 * a function of his own, found by his search_path, would have the owner's rights.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"

#include "base/owner.h"
#include "base/session.h"

void
cdc_owner_begin(CdcOwnerScope *scope, Oid owner)
{
	GetUserIdAndSecContext(&scope->userid, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	/* settings that the owner's code may change end with it */
	scope->nestlevel = NewGUCNestLevel();
	if (!has_privs_of_role(scope->userid, owner))
		cdc_session_pin_names();
}

void
cdc_owner_end(const CdcOwnerScope *scope)
{
	AtEOXact_GUC(false, scope->nestlevel);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}
