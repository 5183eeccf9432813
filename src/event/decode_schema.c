/*
 * decode_schema.c
 *		Connect schemas of JSON messages, and the cache of schema prefixes.
 *
 * JsonConverter repeats the schema in every message, five times as long as the
 * change itself.  Messages of one table agree in all bytes up to the payload, so that
 * prefix is remembered with its parsed schema, and a message that begins with the same
 * bytes is not parsed but compared.  A prefix ends in the colon before the payload: as
 * JSON is read from left to right, equal prefixes leave the parser in the same state.
 *
 * Relation maps use the address of a schema as the identity of an image's shape.  So a
 * kept schema is never freed or moved, and when the cache is full no more are kept.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "event/decode_schema.h"
#include "event/token.h"

#define MAX_PREFIXES	2048
#define MAX_MEMORY		(32 * 1024 * 1024)
#define MAX_DEPTH		32		/* Debezium's own schemas have five levels */
#define NHINTS			1024

#define PREFIX_BEGIN	"{\"schema\":"

/* Enough of a prefix's end to tell tables apart: it holds the schema's name */
#define TAIL_LENGTH		64

typedef struct SchemaPrefix
{
	dlist_node	node;
	const CdcSchema *schema;
	int			len;
	const char *text;
} SchemaPrefix;

/* The members of a schema that matter */
typedef enum SchemaMember
{
	MEMBER_TYPE,
	MEMBER_NAME,
	MEMBER_PARAMETERS,
	MEMBER_FIELDS,
	MEMBER_FIELD,
	MEMBER_ITEMS,
	NMEMBERS
} SchemaMember;

static const char *const member_names[] = {
	[MEMBER_TYPE] = "type",
	[MEMBER_NAME] = "name",
	[MEMBER_PARAMETERS] = "parameters",
	[MEMBER_FIELDS] = "fields",
	[MEMBER_FIELD] = "field",
	[MEMBER_ITEMS] = "items",
};

static const char *const type_names[] = {
	[CDC_SCHEMA_BOOLEAN] = "boolean",
	[CDC_SCHEMA_INT8] = "int8",
	[CDC_SCHEMA_INT16] = "int16",
	[CDC_SCHEMA_INT32] = "int32",
	[CDC_SCHEMA_INT64] = "int64",
	[CDC_SCHEMA_FLOAT] = "float",
	[CDC_SCHEMA_DOUBLE] = "double",
	[CDC_SCHEMA_BYTES] = "bytes",
	[CDC_SCHEMA_STRING] = "string",
	[CDC_SCHEMA_ARRAY] = "array",
	[CDC_SCHEMA_MAP] = "map",
	[CDC_SCHEMA_STRUCT] = "struct",
};

