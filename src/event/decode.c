/*
 * decode.c
 *		Message bytes -> change event.
 *
 * The wire formats differ in how bytes become fields; what the fields of a change are is
 * the same in all, and stands here.  Debezium's envelope has {before, after, source, op}
 * (and times and a transaction's number, which nobody needs); its source says who wrote the
 * change, when, and in which table.  The key has the columns of the table's primary key, or
 * of the replica identity's index.
 *
 * A deletion is followed by a record with the same key and no value, for Kafka's compaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/printable.h"
#include "base/unixtime.h"
#include "event/decode.h"
#include "event/decode_schema.h"
#include "event/field_name.h"
#include "event/format.h"
#include "event/json_format.h"
#include "event/other_record.h"
#include "event/token.h"

/* Room for the headers of what is made of a value */
#define MAX_LENGTH ((int) (MaxAllocSize - 1024))

typedef enum EnvelopeField
{
	ENVELOPE_OP,
	ENVELOPE_SOURCE,
	ENVELOPE_BEFORE,
	ENVELOPE_AFTER,
	NENVELOPE_FIELDS
} EnvelopeField;

static const CdcFieldName envelope_names[] = {
	[ENVELOPE_OP] = CDC_FIELD("op"),
	[ENVELOPE_SOURCE] = CDC_FIELD("source"),
	[ENVELOPE_BEFORE] = CDC_FIELD("before"),
	[ENVELOPE_AFTER] = CDC_FIELD("after"),
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

static const CdcFieldName source_names[] = {
	[SOURCE_CONNECTOR] = CDC_FIELD("connector"),
	[SOURCE_NAME] = CDC_FIELD("name"),
	[SOURCE_SCHEMA] = CDC_FIELD("schema"),
	[SOURCE_TABLE] = CDC_FIELD("table"),
	[SOURCE_ORIGIN] = CDC_FIELD("origin"),
	[SOURCE_TS_US] = CDC_FIELD("ts_us"),
	[SOURCE_TS_MS] = CDC_FIELD("ts_ms"),
	[SOURCE_VERSION] = CDC_FIELD("version"),
	[SOURCE_DB] = CDC_FIELD("db"),
	[SOURCE_SNAPSHOT] = CDC_FIELD("snapshot"),
	[SOURCE_SEQUENCE] = CDC_FIELD("sequence"),
	[SOURCE_LSN] = CDC_FIELD("lsn"),
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

pg_noreturn static void
refuse_converter(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_JSON_TEXT),
			 errmsg("%s is not JSON", what),
			 errdetail_internal("%s", detail),
			 errhint(CDC_HINT_CONVERTER)));
}

/* The frame of a schema registry's converters: a zero, the schema's number, the body */
static bool
is_registry_frame(const char *bytes, int len)
{
	return bytes[0] == '\0';
}

static void
refuse_registry_frame(const CdcMessage *message, const char *bytes, int len, CdcPayload *payload)
{
	refuse_converter(payload->what,
					 "It begins with a zero byte, as Avro does with a schema registry.");
}

static bool
is_java_text(const char *bytes, int len)
{
	return len > 7 && memcmp(bytes, "Struct{", 7) == 0;
}

static void
refuse_java_text(const CdcMessage *message, const char *bytes, int len, CdcPayload *payload)
{
	refuse_converter(payload->what, "It begins with \"Struct{\", as StringConverter writes it.");
}

/*
 * In the order in which they are asked.  JSON is the last, and takes all that is left;
 * those that are only refused get a word on the converter rather than the JSON parser's on
 * a strange byte.
 */
static const CdcFormat registry_frame = {is_registry_frame, refuse_registry_frame};
static const CdcFormat java_text = {is_java_text, refuse_java_text};
static const CdcFormat *const formats[] = {&registry_frame, &java_text, &cdc_json_format};

/* Key and value may have different converters.  The payload's tree is to be freed */
static void
open_payload(const CdcMessage *message, const char *bytes, int len, CdcPayload *payload)
{
	int			i = 0;

	if (len > MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s of %d bytes is too long", payload->what, len)));
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("%s is empty", payload->what)));
	while (i < lengthof(formats) - 1 && !formats[i]->recognises(bytes, len))
		i++;
	formats[i]->open_payload(message, bytes, len, payload);
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

/*
 * A row of these fields.  Their schemas are found by place where the fields come in the
 * order of the schema, as every converter writes them, else by name.  An image keeps its
 * schema in the former case only: for relation.c its address then stands for the fields.
 */
static void
make_image(const CdcPayload *payload, const CdcSchema *schema, const CdcField *fields,
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

/* A null key is as none: Debezium sends it of a table without a primary key */
static void
decode_key(CdcEvent *event)
{
	const CdcMessage *message = event->message;
	CdcPayload	payload = {.what = "message key"};

	open_payload(message, message->key, message->key_len, &payload);
	if (payload.tree.root == CDC_TOKEN_OBJECT)
		make_image(&payload, payload.schema, payload.tree.members, payload.tree.nmembers,
				   &event->key);
	else if (payload.tree.root != CDC_TOKEN_NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("message key is not an object of key columns"),
				 errdetail_internal("It is: %s",
									cdc_excerpt(message->key, message->key_len)),
				 errhint("Remove the transformation that changes the key (such as "
						 "ExtractField$Key) from the connector.")));
	cdc_tree_free(&payload.tree);
}

