/*
 * protocol.h
 *		What the apply worker and its consumer process tell each other.
 *
 * Both are of one build and on one machine: numbers are in its byte order.  They have one
 * stream socket for both directions.  A frame is a header and a payload of fields, one
 * behind the other: a number of four or eight bytes, or a text, which is its length, so
 * many bytes and a NUL that is not counted; length -1, with nothing behind it, is a NULL.
 *
 * Partitions are known by a number that the worker gives.  What is said of one carries
 * the generation of its assignment: what comes of an older one is outdated.
 *
 * Whoever reads a frame that is not as it should be ends the connection: there is no
 * telling what comes behind it.
 */
#ifndef CDC_PROTOCOL_H
#define CDC_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CDC_CONSUMER_PROGRAM	"cdcsync-consumer"
#define CDC_CONSUMER_FD			3	/* of the program: its end of the socket */

/* No frame is larger: a message of Kafka has a length of 31 bits, and its key, and more */
#define CDC_FRAME_MAX	UINT32_C(0xf0000000)

typedef enum CdcFrameKind
{
	/* from the worker; number is that of a request */
	CDC_FRAME_CONFIG = 1,		/* count, (name, value, whether it is optional)... */
	CDC_FRAME_ASSIGN,			/* offset, partition, topic; number is the generation */
	CDC_FRAME_UNASSIGN,
	CDC_FRAME_TOPICS,			/* timeout */
	CDC_FRAME_OFFSETS,			/* timeout, time, count, (topic, partition)... */
	CDC_FRAME_RETENTION,		/* timeout, count, topic... */

	/* from the consumer: of itself */
	CDC_FRAME_READY = 32,		/* the library's version, as number and text; sasl.mechanism */
	CDC_FRAME_REFUSED,			/* number of the property, or -1; whether it is unknown; why */
	CDC_FRAME_CLIENT_ERROR,		/* whether it is fatal; text */
	CDC_FRAME_LOG,				/* level, facility, text */
	/* of a partition; number is the generation */
	CDC_FRAME_MESSAGE,			/* offset, time, end, key, value, headers */
	CDC_FRAME_EOF,				/* offset, which is the end */
	CDC_FRAME_OUT_OF_RANGE,		/* offset, text */
	CDC_FRAME_PARTITION_ERROR,	/* offset, text */
	/* answers; number is that of the request; error, NULL if there is none, and then: */
	CDC_FRAME_TOPICS_ARE,		/* cluster id, count, (name, partitions, error)... */
	CDC_FRAME_OFFSETS_ARE,		/* count, (offset, error)... */
	CDC_FRAME_RETENTION_IS		/* count, ms... */
} CdcFrameKind;

typedef struct CdcFrame
{
	uint32_t	size;			/* of the payload */
	uint32_t	kind;			/* CdcFrameKind */
	uint32_t	number;			/* of a request, or of an assignment of the partition */
	uint32_t	partition;		/* number that the worker gave it */
} CdcFrame;

/* Headers of a message are one text: of each its name, and its value, as texts */

/* A payload that is read: fields are taken off its front */
typedef struct CdcPayload
{
	const char *at;
	size_t		left;
	bool		bad;			/* something was not there; what is read then is 0 or NULL */
} CdcPayload;

static inline bool
cdc_payload_take(CdcPayload *payload, void *to, size_t size)
{
	if (payload->left < size)
	{
		payload->bad = true;
		payload->left = 0;
		memset(to, 0, size);
		return false;
	}
	memcpy(to, payload->at, size);
	payload->at += size;
	payload->left -= size;
	return true;
}

static inline int32_t
cdc_payload_int32(CdcPayload *payload)
{
	int32_t		value;

	cdc_payload_take(payload, &value, sizeof(value));
	return value;
}

static inline int64_t
cdc_payload_int64(CdcPayload *payload)
{
	int64_t		value;

	cdc_payload_take(payload, &value, sizeof(value));
	return value;
}

/* Where the text stands in the payload, with a NUL behind it; NULL, and length 0, if it is one */
static inline const char *
cdc_payload_bytes(CdcPayload *payload, int32_t *length)
{
	int32_t		given = cdc_payload_int32(payload);
	const char *text = payload->at;

	*length = 0;
	if (payload->bad || given == -1)
		return NULL;
	if (given < 0 || (size_t) given >= payload->left || text[given] != '\0')
	{
		payload->bad = true;
		payload->left = 0;
		return NULL;
	}
	payload->at += (size_t) given + 1;
	payload->left -= (size_t) given + 1;
	*length = given;
	return text;
}

static inline const char *
cdc_payload_text(CdcPayload *payload)
{
	int32_t		length;

	return cdc_payload_bytes(payload, &length);
}

#endif							/* CDC_PROTOCOL_H */
