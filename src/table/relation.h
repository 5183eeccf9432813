/*
 * relation.h
 *		Remote table -> local relation: key, columns, column map.
 */
#ifndef CDC_RELATION_H
#define CDC_RELATION_H

#include "access/tupdesc.h"
#include "executor/spi.h"

#include "event/event.h"
#include "table/registered_table.h"
#include "value/value.h"

/* A local column that takes part: all but dropped and generated ones */
typedef struct CdcColumn
{
	char	   *name;			/* here */
	char	   *remote_name;	/* in events */
	AttrNumber	attnum;
	CdcValueType vt;
	Oid			collation;
	FmgrInfo	output;
	bool		counts;			/* says what its row is: compared, in canonical text and digest */
	bool		referable;		/* in a unique index: foreign keys may point to it */
	bool		updatable;		/* UPDATE may set it: not GENERATED ALWAYS AS IDENTITY */
} CdcColumn;

/* The statements of a relation; deparse.c writes their text */
typedef enum CdcStatementKind
{
	CDC_SQL_READ,				/* the rows of a batch's keys */
	CDC_SQL_LOCK,				/* the same, locked against other writers */
	CDC_SQL_UPDATE,				/* the rows as they were read, but for what is referable */
	CDC_SQL_UPDATE_ALL,			/* all columns of the rows as they were read */
	CDC_SQL_DELETE,				/* the rows as they were read */
	CDC_SQL_UPDATE_KEY,			/* whatever row has the key now, likewise */
	CDC_SQL_UPDATE_KEY_ALL,
	CDC_SQL_DELETE_KEY
} CdcStatementKind;

#define CDC_NSQL (CDC_SQL_DELETE_KEY + 1)

/*
 * Which fields of an image belong to which columns.  Images with the same schema
 * share it; without schemas, images with the same names in the same order.
 */
typedef struct CdcShape
{
	const CdcSchema *schema;	/* NULL for JSON without schemas */
	int			nfields;
	char	  **names;			/* of the fields, for JSON without schemas */
	int		   *name_lengths;
	int		   *field;			/* per column: the field's index, or -1 */
	Bitmapset  *present;		/* columns that have a field */
	bool		of_key;			/* of a message key: other fields are ignored */
	const char *foreign_column; /* in it: of a key that is none here; NULL: none */
} CdcShape;

/* An INSERT of just these columns: the others get their defaults */
typedef struct CdcInsert
{
	Bitmapset  *present;
	SPIPlanPtr	plan;
} CdcInsert;

typedef struct CdcRelation
{
	CdcRegisteredTable table;	/* what every backend keeps of it */
	char	   *source_name;	/* schema.table as events say it */
	char	   *qualified_name; /* quoted */
	TimestampTz opened_at;		/* start of the last transaction that opened it */
	Oid			relid;			/* these five are the table's, for short */
	Oid			owner;
	CdcTableRule *rule;
	CdcKey	   *key;
	CdcClock	clock;
	int			ncolumns;
	CdcColumn  *columns;
	int			key_column[INDEX_MAX_KEYS]; /* per key column: index in columns */
	int			version;		/* index of the version column; -1 under the commit clock */
	int		   *by_remote_name; /* columns in the byte order of their remote names */
	bool		partitioned;
	bool		plain;			/* a statement would but check, store and index its rows */
	char	   *fires;			/* which triggers of users fire where changes are applied, as commands that */
	char	   *fires_before;	/* end it; those before a row is written, which may change it; or NULL */
	Bitmapset  *all_columns;
	bool		updatable;		/* there is a column that UPDATE may set */
	bool		updatable_apart;	/* one that foreign keys cannot point to */
	List	   *unique_indexes; /* oids of those to look into, but for the key's */
	TupleDesc	batch_desc;		/* of the ephemeral relation: n, tid, xid, the columns */
	List	   *shapes;			/* of CdcShape * */
	List	   *inserts;		/* of CdcInsert * */
	SPIPlanPtr	plans[CDC_NSQL];
} CdcRelation;

extern CdcRelation *cdc_relation_open(const char *schema, const char *table);
extern void cdc_relation_fill(CdcRelation *map, Relation rel, CdcTableRule *rule);
extern const CdcColumn *cdc_relation_find_column(const CdcRelation *rel, const CdcField *field);
extern CdcShape *cdc_relation_shape(CdcRelation *rel, const CdcImage *image, bool of_key);

/* The name of the ephemeral relation, and its columns before those of the table */
#define CDC_BATCH_NAME "cdcsync_batch"
#define CDC_BATCH_N		0
#define CDC_BATCH_TID	1
#define CDC_BATCH_XID	2
#define CDC_BATCH_FIRST	3

#endif							/* CDC_RELATION_H */
