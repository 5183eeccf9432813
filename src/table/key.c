/*
 * key.c
 *		The key of a registered table: compared by its index's equality.
 *
 * Text is no identity: numeric 1.0 and 1.00 are one key, and so are two spellings
 * under a case-insensitive collation.  What compares or hashes keys comes here.
 *
 * By which index rows meet is one choice, cdc_key_find_index(), which everything that asks
 * for a key goes by: apply and its statements, tombstones, the condition of the triggers,
 * republish, resolve_conflict and digests.  Which columns say what the row is besides is
 * another one (column.c).
 *
 * All nodes must choose keys that mean the same; the index's name, its order of columns
 * and its collations may differ.  So nothing that travels holds a hash of a key, nor its
 * place in an order: only this node's tombstones do, which follow the key when it changes
 * (tombstone_key.c).
 *
 * A CdcKey lives in the context it was made in, with the map or the table that it is of.
 * Comparing and hashing call functions of operator classes, printing and reading those of
 * types: superusers make them, so they may run in anybody's session.  But a type's input
 * may check domains, whose constraints are their owner's code: see cdc_key_from_jsonb.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "nodes/nodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/owner.h"
#include "table/key.h"

/*
 * What the catalog has, as it stands there.  RelationGetIndexExpressions() and its like
 * would fold constants, and so run functions of the index's owner.
 */
static bool
has_stored_tree(Relation index, AttrNumber column)
{
	return !heap_attisnull(index->rd_indextuple, column, NULL);
}

/* Every row has it, once, and nobody can have it twice for a while */
static bool
index_is_key(Relation rel, Oid indexoid)
{
	Relation	index = index_open(indexoid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool		ok;

	ok = form->indisunique && form->indimmediate && form->indisvalid &&
		index->rd_rel->relam == BTREE_AM_OID &&
		!has_stored_tree(index, Anum_pg_index_indexprs) &&
		!has_stored_tree(index, Anum_pg_index_indpred);
	for (int i = 0; ok && i < form->indnkeyatts; i++)
		ok = form->indkey.values[i] > 0 &&
			cdc_attribute_is_not_null(RelationGetDescr(rel), form->indkey.values[i] - 1);
	index_close(index, AccessShareLock);
	return ok;
}

/*
 * The index that identifies the table's rows: the primary key, else of the unique
 * indexes that can the first by name; InvalidOid if there is none.  It is immediate, complete (no predicate, no expression) and without NULLs.
 */
Oid
cdc_key_find_index(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	char	   *first = NULL;
	Oid			found = InvalidOid;
	ListCell   *lc;

	if (OidIsValid(rel->rd_pkindex))
		return index_is_key(rel, rel->rd_pkindex) ? rel->rd_pkindex : InvalidOid;
	foreach(lc, indexes)
	{
		char	   *name = get_rel_name(lfirst_oid(lc));

		if (name == NULL || (first && strcmp(name, first) > 0) ||
			!index_is_key(rel, lfirst_oid(lc)))
			continue;
		first = name;
		found = lfirst_oid(lc);
	}
	list_free(indexes);
	return found;
}

/* The columns of that index, as attribute numbers; NULL if there is none */
Bitmapset *
cdc_key_attnums(Relation rel)
{
	Oid			indexoid = cdc_key_find_index(rel);
	Bitmapset  *attnums = NULL;
	Relation	index;

	if (!OidIsValid(indexoid))
		return NULL;
	index = index_open(indexoid, AccessShareLock);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		attnums = bms_add_member(attnums, index->rd_index->indkey.values[i]);
	index_close(index, AccessShareLock);
	return attnums;
}

/* As it was parsed when the index was made; nothing is folded */
static Node *
stored_tree(Relation index, AttrNumber column)
{
	bool		isnull;
	Datum		tree = SysCacheGetAttr(INDEXRELID, index->rd_indextuple, column, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(tree));
}

/* Their values are made when a row is written: a new row does not have them yet */
static bool
uses_generated(Relation rel, Relation index)
{
	Bitmapset  *attrs = NULL;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		attrs = bms_add_member(attrs, index->rd_index->indkey.values[i] -
							   FirstLowInvalidHeapAttributeNumber);
	pull_varattnos(stored_tree(index, Anum_pg_index_indexprs), 1, &attrs);
	pull_varattnos(stored_tree(index, Anum_pg_index_indpred), 1, &attrs);
	for (int i = -1; (i = bms_next_member(attrs, i)) >= 0;)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0 && TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
			return true;
	}
	return false;
}

