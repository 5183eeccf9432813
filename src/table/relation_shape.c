/*
 * relation_shape.c
 *		Which fields of an image belong to which columns.
 *
 * A shape is found by the address of the image's schema, which decode_schema.c keeps as
 * long as the process lives, or by its fields' names; so the names of a table's fields are
 * looked up once, and not for each event.  Shapes live with the map they belong to.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/printable.h"
#include "event/decode_schema.h"
#include "table/relation.h"

/* Without a schema: the same names in the same order */
static bool
same_names(const CdcShape *shape, const CdcImage *image)
{
	for (int i = 0; i < image->nfields; i++)
	{
		const CdcField *field = &image->fields[i];

		if (shape->name_lengths[i] != field->namelen ||
			memcmp(shape->names[i], field->name, field->namelen) != 0)
			return false;
	}
	return true;
}

/* A handful per table; the newest come first */
static CdcShape *
find_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	ListCell   *lc;

	foreach(lc, rel->shapes)
	{
		CdcShape   *shape = lfirst(lc);

		if (shape->of_key == of_key && shape->schema == image->schema &&
			shape->nfields == image->nfields &&
			(image->schema != NULL || same_names(shape, image)))
			return shape;
	}
	return NULL;
}

/* The column that a field is for; NULL if there is none */
const CdcColumn *
cdc_relation_find_column(const CdcRelation *rel, const CdcField *field)
{
	for (int c = 0; c < rel->ncolumns; c++)
	{
		const char *name = rel->columns[c].remote_name;

		if (strncmp(name, field->name, field->namelen) == 0 && name[field->namelen] == '\0')
			return &rel->columns[c];
	}
	return NULL;
}

/* Of the table, mapped or not; 0: none */
static AttrNumber
local_attnum(const CdcRelation *rel, const CdcField *field)
{
	return field->namelen < NAMEDATALEN ?
		get_attnum(rel->relid, pnstrdup(field->name, field->namelen)) : 0;
}

static bool
is_generated(const CdcRelation *rel, AttrNumber attnum)
{
	return attnum > 0 && get_attgenerated(rel->relid, attnum);
}

/* A field without a column is an error, unless that column is generated here */
static void
check_unmapped(CdcRelation *rel, const CdcField *field)
{
	char	   *name = cdc_excerpt(field->name, field->namelen);
	AttrNumber	attnum = local_attnum(rel, field);
	const CdcColumn *mapped = NULL;

	if (is_generated(rel, attnum))
		return;
	for (int c = 0; attnum > 0 && c < rel->ncolumns; c++)
	{
		if (rel->columns[c].attnum == attnum)
			mapped = &rel->columns[c];
	}
	if (mapped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table %s takes the column \"%s\" of events, and the event has a column \"%s\"",
						name, rel->qualified_name, mapped->remote_name, name),
				 errdetail("So says the rule's column_map."),
				 errhint("If it was renamed at the peer, too, run SELECT cdcsync.alter_table_rule(%s, column_map => '{}'), with what else is to be mapped.",
						 quote_literal_cstr(rel->qualified_name))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of the event does not exist in table %s", name,
					rel->qualified_name),
			 field->schema ?
			 errdetail("Its Debezium type is %s.", cdc_decode_schema_name(field->schema)) : 0,
			 errhint("Add the column, or map it to another one with cdcsync.alter_table_rule.")));
}

/*
 * Rows that the key here does not tell apart are one here: a message key must not have
 * columns besides, be they generated here, unless it is another key that the table has
 * here, too.
 */
static const char *
find_foreign_column(const CdcRelation *rel, const CdcImage *image, const Bitmapset *present)
{
	Bitmapset  *attnums = NULL;
	const char *foreign = NULL;
	ListCell   *lc;

	for (int i = -1; (i = bms_next_member(present, i)) >= 0;)
	{
		attnums = bms_add_member(attnums, rel->columns[i].attnum);
		if (!cdc_key_has_column(rel->key, rel->columns[i].attnum))
			foreign = rel->columns[i].name;
	}
	for (int i = 0; i < image->nfields; i++)
	{
		AttrNumber	attnum = local_attnum(rel, &image->fields[i]);

		if (cdc_relation_find_column(rel, &image->fields[i]) || !is_generated(rel, attnum))
			continue;
		attnums = bms_add_member(attnums, attnum);
		foreign = get_attname(rel->relid, attnum, false);
	}
	if (foreign == NULL)
		return NULL;
	foreach(lc, rel->unique_indexes)
	{
		if (cdc_key_index_is_of(lfirst_oid(lc), attnums))
			return NULL;
	}
	return foreign;
}

/* An error leaves nothing in the map's memory */
static CdcShape *
make_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	MemoryContext old = CurrentMemoryContext;
	CdcShape   *shape;

	for (int i = 0; i < image->nfields && !of_key; i++)
	{
		if (cdc_relation_find_column(rel, &image->fields[i]) == NULL)
			check_unmapped(rel, &image->fields[i]);
	}

	MemoryContextSwitchTo(rel->table.context);
	shape = palloc0(sizeof(CdcShape));
	shape->schema = image->schema;
	shape->of_key = of_key;
	shape->nfields = image->nfields;
	shape->names = palloc(sizeof(char *) * image->nfields);
	shape->name_lengths = palloc(sizeof(int) * image->nfields);
	shape->field = palloc(sizeof(int) * rel->ncolumns);
	for (int c = 0; c < rel->ncolumns; c++)
		shape->field[c] = -1;
	for (int i = 0; i < image->nfields; i++)
	{
		const CdcField *field = &image->fields[i];
		const CdcColumn *column = cdc_relation_find_column(rel, field);

		shape->names[i] = pnstrdup(field->name, field->namelen);
		shape->name_lengths[i] = field->namelen;
		if (column)
		{
			shape->field[column - rel->columns] = i;
			shape->present = bms_add_member(shape->present, column - rel->columns);
		}
	}
	if (of_key)
		shape->foreign_column = find_foreign_column(rel, image, shape->present);
	rel->shapes = lcons(shape, rel->shapes);
	MemoryContextSwitchTo(old);
	return shape;
}

/*
 * The shape of a row image, or of a message key; an image is of one relation.  Raises a
 * data error for a field of a row image that has no local column.
 */
CdcShape *
cdc_relation_shape(CdcRelation *rel, const CdcImage *image, bool of_key)
{
	CdcShape   *shape = image->shape;

	if (shape)
		return shape;
	shape = find_shape(rel, image, of_key);
	if (shape == NULL)
		shape = make_shape(rel, image, of_key);
	unconstify(CdcImage *, image)->shape = shape;
	return shape;
}
