/*
 * json_format.c
 *		Messages of Kafka's JsonConverter, with schemas and without.
 *
 * With schemas.enable=true, its default, a document is {"schema": …, "payload": …}, else it
 * is the payload alone.  The schema is five times as long as what it describes and the same
 * in every message of a table, so it is not parsed again but compared (decode_schema.c);
 * what is behind it is then read as if it stood alone.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"

#include "event/decode_json.h"
#include "event/decode_schema.h"
#include "event/field_name.h"
#include "event/json_format.h"

/*
 * The quick way: the bytes up to the payload are known, the payload ends one brace
 * before the text.  Whatever is not so is left to the whole parse and its errors.
 */
static bool
open_known(const CdcSchema *schema, const char *text, int len, CdcPayload *payload)
{
	if (text[len - 1] != '}' || !cdc_decode_tree(text, len - 1, NULL, &payload->tree))
		return false;
	payload->schema = schema;
	payload->schema_kept = true;
	return true;
}

/* A row may have columns of these names, but then "schema" is a string */
static bool
has_schema(const CdcTree *tree)
{
	static const CdcFieldName names[] = {CDC_FIELD("schema"), CDC_FIELD("payload")};
	const CdcField *found[lengthof(names)];

	if (tree->nmembers != lengthof(names))
		return false;
	cdc_field_find(tree->members, tree->nmembers, names, lengthof(names), NULL, found);
	return found[0] != NULL && found[1] != NULL &&
		(found[0]->token.type == CDC_TOKEN_OBJECT || found[0]->token.type == CDC_TOKEN_NULL);
}

/*
 * The payload takes the place of the object that holds it and its schema.  Only a schema
 * before the payload, where the converter writes it, can be kept.
 */
static void
unwrap_schema(const char *text, CdcPayload *payload)
{
	CdcTree		whole = payload->tree;
	int			p = whole.members[0].name[0] == 'p' ? 0 : 1;
	CdcToken	body = whole.members[p].token;
	CdcToken	schema = whole.members[1 - p].token;

	if (body.type == CDC_TOKEN_STRING)
	{
		body.raw--;				/* its quotes */
		body.rawlen += 2;
	}
	if (schema.type == CDC_TOKEN_OBJECT)
		payload->schema = cdc_decode_schema_add(p == 1 ? text : NULL, p == 1 ? body.raw - text : 0,
												&schema, &payload->schema_kept);
	cdc_decode_tree(body.raw, body.rawlen, payload->what, &payload->tree);
	cdc_tree_free(&whole);
}

/* What a kept schema's prefix has was verified when it was kept */
static void
open_json(const CdcMessage *message, const char *text, int len, CdcPayload *payload)
{
	int			begin = 0;
	uint32		topic = hash_bytes((const unsigned char *) message->topic, strlen(message->topic));
	const CdcSchema *schema;

	schema = cdc_decode_schema_find(text, len, text == message->key ? topic : ~topic, &begin);
	pg_verify_mbstr(PG_UTF8, text + begin, len - begin, false);
	if (schema != NULL && open_known(schema, text + begin, len - begin, payload))
		return;
	cdc_decode_tree(text, len, payload->what, &payload->tree);
	if (has_schema(&payload->tree))
		unwrap_schema(text, payload);
}

/* Whatever no other format recognises: an error of the parser says best what is wrong */
const CdcFormat cdc_json_format = {.open_payload = open_json};
