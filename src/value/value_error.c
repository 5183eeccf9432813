/*
 * value_error.c
 *		What is wrong with a value.
 *
 * All are data errors.  The value itself stands in the detail alone: who may not read the
 * table's rows sees the message without it.  Hints name what mends it at the connector, or
 * the subscription's producer option.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/compat.h"
#include "event/decode_schema.h"
#include "event/format.h"
#include "event/token.h"
#include "value/value_convert.h"

static const char *const form_names[] = {
	[CDC_TOKEN_NULL] = "null",
	[CDC_TOKEN_TRUE] = "boolean",
	[CDC_TOKEN_FALSE] = "boolean",
	[CDC_TOKEN_NUMBER] = "number",
	[CDC_TOKEN_STRING] = "string",
	[CDC_TOKEN_OBJECT] = "an object",
	[CDC_TOKEN_ARRAY] = "an array",
};

/* As the column's type is declared */
char *
cdc_value_type_name(const CdcValueType *vt)
{
	return vt->type != vt->base_type ? format_type_be(vt->type) :
		format_type_with_typemod(vt->type, vt->typmod);
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

/* A value that is none of its type */
void
cdc_value_invalid(CdcConversion *c)
{
	if (c->token->type == CDC_TOKEN_OBJECT || c->token->type == CDC_TOKEN_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("invalid value for column \"%s\" of type %s: %s",
						c->vt->column, cdc_value_type_name(c->vt), form_names[c->token->type]),
				 is_avro_union(c->token) ?
				 errdetail("It is a union, as Avro's JSON encoding writes a value that may be null.") : 0,
				 is_avro_union(c->token) ? errhint(CDC_HINT_CONVERTER) : 0));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("invalid value for column \"%s\" of type %s",
					c->vt->column, cdc_value_type_name(c->vt)),
			 c->schema == &c->implied ?
			 errdetail("It is the %s \"%s\".", form_names[c->token->type],
					   cdc_token_excerpt(c->token)) :
			 errdetail("It is the %s \"%s\" of Debezium type %s.", form_names[c->token->type],
					   cdc_token_excerpt(c->token),
					   cdc_decode_schema_name(c->schema))));
}

/* Also of another sqlerrcode than a number's: ERRCODE_DATETIME_VALUE_OUT_OF_RANGE */
void
cdc_value_out_of_range(CdcConversion *c, int sqlerrcode)
{
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("value for column \"%s\" of type %s is out of range",
					c->vt->column, format_type_be(c->vt->base_type)),
			 errdetail("It is %s.", cdc_token_excerpt(c->token))));
}

/* This mode of the connector leaves to the schema what, and there is none; better: a mode */
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

/* It depends on a setting of the connector's, which the subscription does not state */
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

/* The column would hold another value than the author's */
void
cdc_value_misfit(CdcConversion *c)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value does not fit into column \"%s\" of type %s", c->vt->column,
					cdc_value_type_name(c->vt)),
			 errdetail("Rounded or cut, %s would differ from the author's.",
					   cdc_token_excerpt(c->token)),
			 errhint("Give the column a type that is as wide as the author's, by ALTER TABLE ... ALTER COLUMN %s TYPE.",
					 quote_identifier(c->vt->column))));
}
