/*
 * decode.c
 *		Message bytes -> change event.
 *
 * A message's key and value are each JSON, as Kafka's JsonConverter writes it with or
 * without a schema; each is looked at on its own, for they may have different
 * converters.  Both are read in one pass to the second level, where a change event has
 * the rows' fields and those of its source.
 *
 * Records that are no change of a row are told by their fields.  What is not known is an
 * error and never ignored: it may be a change in a form that cannot be applied safely.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "event/decode.h"
#include "event/decode_json.h"
#include "event/decode_schema.h"
#include "event/token.h"

/* Room for the headers of what is made of a value */
#define MAX_TEXT_LENGTH ((int) (MaxAllocSize - 1024))

/* A key or value without its schema */
typedef struct Payload
{
	const char *what;			/* for errors */
	const CdcSchema *schema;	/* NULL if it came without */
	bool		schema_kept;	/* for the life of the process */
	CdcJsonTree tree;
} Payload;

/* A name to look for among fields */
typedef struct FieldName
{
	const char *text;
	int			len;
} FieldName;

#define FIELD(text) {text, sizeof(text) - 1}
#define MAX_NAMES 8

/* So many fields of an object are found by their order */
#define MAX_ORDERED 32

typedef enum EnvelopeField
{
	ENVELOPE_OP,
	ENVELOPE_SOURCE,
	ENVELOPE_BEFORE,
	ENVELOPE_AFTER,
	NENVELOPE_FIELDS
} EnvelopeField;

static const FieldName envelope_names[] = {
	[ENVELOPE_OP] = FIELD("op"),
	[ENVELOPE_SOURCE] = FIELD("source"),
	[ENVELOPE_BEFORE] = FIELD("before"),
	[ENVELOPE_AFTER] = FIELD("after"),
};

typedef enum SourceField
{
	SOURCE_CONNECTOR,
	SOURCE_NAME,
	SOURCE_SCHEMA,
	SOURCE_TABLE,
	SOURCE_ORIGIN,
	SOURCE_TS_US,
	SOURCE_TS_MS,
	SOURCE_VERSION,
	SOURCE_DB,
	SOURCE_SNAPSHOT,
	SOURCE_SEQUENCE,
	SOURCE_LSN,
	NSOURCE_FIELDS
} SourceField;

static const FieldName source_names[] = {
	[SOURCE_CONNECTOR] = FIELD("connector"),
	[SOURCE_NAME] = FIELD("name"),
	[SOURCE_SCHEMA] = FIELD("schema"),
	[SOURCE_TABLE] = FIELD("table"),
	[SOURCE_ORIGIN] = FIELD("origin"),
	[SOURCE_TS_US] = FIELD("ts_us"),
	[SOURCE_TS_MS] = FIELD("ts_ms"),
	[SOURCE_VERSION] = FIELD("version"),
	[SOURCE_DB] = FIELD("db"),
	[SOURCE_SNAPSHOT] = FIELD("snapshot"),
	[SOURCE_SEQUENCE] = FIELD("sequence"),
	[SOURCE_LSN] = FIELD("lsn"),
};

static const struct
{
	char		letter;
	CdcOp		op;
}			operations[] = {
	{'c', CDC_OP_CREATE},
	{'u', CDC_OP_UPDATE},
	{'d', CDC_OP_DELETE},
	{'r', CDC_OP_READ},
	{'t', CDC_OP_TRUNCATE},
	{'m', CDC_OP_IGNORED},
};

/*
 * Records of Debezium that are no change: exactly these fields in the value, and this
 * one in the key where one is named.  All fields of a value are always written.
 */
typedef struct IgnoredRecord
{
	FieldName	key;
	int			nfields;
	FieldName	fields[MAX_NAMES];
} IgnoredRecord;

