/*
 * table_rule.c
 *		The catalog of table rules: which local tables take part, and how.
 *
 * A rule outlives its table, for nothing tells the catalog of a DROP TABLE: a rule
 * whose relation is gone counts as missing, and the next registration deletes it.
 *
 * The remote name is stored for people, quoted as an identifier.  It is compared in
 * its parts: what must be quoted differs between servers.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/extension.h"
#include "stored/table_rule.h"

#define RULE_SELECT \
	"SELECT r.relation, (pg_catalog.parse_ident(r.source_table))[1], " \
	"(pg_catalog.parse_ident(r.source_table))[2], r.version_column, r.column_map, r.truncate, " \
	"r.conflicts, r.own_name " \
	"FROM cdcsync.table_rule AS r " \
	"JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relation WHERE "

/* What a statement that changes a rule takes, in order */
#define RULE_CHANGE_TYPES {OIDOID, NAMEOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID, BOOLOID}
#define RULE_CHANGE_NARGS 7

static CdcTableRule *
rule_from_tuple(HeapTuple tuple, TupleDesc desc)
{
	CdcTableRule *rule = palloc0(sizeof(CdcTableRule));
	Datum		value;
	bool		isnull;

	rule->relid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
	rule->source_schema = TextDatumGetCString(SPI_getbinval(tuple, desc, 2, &isnull));
	rule->source_table = TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &isnull));
	value = SPI_getbinval(tuple, desc, 4, &isnull);
	if (!isnull)
		rule->version_column = pstrdup(NameStr(*DatumGetName(value)));
	value = SPI_getbinval(tuple, desc, 5, &isnull);
	if (!isnull)
		rule->column_map = cdc_table_rule_column_map(DatumGetJsonbP(value));
	rule->truncate = DatumGetBool(SPI_getbinval(tuple, desc, 6, &isnull));
	value = SPI_getbinval(tuple, desc, 7, &isnull);
	if (!isnull)
		rule->conflicts = cdc_conflict_rules_parse(TextDatumGetCString(value));
	rule->own_name = DatumGetBool(SPI_getbinval(tuple, desc, 8, &isnull));
	return rule;
}

static CdcTableRule *
read_rule(CdcStatement *select, Datum *values, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	CdcTableRule *rule = NULL;

	SPI_connect();
	cdc_extension_execute(select, values, NULL);
	MemoryContextSwitchTo(caller);
	if (n)
		*n = SPI_processed;
	if (SPI_processed > 0)
		rule = rule_from_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	SPI_finish();
	return rule;
}

CdcTableRule *
cdc_table_rule_for_source(const char *schema, const char *table)
{
	static CdcStatement select = {
		.sql = RULE_SELECT "pg_catalog.parse_ident(r.source_table) "
		"OPERATOR(pg_catalog.=) ARRAY[$1, $2]",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(schema);
	values[1] = CStringGetTextDatum(table);
	return read_rule(&select, values, NULL);
}

CdcTableRule *
cdc_table_rule_for_relation(Oid relid)
{
	static CdcStatement select = {
		.sql = RULE_SELECT "r.relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		value = ObjectIdGetDatum(relid);

	return read_rule(&select, &value, NULL);
}

/* As Debezium names it: an underscore for what a topic cannot have, two beyond UCS-2 */
#define TOPIC_NAME \
	"'.' OPERATOR(pg_catalog.||) pg_catalog.regexp_replace(pg_catalog.regexp_replace(" \
	"pg_catalog.array_to_string(pg_catalog.parse_ident(r.source_table), '.'), " \
	"'[\\U00010000-\\U0010FFFF]', '__', 'g'), '[^A-Za-z0-9._-]', '_', 'g')"

/* Likewise for a topic, by its name; n says how many rules there are that may be meant */
CdcTableRule *
cdc_table_rule_for_topic(const char *topic, int *n)
{
	static CdcStatement select = {
		.sql = RULE_SELECT "pg_catalog.right($1, pg_catalog.length(" TOPIC_NAME ")) "
		"OPERATOR(pg_catalog.=) (" TOPIC_NAME ")",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		value = CStringGetTextDatum(topic);

	return read_rule(&select, &value, n);
}

/* Is that the local table's own name now? */
bool
cdc_table_rule_is_name(Oid relid, const char *schema, const char *table)
{
	char	   *name = get_rel_name(relid);

	return name != NULL && strcmp(name, table) == 0 &&
		strcmp(get_namespace_name(get_rel_namespace(relid)), schema) == 0;
}

/*
 * A table that is not registered and has taken the name under which the rule's was, which
 * was renamed; InvalidOid: none.
 */
Oid
cdc_table_rule_usurper(const CdcTableRule *rule)
{
	Oid			other;

	if (!rule->own_name ||
		cdc_table_rule_is_name(rule->relid, rule->source_schema, rule->source_table))
		return InvalidOid;
	other = get_relname_relid(rule->source_table, get_namespace_oid(rule->source_schema, true));
	return OidIsValid(other) && cdc_table_rule_for_relation(other) == NULL ? other : InvalidOid;
}

/* Raises the error that there is no rule for it */
void
cdc_table_rule_missing(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" is not registered", get_rel_name(relid)),
			 errhint("Register it with cdcsync.add_table.")));
}

