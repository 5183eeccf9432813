/*
 * key_state.c
 *		One key, from the row that is read to the net effect of its events.
 */
#include "postgres.h"

#include "apply/key_state.h"
#include "table/origin.h"

static CdcVersion
row_version(const CdcRelation *rel, const CdcRow *row)
{
	ReplOriginId writer;

	if (rel->clock == CDC_CLOCK_COMMIT)
		return cdc_clock_of_commit(row->xmin, &writer);
	return cdc_clock_read(rel->clock, row->values[rel->version], row->nulls[rel->version]);
}

/* Take the row that the table has; what it points to stays there */
void
cdc_key_state_take_row(CdcKeyState *ks, const CdcRelation *rel, const CdcRow *row)
{
	ks->stored = *row;
	ks->stored_version = row_version(rel, row);
}

/* Before the first event */
void
cdc_key_state_begin(CdcKeyState *ks)
{
	ks->row = ks->stored;
	ks->version = ks->stored_version;
	cdc_conflict_effect_begin(&ks->effect, ks->stored.exists);
}

/* Who wrote the row last: a peer, or this node; NULL if nobody knows */
const char *
cdc_key_state_writer(CdcKeyState *ks)
{
	ReplOriginId writer;

	if (ks->writer == NULL && ks->row.exists && cdc_clock_has_commit_times() &&
		cdc_clock_of_commit(ks->stored.xmin, &writer).known)
		ks->writer = cdc_origin_writer(writer);
	return ks->writer;
}