static const IgnoredRecord ignored_records[] = {
	/* heartbeat */
	{FIELD("serverName"), 1, {FIELD("ts_ms")}},
	/* begin and end of a transaction, without and with its time */
	{FIELD("id"), 4, {FIELD("status"), FIELD("id"), FIELD("event_count"),
	FIELD("data_collections")}},
	{FIELD("id"), 5, {FIELD("status"), FIELD("id"), FIELD("event_count"),
	FIELD("data_collections"), FIELD("ts_ms")}},
	/* notification, without and with its time */
	{FIELD(""), 4, {FIELD("id"), FIELD("type"), FIELD("aggregate_type"),
	FIELD("additional_data")}},
	{FIELD(""), 5, {FIELD("id"), FIELD("type"), FIELD("aggregate_type"),
	FIELD("additional_data"), FIELD("timestamp")}},
};

#define HINT_UNWRAP \
	"If the connector has an ExtractNewRecordState (unwrap) transformation, remove it."

/* Forms of a change that lack what is needed to apply it, by a field of theirs */
static const struct
{
	FieldName	field;
	const char *what;
	const char *hint;
}			foreign_forms[] = {
	{FIELD("specversion"), "a CloudEvent", CDC_HINT_CONVERTER},
	{FIELD("__deleted"), "a flattened row", HINT_UNWRAP},
	{FIELD("__op"), "a flattened row", HINT_UNWRAP},
};

pg_noreturn static void
not_json(const char *text, int len, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_JSON_TEXT),
			 errmsg("%s is not JSON", what),
			 text[0] == '\0' ?
			 errdetail("It begins with a zero byte, as Avro does with a schema registry.") :
			 errdetail("It begins with \"Struct{\", as StringConverter writes it."),
			 errhint(CDC_HINT_CONVERTER)));
}

/* Rather a word on the wrong converter than the JSON parser's on a strange byte */
static void
check_text(const char *text, int len, const char *what)
{
	if (len > MAX_TEXT_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s of %d bytes is too long", what, len)));
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("%s is empty", what)));
	if (text[0] == '\0' || (len > 7 && memcmp(text, "Struct{", 7) == 0))
		not_json(text, len, what);
}

/*
 * The quick way: the bytes up to the payload are known, the payload ends one brace
 * before the text.  Whatever is not so is left to the whole parse and its errors.
 */
static bool
open_known(const CdcSchema *schema, const char *text, int len, Payload *payload)
{
	if (text[len - 1] != '}' || !cdc_decode_tree(text, len - 1, NULL, &payload->tree))
		return false;
	payload->schema = schema;
	payload->schema_kept = true;
	return true;
}

static bool
has_name(const CdcField *field, const FieldName *name)
{
	return field->namelen == name->len && memcmp(field->name, name->text, name->len) == 0;
}

/* nnames if it is none of them */
static int
find_name(const CdcField *field, const FieldName *names, int nnames)
{
	int			j = 0;

	while (j < nnames && !has_name(field, &names[j]))
		j++;
	return j;
}

/*
 * The last field of each name.  A connector writes its fields in one order: which name
 * each had the last time is looked at first.  order may be NULL.
 */
static void
find_fields(const CdcField *fields, int nfields, const FieldName *names, int nnames,
			int *order, const CdcField **found)
{
	memset(found, 0, nnames * sizeof(CdcField *));
	for (int i = 0; i < nfields; i++)
	{
		int			j = order && i < MAX_ORDERED ? order[i] : nnames;

		if (j == nnames || !has_name(&fields[i], &names[j]))
			j = find_name(&fields[i], names, nnames);
		if (j < nnames)
			found[j] = &fields[i];
		if (order && i < MAX_ORDERED)
			order[i] = j;
	}
}

/* A row may have columns of these names, but then "schema" is a string */
static bool
is_converter_envelope(const CdcJsonTree *tree)
{
	static const FieldName names[] = {FIELD("schema"), FIELD("payload")};
	const CdcField *found[2];

	if (tree->nmembers != 2)
		return false;
	find_fields(tree->members, 2, names, 2, NULL, found);
	return found[0] != NULL && found[1] != NULL &&
		(found[0]->token.type == CDC_TOKEN_OBJECT || found[0]->token.type == CDC_TOKEN_NULL);
}