/*
 * In either case of letters.  A logical message (m) is for those who write it; what a
 * later Debezium adds may be a change, and so is an error.
 */
static CdcOp
decode_op(const CdcToken *token)
{
	int			len = 0;
	const char *chars = token->type == CDC_TOKEN_STRING ? cdc_token_chars(token, &len) : NULL;

	for (int i = 0; i < lengthof(operations) && len == 1; i++)
	{
		if (operations[i].letter == pg_ascii_tolower(chars[0]))
			return operations[i].op;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("change event has an unknown operation: %s",
					cdc_token_excerpt(token)),
			 errdetail("Known are c, u, d, r, t and m.")));
}

/* The fields of a member that is an object */
static const CdcField *
children(const CdcPayload *payload, const CdcField *member, int *n)
{
	const CdcTree *tree = &payload->tree;
	int			i = member - tree->members;

	*n = tree->first_child[i + 1] - tree->first_child[i];
	return tree->children + tree->first_child[i];
}

/* name: of a field that must be there, and not be empty; NULL if it need not */
static char *
source_string(const CdcField *field, const char *name)
{
	if (field != NULL && field->token.type == CDC_TOKEN_STRING &&
		(name == NULL || !cdc_token_is(&field->token, "")))
		return cdc_token_string(&field->token);
	if (name == NULL && (field == NULL || field->token.type == CDC_TOKEN_NULL))
		return NULL;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("change event has no \"source.%s\"",
					name != NULL ? name : pnstrdup(field->name, field->namelen))));
}

/* When the change was committed: in µs since Debezium 2.6, which came with ts_us */
static int64
source_time(const CdcField *ts_us, const CdcField *ts_ms)
{
	bool		has_usecs = ts_us != NULL && ts_us->token.type != CDC_TOKEN_NULL;
	const CdcField *field = has_usecs ? ts_us : ts_ms;
	int64		time;

	if (field == NULL || field->token.type != CDC_TOKEN_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("change event has no \"source.ts_us\" or \"source.ts_ms\"")));
	if (!cdc_token_integer(&field->token, &time) ||
		pg_mul_s64_overflow(time, has_usecs ? 1 : 1000, &time) ||
		time < MIN_TIMESTAMP + CDC_UNIX_EPOCH_USECS ||
		time - CDC_UNIX_EPOCH_USECS >= END_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("source time of the change event is out of range: %s",
						cdc_token_excerpt(&field->token))));
	return time;
}

/* As it stands, for peer.c; of type null if it is not there */
static CdcToken
source_token(const CdcField *field)
{
	return field ? field->token : (CdcToken){CDC_TOKEN_NULL};
}

/* Other connectors than PostgreSQL's write other encodings under the same names of types */
static void
decode_source(CdcEvent *event, const CdcPayload *payload, const CdcField *source)
{
	static int	order[CDC_MAX_ORDERED];
	const CdcField *found[NSOURCE_FIELDS];
	int			nfields;
	const CdcField *fields = children(payload, source, &nfields);

	cdc_field_find(fields, nfields, source_names, NSOURCE_FIELDS, order, found);
	if (found[SOURCE_CONNECTOR] != NULL &&
		!cdc_token_is(&found[SOURCE_CONNECTOR]->token, "postgresql"))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("change event is of another connector: %s",
						cdc_token_excerpt(&found[SOURCE_CONNECTOR]->token)),
				 errdetail("Only events of Debezium's PostgreSQL connector can be applied.")));
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
decode_image(const CdcPayload *payload, const CdcField *member, CdcImage *image)
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

/*
 * before need not be there.  It has all columns only if the table has REPLICA IDENTITY FULL,
 * which the event does not say: else it is made up of the key.
 */
static void
decode_change(CdcEvent *event, const CdcPayload *payload, const CdcField *const *envelope)
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
						   cdc_token_string(&envelope[ENVELOPE_OP]->token))));
}

/* The key is decoded already: Debezium's own records are told by it, too */
static void
decode_value(CdcEvent *event)
{
	const CdcMessage *message = event->message;
	static int	order[CDC_MAX_ORDERED];
	const CdcField *envelope[NENVELOPE_FIELDS];
	CdcPayload	payload = {.what = "message value"};

	open_payload(message, message->value, message->value_len, &payload);
	cdc_field_find(payload.tree.members, payload.tree.nmembers,
				envelope_names, NENVELOPE_FIELDS, order, envelope);

	if (payload.tree.root == CDC_TOKEN_NULL)
		event->op = CDC_OP_NULL_VALUE;
	else if (envelope[ENVELOPE_OP] != NULL && envelope[ENVELOPE_SOURCE] != NULL &&
			 envelope[ENVELOPE_SOURCE]->token.type == CDC_TOKEN_OBJECT)
		decode_change(event, &payload, envelope);
	else if (cdc_other_record_is_known(&payload.tree, &event->key))
		event->op = CDC_OP_IGNORED;
	else
		cdc_other_record_refuse(&payload.tree);
	cdc_tree_free(&payload.tree);
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
