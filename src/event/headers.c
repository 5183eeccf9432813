/*
 * headers.c
 *		Headers of a Kafka record.
 *
 * Debezium sends four with each, which say nothing that the event does not.  So they stay
 * as the consumer process sent them, names and values in turn, until somebody wants to
 * see them.
 */
#include "postgres.h"

#include "utils/json.h"

#include "consumer/protocol.h"
#include "event/headers.h"

/* The value in hex, as bytea is written: it may be anything */
static void
append_header(StringInfo buf, const char *name, const char *value, int size)
{
	appendStringInfoChar(buf, '[');
	escape_json(buf, name);
	if (value == NULL)
	{
		appendStringInfoString(buf, ", null]");
		return;
	}
	appendStringInfoString(buf, ", \"\\\\x");
	for (int i = 0; i < size; i++)
		appendStringInfo(buf, "%02x", ((const unsigned char *) value)[i]);
	appendStringInfoString(buf, "\"]");
}

/* As JSON, [["name", "\\xhex" or null], ...]; NULL for none */
char *
cdc_headers_to_json(const char *headers, int length)
{
	CdcPayload	payload = {.at = headers,.left = length};
	StringInfoData buf;

	if (headers == NULL)
		return NULL;
	initStringInfo(&buf);
	while (payload.left > 0)
	{
		const char *name = cdc_payload_text(&payload);
		int			size;
		const char *value = cdc_payload_bytes(&payload, &size);

		if (name == NULL || payload.bad)
			break;
		appendStringInfoString(&buf, buf.len > 0 ? ", " : "[");
		append_header(&buf, name, value, size);
	}
	appendStringInfoString(&buf, buf.len > 0 ? "]" : "[]");
	return buf.data;
}