static const char *const semantic_names[] = {
	[CDC_SEMANTIC_NONE] = "",
	[CDC_SEMANTIC_OTHER] = "",
	[CDC_SEMANTIC_DECIMAL] = "org.apache.kafka.connect.data.Decimal",
	[CDC_SEMANTIC_VARIABLE_DECIMAL] = "io.debezium.data.VariableScaleDecimal",
	[CDC_SEMANTIC_DATE] = "io.debezium.time.Date",
	[CDC_SEMANTIC_CONNECT_DATE] = "org.apache.kafka.connect.data.Date",
	[CDC_SEMANTIC_ISO_DATE] = "io.debezium.time.IsoDate",
	[CDC_SEMANTIC_TIME] = "io.debezium.time.Time",
	[CDC_SEMANTIC_CONNECT_TIME] = "org.apache.kafka.connect.data.Time",
	[CDC_SEMANTIC_MICRO_TIME] = "io.debezium.time.MicroTime",
	[CDC_SEMANTIC_NANO_TIME] = "io.debezium.time.NanoTime",
	[CDC_SEMANTIC_ISO_TIME] = "io.debezium.time.IsoTime",
	[CDC_SEMANTIC_TIMESTAMP] = "io.debezium.time.Timestamp",
	[CDC_SEMANTIC_CONNECT_TIMESTAMP] = "org.apache.kafka.connect.data.Timestamp",
	[CDC_SEMANTIC_MICRO_TIMESTAMP] = "io.debezium.time.MicroTimestamp",
	[CDC_SEMANTIC_NANO_TIMESTAMP] = "io.debezium.time.NanoTimestamp",
	[CDC_SEMANTIC_ISO_TIMESTAMP] = "io.debezium.time.IsoTimestamp",
	[CDC_SEMANTIC_ZONED_TIMESTAMP] = "io.debezium.time.ZonedTimestamp",
	[CDC_SEMANTIC_ZONED_TIME] = "io.debezium.time.ZonedTime",
	[CDC_SEMANTIC_STRUCTURED_DATE] = "io.debezium.time.StructuredDate",
	[CDC_SEMANTIC_STRUCTURED_TIME] = "io.debezium.time.StructuredTime",
	[CDC_SEMANTIC_STRUCTURED_TIMESTAMP] = "io.debezium.time.StructuredTimestamp",
	[CDC_SEMANTIC_STRUCTURED_ZONED_TIME] = "io.debezium.time.StructuredZonedTime",
	[CDC_SEMANTIC_STRUCTURED_ZONED_TIMESTAMP] = "io.debezium.time.StructuredZonedTimestamp",
	[CDC_SEMANTIC_STRUCTURED_DURATION] = "io.debezium.time.StructuredDuration",
	[CDC_SEMANTIC_INTERVAL] = "io.debezium.time.Interval",
	[CDC_SEMANTIC_MICRO_DURATION] = "io.debezium.time.MicroDuration",
	[CDC_SEMANTIC_UUID] = "io.debezium.data.Uuid",
	[CDC_SEMANTIC_JSON] = "io.debezium.data.Json",
	[CDC_SEMANTIC_XML] = "io.debezium.data.Xml",
	[CDC_SEMANTIC_ENUM] = "io.debezium.data.Enum",
	[CDC_SEMANTIC_BITS] = "io.debezium.data.Bits",
	[CDC_SEMANTIC_TSVECTOR] = "io.debezium.data.Tsvector",
	[CDC_SEMANTIC_LTREE] = "io.debezium.data.Ltree",
	[CDC_SEMANTIC_POINT] = "io.debezium.data.geometry.Point",
	[CDC_SEMANTIC_LINE] = "io.debezium.data.geometry.Line",
	[CDC_SEMANTIC_CIRCLE] = "io.debezium.data.geometry.Circle",
	[CDC_SEMANTIC_GEOMETRY] = "io.debezium.data.geometry.Geometry",
	[CDC_SEMANTIC_GEOGRAPHY] = "io.debezium.data.geometry.Geography",
	[CDC_SEMANTIC_DOUBLE_VECTOR] = "io.debezium.data.DoubleVector",
	[CDC_SEMANTIC_FLOAT_VECTOR] = "io.debezium.data.FloatVector",
	[CDC_SEMANTIC_SPARSE_VECTOR] = "io.debezium.data.SparseDoubleVector",
};

static MemoryContext prefix_context = NULL;
static dlist_head prefixes = DLIST_STATIC_INIT(prefixes);	/* last used first */
static int	nprefixes = 0;
static SchemaPrefix *hinted_prefixes[NHINTS];

static CdcSchema *parse_schema(const CdcToken *token, MemoryContext context, int depth,
							   const char **field_name);

/*
 * The end is compared first: schemas of one connector begin alike, and differ where they
 * have the table's name.
 */
static bool
prefix_matches(const SchemaPrefix *prefix, const char *text, int len)
{
	int			head = prefix->len - TAIL_LENGTH;

	return len > prefix->len && head > 0 &&
		memcmp(text + head, prefix->text + head, TAIL_LENGTH) == 0 &&
		memcmp(text, prefix->text, head) == 0;
}

/*
 * Where the hint was wrong: a topic of several tables, or two topics of one hint.  Those of
 * one batch are found at the beginning.
 */
static SchemaPrefix *
search_prefixes(const char *text, int len)
{
	dlist_iter	iter;

	dlist_foreach(iter, &prefixes)
	{
		SchemaPrefix *prefix = dlist_container(SchemaPrefix, node, iter.cur);

		if (prefix_matches(prefix, text, len))
		{
			dlist_move_head(&prefixes, &prefix->node);
			return prefix;
		}
	}
	return NULL;
}

