/*
 * value_number.c
 *		boolean, integers, oid, floats, numeric and money.
 *
 * A number goes from the message's text to the type without passing through a double.
 * Connect's Decimal is its unscaled value as a big-endian integer of any length, in
 * base64; the scale is in the schema.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "event/token.h"
#include "value/value_convert.h"

/* The most bytes, digits after and zeros before the point that a numeric can need */
#define MAX_DECIMAL_BYTES	61440
#define MAX_SCALE			16383
#define MIN_SCALE			(-131072)

#define LIMB 1000000000			/* 10^9 */
#define LIMB_DIGITS 9

/* Only a string may be two things: 1234 is a number and base64 */
static void
imply_numeric(CdcConversion *c)
{
	if (c->token->type != CDC_TOKEN_STRING)
		cdc_value_invalid(c);
	switch (c->producer->decimal)
	{
		case CDC_DECIMAL_UNKNOWN:
			cdc_value_ambiguous(c, "decimal.handling.mode");
			break;
		case CDC_DECIMAL_STRING:
			cdc_value_imply(c, CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE);
			break;
		case CDC_DECIMAL_DOUBLE:
			cdc_value_imply(c, CDC_SCHEMA_DOUBLE, CDC_SEMANTIC_NONE);
			break;
		case CDC_DECIMAL_PRECISE:
			cdc_value_imply(c, CDC_SCHEMA_BYTES, CDC_SEMANTIC_DECIMAL);
			/* never the scale of the column here: the author's may be another */
			if (c->vt->base_type == MONEYOID)
				c->implied.scale = c->producer->money_digits;
			break;
	}
}

static CdcValueStatus
convert_boolean(CdcConversion *c, Datum *value)
{
	*value = BoolGetDatum(c->token->type == CDC_TOKEN_TRUE);
	return CDC_VALUE_SET;
}

static bool
integer_datum(Oid type, int64 n, Datum *value)
{
	if (type == INT8OID)
		*value = Int64GetDatum(n);
	else if (type == INT4OID && n >= PG_INT32_MIN && n <= PG_INT32_MAX)
		*value = Int32GetDatum((int32) n);
	else if (type == INT2OID && n >= PG_INT16_MIN && n <= PG_INT16_MAX)
		*value = Int16GetDatum((int16) n);
	else
		return false;
	return true;
}

static CdcValueStatus
convert_number(CdcConversion *c, Datum *value)
{
	return cdc_value_set_input(c, cdc_token_string(c->token), value);
}

static CdcValueStatus
convert_integer(CdcConversion *c, Datum *value)
{
	int64		n;

	/* what does not fit is for the input function to complain of */
	if (!cdc_token_integer(c->token, &n) || !integer_datum(c->vt->base_type, n, value))
		return convert_number(c, value);
	return CDC_VALUE_SET;
}

/* The input function would take -1 for the largest */
static CdcValueStatus
convert_oid(CdcConversion *c, Datum *value)
{
	int64		n;

	if (!cdc_token_integer(c->token, &n))
		cdc_value_invalid(c);
	if (n < 0 || n > PG_UINT32_MAX)
		cdc_value_out_of_range(c, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	*value = ObjectIdGetDatum((Oid) n);
	return CDC_VALUE_SET;
}

/* {"scale":1,"value":"Dw=="} */
static CdcToken
variable_decimal(CdcConversion *c, int *scale)
{
	int			n;
	CdcField   *members = cdc_token_members(c->token, &n);
	CdcToken	value = {CDC_TOKEN_NULL};
	int64		number = PG_INT64_MAX;

	for (int i = 0; i < n; i++)
	{
		if (cdc_field_is(&members[i], "value"))
			value = members[i].token;
		else if (cdc_field_is(&members[i], "scale") &&
				 !cdc_token_integer(&members[i].token, &number))
			cdc_value_invalid(c);
	}
	if (value.type != CDC_TOKEN_STRING || number > PG_INT32_MAX || number < PG_INT32_MIN)
		cdc_value_invalid(c);
	*scale = number;
	if (members != NULL)
		pfree(members);
	return value;
}

pg_noreturn static void
no_scale(CdcConversion *c)
{
	if (c->schema == &c->implied)
		cdc_value_not_said(c, "decimal.handling.mode", "precise", "string",
						   "the scale of the author's column");
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot decode column \"%s\" of type %s from a decimal without scale",
					c->vt->column, cdc_value_type_name(c->vt))));
}

