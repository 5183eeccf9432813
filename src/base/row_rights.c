/*
 * row_rights.c
 *		Who may read the rows of a table, also where cdcsync shows them.
 *
 * A conflict, a tombstone, a dead letter or an error shows rows as text.  The text is
 * for those who may SELECT the whole table, all columns of it.  Its policies cannot be
 * asked about a text: where they bind a user he sees none.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/row_rights.h"

static bool
may_read_all(void)
{
	return superuser() ||
		(has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_DATA) && has_bypassrls_privilege(GetUserId()));
}

/*
 * May the current user read all rows of this table?  InvalidOid, or a table that is
 * gone, stands for any table: that may who reads all of them.
 */
bool
cdc_may_read_rows(Oid relid)
{
	if (!OidIsValid(relid) || get_rel_name(relid) == NULL)
		return may_read_all();
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

/* may_read_rows(relation): the same for the views; NULL stands for any table */
PG_FUNCTION_INFO_V1(cdcsync_may_read_rows);
Datum
cdcsync_may_read_rows(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(cdc_may_read_rows(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)));
}
