/*
 * value_bytes.c
 *		bytea, and the base64 in which Connect writes bytes.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "decode.h"
#include "value_convert.h"

static CdcValueStatus convert_bytes(CdcConversion *c, Datum *value);
static CdcValueStatus convert_string(CdcConversion *c, Datum *value);
static CdcValueStatus from_base64(CdcConversion *c, bool url_safe, Datum *value);
static CdcValueStatus from_hex(CdcConversion *c, Datum *value);
static int	base64_digit(char c, bool url_safe);
static int	hex_digit(char c);

const CdcConversionRule cdc_value_bytea_rules[] = {
	{CDC_SCHEMA_BYTES, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_bytes},
	{CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE, CDC_FORM_STRING, convert_string},
	{0}
};

void
cdc_value_imply_bytea(CdcConversion *c)
{
	if (c->token->type != CDC_TOKEN_STRING)
		cdc_value_invalid(c);
	cdc_value_imply(c, c->producer->binary == CDC_BINARY_BYTES ?
					CDC_SCHEMA_BYTES : CDC_SCHEMA_STRING, CDC_SEMANTIC_NONE);
}

/* Only in this mode the placeholder of a value that was not sent is encoded too */
static CdcValueStatus
convert_bytes(CdcConversion *c, Datum *value)
{
	from_base64(c, false, value);
	if (cdc_value_is_placeholder(c, VARDATA(DatumGetPointer(*value)),
								 VARSIZE(DatumGetPointer(*value)) - VARHDRSZ))
		return CDC_VALUE_UNCHANGED;
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

static CdcValueStatus
from_base64(CdcConversion *c, bool url_safe, Datum *value)
{
	int			len;
	int			nbytes;
	char	   *text = cdc_value_text(c, &len);
	char	   *bytes = cdc_value_base64(text, len, url_safe, VARHDRSZ, &nbytes);

	if (bytes == NULL)
		cdc_value_invalid(c);
	SET_VARSIZE(bytes, nbytes + VARHDRSZ);
	*value = PointerGetDatum(bytes);
	return CDC_VALUE_SET;
}

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

char *
cdc_value_base64(const char *text, int len, bool url_safe, int reserve, int *nbytes)
{
	char	   *result = palloc(reserve + (Size) len / 4 * 3 + 3);
	char	   *out = result + reserve;
	uint32		bits = 0;
	int			ndigits;

	/* padding completes the last group of four; the URL alphabet may do without */
	ndigits = len;
	while (ndigits > 0 && ndigits > len - 2 && text[ndigits - 1] == '=')
		ndigits--;
	if ((len % 4 != 0 && !(url_safe && ndigits == len)) || ndigits % 4 == 1)
		return NULL;

	for (int i = 0; i < ndigits; i++)
	{
		int			digit = base64_digit(text[i], url_safe);

		if (digit < 0)
			return NULL;
		bits = bits << 6 | digit;
		if (i % 4 == 3)
		{
			*out++ = (char) (bits >> 16);
			*out++ = (char) (bits >> 8);
			*out++ = (char) bits;
		}
	}
	if (ndigits % 4 == 2)
		*out++ = (char) (bits >> 4);
	if (ndigits % 4 == 3)
	{
		*out++ = (char) (bits >> 10);
		*out++ = (char) (bits >> 2);
	}
	*nbytes = out - result - reserve;
	return result;
}

static int
base64_digit(char c, bool url_safe)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url_safe ? '-' : '+'))
		return 62;
	if (c == (url_safe ? '_' : '/'))
		return 63;
	return -1;
}

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
