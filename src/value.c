/*
 * value.c
 *		Token + Debezium schema or producer mode + local type -> Datum.
 *
 * Each local type has a table of the Debezium types it takes: those of which it is
 * known what the value means.  Whatever is not in the table is an error and never
 * tried, for a plausible wrong value is worse.  JSON without schemas is converted by
 * the same tables: what its Debezium type must have been follows from the producer's
 * modes and the local type, on the assumption that both sides have the same type.
 *
 * Values go the straight way into a Datum where that is simple, otherwise as text
 * through the type's input function.  Constraints of domains are checked at the end.
 */
#include "postgres.h"

#include "compat.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "decode.h"
#include "decode_json.h"
#include "decode_schema.h"
#include "value.h"
#include "value_convert.h"

static const CdcValueKind *find_kind(Oid type);
static const CdcValueKind *find_array_kind(Oid element_type);
static CdcValueStatus decode(CdcConversion *c, Datum *value);
static const CdcConversionRule *find_rule(const CdcConversion *c);
static bool token_is_placeholder(CdcConversion *c);
static void check_domain(CdcValueType *vt, Datum value, bool isnull);

/* Converters */
static CdcValueStatus convert_boolean(CdcConversion *c, Datum *value);
static CdcValueStatus convert_text(CdcConversion *c, Datum *value);
static bool fits(const CdcValueType *vt, const char *text, int len);
static CdcValueStatus convert_uuid(CdcConversion *c, Datum *value);
static bool parse_uuid(const char *text, int len, pg_uuid_t *uuid);
static CdcValueStatus convert_by_input(CdcConversion *c, Datum *value);
static CdcValueStatus convert_array(CdcConversion *c, Datum *value);
static bool is_array_placeholder(CdcConversion *c, const CdcToken *tokens, int n);
static void check_one_dimension(CdcConversion *c, const CdcToken *tokens, int n);
static bool is_java_array(const CdcToken *token);

static void imply_by_form(CdcConversion *c);

/* Errors */
pg_noreturn static void unsupported(const CdcValueType *vt);
static void input_context(void *arg);
static char *type_name(const CdcValueType *vt);
static const char *form_name(CdcTokenType type);

static const CdcConversionRule boolean_rules[] = {
	{CDC_SCHEMA_BOOLEAN, CDC_SEMANTIC_NONE, CDC_FORM_BOOLEAN, convert_boolean},
	{0}
};

/* Not Json: it may be hstore's, whose text is another */
static const CdcConversionRule text_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ENUM, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_XML, CDC_FORM_STRING, convert_text},
	{0}
};

static const CdcConversionRule uuid_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, CDC_FORM_STRING, convert_uuid},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_uuid},
	{0}
};

static const CdcConversionRule json_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON, CDC_FORM_STRING, convert_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_by_input},
	{0}
};

static const CdcConversionRule array_rules[] = {
	{CDC_SCHEMA_ARRAY, CDC_SEMANTIC_NONE, CDC_FORM_ARRAY, convert_array},
	{0}
};

/* Where a column may be of no such type, ordinary types first */
static const CdcValueKind kinds[] = {
	{INT4OID, cdc_value_integer_rules, imply_by_form},
	{INT8OID, cdc_value_integer_rules, imply_by_form},
	{INT2OID, cdc_value_integer_rules, imply_by_form},
	{TEXTOID, text_rules, imply_by_form},
	{VARCHAROID, text_rules, imply_by_form},
	{BPCHAROID, text_rules, imply_by_form},
	{BOOLOID, boolean_rules, imply_by_form},
	{NUMERICOID, cdc_value_numeric_rules, cdc_value_imply_numeric},
	{TIMESTAMPTZOID, cdc_value_timestamptz_rules, cdc_value_imply_timestamptz},
	{TIMESTAMPOID, cdc_value_timestamp_rules, cdc_value_imply_timestamp},
	{DATEOID, cdc_value_date_rules, cdc_value_imply_date},
	{TIMEOID, cdc_value_time_rules, cdc_value_imply_time},
	{UUIDOID, uuid_rules, imply_by_form},
	{JSONBOID, json_rules, imply_by_form},
	{JSONOID, json_rules, imply_by_form},
	{BYTEAOID, cdc_value_bytea_rules, cdc_value_imply_bytea},
	{FLOAT8OID, cdc_value_float8_rules, cdc_value_imply_float},
	{FLOAT4OID, cdc_value_float4_rules, cdc_value_imply_float},
};

