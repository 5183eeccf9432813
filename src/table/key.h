/*
 * key.h
 *		The key of a registered table: compared by its index's equality.
 */
#ifndef CDC_KEY_H
#define CDC_KEY_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

typedef struct CdcKeyColumn
{
	AttrNumber	attnum;
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			equality;		/* the index's equality operator */
	FmgrInfo	compare;		/* the index's ordering */
	FmgrInfo	hash;			/* the type's extended hash; fn_oid invalid if none */
	bool		equal_image;	/* equal values have equal bytes */
	FmgrInfo	output;
	FmgrInfo	input;
	Oid			typioparam;
	int16		typlen;
	bool		typbyval;
	bool		is_counter;		/* an integer, and the last column: often of a sequence */
} CdcKeyColumn;

typedef struct CdcKey
{
	Oid			relid;
	Oid			owner;			/* of the table */
	Oid			index;
	int			ncolumns;
	CdcKeyColumn *columns;
} CdcKey;

/*
 * The index that identifies the table's rows: the primary key, else of the unique
 * indexes that can the first by name; InvalidOid if there is none.  It is immediate, complete (no predicate, no expression) and without NULLs.
 */
extern Oid	cdc_key_find_index(Relation rel);

/*
 * The oids of the other unique indexes whose values a new row shows: all that are
 * immediate and have nothing to do with generated columns
 */
extern List *cdc_key_find_unique_indexes(Relation rel, Oid key_index);

/* Does this unique index, of all rows, have just these columns? */
extern bool cdc_key_index_is_of(Oid index, const Bitmapset *attnums);

/* Is this column of the table one of the key's? */
extern bool cdc_key_has_column(const CdcKey *key, AttrNumber attnum);

/* Describe it, in CurrentMemoryContext; raises an error if the table has none */
extern CdcKey *cdc_key_make(Relation rel);

/* Order two keys as the index does; the equality of keys everywhere */
extern int	cdc_key_compare(CdcKey *key, const Datum *a, const Datum *b);

/*
 * A hash that agrees with that equality; of types without one, where it can be had, of
 * the bytes, else 0.  Keys that a sequence
 * gave one after the other have hashes near each other, and so have their tombstones in
 * the index: a hash that scatters would touch a page for each.
 */
extern int64 cdc_key_hash(CdcKey *key, const Datum *values);

/*
 * A key as a JSON object of its columns' texts, and back; false if it lacks one of them.
 * That is done as the table's owner, for a type may have domains in it.
 */
extern Jsonb *cdc_key_to_jsonb(CdcKey *key, const Datum *values);
extern bool cdc_key_from_jsonb(CdcKey *key, Jsonb *jsonb, Datum *values);

/* The same for people: "(id, client_id)=(1, 2)" */
extern char *cdc_key_to_string(CdcKey *key, const Datum *values);

/* Append the index's equality of a column, with its schema: OPERATOR(pg_catalog.=) */
extern void cdc_key_append_equality(StringInfo buf, const CdcKeyColumn *column);

/* Append the equality of all columns of a row t and a row r */
extern void cdc_key_append_join(StringInfo buf, const CdcKey *key);

/* Append any operator with its schema */
extern void cdc_key_append_operator(StringInfo buf, Oid operator);

#endif							/* CDC_KEY_H */