/* The digits of the absolute value of a big-endian two's complement integer */
static char *
integer_digits(const unsigned char *bytes, int nbytes)
{
	int			max_limbs = nbytes * 8 / 29 + 1;
	uint32	   *limbs = palloc0(max_limbs * sizeof(uint32));	/* lowest first */
	char	   *digits = palloc(max_limbs * LIMB_DIGITS + 1);
	char	   *p = digits;
	bool		negative = (bytes[0] & 0x80) != 0;
	int			nlimbs = 1;

	/* of a negative number invert the bytes here and add one at the end */
	for (int i = 0; i < nbytes; i++)
	{
		uint64		carry = negative ? (unsigned char) ~bytes[i] : bytes[i];

		if (i == nbytes - 1 && negative)
			carry++;
		for (int j = 0; j < nlimbs || carry > 0; j++)
		{
			uint64		n = (uint64) limbs[j] * 256 + carry;

			limbs[j] = n % LIMB;
			carry = n / LIMB;
			nlimbs = Max(nlimbs, j + 1);
		}
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}

	p += pg_ultoa_n(limbs[nlimbs - 1], p);
	for (int j = nlimbs - 2; j >= 0; j--)
		p = pg_ultostr_zeropad(p, limbs[j], LIMB_DIGITS);
	*p = '\0';
	pfree(limbs);
	return digits;
}

static char *
insert_point(const char *digits, bool negative, int scale)
{
	int			ndigits = strlen(digits);
	int			whole = Max(ndigits - scale, 0);	/* digits before the point */
	char	   *text = palloc(ndigits + abs(scale) + 4);
	char	   *p = text;

	if (negative)
		*p++ = '-';
	if (whole == 0)
		*p++ = '0';
	for (int i = 0; i < whole; i++)
		*p++ = i < ndigits ? digits[i] : '0';
	if (scale > 0)
		*p++ = '.';
	for (int i = ndigits - scale; scale > 0 && i < ndigits; i++)
		*p++ = i < 0 ? '0' : digits[i];
	*p = '\0';
	return text;
}

/* A Decimal or VariableScaleDecimal as text; a number if decimal.format=NUMERIC */
static char *
decimal_text(CdcConversion *c)
{
	CdcToken	token = *c->token;
	int			scale = c->schema->scale;
	unsigned char *bytes;
	int			nbytes;
	char	   *digits;
	char	   *text;

	if (token.type == CDC_TOKEN_NUMBER)
		return cdc_token_string(&token);
	if (token.type == CDC_TOKEN_OBJECT)
		token = variable_decimal(c, &scale);
	else if (scale < 0)
		no_scale(c);

	bytes = (unsigned char *) cdc_token_bytes(&token, 0, &nbytes);
	if (bytes == NULL || nbytes == 0)
		cdc_value_invalid(c);
	if (nbytes > MAX_DECIMAL_BYTES || scale > MAX_SCALE || scale < MIN_SCALE)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value of column \"%s\" overflows numeric format", c->vt->column)));
	digits = integer_digits(bytes, nbytes);
	text = insert_point(digits, (bytes[0] & 0x80) != 0, scale);
	pfree(digits);
	pfree(bytes);
	return text;
}

/* A fraction of zeros is none */
static CdcValueStatus
convert_decimal_to_integer(CdcConversion *c, Datum *value)
{
	char	   *text = decimal_text(c);
	char	   *point = strchr(text, '.');

	if (point != NULL)
	{
		if (point[1 + strspn(point + 1, "0")] != '\0')
			cdc_value_invalid(c);
		*point = '\0';
	}
	return cdc_value_set_input(c, text, value);
}

static CdcValueStatus
convert_double(CdcConversion *c, Datum *value)
{
	return cdc_value_set_input(c, cdc_value_double_text(c, c->token), value);
}

/* Java's and Debezium's names of what is no finite number, as the server has them */
static char *
special_number(const char *text, int len)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			names[] = {
		{"NaN", "NaN"},
		{"Infinity", "Infinity"},
		{"-Infinity", "-Infinity"},
		{"NAN", "NaN"},
		{"POSITIVE_INFINITY", "Infinity"},
		{"NEGATIVE_INFINITY", "-Infinity"},
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strlen(names[i].name) == len && memcmp(names[i].name, text, len) == 0)
			return pstrdup(names[i].value);
	}
	return NULL;
}

/* A number's text as float8 takes it; Connect quotes what JSON has no number for */
char *
cdc_value_double_text(CdcConversion *c, const CdcToken *token)
{
	char	   *special = NULL;

	if (token->type == CDC_TOKEN_NUMBER)
		return cdc_token_string(token);
	if (token->type == CDC_TOKEN_STRING)
	{
		int			len;
		const char *chars = cdc_token_chars(token, &len);

		special = special_number(chars, len);
	}
	if (special == NULL)
		cdc_value_invalid(c);
	return special;
}

/* As the server widens it: the exact value, not the nearest to its shortest text */
static CdcValueStatus
convert_float_to_double(CdcConversion *c, Datum *value)
{
	Datum		narrow;

	if (c->token->type != CDC_TOKEN_NUMBER)
		return convert_double(c, value);
	narrow = DirectFunctionCall1(float4in, CStringGetDatum(cdc_token_string(c->token)));
	*value = DirectFunctionCall1(ftod, narrow);
	return CDC_VALUE_SET;
}

static CdcValueStatus
convert_decimal(CdcConversion *c, Datum *value)
{
	return cdc_value_set_input(c, decimal_text(c), value);
}