static const CdcValueKind array_kind = {InvalidOid, array_rules, imply_by_form};

/* Of other elements it is not known that Debezium writes them truly */
static const Oid array_elements[] = {
	INT2OID, INT4OID, INT8OID, TEXTOID, VARCHAROID, BPCHAROID
};

void
cdc_value_type_init(CdcValueType *vt, const char *column, Oid type, int32 typmod)
{
	Oid			input;

	memset(vt, 0, sizeof(*vt));
	vt->column = column;
	vt->type = type;
	vt->typmod = typmod;
	vt->base_type = getBaseTypeAndTypmod(type, &vt->typmod);
	vt->context = CurrentMemoryContext;
	get_typlenbyvalalign(vt->base_type, &vt->typlen, &vt->typbyval, &vt->typalign);
	getTypeInputInfo(vt->base_type, &input, &vt->typioparam);
	fmgr_info(input, &vt->input);

	vt->kind = find_kind(vt->base_type);
	vt->element_type = get_element_type(vt->base_type);
	if (OidIsValid(vt->element_type))
	{
		vt->kind = find_array_kind(vt->element_type);
		vt->element = palloc(sizeof(CdcValueType));
		cdc_value_type_init(vt->element, column, vt->element_type, vt->typmod);
	}
}

static const CdcValueKind *
find_kind(Oid type)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

static const CdcValueKind *
find_array_kind(Oid element_type)
{
	for (int i = 0; i < lengthof(array_elements); i++)
	{
		if (array_elements[i] == element_type)
			return &array_kind;
	}
	return NULL;
}

CdcValueStatus
cdc_value_decode(const CdcToken *token, const CdcSchema *schema,
				 const CdcProducer *producer, CdcValueType *vt, Datum *value)
{
	CdcConversion c;
	CdcValueStatus status = CDC_VALUE_NULL;

	/* even NULL: what cannot be converted at the source comes as that */
	if (vt->kind == NULL)
		unsupported(vt);

	*value = (Datum) 0;
	if (token->type != CDC_TOKEN_NULL)
	{
		c.token = token;
		c.schema = schema;
		c.producer = producer;
		c.vt = vt;
		if (vt->typlen == -1 && token_is_placeholder(&c))
			return CDC_VALUE_UNCHANGED;
		status = decode(&c, value);
	}
	if (vt->type != vt->base_type && status != CDC_VALUE_UNCHANGED)
		check_domain(vt, *value, status == CDC_VALUE_NULL);
	return status;
}

/* One value that is not null; also an array's element */
static CdcValueStatus
decode(CdcConversion *c, Datum *value)
{
	const CdcConversionRule *rule;

	if (c->schema == NULL)
	{
		c->schema = &c->implied;
		c->vt->kind->imply(c);
	}
	rule = find_rule(c);
	if (rule == NULL)
		cdc_value_mismatch(c);
	if ((rule->forms & CDC_FORM(c->token->type)) == 0)
		cdc_value_invalid(c);
	return rule->convert(c, value);
}

static const CdcConversionRule *
find_rule(const CdcConversion *c)
{
	for (const CdcConversionRule *rule = c->vt->kind->rules; rule->convert != NULL; rule++)
	{
		if (rule->type == c->schema->type && rule->semantic == c->schema->semantic)
			return rule;
	}
	return NULL;
}