/*
 * The oids of the other unique indexes whose values a new row shows: all that are
 * immediate and have nothing to do with generated columns
 */
List *
cdc_key_find_unique_indexes(Relation rel, Oid key_index)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (lfirst_oid(lc) != key_index && index->rd_index->indisunique && index->rd_index->indimmediate &&
			index->rd_rel->relam == BTREE_AM_OID && !uses_generated(rel, index))
			result = lappend_oid(result, lfirst_oid(lc));
		index_close(index, AccessShareLock);
	}
	return result;
}

/* Does this unique index, of all rows, have just these columns? */
bool
cdc_key_index_is_of(Oid index, const Bitmapset *attnums)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	Bitmapset  *found = NULL;
	bool		of_all;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	of_all = form->indisunique && heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; i < form->indnkeyatts; i++)
		found = bms_add_member(found, Max(form->indkey.values[i], 0));
	ReleaseSysCache(tuple);
	return of_all && bms_equal(found, attnums);
}

/* As the index says it, which shares entries of equal values where it may */
static bool
has_equal_images(Relation index, int n)
{
	Oid			function = get_opfamily_proc(index->rd_opfamily[n], index->rd_opcintype[n],
											 index->rd_opcintype[n], BTEQUALIMAGE_PROC);

	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, index->rd_indcollation[n],
										  ObjectIdGetDatum(index->rd_opcintype[n])));
}

/* The index says how values are compared, the type how they are hashed and printed */
static void
column_init(CdcKeyColumn *col, Relation rel, Relation index, int n)
{
	AttrNumber	attnum = index->rd_index->indkey.values[n];
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Oid			opcintype = index->rd_opcintype[n];
	TypeCacheEntry *type = lookup_type_cache(opcintype, TYPECACHE_HASH_EXTENDED_PROC);
	Oid			function;
	bool		is_varlena;

	col->attnum = attnum;
	col->name = pstrdup(NameStr(att->attname));
	col->type = att->atttypid;
	col->typmod = att->atttypmod;
	col->collation = index->rd_indcollation[n];
	col->typlen = att->attlen;
	col->typbyval = att->attbyval;
	col->is_counter = index->rd_opfamily[n] == INTEGER_BTREE_FAM_OID &&
		n == index->rd_index->indnkeyatts - 1;
	col->equality = get_opfamily_member(index->rd_opfamily[n], opcintype, opcintype,
										BTEqualStrategyNumber);
	fmgr_info(index_getprocid(index, n + 1, BTORDER_PROC), &col->compare);
	if (OidIsValid(type->hash_extended_proc))
		fmgr_info(type->hash_extended_proc, &col->hash);
	col->equal_image = has_equal_images(index, n);
	getTypeOutputInfo(col->type, &function, &is_varlena);
	fmgr_info(function, &col->output);
	getTypeInputInfo(col->type, &function, &col->typioparam);
	fmgr_info(function, &col->input);
}

/* Describe it, in CurrentMemoryContext; raises an error if the table has none */
CdcKey *
cdc_key_make(Relation rel)
{
	Oid			indexoid = cdc_key_find_index(rel);
	CdcKey	   *key = palloc0(sizeof(CdcKey));
	Relation	index;

	if (!OidIsValid(indexoid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" has no key", RelationGetRelationName(rel)),
				 errhint("Add a primary key that is not deferrable.")));
	index = index_open(indexoid, AccessShareLock);
	key->relid = RelationGetRelid(rel);
	key->owner = rel->rd_rel->relowner;
	key->index = indexoid;
	key->ncolumns = index->rd_index->indnkeyatts;
	key->columns = palloc0(sizeof(CdcKeyColumn) * key->ncolumns);
	for (int i = 0; i < key->ncolumns; i++)
		column_init(&key->columns[i], rel, index, i);
	index_close(index, AccessShareLock);
	return key;
}