/* The payload takes the place of the object that holds it and its schema */
static void
unwrap_schema(const char *text, Payload *payload)
{
	CdcJsonTree whole = payload->tree;
	int			p = whole.members[0].name[0] == 'p' ? 0 : 1;
	CdcToken	body = whole.members[p].token;
	CdcToken	schema = whole.members[1 - p].token;

	if (body.type == CDC_TOKEN_STRING)
	{
		body.text--;
		body.len += 2;
	}
	if (schema.type == CDC_TOKEN_OBJECT && p == 1)
		payload->schema = cdc_decode_schema_add(text, body.text - text, &schema,
												&payload->schema_kept);
	else if (schema.type == CDC_TOKEN_OBJECT)
		payload->schema = cdc_decode_schema_add(NULL, 0, &schema, &payload->schema_kept);
	cdc_decode_tree(body.text, body.len, payload->what, &payload->tree);
	cdc_decode_tree_free(&whole);
}

/* Find the payload and its schema; the payload's tree is to be freed */
static void
open_payload(const CdcMessage *message, const char *text, int len, Payload *payload)
{
	int			begin = 0;
	uint32		hint;
	const CdcSchema *schema;

	check_text(text, len, payload->what);
	hint = hash_bytes((const unsigned char *) message->topic, strlen(message->topic));
	schema = cdc_decode_schema_find(text, len, text == message->key ? hint : ~hint, &begin);
	pg_verify_mbstr(PG_UTF8, text + begin, len - begin, false);
	if (schema != NULL && open_known(schema, text + begin, len - begin, payload))
		return;
	cdc_decode_tree(text, len, payload->what, &payload->tree);
	if (is_converter_envelope(&payload->tree))
		unwrap_schema(text, payload);
}

/* JsonConverter writes all fields in the order of the schema */
static bool
is_in_order(const CdcSchema *schema, const CdcField *fields, int nfields)
{
	if (schema->type != CDC_SCHEMA_STRUCT || schema->nfields != nfields)
		return false;
	for (int i = 0; i < nfields; i++)
	{
		if (strncmp(schema->field_names[i], fields[i].name, fields[i].namelen) != 0 ||
			schema->field_names[i][fields[i].namelen] != '\0')
			return false;
	}
	return true;
}

static void
make_image(const Payload *payload, const CdcSchema *schema, const CdcField *fields,
		   int nfields, CdcImage *image)
{
	/* what is looked for among the fields is looked for by each of them */
	if (nfields > MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has a row of %d fields", payload->what, nfields),
				 errdetail("A table has at most %d columns.", MaxHeapAttributeNumber)));
	image->present = true;
	image->nfields = nfields;
	if (nfields > 0)
	{
		image->fields = palloc(nfields * sizeof(CdcField));
		memcpy(image->fields, fields, nfields * sizeof(CdcField));
	}
	if (schema == NULL)
		return;

	/* the address of a schema that may be freed is no identity */
	if (is_in_order(schema, fields, nfields))
		image->schema = payload->schema_kept ? schema : NULL;
	for (int i = 0; i < nfields; i++)
	{
		CdcField   *field = &image->fields[i];

		field->schema = image->schema != NULL ? schema->field_schemas[i] :
			cdc_decode_schema_field(schema, field->name, field->namelen);
		if (field->schema == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("field \"%.*s\" of the %s is not in its schema",
							field->namelen, field->name, payload->what)));
	}
}

static void
decode_key(CdcEvent *event)
{
	const CdcMessage *message = event->message;
	Payload		payload = {.what = "message key"};

	open_payload(message, message->key, message->key_len, &payload);
	if (payload.tree.root == CDC_TOKEN_OBJECT)
		make_image(&payload, payload.schema, payload.tree.members, payload.tree.nmembers,
				   &event->key);
	else if (payload.tree.root != CDC_TOKEN_NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("message key is not an object of key columns"),
				 errdetail_internal("It is: %s",
									cdc_decode_excerpt(message->key, message->key_len)),
				 errhint("Remove the transformation that changes the key (such as "
						 "ExtractField$Key) from the connector.")));
	cdc_decode_tree_free(&payload.tree);
}

