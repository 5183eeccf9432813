/*
 * value_convert.c
 *		What converters have in common: text through input functions, members, placeholders.
 *
 * Values go the straight way into a Datum where that is simple, otherwise as text through
 * the type's input function, and its rounding and cutting are errors (value_fit.c).
 */
#include "postgres.h"

#include "event/token.h"
#include "value/value_convert.h"

/* The schema that a value must have had which came without one */
void
cdc_value_imply(CdcConversion *c, CdcSchemaType type, CdcSemantic semantic)
{
	memset(&c->implied, 0, sizeof(CdcSchema));
	c->implied.type = type;
	c->implied.semantic = semantic;
	c->implied.scale = c->implied.length = -1;
}

/*
 * Of what the server's functions say of a value: where it was.  arg: a CdcValueType.  No
 * type is named, for a catalog must not be asked inside an error.
 */
void
cdc_value_context(void *arg)
{
	const CdcValueType *vt = arg;

	errcontext("column \"%s\"", vt->column);
}

/* Another function of the server's that makes a value of this type, with that context */
Datum
cdc_value_call(CdcValueType *vt, PGFunction function, Datum argument)
{
	ErrorContextCallback callback = {error_context_stack, cdc_value_context, vt};
	Datum		value;

	error_context_stack = &callback;
	value = DirectFunctionCall1(function, argument);
	error_context_stack = callback.previous;
	return value;
}

/* text through the type's input function, and it is freed; an error if it does not fit */
CdcValueStatus
cdc_value_set_input(CdcConversion *c, char *text, Datum *value)
{
	CdcValueType *vt = c->vt;
	ErrorContextCallback callback = {error_context_stack, cdc_value_context, vt};

	error_context_stack = &callback;
	*value = InputFunctionCall(&vt->input, text, vt->typioparam, vt->typmod);
	error_context_stack = callback.previous;
	if (vt->fits && !vt->fits(c, text, *value))
		cdc_value_misfit(c);
	pfree(text);
	return CDC_VALUE_SET;
}

/* The token's text as it stands */
CdcValueStatus
cdc_value_by_input(CdcConversion *c, Datum *value)
{
	int			len;
	char	   *text = cdc_value_text(c, &len);

	if (!c->token->escaped)
		text = pnstrdup(text, len);
	return cdc_value_set_input(c, text, value);
}

/*
 * The members of the object under conversion, by name: a member that is missing is a
 * null token.  Other members are passed by.
 */
void
cdc_value_members(CdcConversion *c, const char *const *names, int n, CdcToken *found)
{
	int			nmembers;
	CdcField   *members = cdc_token_members(c->token, &nmembers);

	memset(found, 0, n * sizeof(CdcToken));
	for (int i = 0; i < nmembers; i++)
	{
		for (int m = 0; m < n; m++)
		{
			if (strlen(names[m]) == members[i].namelen &&
				memcmp(names[m], members[i].name, members[i].namelen) == 0)
				found[m] = members[i].token;
		}
	}
	if (members != NULL)
		pfree(members);
}

/* The token's text with escapes resolved; not NUL-terminated unless there were any */
char *
cdc_value_text(CdcConversion *c, int *len)
{
	ErrorContextCallback callback = {error_context_stack, cdc_value_context, c->vt};
	char	   *text;

	if (!c->token->escaped)
		return unconstify(char *, cdc_token_chars(c->token, len));
	error_context_stack = &callback;
	text = cdc_token_string(c->token);
	error_context_stack = callback.previous;
	*len = strlen(text);
	return text;
}

/*
 * Is a text the connector's unavailable.value.placeholder?  The connector sends it for a
 * value that was too large to be in the row and has not changed, as its log has none.
 */
bool
cdc_value_is_placeholder(const CdcConversion *c, const char *text, int len)
{
	const char *placeholder = c->producer->placeholder;
	int			n = 0;

	/* almost every value ends the comparison at its first byte */
	while (n < len && placeholder[n] == text[n] && placeholder[n] != '\0')
		n++;
	return n == len && placeholder[n] == '\0';
}

/* The same of a token, also of a string with escapes */
bool
cdc_value_token_is_placeholder(CdcConversion *c)
{
	int			len;
	const char *text;

	if (c->token->type != CDC_TOKEN_STRING)
		return false;
	text = cdc_token_chars(c->token, &len);
	if (!c->token->escaped)
		return cdc_value_is_placeholder(c, text, len);
	if (len > strlen("\\uxxxx") * strlen(c->producer->placeholder))
		return false;
	text = cdc_value_text(c, &len);
	return cdc_value_is_placeholder(c, text, len);
}

