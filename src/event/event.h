/*
 * event.h
 *		The vocabulary of the pipeline: message, token, schema, change event.
 *
 * A message is a Kafka record as it was read; a change event is what it
 * decodes to, whatever the format on the wire.  An event owns nothing: its tokens point into the bytes of its
 * message, its schemas into the decoder's schema cache.  Both the message and
 * the event live in the batch's memory context.
 */
#ifndef CDC_EVENT_H
#define CDC_EVENT_H

/* Connect's schema types (the "type" of a JsonConverter schema) */
typedef enum CdcSchemaType
{
	CDC_SCHEMA_BOOLEAN,
	CDC_SCHEMA_INT8,
	CDC_SCHEMA_INT16,
	CDC_SCHEMA_INT32,
	CDC_SCHEMA_INT64,
	CDC_SCHEMA_FLOAT,
	CDC_SCHEMA_DOUBLE,
	CDC_SCHEMA_BYTES,
	CDC_SCHEMA_STRING,
	CDC_SCHEMA_ARRAY,
	CDC_SCHEMA_MAP,
	CDC_SCHEMA_STRUCT
} CdcSchemaType;

/* The semantic names that say how a value is encoded */
typedef enum CdcSemantic
{
	CDC_SEMANTIC_NONE,			/* no name: the type says it all */
	CDC_SEMANTIC_OTHER,			/* a name not listed here, such as a struct's */
	CDC_SEMANTIC_DECIMAL,
	CDC_SEMANTIC_VARIABLE_DECIMAL,
	CDC_SEMANTIC_DATE,
	CDC_SEMANTIC_CONNECT_DATE,
	CDC_SEMANTIC_ISO_DATE,
	CDC_SEMANTIC_TIME,
	CDC_SEMANTIC_CONNECT_TIME,
	CDC_SEMANTIC_MICRO_TIME,
	CDC_SEMANTIC_NANO_TIME,
	CDC_SEMANTIC_ISO_TIME,
	CDC_SEMANTIC_TIMESTAMP,
	CDC_SEMANTIC_CONNECT_TIMESTAMP,
	CDC_SEMANTIC_MICRO_TIMESTAMP,
	CDC_SEMANTIC_NANO_TIMESTAMP,
	CDC_SEMANTIC_ISO_TIMESTAMP,
	CDC_SEMANTIC_ZONED_TIMESTAMP,
	CDC_SEMANTIC_ZONED_TIME,
	CDC_SEMANTIC_STRUCTURED_DATE,
	CDC_SEMANTIC_STRUCTURED_TIME,
	CDC_SEMANTIC_STRUCTURED_TIMESTAMP,
	CDC_SEMANTIC_STRUCTURED_ZONED_TIME,
	CDC_SEMANTIC_STRUCTURED_ZONED_TIMESTAMP,
	CDC_SEMANTIC_STRUCTURED_DURATION,
	CDC_SEMANTIC_INTERVAL,
	CDC_SEMANTIC_MICRO_DURATION,
	CDC_SEMANTIC_UUID,
	CDC_SEMANTIC_JSON,
	CDC_SEMANTIC_XML,
	CDC_SEMANTIC_ENUM,
	CDC_SEMANTIC_BITS,
	CDC_SEMANTIC_TSVECTOR,
	CDC_SEMANTIC_LTREE,
	CDC_SEMANTIC_POINT,
	CDC_SEMANTIC_LINE,
	CDC_SEMANTIC_CIRCLE,
	CDC_SEMANTIC_GEOMETRY,
	CDC_SEMANTIC_GEOGRAPHY,
	CDC_SEMANTIC_DOUBLE_VECTOR,
	CDC_SEMANTIC_FLOAT_VECTOR,
	CDC_SEMANTIC_SPARSE_VECTOR
} CdcSemantic;

/* One Connect schema; name is the semantic type, such as io.debezium.time.Date */
typedef struct CdcSchema
{
	CdcSchemaType type;
	CdcSemantic semantic;		/* what name stands for */
	const char *name;			/* semantic name, or NULL */
	int			scale;			/* parameter "scale" of Decimal; -1 if absent */
	int			length;			/* parameter "length" of Bits; -1 if absent */
	struct CdcSchema *items;	/* element schema of an array, or NULL */
	int			nfields;		/* of a struct */
	const char **field_names;
	struct CdcSchema **field_schemas;
} CdcSchema;

