/*
 * value_bytes.c
 *		bytea, bit strings, the text of types that Debezium does not know; base64.
 *
 * What Debezium does not know (and sends only if include.unknown.datatypes is true) comes
 * as bytes that are the value's text, or in the other modes of binary.handling.mode as a
 * text that encodes them.  That is how composite types, multiranges and most types of
 * extensions travel.
 *
 * A bit string comes as the number that it stands for: Java's BitSet, lowest byte first,
 * without the bytes that are zero at the end.  Its length must be known from elsewhere.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/varbit.h"

#include "base/base64.h"
#include "event/token.h"
#include "value/value_convert.h"

/* bytes: behind room for a header; NULL if the value was none */
static CdcValueStatus
set_bytes(CdcConversion *c, char *bytes, int nbytes, Datum *value)
{
	if (bytes == NULL)
		cdc_value_invalid(c);
	SET_VARSIZE(bytes, nbytes + VARHDRSZ);
	*value = PointerGetDatum(bytes);
	return CDC_VALUE_SET;
}

/* Of Connect's type bytes, as the wire format has it */
static CdcValueStatus
from_bytes(CdcConversion *c, Datum *value)
{
	int			nbytes = 0;
	char	   *bytes = cdc_token_bytes(c->token, VARHDRSZ, &nbytes);

	return set_bytes(c, bytes, nbytes, value);
}

/* Of a text, in which Debezium has encoded them */
static CdcValueStatus
from_base64(CdcConversion *c, bool url_safe, Datum *value)
{
	int			len;
	int			nbytes;
	char	   *text = cdc_value_text(c, &len);
	char	   *bytes = cdc_base64(text, len, url_safe, VARHDRSZ, &nbytes);

	return set_bytes(c, bytes, nbytes, value);
}

/* The digit's value, or -1 */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Of binary.handling.mode=hex: digits without a prefix, in either case */
static CdcValueStatus
from_hex(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);
	bytea	   *bytes = palloc(len / 2 + VARHDRSZ);

	if (len % 2 != 0)
		cdc_value_invalid(c);
	for (int i = 0; i < len; i += 2)
	{
		int			high = hex_digit(text[i]);
		int			low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			cdc_value_invalid(c);
		VARDATA(bytes)[i / 2] = (char) (high << 4 | low);
	}
	SET_VARSIZE(bytes, len / 2 + VARHDRSZ);
	*value = PointerGetDatum(bytes);
	return CDC_VALUE_SET;
}

/* A text that a schema tells no more of: only the producer's mode can */
static CdcValueStatus
convert_string(CdcConversion *c, Datum *value)
{
	switch (c->producer->binary)
	{
		case CDC_BINARY_BASE64:
			return from_base64(c, false, value);
		case CDC_BINARY_BASE64_URL_SAFE:
			return from_base64(c, true, value);
		case CDC_BINARY_HEX:
			return from_hex(c, value);
		case CDC_BINARY_BYTES:
		case CDC_BINARY_UNKNOWN:
			break;
	}
	cdc_value_ambiguous(c, "binary.handling.mode");
}

/*
 * Only in the mode bytes the placeholder of a value that was not sent is encoded, too.
 * Without a schema nothing but the mode tells bytes from a text that encodes them.
 */
static CdcValueStatus
convert_bytes(CdcConversion *c, Datum *value)
{
	if (c->schema == &c->implied && c->producer->binary != CDC_BINARY_BYTES)
		return convert_string(c, value);
	from_bytes(c, value);
	if (cdc_value_is_placeholder(c, VARDATA(DatumGetPointer(*value)),
								 VARSIZE(DatumGetPointer(*value)) - VARHDRSZ))
		return CDC_VALUE_UNCHANGED;
	return CDC_VALUE_SET;
}

/* The bytes are the value's text, of any type; it is verified, for bytes may be anything */
static CdcValueStatus
set_opaque(CdcConversion *c, Datum bytes, Datum *value)
{
	char	   *data = VARDATA(DatumGetPointer(bytes));
	int			len = VARSIZE(DatumGetPointer(bytes)) - VARHDRSZ;

	if (!pg_verify_mbstr(PG_UTF8, data, len, true))
		cdc_value_invalid(c);
	return cdc_value_set_input(c, pnstrdup(data, len), value);
}

