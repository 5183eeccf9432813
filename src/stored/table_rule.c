/*
 * table_rule.c
 *		The catalog of table rules: which local tables take part, and how.
 *
 * A rule outlives its table, for nothing tells the catalog of a DROP TABLE: a rule
 * whose relation is gone counts as missing, and the next registration deletes it.
 *
 * The remote name is stored for people, quoted as an identifier.  It is compared in
 * its parts: what must be quoted differs between servers.
 *
 * Rules are written by add_table.c, under the table's strongest lock and a lock of this
 * catalog, and read under none: who reads one for longer than a moment hears of a change by
 * an invalidation of the table (registered_table.c).  The worker, which looks for tables by
 * the names that events have, hears of new ones by its notice at commit.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/result.h"
#include "stored/table_rule.h"

#define RULE_SELECT \
	"SELECT r.* FROM cdcsync.table_rule AS r " \
	"JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relation WHERE "

/* One side of a pair of names */
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

/* Of CdcColumnPair *; raises an error if the object cannot be a column map */
static List *
column_map(Jsonb *object)
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

static void
take_conflicts(void *owner, Datum value)
{
	((CdcTableRule *) owner)->conflicts = cdc_conflict_rules_parse(TextDatumGetCString(value));
}

static void
take_source(void *owner, Datum value)
{
	List	   *parts = textToQualifiedNameList(DatumGetTextPP(value));
	CdcTableRule *rule = owner;

	rule->source_schema = strVal(linitial(parts));
	rule->source_table = strVal(lsecond(parts));
}

static void
take_column_map(void *owner, Datum value)
{
	((CdcTableRule *) owner)->column_map = column_map(DatumGetJsonbP(value));
}

/* Of an option, as it is stored: schema.table, quoted; without a schema, that of the local table */
static Datum
check_source(Oid relid, Datum name)
{
	List	   *parts = textToQualifiedNameList(DatumGetTextPP(name));

	if (list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid source table \"%s\"", TextDatumGetCString(name)),
				 errhint("Give it as \"schema.table\".")));
	return CStringGetTextDatum(quote_qualified_identifier(list_length(parts) == 2 ? strVal(linitial(parts)) :
														  get_namespace_name(get_rel_namespace(relid)),
														  strVal(llast(parts))));
}

/* Does the map, but for one of its pairs, give a value to this local column? */
static bool
is_mapped(List *map, const char *local, const CdcColumnPair *except)
{
	ListCell   *lc;

	foreach(lc, map)
	{
		const CdcColumnPair *pair = lfirst(lc);

		if (pair != except && strcmp(pair->local, local) == 0)
			return true;
	}
	return false;
}

/* Each local column gets one value, and each remote one goes to one column */
static void
check_column_pair(Oid relid, List *map, const CdcColumnPair *pair)
{
	AttrNumber	attnum = get_attnum(relid, pair->local);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", pair->local,
						get_rel_name(relid)),
				 errhint("column_map maps remote column names to local ones.")));
	if (get_attgenerated(relid, attnum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\", which is generated", pair->local)));
	if (is_mapped(map, pair->local, pair))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column_map names column \"%s\" twice", pair->local)));
	/* a column that is not mapped keeps its name, and would get the value as well */
	if (get_attnum(relid, pair->remote) > 0 && !is_mapped(map, pair->remote, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("remote column \"%s\" belongs to two columns", pair->remote),
				 errdetail("column_map gives it to column \"%s\", but there is a column \"%s\", too.",
						   pair->local, pair->remote),
				 errhint("Map another remote column to \"%s\".", pair->remote)));
}

/* That each local column gets one value, of one remote column */
static Datum
check_column_map(Oid relid, Datum value)
{
	List	   *map = column_map(DatumGetJsonbP(value));
	ListCell   *lc;

	foreach(lc, map)
		check_column_pair(relid, map, lfirst(lc));
	return value;
}

#define MEMBER(name) offsetof(CdcTableRule, name)

/*
 * Of add_table() and alter_table_rule(), in the order in which they are checked.  What a
 * version column must be like depends on the table, which add_table.c looks into.
 */
static const CdcOption options[] = {
	{"version_column", NAMEOID, false, {NULL}, NULL, NULL, MEMBER(version_column)},
	{"conflicts", TEXTOID, false, {NULL}, cdc_conflict_rules_check, take_conflicts, 0},
	{"source_table", TEXTOID, false, {NULL}, check_source, take_source, 0},
	{"column_map", JSONBOID, false, {NULL}, check_column_map, take_column_map, 0},
	{"truncate", BOOLOID, false, {NULL}, NULL, NULL, MEMBER(truncate)},
};

const CdcOptions cdc_table_rule_options = {options, lengthof(options)};

/* The first rule that the statement finds, in CurrentMemoryContext, and how many there are */
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
	{
		rule = palloc0(sizeof(CdcTableRule));
		rule->relid = (Oid) cdc_result_int8(0, "relation", 0);
		rule->own_name = cdc_result_bool(0, "own_name");
		cdc_option_read_result(cdc_table_rule_options, 0, rule);
	}
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

/* The name that events have for a column of the rule's table; without a rule, its own */
const char *
cdc_table_rule_remote_name(const CdcTableRule *rule, const char *local)
{
	ListCell   *lc;

	foreach(lc, rule ? rule->column_map : NIL)
	{
		const CdcColumnPair *pair = lfirst(lc);

		if (strcmp(pair->local, local) == 0)
			return pair->remote;
	}
	return local;
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
 * May it stand for the rule's table?  A table it must be, and of somebody who could have
 * renamed the other himself: any name in a schema is free to all who may create there.
 */
static bool
is_successor(Oid relid, const CdcTableRule *rule)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE) &&
		object_ownercheck(RelationRelationId, rule->relid, form->relowner);
	ReleaseSysCache(tuple);
	return result && cdc_table_rule_for_relation(relid) == NULL;
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
	return OidIsValid(other) && is_successor(other, rule) ? other : InvalidOid;
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

/* Against others who change rules, to the end of the transaction; who reads one does not wait */
void
cdc_table_rule_lock(void)
{
	cdc_extension_command("LOCK TABLE cdcsync.table_rule IN SHARE ROW EXCLUSIVE MODE");
}

/* What is kept about a table while it is registered: tombstones, their horizon, what check() remembers */
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

/* Conflicts on record stay: they are history */
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

List *
cdc_table_rule_delete_gone(void)
{
	static CdcStatement delete = {
		.sql = "DELETE FROM cdcsync.table_rule AS r WHERE NOT EXISTS ("
		"SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) r.relation) "
		"RETURNING r.relation"
	};
	static CdcStatement forget = {
		.sql = "DELETE FROM cdcsync.conflict_data WHERE relation OPERATOR(pg_catalog.=) $1",
		.nargs = 1,
		.argtypes = {OIDOID}
	};
	List	   *gone = NIL;
	ListCell   *lc;

	cdc_extension_execute(&delete, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		gone = lappend_oid(gone, (Oid) cdc_result_int8(i, "relation", 0));
	foreach(lc, gone)
	{
		Datum		relid = ObjectIdGetDatum(lfirst_oid(lc));

		delete_memory(lfirst_oid(lc));
		/* another table may get its oid */
		cdc_extension_execute(&forget, &relid, NULL);
	}
	return gone;
}
