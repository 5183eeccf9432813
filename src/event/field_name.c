/*
 * field_name.c
 *		Fields, looked for by their names.
 */
#include "postgres.h"

#include "event/field_name.h"

static bool
has_name(const CdcField *field, const CdcFieldName *name)
{
	return field->namelen == name->len && memcmp(field->name, name->text, name->len) == 0;
}

/*
 * found[j] becomes the last field that has names[j], or NULL.  A connector writes its
 * fields in one order: order, which the caller keeps, has the name of each the last time,
 * which is looked at first.  It has CDC_MAX_ORDERED elements, zero at the beginning; or it
 * is NULL.
 */
void
cdc_field_find(const CdcField *fields, int nfields, const CdcFieldName *names, int nnames,
			   int *order, const CdcField **found)
{
	memset(found, 0, nnames * sizeof(CdcField *));
	for (int i = 0; i < nfields; i++)
	{
		int			j = order && i < CDC_MAX_ORDERED ? order[i] : nnames;

		if (j == nnames || !has_name(&fields[i], &names[j]))
		{
			for (j = 0; j < nnames && !has_name(&fields[i], &names[j]); j++)
				;
		}
		if (j < nnames)
			found[j] = &fields[i];
		if (order && i < CDC_MAX_ORDERED)
			order[i] = j;
	}
}
