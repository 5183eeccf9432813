/*
 * table_name.c
 *		The name of a table as SQL takes it.
 *
 * Statements about a user's table name it in full: whoever runs them has a search_path of
 * his own.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/table_name.h"

/*
 * Quoted and with its schema, in CurrentMemoryContext.  The table is locked, or was just
 * found: an error if it is gone.
 */
char *
cdc_table_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}
