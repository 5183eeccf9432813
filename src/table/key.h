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

extern Oid	cdc_key_find_index(Relation rel);
extern Bitmapset *cdc_key_attnums(Relation rel);
extern List *cdc_key_find_unique_indexes(Relation rel, Oid key_index);
extern bool cdc_key_index_is_of(Oid index, const Bitmapset *attnums);
extern bool cdc_key_has_column(const CdcKey *key, AttrNumber attnum);
extern CdcKey *cdc_key_make(Relation rel);
extern int	cdc_key_compare(CdcKey *key, const Datum *a, const Datum *b);
extern int64 cdc_key_hash(CdcKey *key, const Datum *values);

/*
 * A key as a JSON object of its columns' texts, and back; false if it lacks one of them.
 * That is done as the table's owner, for a type may have domains in it.
 */
extern Jsonb *cdc_key_to_jsonb(CdcKey *key, const Datum *values);
extern bool cdc_key_from_jsonb(CdcKey *key, Jsonb *jsonb, Datum *values);
extern char *cdc_key_to_string(CdcKey *key, const Datum *values);
extern void cdc_key_append_equality(StringInfo buf, const CdcKeyColumn *column);
extern void cdc_key_append_join(StringInfo buf, const CdcKey *key);
extern void cdc_key_append_operator(StringInfo buf, Oid operator);

#endif							/* CDC_KEY_H */
