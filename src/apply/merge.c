/*
 * merge.c
 *		Which columns win: the row to be is made of both sides.
 *
 * This stands between what is decided and what is put.  The row is local: whoever merges the
 * same two must get the same version, so it follows from theirs and not from a clock; under
 * the commit clock it is the event's time, as of any row that an event puts.
 */
#include "postgres.h"

#include "apply/meeting.h"
#include "rows/image_row.h"
#include "rows/row.h"
#include "rows/row_json.h"

/* Columns that the handler's row leaves out are the local row's, or else the remote one's */
static CdcRow
row_to_merge(CdcMeeting *m)
{
	if (m->ks->row.exists)
		return m->ks->row;
	return m->after.exists ? m->after : *cdc_image_row(&m->keyed->before);
}

/* Newer than both sides, and the same wherever the same two meet */
static void
stamp_merged_row(CdcMeeting *m)
{
	CdcRelation *rel = m->rel;
	CdcVersion	newest = m->version;
	CdcVersion	given = cdc_clock_read(rel->clock, m->after.values[rel->version],
									   m->after.nulls[rel->version]);

	if (m->s.row && cdc_clock_compare(&m->ks->version, &newest) > 0)
		newest = m->ks->version;
	if (!m->s.row && m->s.tombstone &&
		cdc_clock_compare(&m->ks->tombstone.version, &newest) > 0)
		newest = m->ks->tombstone.version;
	newest.deleted = false;
	m->version = cdc_clock_successor(rel->clock, &newest);
	if (cdc_clock_compare(&given, &m->version) > 0)
		m->version = given;
	m->after.values[rel->version] = cdc_clock_to_datum(rel->clock, &m->version);
	m->after.nulls[rel->version] = false;
}

/*
 * CDC_ACTION_MERGE: makes m->after the row to be, of m->merge_with and the columns that it
 * leaves out, and m->version its version.  The key is the event's, whatever was said of it.
 */
void
cdc_merge_row(CdcMeeting *m)
{
	CdcRow		row = cdc_row_from_jsonb(m->rel, m->merge_with);
	CdcRow		base = row_to_merge(m);

	m->after = cdc_row_overlay(m->rel, &base, &row);
	m->after.unchanged = base.unchanged &&
		bms_num_members(m->after.present) < m->rel->ncolumns;
	for (int i = 0; i < m->rel->key->ncolumns; i++)
	{
		m->after.values[m->rel->key_column[i]] = m->ks->key[i];
		m->after.nulls[m->rel->key_column[i]] = false;
		m->after.present = bms_add_member(m->after.present, m->rel->key_column[i]);
	}
	if (!m->s.commit_clock)
		stamp_merged_row(m);
}