/*
 * If a message begins with a known prefix ({"schema":…,"payload":), the prefix's
 * schema; *prefix_len is where the payload begins.  Else NULL.  hint: messages with
 * the same one mostly have the same prefix.
 */
const CdcSchema *
cdc_decode_schema_find(const char *text, int len, uint32 hint, int *prefix_len)
{
	SchemaPrefix **hinted = &hinted_prefixes[hint % NHINTS];

	if (len < (int) sizeof(PREFIX_BEGIN) ||
		memcmp(text, PREFIX_BEGIN, sizeof(PREFIX_BEGIN) - 1) != 0)
		return NULL;
	if (*hinted == NULL || !prefix_matches(*hinted, text, len))
	{
		SchemaPrefix *found = search_prefixes(text, len);

		if (found == NULL)
			return NULL;
		*hinted = found;
	}
	*prefix_len = (*hinted)->len;
	return (*hinted)->schema;
}

pg_noreturn static void
schema_error(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("message has an invalid schema"),
			 errdetail_internal("Its schema is not one of Kafka Connect's JsonConverter: %s.",
								what)));
}

/* Members that are missing become null tokens */
static void
find_members(const CdcToken *token, CdcToken *found)
{
	CdcField   *members;
	int			nmembers;

	if (token->type != CDC_TOKEN_OBJECT)
		schema_error("a schema is not an object");
	memset(found, 0, NMEMBERS * sizeof(CdcToken));
	members = cdc_token_members(token, &nmembers);
	for (int i = 0; i < nmembers; i++)
	{
		for (int m = 0; m < NMEMBERS; m++)
		{
			if (members[i].namelen == strlen(member_names[m]) &&
				memcmp(members[i].name, member_names[m], members[i].namelen) == 0)
				found[m] = members[i].token;
		}
	}
}

static CdcSchemaType
schema_type(const CdcToken *token)
{
	if (token->type == CDC_TOKEN_NULL)
		schema_error("a schema has no \"type\"");
	for (int i = 0; i < lengthof(type_names); i++)
	{
		if (token->rawlen == strlen(type_names[i]) &&
			memcmp(token->raw, type_names[i], token->rawlen) == 0)
			return i;
	}
	schema_error("a \"type\" is none of Connect's");
}

/* Copied to where the schema is kept; NULL if it is not there */
static const char *
string_member(const CdcToken *token, SchemaMember member, MemoryContext context)
{
	if (token->type == CDC_TOKEN_NULL)
		return NULL;
	if (token->type != CDC_TOKEN_STRING)
		schema_error(psprintf("a \"%s\" is not a string", member_names[member]));
	return MemoryContextStrdup(context, cdc_token_string(token));
}

/*
 * A name that is not in the list is no error: most structs have one of their own, and some
 * names say nothing of the encoding.  A type's rules then take it or refuse it.
 */
static CdcSemantic
schema_semantic(const char *name)
{
	if (name == NULL)
		return CDC_SEMANTIC_NONE;
	for (int i = CDC_SEMANTIC_OTHER + 1; i < lengthof(semantic_names); i++)
	{
		if (strcmp(name, semantic_names[i]) == 0)
			return i;
	}
	return CDC_SEMANTIC_OTHER;
}

/* -1 if it is none: whoever needs the parameter says so */
static int
parameter_integer(const CdcToken *token)
{
	int64		n;

	return cdc_token_integer(token, &n) && n >= 0 && n <= PG_INT32_MAX ? (int) n : -1;
}

/* Connect writes all parameters as strings */
static void
parse_parameters(CdcSchema *schema, const CdcToken *token)
{
	CdcField   *members;
	int			nmembers;

	schema->scale = schema->length = -1;
	if (token->type != CDC_TOKEN_OBJECT)
		return;
	members = cdc_token_members(token, &nmembers);
	for (int i = 0; i < nmembers; i++)
	{
		if (cdc_field_is(&members[i], "scale"))
			schema->scale = parameter_integer(&members[i].token);
		else if (cdc_field_is(&members[i], "length"))
			schema->length = parameter_integer(&members[i].token);
	}
}

