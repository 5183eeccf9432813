/*
 * value.c
 *		Token + Debezium schema or producer mode + local type -> Datum.
 *
 * Each local type has tables of the Debezium types it takes: those of which it is known
 * what the value means.  Whatever is not in a table is an error and never tried, for a
 * plausible wrong value is worse.  JSON without schemas is converted by the same tables:
 * what its Debezium type must have been follows from the form of the value and the local
 * type, on the assumption that both sides have the same type, and where that leaves a
 * choice from the producer's modes.
 *
 * The tables stand in value_*.c, beside what converts by them.  A type is found by its OID;
 * those of extensions that Debezium knows by their name, as Debezium finds them.  All
 * others are opaque to it: it sends their text, as it sends bytes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "value/value.h"
#include "value/value_convert.h"

/* Ordinary types first */
static const CdcValueKind *const kinds[] = {
	cdc_value_number_kinds,
	cdc_value_text_kinds,
	cdc_value_time_kinds,
	cdc_value_bytes_kinds,
	cdc_value_geometry_kinds,
};

static const CdcValueKind enum_kind = {.rules = {cdc_value_string_rules}};
static const CdcValueKind array_kind = {.rules = {cdc_value_array_rules}};
static const CdcValueKind opaque_kind = {.rules = {cdc_value_opaque_rules}, .rows_are_null = true};

/* Of which Debezium sends no arrays, whatever its settings are, or null for each of them */
static const Oid unsent_elements[] = {
	BITOID, INTERVALOID, MONEYOID, NAMEOID, POINTOID, REFCURSOROID, VARBITOID, XMLOID
};

/* By name if name is not NULL, else by type; NULL if there is none */
static const CdcValueKind *
search_kinds(Oid type, const char *name)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		for (const CdcValueKind *kind = kinds[i]; kind->rules[0] != NULL; kind++)
		{
			if (name == NULL ? kind->type == type :
				kind->name != NULL && strcmp(kind->name, name) == 0)
				return kind;
		}
	}
	return NULL;
}

/* Of an enum, of an extension's type that has a name of these, or opaque */
static const CdcValueKind *
find_kind_by_catalog(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	const CdcValueKind *kind = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typtype == TYPTYPE_ENUM)
		kind = &enum_kind;
	else if (form->typtype == TYPTYPE_BASE && type >= FirstNormalObjectId)
		kind = search_kinds(InvalidOid, NameStr(form->typname));
	ReleaseSysCache(tuple);
	return kind != NULL ? kind : &opaque_kind;
}

/*
 * Fill *vt for a local column (domains resolved); catalog access.  What it points to
 * is in CurrentMemoryContext; column is not copied.
 */
void
cdc_value_type_init(CdcValueType *vt, const char *column, Oid type, int32 typmod)
{
	Oid			input;

	memset(vt, 0, sizeof(*vt));
	vt->column = column;
	vt->type = type;
	vt->typmod = typmod;
	vt->base_type = getBaseTypeAndTypmod(type, &vt->typmod);
	vt->context = CurrentMemoryContext;
	get_typlenbyvalalign(vt->base_type, &vt->typlen, &vt->typbyval, &vt->typalign);
	getTypeInputInfo(vt->base_type, &input, &vt->typioparam);
	fmgr_info(input, &vt->input);
	vt->fits = cdc_value_find_fits(vt->base_type, vt->typmod);

	vt->element_type = get_element_type(vt->base_type);
	if (!OidIsValid(vt->element_type))
	{
		vt->kind = search_kinds(vt->base_type, NULL);
		if (vt->kind == NULL)
			vt->kind = find_kind_by_catalog(vt->base_type);
		return;
	}
	vt->kind = &array_kind;
	vt->element = palloc(sizeof(CdcValueType));
	cdc_value_type_init(vt->element, column, vt->element_type, vt->typmod);
	/* it looks through a domain, but not through the domain of an array's elements */
	if (vt->element->type != vt->element->base_type)
		vt->element->kind = &opaque_kind;
}

/* false: no event ever has a column of this type, whatever the connector's settings */
bool
cdc_value_is_sent(Oid type)
{
	Oid			element_type = get_element_type(getBaseType(type));

	for (int i = 0; i < lengthof(unsent_elements); i++)
	{
		if (unsent_elements[i] == element_type)
			return false;
	}
	return true;
}

/* The rule for the schema's type or, if there was none, for the form of the token */
static const CdcConversionRule *
find_rule(const CdcConversion *c, bool by_form)
{
	for (const CdcConversionRule *const *rules = c->vt->kind->rules; *rules != NULL; rules++)
	{
		for (const CdcConversionRule *rule = *rules; rule->convert != NULL; rule++)
		{
			if (by_form ? (rule->implied & CDC_FORM(c->token->type)) != 0 :
				rule->type == c->schema->type && rule->semantic == c->schema->semantic)
				return rule;
		}
	}
	return NULL;
}

/*
 * One value that is not null; also an array's element.  What its form alone does not say
 * without a schema, the kind's imply() finds out.
 */
CdcValueStatus
cdc_value_convert(CdcConversion *c, Datum *value)
{
	bool		by_form = c->schema == NULL;
	const CdcConversionRule *rule = find_rule(c, by_form);

	if (by_form)
		c->schema = &c->implied;
	if (by_form && rule != NULL)
		cdc_value_imply(c, rule->type, rule->semantic);
	else if (by_form && c->vt->kind->imply != NULL)
	{
		c->vt->kind->imply(c);
		rule = find_rule(c, false);
	}
	if (rule == NULL)
		cdc_value_mismatch(c);
	if ((rule->forms & CDC_FORM(c->token->type)) == 0)
		cdc_value_invalid(c);
	return rule->convert(c, value);
}

/* The executor would not: a value of a domain's type is taken to be checked */
void
cdc_value_check_domain(CdcValueType *vt, Datum value, bool isnull)
{
	ErrorContextCallback callback = {error_context_stack, cdc_value_context, vt};

	error_context_stack = &callback;
	domain_check(value, isnull, vt->type, &vt->domain, vt->context);
	error_context_stack = callback.previous;
}

/*
 * Convert one token.  The Datum is in CurrentMemoryContext.  Raises a data
 * error that names the column, the local type and the Debezium type or, for
 * JSON without schemas, the producer setting that is missing.
 */
CdcValueStatus
cdc_value_decode(const CdcToken *token, const CdcSchema *schema,
				 const CdcProducer *producer, CdcValueType *vt, Datum *value)
{
	CdcConversion c;
	CdcValueStatus status = CDC_VALUE_NULL;

	*value = (Datum) 0;
	if (token->type != CDC_TOKEN_NULL)
	{
		c.token = token;
		c.schema = schema;
		c.producer = producer;
		c.vt = vt;
		if (vt->typlen == -1 && cdc_value_token_is_placeholder(&c))
			return CDC_VALUE_UNCHANGED;
		status = cdc_value_convert(&c, value);
	}
	if (vt->type != vt->base_type && status != CDC_VALUE_UNCHANGED)
		cdc_value_check_domain(vt, *value, status == CDC_VALUE_NULL);
	return status;
}
