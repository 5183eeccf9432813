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
 *
 * A type is found by its OID; those of extensions that Debezium knows by their name, as
 * Debezium finds them.  All others are opaque to it: it sends their text, as it sends
 * bytes.
 */
#include "postgres.h"

#include "base/compat.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "event/decode_schema.h"
#include "event/format.h"
#include "event/token.h"
#include "value/value.h"
#include "value/value_convert.h"

/* Types of extensions that Debezium knows */
static const struct
{
	const char *name;
	CdcValueKind kind;
}			named_kinds[] = {
	{"citext", {InvalidOid, cdc_value_string_rules, cdc_value_imply_by_form, true}},
	{"geography", {InvalidOid, cdc_value_geometry_rules, cdc_value_imply_shape, true}},
	{"geometry", {InvalidOid, cdc_value_geometry_rules, cdc_value_imply_shape, true}},
	{"halfvec", {InvalidOid, cdc_value_vector_rules, cdc_value_imply_vector, true}},
	{"hstore", {InvalidOid, cdc_value_hstore_rules, cdc_value_imply_hstore, true}},
	{"isbn", {InvalidOid, cdc_value_string_rules, cdc_value_imply_by_form}},
	{"ltree", {InvalidOid, cdc_value_string_rules, cdc_value_imply_by_form}},
	{"sparsevec", {InvalidOid, cdc_value_sparse_vector_rules, cdc_value_imply_sparse_vector, true}},
	{"vector", {InvalidOid, cdc_value_vector_rules, cdc_value_imply_vector, true}},
};

static const CdcValueKind enum_kind = {InvalidOid, cdc_value_string_rules, cdc_value_imply_by_form};
static const CdcValueKind opaque_kind = {InvalidOid, cdc_value_opaque_rules, cdc_value_imply_opaque, true};
static const CdcValueKind array_kind = {InvalidOid, cdc_value_array_rules, cdc_value_imply_by_form};

/* Of which Debezium sends no arrays, whatever its settings are, or null for each of them */
static const Oid unsent_elements[] = {
	BITOID, INTERVALOID, MONEYOID, NAMEOID, POINTOID, REFCURSOROID, VARBITOID, XMLOID
};

/* As long as the type is?  The input function would cut blanks off a longer one */
static bool
is_as_long(CdcConversion *c, const char *text, int len)
{
	const CdcValueType *vt = c->vt;
	int			limit = vt->typmod - VARHDRSZ;
	bool		padded = vt->base_type == BPCHAROID;
	int			nchars;

	if (vt->base_type == TEXTOID || vt->typmod < VARHDRSZ || (!padded && len <= limit))
		return true;
	nchars = pg_mbstrlen_with_len(text, len);
	if (nchars > limit)
		cdc_value_misfit(c);
	return !padded || nchars == limit;
}

static CdcValueStatus
convert_text(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);

	if (!is_as_long(c, text, len))
		return cdc_value_by_input(c, value);	/* pads it */
	*value = PointerGetDatum(cstring_to_text_with_len(text, len));
	if (c->token->escaped)
		pfree(text);
	return CDC_VALUE_SET;
}

/* Not Json: it may be hstore's, whose text is another */
static const CdcConversionRule text_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ENUM, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, CDC_FORM_STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_XML, CDC_FORM_STRING, convert_text},
	{0}
};

static CdcValueStatus
convert_boolean(CdcConversion *c, Datum *value)
{
	*value = BoolGetDatum(c->token->type == CDC_TOKEN_TRUE);
	return CDC_VALUE_SET;
}

static const CdcConversionRule boolean_rules[] = {
	{CDC_SCHEMA_BOOLEAN, CDC_SEMANTIC_NONE, CDC_FORM_BOOLEAN, convert_boolean},
	{0}
};