static char *
numeric_text(CdcConversion *c)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);
	char	   *special = special_number(text, len);

	if (special == NULL && (len == 0 || strspn(text, "0123456789+-.eE") < len))
		cdc_value_invalid(c);
	return special != NULL ? special : pnstrdup(text, len);
}

static CdcValueStatus
convert_numeric_text(CdcConversion *c, Datum *value)
{
	return cdc_value_set_input(c, numeric_text(c), value);
}

static CdcValueStatus
set_money(CdcConversion *c, char *text, Datum *value)
{
	Datum		number = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	*value = cdc_value_call(c->vt, numeric_cash, number);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  DirectFunctionCall1(cash_numeric, *value))))
		cdc_value_misfit(c);
	return CDC_VALUE_SET;
}

static CdcValueStatus
convert_decimal_to_money(CdcConversion *c, Datum *value)
{
	return set_money(c, decimal_text(c), value);
}

static CdcValueStatus
convert_text_to_money(CdcConversion *c, Datum *value)
{
	return set_money(c, numeric_text(c), value);
}

static CdcValueStatus
convert_double_to_money(CdcConversion *c, Datum *value)
{
	return set_money(c, cdc_token_string(c->token), value);
}

#define NUMBER CDC_FORM_NUMBER
#define STRING CDC_FORM_STRING
#define OBJECT CDC_FORM_OBJECT

static const CdcConversionRule boolean_rules[] = {
	{CDC_SCHEMA_BOOLEAN, CDC_SEMANTIC_NONE, CDC_FORM_BOOLEAN, convert_boolean, CDC_FORM_BOOLEAN},
	{0}
};

static const CdcConversionRule integer_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NONE, NUMBER, convert_integer, NUMBER},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_NONE, NUMBER, convert_integer},
	{CDC_SCHEMA_INT16, CDC_SEMANTIC_NONE, NUMBER, convert_integer},
	{CDC_SCHEMA_INT8, CDC_SEMANTIC_NONE, NUMBER, convert_integer},
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_DECIMAL, STRING | NUMBER, convert_decimal_to_integer},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_VARIABLE_DECIMAL, OBJECT, convert_decimal_to_integer},
	{0}
};

static const CdcConversionRule oid_rules[] = {
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NONE, NUMBER, convert_oid, NUMBER},
	{0}
};

static const CdcConversionRule float4_rules[] = {
	{CDC_SCHEMA_FLOAT, CDC_SEMANTIC_NONE, NUMBER | STRING, convert_double, NUMBER | STRING},
	{0}
};

static const CdcConversionRule float8_rules[] = {
	{CDC_SCHEMA_DOUBLE, CDC_SEMANTIC_NONE, NUMBER | STRING, convert_double, NUMBER | STRING},
	{CDC_SCHEMA_FLOAT, CDC_SEMANTIC_NONE, NUMBER | STRING, convert_float_to_double},
	{0}
};

/* A string is decimal.handling.mode=string, a double is =double */
static const CdcConversionRule numeric_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_DECIMAL, STRING | NUMBER, convert_decimal},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_VARIABLE_DECIMAL, OBJECT, convert_decimal, OBJECT},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, convert_numeric_text},
	{CDC_SCHEMA_DOUBLE, CDC_SEMANTIC_NONE, NUMBER | STRING, convert_double, NUMBER},
	{CDC_SCHEMA_INT64, CDC_SEMANTIC_NONE, NUMBER, convert_number},
	{CDC_SCHEMA_INT32, CDC_SEMANTIC_NONE, NUMBER, convert_number},
	{CDC_SCHEMA_INT16, CDC_SEMANTIC_NONE, NUMBER, convert_number},
	{CDC_SCHEMA_INT8, CDC_SEMANTIC_NONE, NUMBER, convert_number},
	{0}
};

/* Never by its input function, whose form depends on lc_monetary */
static const CdcConversionRule money_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_DECIMAL, STRING | NUMBER, convert_decimal_to_money},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, STRING, convert_text_to_money},
	{CDC_SCHEMA_DOUBLE, CDC_SEMANTIC_NONE, NUMBER, convert_double_to_money, NUMBER},
	{0}
};

const CdcValueKind cdc_value_number_kinds[] = {
	{INT4OID, NULL, {integer_rules}, .rows_are_null = true},
	{INT8OID, NULL, {integer_rules}, .rows_are_null = true},
	{INT2OID, NULL, {integer_rules}, .rows_are_null = true},
	{BOOLOID, NULL, {boolean_rules}, .rows_are_null = true},
	{NUMERICOID, NULL, {numeric_rules}, imply_numeric, .rows_are_null = true},
	{FLOAT8OID, NULL, {float8_rules}, .rows_are_null = true},
	{FLOAT4OID, NULL, {float4_rules}, .rows_are_null = true},
	{MONEYOID, NULL, {money_rules}, imply_numeric, .rows_are_null = true},
	{OIDOID, NULL, {oid_rules}, .rows_are_null = true},
	{InvalidOid}
};