/* The executor would not: a value of a domain's type is taken to be checked */
static void
check_domain(CdcValueType *vt, Datum value, bool isnull)
{
	ErrorContextCallback callback = {error_context_stack, input_context, vt};

	error_context_stack = &callback;
	domain_check(value, isnull, vt->type, &vt->domain, vt->context);
	error_context_stack = callback.previous;
}

void
cdc_value_imply(CdcConversion *c, CdcSchemaType type, CdcSemantic semantic)
{
	memset(&c->implied, 0, sizeof(CdcSchema));
	c->implied.type = type;
	c->implied.semantic = semantic;
	c->implied.scale = c->implied.length = -1;
}

/* For types that come in one form only, or in forms that speak for themselves */
static void
imply_by_form(CdcConversion *c)
{
	static const CdcSchemaType types[] = {
		[CDC_TOKEN_TRUE] = CDC_SCHEMA_BOOLEAN,
		[CDC_TOKEN_FALSE] = CDC_SCHEMA_BOOLEAN,
		[CDC_TOKEN_NUMBER] = CDC_SCHEMA_INT64,
		[CDC_TOKEN_STRING] = CDC_SCHEMA_STRING,
		[CDC_TOKEN_OBJECT] = CDC_SCHEMA_STRUCT,
		[CDC_TOKEN_ARRAY] = CDC_SCHEMA_ARRAY,
	};

	cdc_value_imply(c, types[c->token->type], CDC_SEMANTIC_NONE);
}

/* Text through the type's own input function, with the column in the error's context */
Datum
cdc_value_input(CdcValueType *vt, char *text)
{
	ErrorContextCallback callback = {error_context_stack, input_context, vt};
	Datum		value;

	error_context_stack = &callback;
	value = InputFunctionCall(&vt->input, text, vt->typioparam, vt->typmod);
	error_context_stack = callback.previous;
	return value;
}

/* The token's text with escapes resolved; not NUL-terminated unless there were any */
char *
cdc_value_text(CdcConversion *c, int *len)
{
	ErrorContextCallback callback = {error_context_stack, input_context, c->vt};
	char	   *text;

	if (!c->token->escaped)
	{
		*len = c->token->len;
		return unconstify(char *, c->token->text);
	}
	error_context_stack = &callback;
	text = cdc_decode_string(c->token);
	error_context_stack = callback.previous;
	*len = strlen(text);
	return text;
}

bool
cdc_value_is_placeholder(const CdcConversion *c, const char *text, int len)
{
	const char *placeholder = c->producer->placeholder;
	int			n = 0;

	/* almost every value ends the comparison at its first byte */
	while (n < len && placeholder[n] == text[n] && placeholder[n] != '\0')
		n++;
	return n == len && placeholder[n] == '\0';
}

/* Also one that JSON has to escape */
static bool
token_is_placeholder(CdcConversion *c)
{
	int			len = c->token->len;
	char	   *text;

	if (c->token->type != CDC_TOKEN_STRING)
		return false;
	if (!c->token->escaped)
		return cdc_value_is_placeholder(c, c->token->text, len);
	if (len > strlen("\\uxxxx") * strlen(c->producer->placeholder))
		return false;
	text = cdc_value_text(c, &len);
	return cdc_value_is_placeholder(c, text, len);
}

static CdcValueStatus
convert_boolean(CdcConversion *c, Datum *value)
{
	*value = BoolGetDatum(c->token->type == CDC_TOKEN_TRUE);
	return CDC_VALUE_SET;
}

static CdcValueStatus
convert_text(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);

	if (!fits(c->vt, text, len))
		return convert_by_input(c, value);
	*value = PointerGetDatum(cstring_to_text_with_len(text, len));
	if (c->token->escaped)
		pfree(text);
	return CDC_VALUE_SET;
}

/* Would the input function take the text as it is, without padding, cutting or error? */
static bool
fits(const CdcValueType *vt, const char *text, int len)
{
	int			limit = vt->typmod - VARHDRSZ;

	if (vt->base_type == TEXTOID || vt->typmod < VARHDRSZ)
		return true;
	if (vt->base_type == VARCHAROID)
		return len <= limit || pg_mbstrlen_with_len(text, len) <= limit;
	return pg_mbstrlen_with_len(text, len) == limit;
}

