/*
 * value_convert.h
 *		The converters of value.c, value_number.c, value_time.c and value_bytes.c.
 */
#ifndef CDC_VALUE_CONVERT_H
#define CDC_VALUE_CONVERT_H

#include "compat.h"
#include "value.h"

/* One conversion under way */
typedef struct CdcConversion
{
	const CdcToken *token;		/* not null */
	const CdcSchema *schema;	/* of the message, else &implied */
	const CdcProducer *producer;
	CdcValueType *vt;
	CdcSchema	implied;		/* what the producer's modes and the local type tell */
} CdcConversion;

typedef CdcValueStatus (*CdcConverter) (CdcConversion *c, Datum *value);

/* Token types, as bits: the forms in which a value may come */
#define CDC_FORM(token_type)	(1 << (token_type))
#define CDC_FORM_BOOLEAN		(CDC_FORM(CDC_TOKEN_TRUE) | CDC_FORM(CDC_TOKEN_FALSE))
#define CDC_FORM_NUMBER			CDC_FORM(CDC_TOKEN_NUMBER)
#define CDC_FORM_STRING			CDC_FORM(CDC_TOKEN_STRING)
#define CDC_FORM_OBJECT			CDC_FORM(CDC_TOKEN_OBJECT)
#define CDC_FORM_ARRAY			CDC_FORM(CDC_TOKEN_ARRAY)

/* What a local type takes: Connect type and semantic name, in these forms */
typedef struct CdcConversionRule
{
	CdcSchemaType type;
	CdcSemantic semantic;
	int			forms;
	CdcConverter convert;
} CdcConversionRule;

typedef struct CdcValueKind
{
	Oid			type;
	const CdcConversionRule *rules; /* up to one without a converter */
	void		(*imply) (CdcConversion *c);	/* set c->implied for JSON without schemas */
} CdcValueKind;

/* value.c */
extern void cdc_value_imply(CdcConversion *c, CdcSchemaType type, CdcSemantic semantic);
extern Datum cdc_value_input(CdcValueType *vt, char *text);
extern char *cdc_value_text(CdcConversion *c, int *len);
pg_noreturn extern void cdc_value_mismatch(CdcConversion *c);
pg_noreturn extern void cdc_value_ambiguous(CdcConversion *c, const char *setting);
pg_noreturn extern void cdc_value_invalid(CdcConversion *c);
extern bool cdc_value_is_placeholder(const CdcConversion *c, const char *text, int len);

/* value_number.c */
extern const CdcConversionRule cdc_value_integer_rules[];
extern const CdcConversionRule cdc_value_float4_rules[];
extern const CdcConversionRule cdc_value_float8_rules[];
extern const CdcConversionRule cdc_value_numeric_rules[];
extern void cdc_value_imply_float(CdcConversion *c);
extern void cdc_value_imply_numeric(CdcConversion *c);

/* value_time.c */
extern const CdcConversionRule cdc_value_date_rules[];
extern const CdcConversionRule cdc_value_time_rules[];
extern const CdcConversionRule cdc_value_timestamp_rules[];
extern const CdcConversionRule cdc_value_timestamptz_rules[];
extern void cdc_value_imply_date(CdcConversion *c);
extern void cdc_value_imply_time(CdcConversion *c);
extern void cdc_value_imply_timestamp(CdcConversion *c);
extern void cdc_value_imply_timestamptz(CdcConversion *c);

/* value_bytes.c */
extern const CdcConversionRule cdc_value_bytea_rules[];
extern void cdc_value_imply_bytea(CdcConversion *c);

/*
 * The bytes of base64, in either alphabet as asked, in CurrentMemoryContext after
 * reserve free bytes; NULL if it is not base64.
 */
extern char *cdc_value_base64(const char *text, int len, bool url_safe, int reserve,
							  int *nbytes);

#endif							/* CDC_VALUE_CONVERT_H */
