/*
 * value_array.c
 *		Arrays: each element by the rules of its type.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "common/md5.h"
#include "utils/array.h"

#include "event/token.h"
#include "value/value_convert.h"

static bool
is_placeholder_codes(CdcConversion *c, const CdcToken *tokens, int n)
{
	const char *placeholder = c->producer->placeholder;

	if (n != strlen(placeholder))
		return false;
	for (int i = 0; i < n; i++)
	{
		int64		code;

		if (tokens[i].type != CDC_TOKEN_NUMBER ||
			!cdc_token_integer(&tokens[i], &code) || code != (unsigned char) placeholder[i])
			return false;
	}
	return true;
}

/* Java's nameUUIDFromBytes(): the MD5 sum, marked as version 3 */
static bool
is_placeholder_uuid(CdcConversion *c, const CdcToken *token)
{
	const char *placeholder = c->producer->placeholder;
	pg_uuid_t	expected;
	pg_uuid_t	uuid;
	const char *error;

	if (!cdc_value_parse_uuid(token, &uuid) ||
		!pg_md5_binary(placeholder, strlen(placeholder), expected.data, &error))
		return false;
	expected.data[6] = (expected.data[6] & 0x0f) | 0x30;
	expected.data[8] = (expected.data[8] & 0x3f) | 0x80;
	return memcmp(&uuid, &expected, sizeof(uuid)) == 0;
}

/* As the element's type can take it: as a text, as codes of its letters, as a UUID */
static bool
is_array_placeholder(CdcConversion *c, const CdcToken *tokens, int n)
{
	CdcConversion elem = {.token = tokens, .producer = c->producer, .vt = c->vt->element};

	switch (c->vt->element->base_type)
	{
		case INT4OID:
		case INT8OID:
		case DATEOID:
			return is_placeholder_codes(c, tokens, n);
		case UUIDOID:
			return n == 1 && is_placeholder_uuid(c, tokens);
		default:
			return n == 1 && cdc_value_token_is_placeholder(&elem);
	}
}

/* ^\[+[A-Z][\w.$]*;?@[0-9a-f]+$, such as [Ljava.lang.String;@4470f8a6 */
static bool
is_java_array(const CdcToken *token)
{
	const char *p;
	const char *end;
	const char *at;
	int			len;

	if (token->type != CDC_TOKEN_STRING)
		return false;
	p = cdc_token_chars(token, &len);
	end = p + len;
	if (len == 0 || *p != '[')
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

/*
 * Debezium writes the outer dimension only: each row of the array has become null, or of
 * text-like elements the name of a Java array.
 */
static void
check_one_dimension(CdcConversion *c, const CdcToken *tokens, int n)
{
	int			nnulls = 0;
	bool		refuse = false;

	for (int i = 0; i < n; i++)
	{
		nnulls += tokens[i].type == CDC_TOKEN_NULL;
		refuse |= (tokens[i].type == CDC_TOKEN_ARRAY && !c->vt->element->kind->is_array) ||
			is_java_array(&tokens[i]);
	}
	if (n > 0 && nnulls == n && c->vt->element->kind->rows_are_null)
		refuse = true;
	if (refuse)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot decode a multidimensional array for column \"%s\" of type %s",
						c->vt->column, cdc_value_type_name(c->vt)),
				 errdetail("Debezium does not write the elements of its inner dimensions; "
						   "an array whose elements are all null cannot be told from one.")));
}

/* Unchanged is one whose only element is the placeholder, in the encoding of its type */
static CdcValueStatus
convert_elements(CdcConversion *c, const CdcToken *tokens, int n, Datum *elems, bool *nulls)
{
	CdcValueType *vt = c->vt->element;

	for (int i = 0; i < n; i++)
	{
		CdcConversion elem = {.token = &tokens[i], .schema = c->schema->items,
			.producer = c->producer, .vt = vt};

		elems[i] = (Datum) 0;
		nulls[i] = tokens[i].type == CDC_TOKEN_NULL;
		if (!nulls[i] && cdc_value_convert(&elem, &elems[i]) == CDC_VALUE_UNCHANGED && n == 1)
			return CDC_VALUE_UNCHANGED;
		if (vt->type != vt->base_type)
			cdc_value_check_domain(vt, elems[i], nulls[i]);
	}
	return CDC_VALUE_SET;
}

static CdcValueStatus
convert_array(CdcConversion *c, Datum *value)
{
	CdcValueType *vt = c->vt->element;
	int			n;
	CdcToken   *tokens = cdc_token_elements(c->token, &n);
	Datum	   *elems;
	bool	   *nulls;
	int			lower_bound = 1;

	if (is_array_placeholder(c, tokens, n))
		return CDC_VALUE_UNCHANGED;
	check_one_dimension(c, tokens, n);

	elems = palloc(Max(n, 1) * sizeof(Datum));
	nulls = palloc(Max(n, 1) * sizeof(bool));
	if (convert_elements(c, tokens, n, elems, nulls) == CDC_VALUE_UNCHANGED)
		return CDC_VALUE_UNCHANGED;
	*value = PointerGetDatum(construct_md_array(elems, nulls, n > 0 ? 1 : 0, &n, &lower_bound,
												vt->type, vt->typlen, vt->typbyval,
												vt->typalign));
	if (n > 0)
		pfree(tokens);
	pfree(elems);
	pfree(nulls);
	return CDC_VALUE_SET;
}

const CdcConversionRule cdc_value_array_rules[] = {
	{CDC_SCHEMA_ARRAY, CDC_SEMANTIC_NONE, CDC_FORM_ARRAY, convert_array, CDC_FORM_ARRAY},
	{0}
};