/* Ordinary types first */
static const CdcValueKind kinds[] = {
	{INT4OID, cdc_value_integer_rules, cdc_value_imply_by_form, true},
	{INT8OID, cdc_value_integer_rules, cdc_value_imply_by_form, true},
	{INT2OID, cdc_value_integer_rules, cdc_value_imply_by_form, true},
	{TEXTOID, text_rules, cdc_value_imply_by_form},
	{VARCHAROID, text_rules, cdc_value_imply_by_form},
	{BPCHAROID, text_rules, cdc_value_imply_by_form},
	{BOOLOID, boolean_rules, cdc_value_imply_by_form, true},
	{NUMERICOID, cdc_value_numeric_rules, cdc_value_imply_numeric, true},
	{TIMESTAMPTZOID, cdc_value_timestamptz_rules, cdc_value_imply_timestamptz, true},
	{TIMESTAMPOID, cdc_value_timestamp_rules, cdc_value_imply_timestamp, true},
	{DATEOID, cdc_value_date_rules, cdc_value_imply_date, true},
	{TIMEOID, cdc_value_time_rules, cdc_value_imply_time, true},
	{UUIDOID, cdc_value_uuid_rules, cdc_value_imply_by_form},
	{JSONBOID, cdc_value_json_rules, cdc_value_imply_by_form},
	{JSONOID, cdc_value_json_rules, cdc_value_imply_by_form},
	{BYTEAOID, cdc_value_bytea_rules, cdc_value_imply_bytea, true},
	{FLOAT8OID, cdc_value_float8_rules, cdc_value_imply_float, true},
	{FLOAT4OID, cdc_value_float4_rules, cdc_value_imply_float, true},
	{TIMETZOID, cdc_value_timetz_rules, cdc_value_imply_timetz, true},
	{INTERVALOID, cdc_value_interval_rules, cdc_value_imply_interval, true},
	{MONEYOID, cdc_value_money_rules, cdc_value_imply_numeric, true},
	{OIDOID, cdc_value_oid_rules, cdc_value_imply_by_form, true},
	{BITOID, cdc_value_bits_rules, cdc_value_imply_bits, true},
	{VARBITOID, cdc_value_bits_rules, cdc_value_imply_bits, true},
	{XMLOID, cdc_value_xml_rules, cdc_value_imply_by_form},
	{INETOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{CIDROID, cdc_value_string_rules, cdc_value_imply_by_form},
	{MACADDROID, cdc_value_string_rules, cdc_value_imply_by_form},
	{MACADDR8OID, cdc_value_string_rules, cdc_value_imply_by_form},
	{CHAROID, cdc_value_string_rules, cdc_value_imply_by_form},
	{NAMEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{INT4RANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{INT8RANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{NUMRANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{TSRANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{TSTZRANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{DATERANGEOID, cdc_value_string_rules, cdc_value_imply_by_form},
	{TSVECTOROID, cdc_value_tsvector_rules, cdc_value_imply_tsvector},
	{POINTOID, cdc_value_point_rules, cdc_value_imply_point, true},
	{LINEOID, cdc_value_line_rules, cdc_value_imply_line, true},
	{CIRCLEOID, cdc_value_circle_rules, cdc_value_imply_circle, true},
	{BOXOID, cdc_value_shape_rules, cdc_value_imply_shape, true},
	{LSEGOID, cdc_value_shape_rules, cdc_value_imply_shape, true},
	{PATHOID, cdc_value_shape_rules, cdc_value_imply_shape, true},
	{POLYGONOID, cdc_value_shape_rules, cdc_value_imply_shape, true},
};

static const CdcValueKind *
find_kind_by_name(const char *name)
{
	for (int i = 0; i < lengthof(named_kinds); i++)
	{
		if (strcmp(named_kinds[i].name, name) == 0)
			return &named_kinds[i].kind;
	}
	return &opaque_kind;
}

static const CdcValueKind *
find_kind_by_category(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	const CdcValueKind *kind = &opaque_kind;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typtype == TYPTYPE_ENUM)
		kind = &enum_kind;
	else if (form->typtype == TYPTYPE_BASE && type >= FirstNormalObjectId)
		kind = find_kind_by_name(NameStr(form->typname));
	ReleaseSysCache(tuple);
	return kind;
}

static const CdcValueKind *
find_kind(Oid type)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return find_kind_by_category(type);
}

/*
 * Fill *vt for a local column (domains resolved); catalog access.  What it points to
 * is in CurrentMemoryContext; column is not copied.
 */
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
	vt->fits = cdc_value_find_fits(vt->base_type, vt->typmod);

	vt->element_type = get_element_type(vt->base_type);
	if (!OidIsValid(vt->element_type))
	{
		vt->kind = find_kind(vt->base_type);
		return;
	}
	vt->kind = &array_kind;
	vt->element = palloc(sizeof(CdcValueType));
	cdc_value_type_init(vt->element, column, vt->element_type, vt->typmod);
	/* it looks through a domain, but not through the domain of an array's elements */
	if (vt->element->type != vt->element->base_type)
		vt->element->kind = &opaque_kind;
}

/* false: no event ever has a column of this type, whatever the connector's settings */
bool
cdc_value_is_sent(Oid type)
{
	Oid			element_type = get_element_type(getBaseType(type));

	for (int i = 0; i < lengthof(unsent_elements); i++)
	{
		if (unsent_elements[i] == element_type)
			return false;
	}
	return true;
}

/*
 * Convert one token.  The Datum is in CurrentMemoryContext.  Raises a data
 * error that names the column, the local type and the Debezium type or, for
 * JSON without schemas, the producer setting that is missing.
 */
CdcValueStatus
cdc_value_decode(const CdcToken *token, const CdcSchema *schema,
				 const CdcProducer *producer, CdcValueType *vt, Datum *value)
{
	CdcConversion c;
	CdcValueStatus status = CDC_VALUE_NULL;

	*value = (Datum) 0;
	if (token->type != CDC_TOKEN_NULL)
	{
		c.token = token;
		c.schema = schema;
		c.producer = producer;
		c.vt = vt;
		if (vt->typlen == -1 && cdc_value_token_is_placeholder(&c))
			return CDC_VALUE_UNCHANGED;
		status = cdc_value_convert(&c, value);
	}
	if (vt->type != vt->base_type && status != CDC_VALUE_UNCHANGED)
		cdc_value_check_domain(vt, *value, status == CDC_VALUE_NULL);
	return status;
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

/* One value that is not null; also an array's element */
CdcValueStatus
cdc_value_convert(CdcConversion *c, Datum *value)
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

/* No type: a catalog must not be asked inside an error */
static void
input_context(void *arg)
{
	const CdcValueType *vt = arg;

	errcontext("column \"%s\"", vt->column);
}

/* The executor would not: a value of a domain's type is taken to be checked */
void
cdc_value_check_domain(CdcValueType *vt, Datum value, bool isnull)
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
void
cdc_value_imply_by_form(CdcConversion *c)
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

/* Likewise of another function that makes a value of this type */
Datum
cdc_value_call(CdcValueType *vt, PGFunction function, Datum argument)
{
	ErrorContextCallback callback = {error_context_stack, input_context, vt};
	Datum		value;

	error_context_stack = &callback;
	value = DirectFunctionCall1(function, argument);
	error_context_stack = callback.previous;
	return value;
}

/* Text through the input function, and the text is freed */
CdcValueStatus
cdc_value_set_input(CdcConversion *c, char *text, Datum *value)
{
	*value = cdc_value_input(c->vt, text);
	if (c->vt->fits && !c->vt->fits(c, text, *value))
		cdc_value_misfit(c);
	pfree(text);
	return CDC_VALUE_SET;
}

/* The token's text as it stands */
CdcValueStatus
cdc_value_by_input(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);

	if (!c->token->escaped)
		text = pnstrdup(text, len);
	return cdc_value_set_input(c, text, value);
}

/*
 * The members of the object under conversion, by name: a member that is missing is a
 * null token.  Other members are passed by.
 */
void
cdc_value_members(CdcConversion *c, const char *const *names, int n, CdcToken *found)
{
	int			nmembers;
	CdcField   *members = cdc_token_members(c->token, &nmembers);

	memset(found, 0, n * sizeof(CdcToken));
	for (int i = 0; i < nmembers; i++)
	{
		for (int m = 0; m < n; m++)
		{
			if (strlen(names[m]) == members[i].namelen &&
				memcmp(names[m], members[i].name, members[i].namelen) == 0)
				found[m] = members[i].token;
		}
	}
	if (members != NULL)
		pfree(members);
}

/* The token's text with escapes resolved; not NUL-terminated unless there were any */
char *
cdc_value_text(CdcConversion *c, int *len)
{
	ErrorContextCallback callback = {error_context_stack, input_context, c->vt};
	char	   *text;

	if (!c->token->escaped)
		return unconstify(char *, cdc_token_chars(c->token, len));
	error_context_stack = &callback;
	text = cdc_token_string(c->token);
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
bool
cdc_value_token_is_placeholder(CdcConversion *c)
{
	int			len;
	const char *text;

	if (c->token->type != CDC_TOKEN_STRING)
		return false;
	text = cdc_token_chars(c->token, &len);
	if (!c->token->escaped)
		return cdc_value_is_placeholder(c, text, len);
	if (len > strlen("\\uxxxx") * strlen(c->producer->placeholder))
		return false;
	text = cdc_value_text(c, &len);
	return cdc_value_is_placeholder(c, text, len);
}

/*
 * What is wrong with a value.  The value itself stands in the detail alone: who may not
 * read the table's rows sees the message without it.
 */

/* No rule: the type of the message is another than what the column can take */
void
cdc_value_mismatch(CdcConversion *c)
{
	if (c->schema == &c->implied)
		cdc_value_invalid(c);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot convert Debezium type %s to type %s of column \"%s\"",
					cdc_decode_schema_name(c->schema), cdc_value_type_name(c->vt), c->vt->column)));
}

/* {"string": "x"} */
static bool
is_avro_union(const CdcToken *token)
{
	static const char *const types[] = {"boolean", "int", "long", "float", "double", "bytes", "string"};
	int			n = 0;
	CdcField   *members = token->type == CDC_TOKEN_OBJECT ? cdc_token_members(token, &n) : NULL;

	for (int i = 0; n > 0 && i < lengthof(types); i++)
	{
		if (members->namelen == strlen(types[i]) &&
			memcmp(members->name, types[i], members->namelen) == 0)
			return true;
	}
	return false;
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

/* A value that is none of its type */
void
cdc_value_invalid(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT || c->token->type == CDC_TOKEN_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("invalid value for column \"%s\" of type %s: %s",
						c->vt->column, cdc_value_type_name(c->vt), form_name(c->token->type)),
				 is_avro_union(c->token) ?
				 errdetail("It is a union, as Avro's JSON encoding writes a value that may be null.") : 0,
				 is_avro_union(c->token) ? errhint(CDC_HINT_CONVERTER) : 0));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("invalid value for column \"%s\" of type %s",
					c->vt->column, cdc_value_type_name(c->vt)),
			 c->schema == &c->implied ?
			 errdetail("It is the %s \"%s\".", form_name(c->token->type),
					   cdc_token_excerpt(c->token)) :
			 errdetail("It is the %s \"%s\" of Debezium type %s.", form_name(c->token->type),
					   cdc_token_excerpt(c->token),
					   cdc_decode_schema_name(c->schema))));
}