static void
parse_fields(CdcSchema *schema, const CdcToken *token, MemoryContext context, int depth)
{
	CdcToken   *fields;
	int			n;

	if (token->type != CDC_TOKEN_ARRAY)
		schema_error("a struct has no array of \"fields\"");
	fields = cdc_token_elements(token, &n);
	schema->nfields = n;
	schema->field_names = MemoryContextAlloc(context, n * sizeof(char *));
	schema->field_schemas = MemoryContextAlloc(context, n * sizeof(CdcSchema *));
	for (int i = 0; i < n; i++)
		schema->field_schemas[i] = parse_schema(&fields[i], context, depth,
												&schema->field_names[i]);
}

/* field_name takes the name that a struct gives to this field; NULL for others */
static CdcSchema *
parse_schema(const CdcToken *token, MemoryContext context, int depth, const char **field_name)
{
	CdcSchema  *schema = MemoryContextAllocZero(context, sizeof(CdcSchema));
	CdcToken	members[NMEMBERS];

	if (depth > MAX_DEPTH)
		schema_error("it is nested too deeply");
	find_members(token, members);

	schema->type = schema_type(&members[MEMBER_TYPE]);
	schema->name = string_member(&members[MEMBER_NAME], MEMBER_NAME, context);
	schema->semantic = schema_semantic(schema->name);
	parse_parameters(schema, &members[MEMBER_PARAMETERS]);
	if (schema->type == CDC_SCHEMA_STRUCT)
		parse_fields(schema, &members[MEMBER_FIELDS], context, depth + 1);
	if (schema->type == CDC_SCHEMA_ARRAY)
		schema->items = parse_schema(&members[MEMBER_ITEMS], context, depth + 1, NULL);
	if (field_name != NULL)
	{
		*field_name = string_member(&members[MEMBER_FIELD], MEMBER_FIELD, context);
		if (*field_name == NULL)
			schema_error("a field has no name");
	}
	return schema;
}

/*
 * The schema and its prefix are in one context, which is the caller's up to here: it
 * becomes the cache's only once nothing can fail any more.
 */
static void
keep_prefix(const char *text, int len, const CdcSchema *schema, MemoryContext context)
{
	SchemaPrefix *prefix = MemoryContextAlloc(context, sizeof(SchemaPrefix));
	char	   *copy = MemoryContextAlloc(context, len);

	memcpy(copy, text, len);
	prefix->text = copy;
	prefix->len = len;
	prefix->schema = schema;
	MemoryContextSetParent(context, prefix_context);
	dlist_push_head(&prefixes, &prefix->node);
	nprefixes++;
}

/*
 * Parse a schema, and keep it under the prefix for the life of the process if the
 * cache has room: *kept says so.  Else it is in CurrentMemoryContext.
 */
const CdcSchema *
cdc_decode_schema_add(const char *prefix, int prefix_len, const CdcToken *schema, bool *kept)
{
	MemoryContext context;
	CdcSchema  *parsed;

	if (prefix_context == NULL)
		prefix_context = AllocSetContextCreate(TopMemoryContext, "cdcsync schemas",
											   ALLOCSET_DEFAULT_SIZES);

	*kept = nprefixes < MAX_PREFIXES && prefix_len > TAIL_LENGTH &&
		MemoryContextMemAllocated(prefix_context, true) + prefix_len < MAX_MEMORY;
	if (!*kept)
		return parse_schema(schema, CurrentMemoryContext, 0, NULL);

	/* on error it goes with the caller's context */
	context = AllocSetContextCreate(CurrentMemoryContext, "cdcsync schema",
									ALLOCSET_SMALL_SIZES);
	parsed = parse_schema(schema, context, 0, NULL);
	keep_prefix(prefix, prefix_len, parsed, context);
	return parsed;
}

/* The schema of a struct's field, or NULL if it has none of that name */
const CdcSchema *
cdc_decode_schema_field(const CdcSchema *schema, const char *name, int namelen)
{
	if (schema != NULL && schema->type == CDC_SCHEMA_STRUCT)
	{
		for (int i = 0; i < schema->nfields; i++)
		{
			if (strncmp(schema->field_names[i], name, namelen) == 0 &&
				schema->field_names[i][namelen] == '\0')
				return schema->field_schemas[i];
		}
	}
	return NULL;
}

/* For errors: the semantic name, else Connect's name of the type */
const char *
cdc_decode_schema_name(const CdcSchema *schema)
{
	return schema->name != NULL ? schema->name : type_names[schema->type];
}
