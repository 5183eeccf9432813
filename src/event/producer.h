/*
 * producer.h
 *		The modes of a peer's connector, as the subscription states them.
 *
 * Needed for JSON without schemas only; a schema in the message always wins.
 * The keys of the subscription's producer object are the connector's own
 * property names.
 */
#ifndef CDC_PRODUCER_H
#define CDC_PRODUCER_H

#include "utils/jsonb.h"

typedef enum CdcTimePrecisionMode
{
	CDC_TIME_UNKNOWN,
	CDC_TIME_ADAPTIVE,
	CDC_TIME_ADAPTIVE_TIME_MICROSECONDS,
	CDC_TIME_CONNECT,
	CDC_TIME_ISOSTRING,
	CDC_TIME_MICROSECONDS,
	CDC_TIME_NANOSECONDS,
	CDC_TIME_STRUCTURED
} CdcTimePrecisionMode;

typedef enum CdcDecimalMode
{
	CDC_DECIMAL_UNKNOWN,
	CDC_DECIMAL_PRECISE,
	CDC_DECIMAL_STRING,
	CDC_DECIMAL_DOUBLE
} CdcDecimalMode;

typedef enum CdcBinaryMode
{
	CDC_BINARY_UNKNOWN,
	CDC_BINARY_BYTES,
	CDC_BINARY_BASE64,
	CDC_BINARY_BASE64_URL_SAFE,
	CDC_BINARY_HEX
} CdcBinaryMode;

typedef struct CdcProducer
{
	CdcTimePrecisionMode time_precision;	/* time.precision.mode */
	CdcDecimalMode decimal;		/* decimal.handling.mode */
	CdcBinaryMode binary;		/* binary.handling.mode */
	int			money_digits;	/* money.fraction.digits, the connector's default if not given */
	const char *placeholder;	/* unavailable.value.placeholder, never NULL */
} CdcProducer;

extern CdcProducer *cdc_producer_parse(Jsonb *object);

#endif							/* CDC_PRODUCER_H */