void
cdc_value_out_of_range(CdcConversion *c)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value for column \"%s\" of type %s is out of range",
					c->vt->column, format_type_be(c->vt->base_type)),
			 errdetail("It is %s.", cdc_token_excerpt(c->token))));
}

void
cdc_value_not_said(CdcConversion *c, const char *setting, const char *mode, const char *better,
				   const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot decode column \"%s\" of type %s from JSON without a schema",
					c->vt->column, cdc_value_type_name(c->vt)),
			 errdetail("With %s=%s only the schema says %s.", setting, mode, what),
			 errhint("Set value.converter.schemas.enable=true in the connector; or %s=%s there and in the subscription's producer option.",
					 setting, better)));
}

void
cdc_value_ambiguous(CdcConversion *c, const char *setting)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 c->schema == &c->implied ?
			 errmsg("cannot decode column \"%s\" of type %s from JSON without a schema",
					c->vt->column, cdc_value_type_name(c->vt)) :
			 errmsg("cannot decode column \"%s\" of type %s from Debezium type %s",
					c->vt->column, cdc_value_type_name(c->vt), cdc_decode_schema_name(c->schema)),
			 c->schema == &c->implied ?
			 errhint("Give %s in the subscription's producer option, or set "
					 "value.converter.schemas.enable=true in the connector.", setting) :
			 errhint("Give %s in the subscription's producer option.", setting)));
}

char *
cdc_value_type_name(const CdcValueType *vt)
{
	return vt->type != vt->base_type ? format_type_be(vt->type) :
		format_type_with_typemod(vt->type, vt->typmod);
}
