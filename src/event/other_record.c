/*
 * other_record.c
 *		Values that are no change of a row: Debezium's own, and those of foreign forms.
 *
 * A connector writes heartbeats, transaction markers and notifications into topics that may
 * be subscribed to.  They are told by their fields, all of them, and left out.  Whatever
 * else is no change event is an error and never ignored, for it may be a change in a form
 * that cannot be applied safely; the usual ones are called by their name.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/compat.h"
#include "base/printable.h"
#include "event/field_name.h"
#include "event/other_record.h"

#define MAX_NAMES 5				/* of the fields of one record below */

/*
 * Records of Debezium that are no change: exactly these fields in the value, and this
 * one in the key where one is named.  All fields of a value are always written.
 */
typedef struct IgnoredRecord
{
	CdcFieldName key;
	int			nfields;
	CdcFieldName fields[MAX_NAMES];
} IgnoredRecord;

static const IgnoredRecord ignored_records[] = {
	/* heartbeat */
	{CDC_FIELD("serverName"), 1, {CDC_FIELD("ts_ms")}},
	/* begin and end of a transaction, without and with its time */
	{CDC_FIELD("id"), 4, {CDC_FIELD("status"), CDC_FIELD("id"), CDC_FIELD("event_count"),
	CDC_FIELD("data_collections")}},
	{CDC_FIELD("id"), 5, {CDC_FIELD("status"), CDC_FIELD("id"), CDC_FIELD("event_count"),
	CDC_FIELD("data_collections"), CDC_FIELD("ts_ms")}},
	/* notification, without and with its time */
	{CDC_FIELD(""), 4, {CDC_FIELD("id"), CDC_FIELD("type"), CDC_FIELD("aggregate_type"),
	CDC_FIELD("additional_data")}},
	{CDC_FIELD(""), 5, {CDC_FIELD("id"), CDC_FIELD("type"), CDC_FIELD("aggregate_type"),
	CDC_FIELD("additional_data"), CDC_FIELD("timestamp")}},
};

#define HINT_UNWRAP \
	"If the connector has an ExtractNewRecordState (unwrap) transformation, remove it."

/* Forms of a change that lack what is needed to apply it, by a field of theirs */
static const struct
{
	CdcFieldName field;
	const char *what;
	const char *hint;
}			foreign_forms[] = {
	{CDC_FIELD("specversion"), "a CloudEvent", CDC_HINT_CONVERTER},
	{CDC_FIELD("__deleted"), "a flattened row", HINT_UNWRAP},
	{CDC_FIELD("__op"), "a flattened row", HINT_UNWRAP},
};

/* Exactly these */
static bool
has_all_fields(const CdcField *fields, int nfields, const CdcFieldName *names, int nnames)
{
	const CdcField *found[MAX_NAMES];

	if (nfields != nnames)
		return false;
	cdc_field_find(fields, nfields, names, nnames, NULL, found);
	for (int i = 0; i < nnames; i++)
	{
		if (found[i] == NULL)
			return false;
	}
	return true;
}

/* Is a value one of Debezium's own records, which say nothing of a row?  key: decoded before */
bool
cdc_other_record_is_known(const CdcTree *tree, const CdcImage *key)
{
	for (int i = 0; i < lengthof(ignored_records); i++)
	{
		const IgnoredRecord *record = &ignored_records[i];

		if (has_all_fields(tree->members, tree->nmembers, record->fields, record->nfields) &&
			(record->key.len == 0 ||
			 has_all_fields(key->fields, key->nfields, &record->key, 1)))
			return true;
	}
	return false;
}

static char *
list_fields(const CdcTree *tree)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < tree->nmembers; i++)
		appendStringInfo(&buf, "%s%.*s", i > 0 ? ", " : "",
						 tree->members[i].namelen, tree->members[i].name);
	return cdc_excerpt(buf.data, buf.len);
}

/* Raise the error that a value is no change event, and what it seems to be */
void
cdc_other_record_refuse(const CdcTree *tree)
{
	const CdcField *found;

	for (int i = 0; i < lengthof(foreign_forms); i++)
	{
		cdc_field_find(tree->members, tree->nmembers, &foreign_forms[i].field, 1, NULL, &found);
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("message value is %s, not a Debezium change event",
							foreign_forms[i].what),
					 errhint("%s", foreign_forms[i].hint)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("message value is not a Debezium change event"),
			 tree->root == CDC_TOKEN_OBJECT ?
			 errdetail("A change event has \"op\" and \"source\"; the fields of this value are: %s",
					   list_fields(tree)) :
			 errdetail("It is not a JSON object."),
			 errhint(HINT_UNWRAP)));
}
