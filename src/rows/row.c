/*
 * row.c
 *		Rows in memory: lay over, compare.
 *
 * Rows are equal when their output texts are: numeric 1.0 and 1.00 are not, for every
 * node must end with the same text.  Equal bytes have equal texts, so the texts are
 * made only where bytes differ.
 */
#include "postgres.h"

#include "utils/datum.h"

#include "rows/row.h"

/* base with the values that top has; base may not exist; the result has its own arrays */
CdcRow
cdc_row_overlay(CdcRelation *rel, const CdcRow *base, const CdcRow *top)
{
	CdcRow		row = *top;

	if (!base->exists)
		return row;
	row.tid = base->tid;
	row.xmin = base->xmin;
	if (bms_num_members(top->present) == rel->ncolumns)
		return row;
	row.values = palloc(sizeof(Datum) * rel->ncolumns);
	row.nulls = palloc(sizeof(bool) * rel->ncolumns);
	for (int i = 0; i < rel->ncolumns; i++)
	{
		const CdcRow *from = bms_is_member(i, top->present) ? top : base;

		row.values[i] = from->values[i];
		row.nulls[i] = from->nulls[i];
	}
	row.present = bms_union(base->present, top->present);
	return row;
}

static bool
values_equal(CdcColumn *col, Datum a, Datum b)
{
	if (datum_image_eq(a, b, col->vt.typbyval, col->vt.typlen))
		return true;
	/* of by-value types without padding, other bytes are another text */
	if (col->vt.typbyval)
		return false;
	return strcmp(OutputFunctionCall(&col->output, a), OutputFunctionCall(&col->output, b)) == 0;
}

/* Do the values that top has stand in base, as output text? */
bool
cdc_row_equal(CdcRelation *rel, const CdcRow *base, const CdcRow *top)
{
	for (int i = -1; (i = bms_next_member(top->present, i)) >= 0;)
	{
		if (!rel->columns[i].counts)
			continue;
		if (base->nulls[i] != top->nulls[i])
			return false;
		if (!base->nulls[i] &&
			!values_equal(&rel->columns[i], base->values[i], top->values[i]))
			return false;
	}
	return true;
}

/* Have both the same bytes in the columns that foreign keys may point to? */
bool
cdc_row_same_referable(CdcRelation *rel, const CdcRow *a, const CdcRow *b)
{
	for (int i = 0; i < rel->ncolumns; i++)
	{
		CdcValueType *vt = &rel->columns[i].vt;

		if (!rel->columns[i].referable)
			continue;
		if (a->nulls[i] != b->nulls[i] ||
			(!a->nulls[i] &&
			 !datum_image_eq(a->values[i], b->values[i], vt->typbyval, vt->typlen)))
			return false;
	}
	return true;
}

/* Is the key of a, as far as it has one, the same text as that of b? */
bool
cdc_row_same_key_text(CdcRelation *rel, const CdcRow *a, const CdcRow *b)
{
	for (int i = 0; i < rel->key->ncolumns; i++)
	{
		int			column = rel->key_column[i];

		if (bms_is_member(column, a->present) && !a->nulls[column] &&
			!values_equal(&rel->columns[column], a->values[column], b->values[column]))
			return false;
	}
	return true;
}

/* By remote name in byte order: output texts with a length before them, NULL lowest */
static void
canonical_text(StringInfo buf, CdcRelation *rel, const CdcRow *row, const Bitmapset *columns)
{
	for (int k = 0; k < rel->ncolumns; k++)
	{
		int			i = rel->by_remote_name[k];
		char	   *text;
		uint32		len;

		if (!bms_is_member(i, columns) || !rel->columns[i].counts)
			continue;
		if (row->nulls[i])
		{
			appendStringInfoChar(buf, '\0');
			continue;
		}
		text = OutputFunctionCall(&rel->columns[i].output, row->values[i]);
		len = strlen(text);
		appendStringInfoChar(buf, '\1');
		for (int shift = 24; shift >= 0; shift -= 8)
			appendStringInfoChar(buf, (char) (len >> shift));
		appendBinaryStringInfo(buf, text, len);
	}
}

/* The order of the canonical texts of top and base, over the columns that top has */
int
cdc_row_text_order(CdcRelation *rel, const CdcRow *top, const CdcRow *base)
{
	StringInfoData a;
	StringInfoData b;
	int			order;

	initStringInfo(&a);
	initStringInfo(&b);
	canonical_text(&a, rel, top, top->present);
	canonical_text(&b, rel, base, top->present);
	order = memcmp(a.data, b.data, Min(a.len, b.len));
	return order ? order : a.len - b.len;
}
