/*
 * value_convert.h
 *		The converters of the value_*.c files.
 */
#ifndef CDC_VALUE_CONVERT_H
#define CDC_VALUE_CONVERT_H

#include "utils/uuid.h"

#include "base/compat.h"
#include "event/event.h"
#include "event/producer.h"
#include "value/value_type.h"

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
	Oid			type;			/* InvalidOid: not one of the server's own */
	const CdcConversionRule *rules; /* up to one without a converter */
	void		(*imply) (CdcConversion *c);	/* set c->implied for JSON without schemas */
	bool		rows_are_null;	/* in an array of two dimensions a row comes as null */
} CdcValueKind;

/* value.c */
extern void cdc_value_imply(CdcConversion *c, CdcSchemaType type, CdcSemantic semantic);
extern void cdc_value_imply_by_form(CdcConversion *c);
extern Datum cdc_value_input(CdcValueType *vt, char *text);
extern Datum cdc_value_call(CdcValueType *vt, PGFunction function, Datum argument);
extern CdcValueStatus cdc_value_set_input(CdcConversion *c, char *text, Datum *value);
extern CdcValueStatus cdc_value_by_input(CdcConversion *c, Datum *value);
extern char *cdc_value_text(CdcConversion *c, int *len);
pg_noreturn extern void cdc_value_mismatch(CdcConversion *c);
pg_noreturn extern void cdc_value_ambiguous(CdcConversion *c, const char *setting);
pg_noreturn extern void cdc_value_invalid(CdcConversion *c);

/* This mode of the connector leaves to the schema what, and there is none */
pg_noreturn extern void cdc_value_not_said(CdcConversion *c, const char *setting,
										   const char *mode, const char *better,
										   const char *what);
pg_noreturn extern void cdc_value_out_of_range(CdcConversion *c);
extern bool cdc_value_is_placeholder(const CdcConversion *c, const char *text, int len);
extern void cdc_value_members(CdcConversion *c, const char *const *names, int n,
							  CdcToken *found);

/* value_number.c */
extern const CdcConversionRule cdc_value_integer_rules[];
extern const CdcConversionRule cdc_value_oid_rules[];
extern const CdcConversionRule cdc_value_float4_rules[];
extern const CdcConversionRule cdc_value_float8_rules[];
extern const CdcConversionRule cdc_value_numeric_rules[];
extern const CdcConversionRule cdc_value_money_rules[];
extern void cdc_value_imply_float(CdcConversion *c);
extern void cdc_value_imply_numeric(CdcConversion *c);

/* A number's text as float8 takes it: also the quoted names of what is not finite */
extern char *cdc_value_double_text(CdcConversion *c, const CdcToken *token);

/* value_time.c */
extern const CdcConversionRule cdc_value_date_rules[];
extern const CdcConversionRule cdc_value_time_rules[];
extern const CdcConversionRule cdc_value_timetz_rules[];
extern const CdcConversionRule cdc_value_timestamp_rules[];
extern const CdcConversionRule cdc_value_timestamptz_rules[];
extern const CdcConversionRule cdc_value_interval_rules[];
extern void cdc_value_imply_date(CdcConversion *c);
extern void cdc_value_imply_time(CdcConversion *c);
extern void cdc_value_imply_timetz(CdcConversion *c);
extern void cdc_value_imply_timestamp(CdcConversion *c);
extern void cdc_value_imply_timestamptz(CdcConversion *c);
extern void cdc_value_imply_interval(CdcConversion *c);

/* value_time.c, for value_structured.c: days since 1970, the rest as the types have it */
extern CdcValueStatus cdc_value_set_date(CdcConversion *c, int64 days, Datum *value);
extern CdcValueStatus cdc_value_set_time(CdcConversion *c, int64 usecs, Datum *value);
extern CdcValueStatus cdc_value_set_timetz(CdcConversion *c, int64 usecs, int zone, Datum *value);
extern CdcValueStatus cdc_value_set_timestamp(CdcConversion *c, int64 timestamp, Datum *value);

/* value_structured.c */
extern CdcValueStatus cdc_value_structured_date(CdcConversion *c, Datum *value);
extern CdcValueStatus cdc_value_structured_time(CdcConversion *c, Datum *value);
extern CdcValueStatus cdc_value_structured_timetz(CdcConversion *c, Datum *value);
extern CdcValueStatus cdc_value_structured_timestamp(CdcConversion *c, Datum *value);
extern CdcValueStatus cdc_value_structured_duration(CdcConversion *c, Datum *value);

/* value_bytes.c */
extern const CdcConversionRule cdc_value_bytea_rules[];
extern const CdcConversionRule cdc_value_opaque_rules[];
extern const CdcConversionRule cdc_value_bits_rules[];
extern void cdc_value_imply_bytea(CdcConversion *c);
extern void cdc_value_imply_opaque(CdcConversion *c);
extern void cdc_value_imply_bits(CdcConversion *c);

/* The text of a type that Debezium does not know, as its binary mode writes it */
extern CdcValueStatus cdc_value_opaque(CdcConversion *c, Datum *value);
extern CdcValueStatus cdc_value_opaque_string(CdcConversion *c, Datum *value);

/* value_text.c */
extern const CdcConversionRule cdc_value_uuid_rules[];
extern const CdcConversionRule cdc_value_string_rules[];
extern const CdcConversionRule cdc_value_json_rules[];
extern const CdcConversionRule cdc_value_xml_rules[];
extern const CdcConversionRule cdc_value_tsvector_rules[];
extern const CdcConversionRule cdc_value_hstore_rules[];

/* False if it is none */
extern bool cdc_value_parse_uuid(const CdcToken *token, pg_uuid_t *uuid);

/* value_fit.c: how to find out for a type whether texts fit; the error if one does not */
extern CdcFits cdc_value_find_fits(Oid type, int32 typmod);
pg_noreturn extern void cdc_value_misfit(CdcConversion *c);

/* value_array.c, and what it needs of value.c for the elements */
extern const CdcConversionRule cdc_value_array_rules[];

extern CdcValueStatus cdc_value_convert(CdcConversion *c, Datum *value);
extern bool cdc_value_token_is_placeholder(CdcConversion *c);
extern void cdc_value_check_domain(CdcValueType *vt, Datum value, bool isnull);
extern char *cdc_value_type_name(const CdcValueType *vt);
extern void cdc_value_imply_tsvector(CdcConversion *c);
extern void cdc_value_imply_hstore(CdcConversion *c);

/* value_geometry.c */
extern const CdcConversionRule cdc_value_point_rules[];
extern const CdcConversionRule cdc_value_line_rules[];
extern const CdcConversionRule cdc_value_circle_rules[];
extern const CdcConversionRule cdc_value_shape_rules[];
extern const CdcConversionRule cdc_value_geometry_rules[];
extern const CdcConversionRule cdc_value_vector_rules[];
extern const CdcConversionRule cdc_value_sparse_vector_rules[];
extern void cdc_value_imply_point(CdcConversion *c);
extern void cdc_value_imply_line(CdcConversion *c);
extern void cdc_value_imply_circle(CdcConversion *c);
extern void cdc_value_imply_shape(CdcConversion *c);
extern void cdc_value_imply_vector(CdcConversion *c);
extern void cdc_value_imply_sparse_vector(CdcConversion *c);

#endif							/* CDC_VALUE_CONVERT_H */