/* Order two keys as the index does; the equality of keys everywhere */
int
cdc_key_compare(CdcKey *key, const Datum *a, const Datum *b)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		CdcKeyColumn *col = &key->columns[i];
		int			order = DatumGetInt32(FunctionCall2Coll(&col->compare, col->collation,
															a[i], b[i]));

		if (order != 0)
			return order;
	}
	return 0;
}

/*
 * A hash that agrees with that equality; of types without one, where it can be had, of
 * the bytes, else 0.  Keys that a sequence
 * gave one after the other have hashes near each other, and so have their tombstones in
 * the index: a hash that scatters would touch a page for each.
 */
int64
cdc_key_hash(CdcKey *key, const Datum *values)
{
	uint64		hash = 0;

	for (int i = 0; i < key->ncolumns; i++)
	{
		CdcKeyColumn *col = &key->columns[i];

		if (col->is_counter)
			hash = hash_combine64(hash, (uint64) (col->typlen == sizeof(int16) ? DatumGetInt16(values[i]) :
												  col->typlen == sizeof(int32) ? DatumGetInt32(values[i]) :
												  DatumGetInt64(values[i])));
		else if (OidIsValid(col->hash.fn_oid))
			hash = hash_combine64(hash,
								  DatumGetUInt64(FunctionCall2Coll(&col->hash, col->collation,
																   values[i], UInt64GetDatum(0))));
		else if (col->equal_image)
			hash = hash_combine64(hash, datum_image_hash(values[i], col->typbyval, col->typlen));
	}
	return (int64) hash;
}

Jsonb *
cdc_key_to_jsonb(CdcKey *key, const Datum *values)
{
	JsonbInState state = {0};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < key->ncolumns; i++)
	{
		CdcKeyColumn *col = &key->columns[i];
		JsonbValue	v;

		v.type = jbvString;
		v.val.string.val = col->name;
		v.val.string.len = strlen(col->name);
		pushJsonbValue(&state, WJB_KEY, &v);
		v.val.string.val = OutputFunctionCall(&col->output, values[i]);
		v.val.string.len = strlen(v.val.string.val);
		pushJsonbValue(&state, WJB_VALUE, &v);
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/* The inputs may run code of domains' owners: called in the owner's scope */
static bool
read_columns(CdcKey *key, Jsonb *jsonb, Datum *values)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		CdcKeyColumn *col = &key->columns[i];
		JsonbValue	buffer;
		JsonbValue *v = getKeyJsonValueFromContainer(&jsonb->root, col->name,
													 strlen(col->name), &buffer);

		if (v == NULL || v->type != jbvString)
			return false;
		values[i] = InputFunctionCall(&col->input,
									  pnstrdup(v->val.string.val, v->val.string.len),
									  col->typioparam, col->typmod);
	}
	return true;
}

bool
cdc_key_from_jsonb(CdcKey *key, Jsonb *jsonb, Datum *values)
{
	CdcOwnerScope scope;
	bool		complete;

	cdc_owner_begin(&scope, key->owner);
	complete = read_columns(key, jsonb, values);
	cdc_owner_end(&scope);
	return complete;
}

/* The same for people: "(id, client_id)=(1, 2)" */
char *
cdc_key_to_string(CdcKey *key, const Datum *values)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '(');
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", key->columns[i].name);
	appendStringInfoString(&buf, ")=(");
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 OutputFunctionCall(&key->columns[i].output, values[i]));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/* Is this column of the table one of the key's? */
bool
cdc_key_has_column(const CdcKey *key, AttrNumber attnum)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (key->columns[i].attnum == attnum)
			return true;
	}
	return false;
}

/* Append the index's equality of a column, with its schema: OPERATOR(pg_catalog.=) */
void
cdc_key_append_equality(StringInfo buf, const CdcKeyColumn *column)
{
	cdc_key_append_operator(buf, column->equality);
}

/* Append the equality of all columns of a row t and a row r */
void
cdc_key_append_join(StringInfo buf, const CdcKey *key)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		const char *name = quote_identifier(key->columns[i].name);

		appendStringInfo(buf, "%st.%s ", i ? " AND " : "", name);
		cdc_key_append_equality(buf, &key->columns[i]);
		appendStringInfo(buf, " r.%s", name);
	}
}

/* Append any operator with its schema */
void
cdc_key_append_operator(StringInfo buf, Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(buf, "OPERATOR(%s.%s)",
					 quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}