static CdcValueStatus
convert_opaque(CdcConversion *c, Datum *value)
{
	Datum		bytes;
	CdcValueStatus status = convert_bytes(c, &bytes);

	return status == CDC_VALUE_SET ? set_opaque(c, bytes, value) : status;
}

/* If bytes come as bytes, a string is a text that needs no decoding */
static CdcValueStatus
convert_opaque_string(CdcConversion *c, Datum *value)
{
	Datum		bytes;

	if (c->producer->binary == CDC_BINARY_BYTES)
		return cdc_value_by_input(c, value);
	convert_string(c, &bytes);
	return set_opaque(c, bytes, value);
}

/* A bit(1) or varbit(1) as Connect's boolean */
static CdcValueStatus
convert_bit(CdcConversion *c, Datum *value)
{
	return cdc_value_set_input(c, pstrdup(c->token->type == CDC_TOKEN_TRUE ? "1" : "0"), value);
}

pg_noreturn static void
leading_zeros_lost(CdcConversion *c)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("cannot decode column \"%s\" of type %s: leading zeros are not in the event",
					c->vt->column,
					format_type_with_typemod(c->vt->base_type, c->vt->typmod)),
			 errdetail("Debezium writes the number that a bit string stands for: 11 and 0011 are one."),
			 c->schema == &c->implied && c->vt->base_type == BITOID ?
			 errhint("Set value.converter.schemas.enable=true in the connector: the schema has the length of the author's column.") :
			 errhint("Use bit(n) or text, or leave the column out by column.exclude.list of the connector.")));
}

/* A varbit's is certain only if its highest bit says so; a bit(n)'s is the author's n */
static int
bits_length(CdcConversion *c, int nsignificant)
{
	int			length = c->schema->length;

	if (length > MaxAttrSize * BITS_PER_BYTE)
		length = -1;			/* of a varbit without limit */
	if (length > 0 && length < nsignificant)
		cdc_value_invalid(c);
	if (c->vt->base_type == VARBITOID ? length != nsignificant : length <= 0)
		leading_zeros_lost(c);
	return length;
}

/*
 * Bit i stands in byte i / 8, lowest first; the text has the highest first.  Zeros above the
 * highest that is set are not in the bytes, and are added up to the length.
 */
static CdcValueStatus
convert_bits(CdcConversion *c, Datum *value)
{
	Datum		datum;
	unsigned char *bytes;
	int			nbits;
	int			length;
	char	   *text;

	from_bytes(c, &datum);
	bytes = (unsigned char *) VARDATA(DatumGetPointer(datum));
	nbits = (VARSIZE(DatumGetPointer(datum)) - VARHDRSZ) * BITS_PER_BYTE;
	while (nbits > 0 && (bytes[(nbits - 1) / 8] >> (nbits - 1) % 8 & 1) == 0)
		nbits--;

	length = bits_length(c, nbits);
	text = palloc(length + 1);
	for (int i = 0; i < length; i++)
		text[length - 1 - i] = i < nbits && (bytes[i / 8] >> i % 8 & 1) ? '1' : '0';
	text[length] = '\0';
	return cdc_value_set_input(c, text, value);
}

static const CdcConversionRule bytea_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_bytes, CDC_FORM_STRING},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_string},
	{0}
};

/* Of one bit it makes a boolean */
static const CdcConversionRule bits_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_BITS, CDC_FORM_STRING, convert_bits, CDC_FORM_STRING},
	{CDC_SCHEMA_BOOLEAN, CDC_SEMANTIC_NONE, CDC_FORM_BOOLEAN, convert_bit, CDC_FORM_BOOLEAN},
	{0}
};

/* Also of types that came so before Debezium knew them */
const CdcConversionRule cdc_value_opaque_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_opaque, CDC_FORM_STRING},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_opaque_string},
	{0}
};

/* And of one whose own form is a string: only bytes can be told from that */
const CdcConversionRule cdc_value_opaque_bytes_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_opaque},
	{0}
};

const CdcValueKind cdc_value_bytes_kinds[] = {
	{BYTEAOID, NULL, {bytea_rules}, .rows_are_null = true},
	{BITOID, NULL, {bits_rules}, .rows_are_null = true},
	{VARBITOID, NULL, {bits_rules}, .rows_are_null = true},
	{InvalidOid}
};
