/*
 * value_text.c
 *		Types whose text form is what comes: text, uuid, network addresses, ranges, enums,
 *		json, xml, tsvector; and hstore, which comes as JSON.
 *
 * text and its like are copied from the message into the Datum, without the type's input
 * function, whose only work would be to count letters.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "event/decode_json.h"
#include "event/token.h"
#include "value/value_convert.h"

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

/*
 * The server quotes every lexeme; without a quote it is the encoded text that older
 * versions write, which the input function would take for a lexeme.
 */
static CdcValueStatus
convert_tsvector(CdcConversion *c, Datum *value)
{
	int			len;
	const char *chars = cdc_token_chars(c->token, &len);

	if (len > 0 && chars[0] != '\'')
		cdc_value_invalid(c);
	return cdc_value_by_input(c, value);
}

static void
append_quoted(StringInfo buf, const char *text, int len)
{
	appendStringInfoChar(buf, '"');
	for (int i = 0; i < len; i++)
	{
		if (text[i] == '"' || text[i] == '\\')
			appendStringInfoChar(buf, '\\');
		appendStringInfoChar(buf, text[i]);
	}
	appendStringInfoChar(buf, '"');
}

static void
append_pair(StringInfo buf, const CdcField *pair)
{
	append_quoted(buf, pair->name, pair->namelen);
	appendStringInfoString(buf, "=>");
	if (pair->token.type == CDC_TOKEN_NULL)
		appendStringInfoString(buf, "NULL");
	else
	{
		char	   *text = cdc_token_string(&pair->token);

		append_quoted(buf, text, strlen(text));
		pfree(text);
	}
}

static bool
is_hstore_placeholder(CdcConversion *c, const CdcField *pairs, int n)
{
	CdcConversion only = {.producer = c->producer, .vt = c->vt};

	if (n != 1)
		return false;			/* pairs may be NULL */
	only.token = &pairs->token;
	return cdc_value_is_placeholder(c, pairs->name, pairs->namelen) &&
		cdc_value_token_is_placeholder(&only);
}

static CdcValueStatus
set_hstore(CdcConversion *c, const CdcToken *object, Datum *value)
{
	int			n;
	CdcField   *pairs = cdc_token_members(object, &n);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		if (pairs[i].token.type != CDC_TOKEN_STRING && pairs[i].token.type != CDC_TOKEN_NULL)
			cdc_value_invalid(c);
		if (i > 0)
			appendStringInfoString(&buf, ", ");
		append_pair(&buf, &pairs[i]);
	}
	cdc_value_set_input(c, buf.data, value);
	return is_hstore_placeholder(c, pairs, n) ? CDC_VALUE_UNCHANGED : CDC_VALUE_SET;
}

/* A string that holds an object; the tokens of its members point into it */
static CdcValueStatus
convert_hstore_json(CdcConversion *c, Datum *value)
{
	int			len;
	const char *text = cdc_value_text(c, &len);
	CdcToken	object;

	if (len < 2 || text[0] != '{')
		cdc_value_invalid(c);
	object = cdc_decode_token(text, len);
	return set_hstore(c, &object, value);
}

static CdcValueStatus
convert_hstore_map(CdcConversion *c, Datum *value)
{
	return set_hstore(c, c->token, value);
}

/* The usual form, 8-4-4-4-12; false if it is none */
bool
cdc_value_parse_uuid(const CdcToken *token, pg_uuid_t *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	const char *text;
	int			len;
	int			n = 0;

	if (token->type != CDC_TOKEN_STRING)
		return false;
	text = cdc_token_chars(token, &len);
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

/* The server's own function takes more forms, and is twice as slow */
static CdcValueStatus
convert_uuid(CdcConversion *c, Datum *value)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	if (!cdc_value_parse_uuid(c->token, uuid))
		return cdc_value_by_input(c, value);
	*value = UUIDPGetDatum(uuid);
	return CDC_VALUE_SET;
}

#define STRING CDC_FORM_STRING

/* Not Json: it may be hstore's, whose text is another */
static const CdcConversionRule text_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, convert_text, STRING},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ENUM, STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, STRING, convert_text},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_XML, STRING, convert_text},
	{0}
};

const CdcConversionRule cdc_value_string_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, cdc_value_by_input, STRING},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ENUM, STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_LTREE, STRING, cdc_value_by_input},
	{0}
};

static const CdcConversionRule json_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON, STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, cdc_value_by_input, STRING},
	{0}
};

static const CdcConversionRule xml_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_XML, STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, cdc_value_by_input, STRING},
	{0}
};

static const CdcConversionRule uuid_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, STRING, convert_uuid},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, convert_uuid, STRING},
	{0}
};

static const CdcConversionRule tsvector_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_TSVECTOR, STRING, convert_tsvector, STRING},
	{0}
};

/* By hstore.handling.mode */
static const CdcConversionRule hstore_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON, STRING, convert_hstore_json, STRING},
	{CDC_SCHEMA_MAP, CDC_SEMANTIC_NONE, CDC_FORM_OBJECT, convert_hstore_map, CDC_FORM_OBJECT},
	{0}
};

const CdcValueKind cdc_value_text_kinds[] = {
	{TEXTOID, NULL, {text_rules}},
	{VARCHAROID, NULL, {text_rules}},
	{BPCHAROID, NULL, {text_rules}},
	{UUIDOID, NULL, {uuid_rules}},
	{JSONBOID, NULL, {json_rules}},
	{JSONOID, NULL, {json_rules}},
	{XMLOID, NULL, {xml_rules}},
	{INETOID, NULL, {cdc_value_string_rules}},
	{CIDROID, NULL, {cdc_value_string_rules}},
	{MACADDROID, NULL, {cdc_value_string_rules}},
	{MACADDR8OID, NULL, {cdc_value_string_rules}},
	{CHAROID, NULL, {cdc_value_string_rules}},
	{NAMEOID, NULL, {cdc_value_string_rules}},
	{INT4RANGEOID, NULL, {cdc_value_string_rules}},
	{INT8RANGEOID, NULL, {cdc_value_string_rules}},
	{NUMRANGEOID, NULL, {cdc_value_string_rules}},
	{TSRANGEOID, NULL, {cdc_value_string_rules}},
	{TSTZRANGEOID, NULL, {cdc_value_string_rules}},
	{DATERANGEOID, NULL, {cdc_value_string_rules}},
	/* unknown to Debezium before 3.3 */
	{TSVECTOROID, NULL, {tsvector_rules, cdc_value_opaque_bytes_rules}},
	{InvalidOid, "citext", {cdc_value_string_rules}, .rows_are_null = true},
	{InvalidOid, "hstore", {hstore_rules}, .rows_are_null = true},
	{InvalidOid, "isbn", {cdc_value_string_rules}},
	{InvalidOid, "ltree", {cdc_value_string_rules}},
	{InvalidOid}
};
