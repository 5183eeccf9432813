/*
 * value_text.c
 *		Types whose text form is what comes: uuid, network addresses, ranges, enums, json,
 *		xml, tsvector; and hstore, which comes as JSON.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "event/decode_json.h"
#include "event/token.h"
#include "value/value_convert.h"

const CdcConversionRule cdc_value_string_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_ENUM, CDC_FORM_STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_LTREE, CDC_FORM_STRING, cdc_value_by_input},
	{0}
};

const CdcConversionRule cdc_value_json_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON, CDC_FORM_STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, cdc_value_by_input},
	{0}
};

const CdcConversionRule cdc_value_xml_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_XML, CDC_FORM_STRING, cdc_value_by_input},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, cdc_value_by_input},
	{0}
};

void
cdc_value_imply_tsvector(CdcConversion *c)
{
	cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_TSVECTOR);
}

void
cdc_value_imply_hstore(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT)
		cdc_value_imply(c, CDC_SCHEMA_MAP, CDC_SEMANTIC_NONE);
	else
		cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON);
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
	CdcConversion only = {.token = &pairs->token, .producer = c->producer, .vt = c->vt};

	return n == 1 && cdc_value_is_placeholder(c, pairs->name, pairs->namelen) &&
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

static CdcValueStatus
convert_uuid(CdcConversion *c, Datum *value)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	if (!cdc_value_parse_uuid(c->token, uuid))
		return cdc_value_by_input(c, value);
	*value = UUIDPGetDatum(uuid);
	return CDC_VALUE_SET;
}

/* The usual form: 8-4-4-4-12 */
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

const CdcConversionRule cdc_value_uuid_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_UUID, CDC_FORM_STRING, convert_uuid},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_uuid},
	{0}
};

/* Unknown to Debezium before 3.3 */
const CdcConversionRule cdc_value_tsvector_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_TSVECTOR, CDC_FORM_STRING, convert_tsvector},
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_NONE, CDC_FORM_STRING, cdc_value_opaque},
	{0}
};

/* By hstore.handling.mode */
const CdcConversionRule cdc_value_hstore_rules[] = {
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_JSON, CDC_FORM_STRING, convert_hstore_json},
	{CDC_SCHEMA_MAP, CDC_SEMANTIC_NONE, CDC_FORM_OBJECT, convert_hstore_map},
	{0}
};
