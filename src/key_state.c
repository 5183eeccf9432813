/*
 * key_state.c
 *		One key, from the row that is read to the net effect of its events.
 */
#include "postgres.h"

#include "access/htup_details.h"

#include "key_state.h"
#include "origin.h"

static CdcVersion row_version(const CdcRelation *rel, const CdcRow *row);

void
cdc_key_state_take_row(CdcKeyState *ks, const CdcRelation *rel, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	ks->stored.exists = true;
	ks->stored.tid = *(ItemPointer) DatumGetPointer(values[CDC_BATCH_TID]);
	ks->stored.xmin = DatumGetTransactionId(values[CDC_BATCH_XID]);
	ks->stored.values = values + CDC_BATCH_FIRST;
	ks->stored.nulls = nulls + CDC_BATCH_FIRST;
	ks->stored.present = bms_add_range(NULL, 0, rel->ncolumns - 1);
	ks->stored_version = row_version(rel, &ks->stored);
}

static CdcVersion
row_version(const CdcRelation *rel, const CdcRow *row)
{
	RepOriginId writer;

	if (rel->clock == CDC_CLOCK_COMMIT)
		return cdc_clock_of_commit(row->xmin, &writer);
	return cdc_clock_read(rel->clock, row->values[rel->version], row->nulls[rel->version]);
}

void
cdc_key_state_begin(CdcKeyState *ks)
{
	ks->row = ks->stored;
	ks->version = ks->stored_version;
	cdc_conflict_net_begin(&ks->net, ks->stored.exists);
}

const char *
cdc_key_state_writer(CdcKeyState *ks)
{
	RepOriginId writer;

	if (ks->writer == NULL && ks->row.exists && cdc_clock_has_commit_times() &&
		cdc_clock_of_commit(ks->stored.xmin, &writer).known)
		ks->writer = cdc_origin_writer(writer);
	return ks->writer;
}
