/*
 * check.c
 *		What check() needs to know and SQL cannot see.
 *
 * The checks themselves are queries, in the extension's script.
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/row_rights.h"
#include "base/table_name.h"
#include "shared/control.h"
#include "stored/table_rule.h"
#include "table/add_table_check.h"
#include "table/objection.h"
#include "table/table_query.h"
#include "table/unversioned.h"

#define NSERVER_COLUMNS	9
#define NTABLE_COLUMNS	2

PG_FUNCTION_INFO_V1(cdcsync_check_facts);
PG_FUNCTION_INFO_V1(cdcsync_table_objection);

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL || text[0] == '\0';
	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

static Datum
own_topics(bool *isnull)
{
	CdcOwnTopics topics = cdc_control_is_loaded() ? cdc_control_own_topics(MyDatabaseId) :
		CDC_OWN_TOPICS_UNKNOWN;

	*isnull = topics == CDC_OWN_TOPICS_UNKNOWN;
	return BoolGetDatum(topics == CDC_OWN_TOPICS_SEEN);
}

/* Where the WAL is, as far as the server's user may use it */
static Datum
free_bytes(bool *isnull)
{
	struct statvfs fs;

	*isnull = statvfs(XLOGDIR, &fs) != 0;
	return *isnull ? (Datum) 0 : Int64GetDatum((int64) fs.f_bavail * fs.f_frsize);
}

static Datum
applying_since(bool *isnull)
{
	TimestampTz since = cdc_control_is_loaded() ? cdc_control_applying_since(MyDatabaseId) : 0;

	*isnull = since == 0;
	return TimestampTzGetDatum(since);
}

Datum
cdcsync_check_facts(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[NSERVER_COLUMNS];
	bool		nulls[NSERVER_COLUMNS] = {0};
	bool		loaded = cdc_control_is_loaded();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(loaded);
	values[1] = text_or_null(cdc_node_name, &nulls[1]);
	values[2] = BoolGetDatum(cdc_bootstrap_servers && cdc_bootstrap_servers[0] != '\0');
	values[3] = Int32GetDatum(loaded ? cdc_control_count_workers(MyDatabaseId) : 0);
	values[4] = own_topics(&nulls[4]);
	values[5] = free_bytes(&nulls[5]);
	values[6] = applying_since(&nulls[6]);
	values[7] = BoolGetDatum(cdc_control_is_short(MyDatabaseId, CDC_SHORT_OF_PARTITIONS | CDC_SHORT_OF_PEERS));
	values[8] = BoolGetDatum(cdc_control_is_short(MyDatabaseId, CDC_SHORT_OF_TABLES));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
cdcsync_table_objection(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel = try_relation_open(relid, AccessShareLock);
	TupleDesc	desc;
	Datum		values[NTABLE_COLUMNS] = {0};
	bool		nulls[NTABLE_COLUMNS] = {true, true};
	const char *hint = NULL;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (rel != NULL)
	{
		values[0] = text_or_null(cdc_add_table_objection(relid, &hint), &nulls[0]);
		values[1] = text_or_null(nulls[0] ? NULL : hint, &nulls[1]);
		relation_close(rel, AccessShareLock);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* count_unversioned(relation): rows that were written while no trigger fired */
PG_FUNCTION_INFO_V1(cdcsync_count_unversioned);
Datum
cdcsync_count_unversioned(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	CdcTableRule *rule;
	Datum		result;
	bool		isnull;

	if (!cdc_objection_is_table(relid) || !cdc_may_read_rows(relid) ||
		!cdc_table_query_sees_all(cdc_table_query_owner(relid), relid))
		PG_RETURN_NULL();
	rule = cdc_table_rule_for_relation(relid);
	if (rule == NULL || rule->version_column == NULL ||
		get_attnum(relid, rule->version_column) == InvalidAttrNumber)
		PG_RETURN_NULL();
	if (!cdc_unversioned_can_be(relid, rule->version_column))
		PG_RETURN_INT64(0);
	SPI_connect();
	(void) cdc_table_query(cdc_table_query_owner(relid),
						   psprintf("SELECT count(*) FROM %s WHERE %s IS NULL",
									cdc_table_name(relid),
									quote_identifier(rule->version_column)),
						   0, NULL, NULL);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	PG_RETURN_DATUM(result);
}
