/*
 * image_row.c
 *		Images of events as rows: all of them, or as much as somebody asks for.
 *
 * "after" is needed as a whole.  Of "before" an event needs little, mostly: a delete the
 * version; all else is compared with the row here, or shown to people.  So a value that
 * cannot be decoded in it stops nothing: neither the update that mends it nor the delete
 * that removes it.  To find out costs a subtransaction, which only an event that is tried
 * by itself is worth: a batch that fails is taken in parts until each is.
 */
#include "postgres.h"

#include "base/subxact.h"
#include "event/token.h"
#include "rows/image_row.h"

/* For work in a subtransaction */
typedef struct ColumnArgs
{
	CdcImageRow *ir;
	int			column;
} ColumnArgs;

/*
 * An image as a row: present has the columns that the image gives a value; columns
 * whose value is Debezium's placeholder for "unchanged" are not among them.
 */
void
cdc_image_decode(CdcRow *row, CdcRelation *rel, const CdcImage *image,
				 const CdcProducer *producer)
{
	CdcShape   *shape = cdc_relation_shape(rel, image, false);

	*row = (CdcRow){.exists = true, .present = shape->present};
	ItemPointerSetInvalid(&row->tid);
	row->values = palloc0(sizeof(Datum) * rel->ncolumns);
	row->nulls = palloc(sizeof(bool) * rel->ncolumns);
	memset(row->nulls, true, sizeof(bool) * rel->ncolumns);
	for (int i = -1; (i = bms_next_member(shape->present, i)) >= 0;)
	{
		const CdcField *field = &image->fields[shape->field[i]];
		CdcValueStatus status = cdc_value_decode(&field->token, field->schema, producer,
												 &rel->columns[i].vt, &row->values[i]);

		row->nulls[i] = status != CDC_VALUE_SET;
		if (status == CDC_VALUE_UNCHANGED)
		{
			/* the shape's set is shared: take a copy before the first change */
			if (row->present == shape->present)
				row->present = bms_copy(shape->present);
			row->present = bms_del_member(row->present, i);
			row->unchanged = true;
		}
	}
}

/* One column of an image; false if the image does not say it */
bool
cdc_image_decode_column(CdcRelation *rel, const CdcImage *image, int column, bool of_key,
						const CdcProducer *producer, Datum *value, bool *isnull)
{
	CdcShape   *shape;
	const CdcField *field;
	CdcValueStatus status;

	if (!image->present)
		return false;
	shape = cdc_relation_shape(rel, image, of_key);
	if (shape->field[column] < 0)
		return false;
	field = &image->fields[shape->field[column]];
	status = cdc_value_decode(&field->token, field->schema, producer,
							  &rel->columns[column].vt, value);
	*isnull = status == CDC_VALUE_NULL;
	return status != CDC_VALUE_UNCHANGED;
}

/* Nothing is decoded; what it is given must last as long as it is asked */
void
cdc_image_row_init(CdcImageRow *ir, CdcRelation *rel, const CdcImage *image,
				   const CdcProducer *producer, bool tolerant)
{
	*ir = (CdcImageRow){.rel = rel, .image = image, .producer = producer, .tolerant = tolerant};
}

static void
begin(CdcImageRow *ir)
{
	if (ir->row.values)
		return;
	ItemPointerSetInvalid(&ir->row.tid);
	ir->row.values = palloc0(sizeof(Datum) * ir->rel->ncolumns);
	ir->row.nulls = palloc(sizeof(bool) * ir->rel->ncolumns);
	memset(ir->row.nulls, true, sizeof(bool) * ir->rel->ncolumns);
}

static void
read_column(CdcImageRow *ir, int column)
{
	if (ir->complete ? !bms_is_member(column, ir->unread) : bms_is_member(column, ir->known))
		return;
	begin(ir);
	if (cdc_image_decode_column(ir->rel, ir->image, column, false, ir->producer,
								&ir->row.values[column], &ir->row.nulls[column]))
		ir->row.present = bms_add_member(ir->row.present, column);
	else
	{
		ir->row.nulls[column] = true;
		ir->row.unchanged |=
			bms_is_member(column, cdc_relation_shape(ir->rel, ir->image, false)->present);
	}
	ir->known = bms_add_member(ir->known, column);
}

static void
read_rest(void *arg)
{
	CdcImageRow *ir = arg;
	const CdcShape *shape = cdc_relation_shape(ir->rel, ir->image, false);

	for (int i = -1; (i = bms_next_member(shape->present, i)) >= 0;)
		read_column(ir, i);
}

/*
 * And neither about the server nor a wish that it should end; nor about a lock that the
 * CHECK of a domain waits for, as one that reads a table may.
 */
static bool
is_about_value(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

static void
read_one(void *arg)
{
	ColumnArgs *args = arg;

	read_column(args->ir, args->column);
}

static void
read_tolerantly(CdcImageRow *ir)
{
	const CdcShape *shape = cdc_relation_shape(ir->rel, ir->image, false);

	begin(ir);
	if (cdc_subxact_attempt(read_rest, ir, is_about_value) == NULL)
		return;
	for (int i = -1; (i = bms_next_member(shape->present, i)) >= 0;)
	{
		ColumnArgs	args = {.ir = ir, .column = i};

		if (cdc_subxact_attempt(read_one, &args, is_about_value) != NULL)
		{
			ir->unread = bms_add_member(ir->unread, i);
			ir->row.unchanged = true;	/* no row can be made of it */
		}
	}
}

/*
 * All columns, in memory of the first call; its member exists is false if the event has no
 * such image.  Raises a data error, but if it is tolerant.
 */
const CdcRow *
cdc_image_row(CdcImageRow *ir)
{
	if (ir->complete || !ir->image->present)
		return &ir->row;
	if (ir->tolerant)
		read_tolerantly(ir);
	else if (ir->known == NULL)
		cdc_image_decode(&ir->row, ir->rel, ir->image, ir->producer);
	else
		read_rest(ir);
	ir->row.exists = true;
	ir->complete = true;
	return &ir->row;
}

/*
 * One column; false if the image does not say it.  needed: raises a data error if it
 * cannot be decoded, tolerant or not; else that is false, too.
 */
bool
cdc_image_row_column(CdcImageRow *ir, int column, bool needed, Datum *value, bool *isnull)
{
	if (!ir->image->present)
		return false;
	if (ir->tolerant && !needed)
		(void) cdc_image_row(ir);
	if (needed || !bms_is_member(column, ir->unread))
		read_column(ir, column);
	if (!bms_is_member(column, ir->row.present))
		return false;
	*value = ir->row.values[column];
	*isnull = ir->row.nulls[column];
	return true;
}

/* As it stands in the event: of an unread column */
char *
cdc_image_row_token(const CdcImageRow *ir, int column)
{
	const CdcToken *token = &ir->image->fields[ir->image->shape->field[column]].token;

	return cdc_token_print(token);
}