static CdcValueStatus
convert_uuid(CdcConversion *c, Datum *value)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	if (!parse_uuid(c->token->text, c->token->len, uuid))
		return convert_by_input(c, value);
	*value = UUIDPGetDatum(uuid);
	return CDC_VALUE_SET;
}

/* The usual form: 8-4-4-4-12 */
static bool
parse_uuid(const char *text, int len, pg_uuid_t *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	int			n = 0;

	if (len != sizeof(form) - 1)
		return false;
	for (int i = 0; i < len; i++)
	{
		int			digit;

		if (form[i] == '-')
		{
			if (text[i] != '-')
				return false;
			continue;
		}
		if (text[i] >= '0' && text[i] <= '9')
			digit = text[i] - '0';
		else if (text[i] >= 'a' && text[i] <= 'f')
			digit = text[i] - 'a' + 10;
		else
			return false;
		uuid->data[n / 2] = n % 2 == 0 ? digit << 4 : uuid->data[n / 2] | digit;
		n++;
	}
	return true;
}

static CdcValueStatus
convert_by_input(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);

	if (!c->token->escaped)
		text = pnstrdup(text, len);
	*value = cdc_value_input(c->vt, text);
	pfree(text);
	return CDC_VALUE_SET;
}

static CdcValueStatus
convert_array(CdcConversion *c, Datum *value)
{
	CdcValueType *vt = c->vt->element;
	int			n;
	CdcToken   *tokens = cdc_decode_elements(c->token, &n);
	Datum	   *elems;
	bool	   *nulls;
	int			lower_bound = 1;

	if (is_array_placeholder(c, tokens, n))
		return CDC_VALUE_UNCHANGED;
	check_one_dimension(c, tokens, n);

	elems = palloc(Max(n, 1) * sizeof(Datum));
	nulls = palloc(Max(n, 1) * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		CdcConversion elem = {.token = &tokens[i], .schema = c->schema->items,
			.producer = c->producer, .vt = vt};

		nulls[i] = tokens[i].type == CDC_TOKEN_NULL;
		if (!nulls[i])
			decode(&elem, &elems[i]);
	}
	*value = PointerGetDatum(construct_md_array(elems, nulls, n > 0 ? 1 : 0, &n, &lower_bound,
												vt->base_type, vt->typlen, vt->typbyval,
												vt->typalign));
	if (n > 0)
		pfree(tokens);
	pfree(elems);
	pfree(nulls);
	return CDC_VALUE_SET;
}

/* The placeholder as the only element of texts, or its bytes as int4 or int8 */
static bool
is_array_placeholder(CdcConversion *c, const CdcToken *tokens, int n)
{
	Oid			type = c->vt->element_type;
	const char *placeholder = c->producer->placeholder;

	if (type != INT2OID && type != INT4OID && type != INT8OID)
	{
		CdcConversion elem = {.token = tokens, .producer = c->producer, .vt = c->vt->element};

		return n == 1 && token_is_placeholder(&elem);
	}

	/* of int2 it makes no placeholder */
	if (type == INT2OID || n != strlen(placeholder))
		return false;
	for (int i = 0; i < n; i++)
	{
		int64		code;

		if (tokens[i].type != CDC_TOKEN_NUMBER ||
			!cdc_decode_integer(&tokens[i], &code) || code != (unsigned char) placeholder[i])
			return false;
	}
	return true;
}

/*
 * Debezium writes the outer dimension only: of numbers each row of the array has become
 * null, of texts the name of a Java array.
 */