static CdcOp
decode_op(const CdcToken *token)
{
	if (token->type == CDC_TOKEN_STRING && token->len == 1)
	{
		for (int i = 0; i < lengthof(operations); i++)
		{
			if (operations[i].letter == pg_ascii_tolower(token->text[0]))
				return operations[i].op;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("change event has an unknown operation: %s",
					cdc_decode_excerpt(token->text, token->len)),
			 errdetail("Known are c, u, d, r, t and m.")));
}

static const CdcField *
children(const Payload *payload, const CdcField *member, int *n)
{
	const CdcJsonTree *tree = &payload->tree;
	int			i = member - tree->members;

	*n = tree->first_child[i + 1] - tree->first_child[i];
	return tree->children + tree->first_child[i];
}

/* Others write other encodings under the same names */
static void
check_connector(const CdcToken *token)
{
	if (!cdc_decode_is(token->text, token->len, "postgresql"))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("change event is of another connector: %s",
						cdc_decode_excerpt(token->text, token->len)),
				 errdetail("Only events of Debezium's PostgreSQL connector can be applied.")));
}

/* name: of a field that must be there; NULL if it need not */
static char *
source_string(const CdcField *field, const char *name)
{
	if (field != NULL && field->token.type == CDC_TOKEN_STRING &&
		(field->token.len > 0 || name == NULL))
		return cdc_decode_string(&field->token);
	if (name == NULL && (field == NULL || field->token.type == CDC_TOKEN_NULL))
		return NULL;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("change event has no \"source.%s\"",
					name != NULL ? name : pnstrdup(field->name, field->namelen))));
}

/* Microseconds came with Debezium 2.6 */
static int64
source_time(const CdcField *ts_us, const CdcField *ts_ms)
{
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	const CdcField *field = ts_us;
	int64		unit = 1;
	int64		time;

	if (ts_us == NULL || ts_us->token.type == CDC_TOKEN_NULL)
	{
		field = ts_ms;
		unit = 1000;
	}
	if (field == NULL || field->token.type != CDC_TOKEN_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("change event has no \"source.ts_us\" or \"source.ts_ms\"")));
	if (!cdc_decode_integer(&field->token, &time) ||
		pg_mul_s64_overflow(time, unit, &time) ||
		time < MIN_TIMESTAMP + epoch || time - epoch >= END_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("source time of the change event is out of range: %s",
						cdc_decode_excerpt(field->token.text, field->token.len))));
	return time;
}

static CdcToken
source_token(const CdcField *field)
{
	return field ? field->token : (CdcToken){CDC_TOKEN_NULL};
}

static void
decode_source(CdcEvent *event, const Payload *payload, const CdcField *source)
{
	static int	order[MAX_ORDERED];
	const CdcField *found[NSOURCE_FIELDS];
	int			nfields;
	const CdcField *fields = children(payload, source, &nfields);

	find_fields(fields, nfields, source_names, NSOURCE_FIELDS, order, found);
	if (found[SOURCE_CONNECTOR] != NULL)
		check_connector(&found[SOURCE_CONNECTOR]->token);
	event->peer = source_string(found[SOURCE_NAME], "name");
	event->schema = source_string(found[SOURCE_SCHEMA], "schema");
	event->table = source_string(found[SOURCE_TABLE], "table");
	event->origin = source_string(found[SOURCE_ORIGIN], NULL);
	event->time = source_time(found[SOURCE_TS_US], found[SOURCE_TS_MS]);
	event->source.version = source_token(found[SOURCE_VERSION]);
	event->source.db = source_token(found[SOURCE_DB]);
	event->source.snapshot = source_token(found[SOURCE_SNAPSHOT]);
	event->source.sequence = source_token(found[SOURCE_SEQUENCE]);
	event->source.lsn = source_token(found[SOURCE_LSN]);
}

