/*
 * producer.c
 *		The modes of a peer's connector, as the subscription states them.
 *
 * The object has the connector's own names and values, so that its configuration can be
 * copied.  A property that is not in the list is an error, for it is mostly a misspelt one;
 * some that change the form of values, but speak for themselves in each value, may be given
 * and are only checked.  Where a message has a schema, that is believed instead.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "event/producer.h"

#define DEFAULT_PLACEHOLDER "__debezium_unavailable_value"
#define DEFAULT_MONEY_DIGITS 2

typedef struct Mode
{
	const char *name;			/* NULL ends a list */
	int			value;
} Mode;

static const Mode time_precision_modes[] = {
	{"adaptive", CDC_TIME_ADAPTIVE},
	{"adaptive_time_microseconds", CDC_TIME_ADAPTIVE_TIME_MICROSECONDS},
	{"connect", CDC_TIME_CONNECT},
	{"isostring", CDC_TIME_ISOSTRING},
	{"microseconds", CDC_TIME_MICROSECONDS},
	{"nanoseconds", CDC_TIME_NANOSECONDS},
	{"structured", CDC_TIME_STRUCTURED},
	{NULL}
};

static const Mode decimal_modes[] = {
	{"precise", CDC_DECIMAL_PRECISE},
	{"string", CDC_DECIMAL_STRING},
	{"double", CDC_DECIMAL_DOUBLE},
	{NULL}
};

static const Mode binary_modes[] = {
	{"bytes", CDC_BINARY_BYTES},
	{"base64", CDC_BINARY_BASE64},
	{"base64-url-safe", CDC_BINARY_BASE64_URL_SAFE},
	{"hex", CDC_BINARY_HEX},
	{NULL}
};

/* Values that speak for themselves: these are only checked */
static const Mode interval_modes[] = {{"numeric"}, {"string"}, {NULL}};
static const Mode hstore_modes[] = {{"json"}, {"map"}, {NULL}};
static const Mode booleans[] = {{"true"}, {"false"}, {NULL}};

typedef enum PropertyKind
{
	PROPERTY_TIME_PRECISION,
	PROPERTY_DECIMAL,
	PROPERTY_BINARY,
	PROPERTY_MONEY_DIGITS,
	PROPERTY_PLACEHOLDER,
	PROPERTY_UNUSED
} PropertyKind;

/* The connector's property names */
typedef struct Property
{
	const char *name;
	PropertyKind kind;
	const Mode *modes;			/* NULL: any text */
} Property;

static const Property properties[] = {
	{"binary.handling.mode", PROPERTY_BINARY, binary_modes},
	{"decimal.handling.mode", PROPERTY_DECIMAL, decimal_modes},
	{"hstore.handling.mode", PROPERTY_UNUSED, hstore_modes},
	{"include.unknown.datatypes", PROPERTY_UNUSED, booleans},
	{"interval.handling.mode", PROPERTY_UNUSED, interval_modes},
	{"money.fraction.digits", PROPERTY_MONEY_DIGITS, NULL},
	{"time.precision.mode", PROPERTY_TIME_PRECISION, time_precision_modes},
	{"unavailable.value.placeholder", PROPERTY_PLACEHOLDER, NULL},
};

static const Property *
find_property(const char *name)
{
	StringInfoData names;

	for (int i = 0; i < lengthof(properties); i++)
	{
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a key comes before its value */
		if (strcmp(properties[i].name, name) == 0)
			return &properties[i];
	}

	initStringInfo(&names);
	for (int i = 0; i < lengthof(properties); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", properties[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized producer property \"%s\"", name),
			 errhint("Valid properties are: %s.", names.data)));
}

/* A connector's own configuration has texts only, but true and 2 are natural, too */
static char *
property_text(const char *name, const JsonbValue *value)
{
	if (value->type == jbvBool)
		return pstrdup(value->val.boolean ? "true" : "false");
	if (value->type == jbvNumeric)
		return numeric_normalize(value->val.numeric);
	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of producer property \"%s\" must be a string", name)));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* In any case of letters, as the connector reads it */
static int
find_mode(const Property *property, const char *text)
{
	StringInfoData names;

	for (const Mode *mode = property->modes; mode->name != NULL; mode++)
	{
		if (pg_strcasecmp(mode->name, text) == 0)
			return mode->value;
	}

	initStringInfo(&names);
	for (const Mode *mode = property->modes; mode->name != NULL; mode++)
		appendStringInfo(&names, "%s%s", mode > property->modes ? ", " : "", mode->name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for producer property \"%s\": \"%s\"",
					property->name, text),
			 errhint("Valid values are: %s.", names.data)));
}

/* Of money.fraction.digits: 0 to 9 */
static int
small_number(const char *name, const char *text)
{
	if (strlen(text) != 1 || *text < '0' || *text > '9')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for producer property \"%s\": \"%s\"", name, text),
				 errhint("Valid values are 0 to 9.")));
	return *text - '0';
}

static void
set_property(CdcProducer *producer, const char *name, const JsonbValue *value)
{
	const Property *property = find_property(name);
	char	   *text = property_text(name, value);
	int			mode = property->modes != NULL ? find_mode(property, text) : 0;

	switch (property->kind)
	{
		case PROPERTY_TIME_PRECISION:
			producer->time_precision = mode;
			break;
		case PROPERTY_DECIMAL:
			producer->decimal = mode;
			break;
		case PROPERTY_BINARY:
			producer->binary = mode;
			break;
		case PROPERTY_MONEY_DIGITS:
			producer->money_digits = small_number(name, text);
			break;
		case PROPERTY_PLACEHOLDER:
			if (text[0] == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("producer property \"%s\" must not be empty", name)));
			producer->placeholder = text;
			break;
		case PROPERTY_UNUSED:
			break;
	}
}

/*
 * Read the producer object of a subscription; NULL gives all unknown.  Raises
 * invalid_parameter_value with the list of names for an unknown key or mode.
 * The result is in CurrentMemoryContext.
 */
CdcProducer *
cdc_producer_parse(Jsonb *object)
{
	CdcProducer *producer = palloc0(sizeof(CdcProducer));
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	char	   *name = NULL;

	producer->placeholder = DEFAULT_PLACEHOLDER;
	producer->money_digits = DEFAULT_MONEY_DIGITS;
	if (object == NULL)
		return producer;
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("producer must be a JSON object of connector properties")));

	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			set_property(producer, name, &v);
	}
	return producer;
}