typedef enum CdcTokenType
{
	CDC_TOKEN_NULL,
	CDC_TOKEN_TRUE,
	CDC_TOKEN_FALSE,
	CDC_TOKEN_NUMBER,
	CDC_TOKEN_STRING,
	CDC_TOKEN_OBJECT,
	CDC_TOKEN_ARRAY
} CdcTokenType;

/*
 * A value as it stands in the message: a view of its bytes, which the message owns.  What
 * the bytes mean is the business of the wire format's decoder; all others ask token.h.
 *
 * In every format the bytes of a string are its characters in UTF-8, without quotes or a
 * length; escaped says that some are escapes of the format's (in JSON, after a backslash).
 */
typedef struct CdcToken
{
	CdcTokenType type;
	bool		escaped;
	int			rawlen;
	const char *raw;			/* not NUL-terminated */
	const struct CdcTokenOps *ops;	/* of its format; NULL only where type is null */
} CdcToken;

/* A field of a row image: the remote column's name, its value, its schema */
typedef struct CdcField
{
	const char *name;			/* not NUL-terminated */
	int			namelen;
	CdcToken	token;
	const CdcSchema *schema;	/* NULL in JSON without schemas */
} CdcField;

/*
 * A row as an event shows it (key, before or after).  present is false where
 * the event has null or nothing.  schema is the struct's schema, or NULL (JSON
 * without schemas, or a schema that is not kept for the life of the process): two
 * images with the same non-NULL schema have the same fields in the same order.
 */
typedef struct CdcImage
{
	bool		present;
	int			nfields;
	CdcField   *fields;
	const CdcSchema *schema;
	struct CdcShape *shape;		/* relation.c's memory of it; NULL: not looked for yet */
} CdcImage;

/* A Kafka record; key and value are NULL where the record has none */
typedef struct CdcMessage
{
	const char *topic;			/* NUL-terminated */
	int32		partition;
	int64		offset;
	int64		end;			/* of the partition, as last heard of; -1 if unknown */
	int64		timestamp;		/* record time, ms since 1970; -1 if unknown */
	const char *key;
	int			key_len;
	const char *value;
	int			value_len;
	const char *headers;		/* as they came, see headers.h; NULL: none */
	int			headers_len;
	struct CdcPartition *owner; /* the worker's partition, NULL at the doors */
	bool		marker;			/* no record: only says that the log goes on after offset */
	bool		applied;		/* applied before; read again for what comes after it */
	bool		tail_known;		/* after_delete is set, when the message is first seen */
	bool		after_delete;	/* the record before it is the delete of its key */
	bool		log_table_known;	/* log_table is set, likewise */
	const char *log_table;		/* that the log's events are of up to it, see log_tail.h */
	int64		dead_letter;	/* number of the dead letter that it is, or 0 */
} CdcMessage;

/* Places in a log that are no number of it, as librdkafka has them */
#define CDC_OFFSET_BEGINNING	(-2)
#define CDC_OFFSET_END			(-1)

typedef enum CdcOp
{
	CDC_OP_CREATE,				/* c */
	CDC_OP_UPDATE,				/* u */
	CDC_OP_DELETE,				/* d */
	CDC_OP_READ,				/* r, a snapshot row */
	CDC_OP_TRUNCATE,			/* t */
	CDC_OP_NULL_VALUE,			/* record without a value (Kafka's tombstone) */
	CDC_OP_IGNORED				/* heartbeat, transaction marker, logical message */
} CdcOp;

/* What else the source says, for peer.c; of type null what it does not say */
typedef struct CdcSource
{
	CdcToken	version;		/* of Debezium */
	CdcToken	db;
	CdcToken	snapshot;
	CdcToken	sequence;
	CdcToken	lsn;
} CdcSource;

/* What a message decodes to */
typedef struct CdcEvent
{
	const CdcMessage *message;
	CdcOp		op;
	const char *peer;			/* source.name; NULL for null values and ignored */
	const char *schema;			/* source.schema; NULL likewise */
	const char *table;			/* source.table; NULL likewise */
	const char *origin;			/* source.origin, or NULL */
	int64		time;			/* source.ts_us, µs since 1970 (ts_ms * 1000 before
								 * Debezium 2.6); 0 for null values */
	CdcSource	source;
	bool		table_by_name;	/* of a null value: the topic's name alone tells the table */
	CdcImage	key;
	CdcImage	before;
	CdcImage	after;
} CdcEvent;

#endif							/* CDC_EVENT_H */