static void
check_one_dimension(CdcConversion *c, const CdcToken *tokens, int n)
{
	int			nnulls = 0;
	bool		refuse = false;

	for (int i = 0; i < n; i++)
	{
		nnulls += tokens[i].type == CDC_TOKEN_NULL;
		refuse |= tokens[i].type == CDC_TOKEN_ARRAY || is_java_array(&tokens[i]);
	}
	if (n > 0 && nnulls == n && c->vt->element->typlen > 0)
		refuse = true;
	if (refuse)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot decode a multidimensional array for column \"%s\" of type %s",
						c->vt->column, type_name(c->vt)),
				 errdetail("Debezium does not write the elements of its inner dimensions; "
						   "an array of numbers that are all null cannot be told from one.")));
}

/* ^\[+[A-Z][\w.$]*;?@[0-9a-f]+$, such as [Ljava.lang.String;@4470f8a6 */
static bool
is_java_array(const CdcToken *token)
{
	const char *p = token->text;
	const char *end = p + token->len;
	const char *at;

	if (token->type != CDC_TOKEN_STRING || token->len == 0 || *p != '[')
		return false;
	while (p < end && *p == '[')
		p++;
	at = memchr(p, '@', end - p);
	if (at == NULL || at == p || at + 1 == end || *p < 'A' || *p > 'Z')
		return false;
	for (; p < at; p++)
	{
		if (!isalnum((unsigned char) *p) && strchr("_.$", *p) == NULL &&
			(*p != ';' || p + 1 != at))
			return false;
	}
	for (p = at + 1; p < end; p++)
	{
		if (!isdigit((unsigned char) *p) && (*p < 'a' || *p > 'f'))
			return false;
	}
	return true;
}

/* No rule: the type of the message is another than what the column can take */
void
cdc_value_mismatch(CdcConversion *c)
{
	if (c->schema == &c->implied)
		cdc_value_invalid(c);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot convert Debezium type %s to type %s of column \"%s\"",
					cdc_decode_schema_name(c->schema), type_name(c->vt), c->vt->column)));
}

/* A value that is none of its type */
void
cdc_value_invalid(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT || c->token->type == CDC_TOKEN_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("invalid value for column \"%s\" of type %s: %s",
						c->vt->column, type_name(c->vt), form_name(c->token->type))));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("invalid value for column \"%s\" of type %s: %s \"%s\"",
					c->vt->column, type_name(c->vt), form_name(c->token->type),
					cdc_decode_excerpt(c->token->text, c->token->len)),
			 c->schema == &c->implied ? 0 :
			 errdetail("Its Debezium type is %s.", cdc_decode_schema_name(c->schema))));
}

void
cdc_value_ambiguous(CdcConversion *c, const char *setting)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 c->schema == &c->implied ?
			 errmsg("cannot decode column \"%s\" of type %s from JSON without a schema",
					c->vt->column, type_name(c->vt)) :
			 errmsg("cannot decode column \"%s\" of type %s from Debezium type %s",
					c->vt->column, type_name(c->vt), cdc_decode_schema_name(c->schema)),
			 c->schema == &c->implied ?
			 errhint("Give %s in the subscription's producer option, or set "
					 "value.converter.schemas.enable=true in the connector.", setting) :
			 errhint("Give %s in the subscription's producer option.", setting)));
}

static void
unsupported(const CdcValueType *vt)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("type %s of column \"%s\" is not supported", type_name(vt), vt->column)));
}

/* No type: a catalog must not be asked inside an error */
static void
input_context(void *arg)
{
	const CdcValueType *vt = arg;

	errcontext("column \"%s\"", vt->column);
}

static char *
type_name(const CdcValueType *vt)
{
	return vt->type != vt->base_type ? format_type_be(vt->type) :
		format_type_with_typemod(vt->type, vt->typmod);
}

static const char *
form_name(CdcTokenType type)
{
	static const char *const names[] = {
		[CDC_TOKEN_NULL] = "null",
		[CDC_TOKEN_TRUE] = "boolean",
		[CDC_TOKEN_FALSE] = "boolean",
		[CDC_TOKEN_NUMBER] = "number",
		[CDC_TOKEN_STRING] = "string",
		[CDC_TOKEN_OBJECT] = "an object",
		[CDC_TOKEN_ARRAY] = "an array",
	};

	return names[type];
}
