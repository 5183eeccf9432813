/*
 * value_convert.h
 *		Rules of conversion, and what converters have in common.
 *
 * A value_*.c file exports its kinds of types, or rules for kinds of others; its converters
 * are reached through these alone.
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
	CdcSchema	implied;		/* what the form, the producer's modes and the local type tell */
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
	int			implied;		/* forms that without a schema mean this type */
} CdcConversionRule;

/* Own rules, those for texts, those for structs */
#define CDC_VALUE_MAX_RULES 3

typedef struct CdcValueKind
{
	Oid			type;			/* one of the server's own, or InvalidOid */
	const char *name;			/* an extension's type that Debezium knows, or NULL */

	/* up to a table that is NULL; each of rules up to one without a converter */
	const CdcConversionRule *rules[CDC_VALUE_MAX_RULES + 1];

	/* Without a schema, of a form that no rule implies: set c->implied by the modes */
	void		(*imply) (CdcConversion *c);

	bool		rows_are_null;	/* in an array of two dimensions a row comes as null */
	bool		is_array;		/* comes as an array itself */
} CdcValueKind;

/* value.c */
extern CdcValueStatus cdc_value_convert(CdcConversion *c, Datum *value);
extern void cdc_value_check_domain(CdcValueType *vt, Datum value, bool isnull);

/* value_convert.c */
extern void cdc_value_imply(CdcConversion *c, CdcSchemaType type, CdcSemantic semantic);
extern void cdc_value_context(void *arg);
extern Datum cdc_value_call(CdcValueType *vt, PGFunction function, Datum argument);
extern CdcValueStatus cdc_value_set_input(CdcConversion *c, char *text, Datum *value);
extern CdcValueStatus cdc_value_by_input(CdcConversion *c, Datum *value);
extern char *cdc_value_text(CdcConversion *c, int *len);
extern bool cdc_value_is_placeholder(const CdcConversion *c, const char *text, int len);
extern bool cdc_value_token_is_placeholder(CdcConversion *c);
extern void cdc_value_members(CdcConversion *c, const char *const *names, int n,
							  CdcToken *found);

/* value_error.c */
extern char *cdc_value_type_name(const CdcValueType *vt);
pg_noreturn extern void cdc_value_mismatch(CdcConversion *c);
pg_noreturn extern void cdc_value_invalid(CdcConversion *c);
pg_noreturn extern void cdc_value_misfit(CdcConversion *c);
pg_noreturn extern void cdc_value_out_of_range(CdcConversion *c, int sqlerrcode);
pg_noreturn extern void cdc_value_ambiguous(CdcConversion *c, const char *setting);
pg_noreturn extern void cdc_value_not_said(CdcConversion *c, const char *setting,
										   const char *mode, const char *better,
										   const char *what);

/* value_fit.c */
extern CdcFits cdc_value_find_fits(Oid type, int32 typmod);

/* value_datetime.c: days since 1970, the rest as the types have it */
extern bool cdc_value_days(int64 year, int64 month, int64 day, int64 *days);
extern CdcValueStatus cdc_value_set_date(CdcConversion *c, int64 days, Datum *value);
extern CdcValueStatus cdc_value_set_time(CdcConversion *c, int64 usecs, Datum *value);
extern CdcValueStatus cdc_value_set_timetz(CdcConversion *c, int64 usecs, int zone, Datum *value);
extern CdcValueStatus cdc_value_set_timestamp(CdcConversion *c, int64 timestamp, Datum *value);

/* value_text.c */
extern bool cdc_value_parse_uuid(const CdcToken *token, pg_uuid_t *uuid);

/* value_number.c */
extern char *cdc_value_double_text(CdcConversion *c, const CdcToken *token);

/* Kinds of types, each list up to one without rules */
extern const CdcValueKind cdc_value_number_kinds[];
extern const CdcValueKind cdc_value_text_kinds[];
extern const CdcValueKind cdc_value_time_kinds[];
extern const CdcValueKind cdc_value_bytes_kinds[];
extern const CdcValueKind cdc_value_geometry_kinds[];

/* Rules for kinds of other files */
extern const CdcConversionRule cdc_value_string_rules[];	/* value_text.c */
extern const CdcConversionRule cdc_value_opaque_rules[];	/* value_bytes.c */
extern const CdcConversionRule cdc_value_opaque_bytes_rules[];
extern const CdcConversionRule cdc_value_array_rules[]; /* value_array.c */

/* value_iso.c */
extern const CdcConversionRule cdc_value_iso_date_rules[];
extern const CdcConversionRule cdc_value_iso_time_rules[];
extern const CdcConversionRule cdc_value_iso_timetz_rules[];
extern const CdcConversionRule cdc_value_iso_timestamp_rules[];
extern const CdcConversionRule cdc_value_iso_timestamptz_rules[];
extern const CdcConversionRule cdc_value_iso_interval_rules[];

/* value_structured.c */
extern const CdcConversionRule cdc_value_structured_date_rules[];
extern const CdcConversionRule cdc_value_structured_time_rules[];
extern const CdcConversionRule cdc_value_structured_timetz_rules[];
extern const CdcConversionRule cdc_value_structured_timestamp_rules[];
extern const CdcConversionRule cdc_value_structured_timestamptz_rules[];
extern const CdcConversionRule cdc_value_structured_interval_rules[];

#endif							/* CDC_VALUE_CONVERT_H */