/* before or after */
static void
decode_image(const Payload *payload, const CdcField *member, CdcImage *image)
{
	const CdcField *fields;
	const CdcSchema *schema = NULL;
	int			nfields;

	if (member == NULL || member->token.type == CDC_TOKEN_NULL)
		return;
	if (member->token.type != CDC_TOKEN_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("\"%.*s\" of the change event is not an object",
						member->namelen, member->name)));
	fields = children(payload, member, &nfields);
	if (payload->schema != NULL)
		schema = cdc_decode_schema_field(payload->schema, member->name, member->namelen);
	if (payload->schema != NULL && schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("\"%.*s\" of the change event is not in its schema",
						member->namelen, member->name)));
	make_image(payload, schema, fields, nfields, image);
}

static void
decode_change(CdcEvent *event, const Payload *payload, const CdcField *const *envelope)
{
	event->op = decode_op(&envelope[ENVELOPE_OP]->token);
	if (event->op == CDC_OP_IGNORED)
		return;
	decode_source(event, payload, envelope[ENVELOPE_SOURCE]);
	decode_image(payload, envelope[ENVELOPE_BEFORE], &event->before);
	decode_image(payload, envelope[ENVELOPE_AFTER], &event->after);

	if (!event->after.present &&
		event->op != CDC_OP_DELETE && event->op != CDC_OP_TRUNCATE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("change event has no \"after\""),
				 errdetail("Its operation is \"%s\".",
						   cdc_decode_string(&envelope[ENVELOPE_OP]->token))));
}

/* Exactly these */
static bool
has_all_fields(const CdcField *fields, int nfields, const FieldName *names, int nnames)
{
	const CdcField *found[MAX_NAMES];

	if (nfields != nnames)
		return false;
	find_fields(fields, nfields, names, nnames, NULL, found);
	for (int i = 0; i < nnames; i++)
	{
		if (found[i] == NULL)
			return false;
	}
	return true;
}

static bool
is_ignored(const CdcJsonTree *tree, const CdcImage *key)
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
list_fields(const CdcJsonTree *tree)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < tree->nmembers; i++)
		appendStringInfo(&buf, "%s%.*s", i > 0 ? ", " : "",
						 tree->members[i].namelen, tree->members[i].name);
	return cdc_decode_excerpt(buf.data, buf.len);
}

pg_noreturn static void
not_a_change(const CdcJsonTree *tree)
{
	const CdcField *found;

	for (int i = 0; i < lengthof(foreign_forms); i++)
	{
		find_fields(tree->members, tree->nmembers, &foreign_forms[i].field, 1, NULL, &found);
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

static void
decode_value(CdcEvent *event)
{
	const CdcMessage *message = event->message;
	static int	order[MAX_ORDERED];
	const CdcField *envelope[NENVELOPE_FIELDS];
	Payload		payload = {.what = "message value"};

	open_payload(message, message->value, message->value_len, &payload);
	find_fields(payload.tree.members, payload.tree.nmembers,
				envelope_names, NENVELOPE_FIELDS, order, envelope);

	if (payload.tree.root == CDC_TOKEN_NULL)
		event->op = CDC_OP_NULL_VALUE;
	else if (envelope[ENVELOPE_OP] != NULL && envelope[ENVELOPE_SOURCE] != NULL &&
			 envelope[ENVELOPE_SOURCE]->token.type == CDC_TOKEN_OBJECT)
		decode_change(event, &payload, envelope);
	else if (is_ignored(&payload.tree, &event->key))
		event->op = CDC_OP_IGNORED;
	else
		not_a_change(&payload.tree);
	cdc_decode_tree_free(&payload.tree);
}

/*
 * Decode a message.  The event and what it points to are allocated in
 * CurrentMemoryContext or point into the message's bytes; schemas are cached for
 * the life of the process.  Raises a data error (class 22) for what cannot be
 * decoded.
 */
CdcEvent *
cdc_decode_message(const CdcMessage *message)
{
	CdcEvent   *event = palloc0(sizeof(CdcEvent));

	event->message = message;
	if (message->key != NULL)
		decode_key(event);
	if (message->value != NULL)
		decode_value(event);
	else
		event->op = CDC_OP_NULL_VALUE;
	return event;
}