static char *
pair_text(const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map must map names to names"),
				 errhint("Its keys are remote column names, its values local ones.")));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* The column map of a jsonb object; raises an error if it cannot be one */
List *
cdc_table_rule_column_map(Jsonb *object)
{
	List	   *map = NIL;
	CdcColumnPair *pair = NULL;
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map must be a JSON object"),
				 errhint("Its keys are remote column names, its values local ones.")));
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			pair = palloc0(sizeof(CdcColumnPair));
			pair->remote = pair_text(&value);
			map = lappend(map, pair);
		}
		else if (token == WJB_VALUE)
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a key comes before its value */
			pair->local = pair_text(&value);
	}
	return map;
}

/* ---- for register.c ---- */

void
cdc_table_rule_lock(void)
{
	cdc_extension_command("LOCK TABLE cdcsync.table_rule IN SHARE ROW EXCLUSIVE MODE");
}

static void
execute_change(CdcStatement *statement, const CdcTableRuleChange *change)
{
	Datum		values[RULE_CHANGE_NARGS] = {0};
	char		nulls[RULE_CHANGE_NARGS];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = ObjectIdGetDatum(change->relid);
	if (change->version_column)
		values[1] = DirectFunctionCall1(namein, CStringGetDatum(change->version_column));
	if (change->conflicts)
		values[2] = CStringGetTextDatum(change->conflicts);
	if (change->source_table)
		values[3] = CStringGetTextDatum(quote_qualified_identifier(change->source_schema,
																   change->source_table));
	if (change->column_map)
		values[4] = JsonbPGetDatum(change->column_map);
	if (change->truncate)
		values[5] = BoolGetDatum(*change->truncate);
	else
		nulls[5] = 'n';
	if (change->source_table)
		values[6] = BoolGetDatum(cdc_table_rule_is_name(change->relid, change->source_schema,
														change->source_table));
	else
		nulls[6] = 'n';
	for (int i = 1; i < 5; i++)
	{
		if (values[i] == (Datum) 0)
			nulls[i] = 'n';
	}
	cdc_extension_execute(statement, values, nulls);
}

void
cdc_table_rule_insert(const CdcTableRuleChange *change)
{
	static CdcStatement insert = {
		.sql = "INSERT INTO cdcsync.table_rule "
		"(relation, version_column, conflicts, source_table, column_map, truncate, own_name) "
		"VALUES ($1, $2, $3, $4, $5, COALESCE($6, false), $7)",
		.nargs = RULE_CHANGE_NARGS,
		.argtypes = RULE_CHANGE_TYPES
	};

	execute_change(&insert, change);
}

void
cdc_table_rule_update(const CdcTableRuleChange *change)
{
	static CdcStatement update = {
		.sql = "UPDATE cdcsync.table_rule SET "
		"version_column = COALESCE($2, version_column), "
		"conflicts = COALESCE($3, conflicts), "
		"source_table = COALESCE($4, source_table), "
		"column_map = COALESCE($5, column_map), "
		"truncate = COALESCE($6, truncate), "
		"own_name = COALESCE($7, own_name) "
		"WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = RULE_CHANGE_NARGS,
		.argtypes = RULE_CHANGE_TYPES
	};

	execute_change(&update, change);
}

static void
delete_memory(Oid relid)
{
	static CdcStatement statements[] = {
		{
			.sql = "DELETE FROM cdcsync.tombstone_data WHERE relation OPERATOR(pg_catalog.=) $1",
			.nargs = 1,
			.argtypes = {OIDOID}
		},
		{
			.sql = "DELETE FROM cdcsync.tombstone_horizon "
			"WHERE relation OPERATOR(pg_catalog.=) $1",
			.nargs = 1,
			.argtypes = {OIDOID}
		},
		{
			.sql = "DELETE FROM cdcsync.unsent WHERE relation OPERATOR(pg_catalog.=) $1",
			.nargs = 1,
			.argtypes = {OIDOID}
		}
	};
	Datum		value = ObjectIdGetDatum(relid);

	for (int i = 0; i < lengthof(statements); i++)
		cdc_extension_execute(&statements[i], &value, NULL);
}

bool
cdc_table_rule_delete(Oid relid)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.table_rule WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		value = ObjectIdGetDatum(relid);

	cdc_extension_execute(&delete, &value, NULL);
	if (SPI_processed == 0)
		return false;
	delete_memory(relid);
	return true;
}

/* Of a table that is gone: another one may get its oid */
static void
delete_conflicts(Oid relid)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.conflict_data WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	Datum		value = ObjectIdGetDatum(relid);

	cdc_extension_execute(&delete, &value, NULL);
}

List *
cdc_table_rule_delete_gone(void)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.table_rule AS r WHERE NOT EXISTS ("
		"SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) r.relation) "
		"RETURNING r.relation"
	};
	List	   *gone = NIL;
	ListCell   *lc;

	cdc_extension_execute(&delete, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		gone = lappend_oid(gone, DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
																SPI_tuptable->tupdesc, 1,
																&isnull)));
	}
	foreach(lc, gone)
	{
		delete_memory(lfirst_oid(lc));
		delete_conflicts(lfirst_oid(lc));
	}
	return gone;
}
