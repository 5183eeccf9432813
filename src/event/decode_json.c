/*
 * decode_json.c
 *		JSON text -> tokens, by the server's own parser.
 *
 * Fields are first looked for by decode_scan.c; the parser gets what that does not take,
 * and arrays.  The lexer runs without de-escaping, which halves its time, and then hands out
 * neither strings nor names.  So the extents of values are taken from the lexer's
 * token pointers when a field begins and ends, and a name is found by going back
 * from its colon.
 */
#include "postgres.h"

#include "common/int.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/compat.h"
#include "base/base64.h"
#include "base/printable.h"
#include "event/decode_json.h"
#include "event/decode_scan.h"
#include "event/token.h"

/* A message has a handful; far below what the stack can bear */
#define MAX_NESTING		1000

/* Room to begin with */
#define ARRAY_ELEMENTS	16

#define is_space(c) ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')

static const CdcTokenOps json_ops;

/* What a parse has found so far; levels deeper than its depth are passed by */
typedef struct FieldCollector
{
	JsonLexContext *lex;
	CdcFieldLevels found;
} FieldCollector;

typedef struct ElementCollector
{
	JsonLexContext *lex;
	CdcToken   *tokens;
	int			n;
	int			max;
} ElementCollector;

/* The server's parser calls itself, and trusts its caller with the depth of the stack */
static CdcJsonActionResult
nesting_start(void *state)
{
	FieldCollector *fc = state;

	if (fc->lex->lex_level >= MAX_NESTING)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("message is nested more than %d levels deep", MAX_NESTING)));
	CDC_JSON_ACTION_RETURN;
}

/*
 * The parser's own words, of which the first part is shown: they quote the text.  A zero
 * character is valid JSON that no text of the server can hold, an error of another class.
 */
pg_noreturn static void
json_error(JsonParseErrorType error, JsonLexContext *lex, const char *what, bool is_message)
{
	char	   *detail = json_errdetail(error, lex);

	ereport(ERROR,
			(errcode(error == JSON_UNICODE_CODE_POINT_ZERO ?
					 ERRCODE_UNTRANSLATABLE_CHARACTER : ERRCODE_INVALID_JSON_TEXT),
			 errmsg("invalid JSON in %s", what),
			 errdetail_internal("%s", cdc_excerpt(detail, strlen(detail))),
			 is_message ? errhint(CDC_HINT_CONVERTER) : 0));
}

/* The lexer de-escapes the string once more, from its quote on */
static char *
resolve_escapes(const CdcToken *token)
{
	JsonLexContext *lex = cdc_json_lex_make(token->raw - 1, token->rawlen + 2, PG_UTF8, true);
	JsonParseErrorType error = json_lex(lex);

	if (error != JSON_SUCCESS)
		json_error(error, lex, "string", false);
	return lex->strval->data;
}

/* Backwards from the colon: an opening quote is the first one that is not escaped */
static void
find_name(const JsonLexContext *lex, CdcField *field)
{
	const char *end = lex->prev_token_terminator - 1;
	const char *p;

	Assert(*end == ':');
	do
		end--;
	while (is_space(*end));

	p = end;
	do
	{
		do
			p--;
		while (*p != '"');
	} while (p[-1] == '\\');

	field->name = p + 1;
	field->namelen = end - field->name;
	if (memchr(field->name, '\\', field->namelen) != NULL)
	{
		CdcToken	name = {CDC_TOKEN_STRING, true, field->namelen, field->name, &json_ops};

		field->name = resolve_escapes(&name);
		field->namelen = strlen(field->name);
	}
}

/* In JSON the first character says what a value is; whether it is one, the parser has seen */
static CdcTokenType
token_type(char first)
{
	switch (first)
	{
		case '"':
			return CDC_TOKEN_STRING;
		case '{':
			return CDC_TOKEN_OBJECT;
		case '[':
			return CDC_TOKEN_ARRAY;
		case 't':
			return CDC_TOKEN_TRUE;
		case 'f':
			return CDC_TOKEN_FALSE;
		case 'n':
			return CDC_TOKEN_NULL;
		default:
			return CDC_TOKEN_NUMBER;
	}
}

/* Where the text ends too early there is no token; the parser says so right after */
static void
begin_token(const JsonLexContext *lex, CdcToken *token)
{
	token->type = lex->token_start == NULL ? CDC_TOKEN_NULL : token_type(*lex->token_start);
	token->raw = lex->token_start;
	token->escaped = false;
	token->rawlen = 0;
	token->ops = &json_ops;
}

/* The lexer stands at the first token of a field's value */
static CdcJsonActionResult
field_start(void *state, char *fname, bool isnull)
{
	FieldCollector *fc = state;
	int			level = fc->lex->lex_level;

	if (level <= fc->found.depth)
	{
		CdcField   *field = cdc_decode_add_field(&fc->found, level);

		find_name(fc->lex, field);
		begin_token(fc->lex, &field->token);
	}
	CDC_JSON_ACTION_RETURN;
}

/* The text up to the end of the last token, without the quotes of a string */
static void
end_token(const JsonLexContext *lex, CdcToken *token)
{
	token->rawlen = lex->prev_token_terminator - token->raw;
	if (token->type == CDC_TOKEN_STRING)
	{
		token->raw++;
		token->rawlen -= 2;
		token->escaped = memchr(token->raw, '\\', token->rawlen) != NULL;
	}
}

/* The lexer stands at the first token after a field's value */
static CdcJsonActionResult
field_end(void *state, char *fname, bool isnull)
{
	FieldCollector *fc = state;
	int			level = fc->lex->lex_level;

	if (level <= fc->found.depth)
	{
		CdcFieldList *list = &fc->found.levels[level - 1];

		end_token(fc->lex, &list->fields[list->n - 1].token);
	}
	CDC_JSON_ACTION_RETURN;
}

static JsonParseErrorType
parse_text(FieldCollector *fc, const char *text, int len)
{
	JsonSemAction sem = {0};

	fc->lex = cdc_json_lex_make(text, len, PG_UTF8, false);
	sem.semstate = fc;
	sem.object_start = nesting_start;
	sem.array_start = nesting_start;
	sem.object_field_start = field_start;
	sem.object_field_end = field_end;
	return pg_parse_json(fc->lex, &sem);
}

/*
 * The fields of the first depth levels.  The quick scan takes what connectors write; what it
 * has found before it gave up is dropped, and the parser begins anew.
 */
static JsonParseErrorType
collect_fields(FieldCollector *fc, const char *text, int len, int depth)
{
	memset(fc, 0, sizeof(*fc));
	fc->found.depth = depth;
	fc->found.ops = &json_ops;
	if (cdc_decode_scan(text, len, &fc->found))
		return JSON_SUCCESS;
	fc->found.levels[0].n = fc->found.levels[1].n = 0;
	return parse_text(fc, text, len);
}

/*
 * A document's tree.  what names the text in errors; if it is NULL, what is not JSON gives
 * false instead.
 */
bool
cdc_decode_tree(const char *text, int len, const char *what, CdcTree *tree)
{
	FieldCollector fc;
	JsonParseErrorType error = collect_fields(&fc, text, len, 2);

	if (error != JSON_SUCCESS)
	{
		if (what == NULL)
			return false;
		json_error(error, fc.lex, what, true);
	}
	while (is_space(*text))
		text++;
	cdc_decode_end_fields(&fc.found);
	tree->root = token_type(*text);
	tree->nmembers = fc.found.levels[0].n;
	tree->members = fc.found.levels[0].fields;
	tree->children = fc.found.levels[1].fields;
	tree->first_child = fc.found.first_child;
	return true;
}

static CdcField *
json_members(const CdcToken *token, int *nmembers)
{
	FieldCollector fc;
	JsonParseErrorType error;

	error = collect_fields(&fc, token->raw, token->rawlen, 1);
	if (error != JSON_SUCCESS)
		json_error(error, fc.lex, "object", false);
	*nmembers = fc.found.levels[0].n;
	return fc.found.levels[0].fields;
}

static CdcJsonActionResult
element_start(void *state, bool isnull)
{
	ElementCollector *ec = state;

	if (ec->lex->lex_level == 1)
	{
		if (ec->n == ec->max)
			ec->tokens = cdc_decode_grow(ec->tokens, &ec->max, sizeof(CdcToken), ARRAY_ELEMENTS);
		begin_token(ec->lex, &ec->tokens[ec->n++]);
	}
	CDC_JSON_ACTION_RETURN;
}

static CdcJsonActionResult
element_end(void *state, bool isnull)
{
	ElementCollector *ec = state;

	if (ec->lex->lex_level == 1)
		end_token(ec->lex, &ec->tokens[ec->n - 1]);
	CDC_JSON_ACTION_RETURN;
}

/* No quick scan: arrays are rare, and their elements few */
static CdcToken *
json_elements(const CdcToken *token, int *nelems)
{
	ElementCollector ec = {0};
	JsonSemAction sem = {0};
	JsonParseErrorType error;

	ec.lex = cdc_json_lex_make(token->raw, token->rawlen, PG_UTF8, false);
	sem.semstate = &ec;
	sem.array_element_start = element_start;
	sem.array_element_end = element_end;
	error = pg_parse_json(ec.lex, &sem);
	if (error != JSON_SUCCESS)
		json_error(error, ec.lex, "array", false);
	*nelems = ec.n;
	return ec.tokens;
}

/* With escapes, the token must stand between its quotes in the message */
static char *
json_string(const CdcToken *token)
{
	return token->escaped ? resolve_escapes(token) : pnstrdup(token->raw, token->rawlen);
}

/* Also of a string: JsonConverter writes the parameters of a schema as strings */
static bool
json_integer(const CdcToken *token, int64 *result)
{
	const char *p = token->raw;
	const char *end = p + token->rawlen;
	bool		negative = p < end && *p == '-';
	int64		n = 0;

	if (negative)
		p++;
	if (p == end)
		return false;
	/* downwards, because the smallest number has no positive counterpart */
	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9' ||
			pg_mul_s64_overflow(n, 10, &n) ||
			pg_sub_s64_overflow(n, *p - '0', &n))
			return false;
	}
	if (!negative && n == PG_INT64_MIN)
		return false;
	*result = negative ? n : -n;
	return true;
}

/* JsonConverter writes bytes in base64, of the alphabet that is not URL-safe */
static char *
json_bytes(const CdcToken *token, int reserve, int *nbytes)
{
	char	   *text = token->escaped ? resolve_escapes(token) : NULL;

	return text != NULL ? cdc_base64(text, strlen(text), false, reserve, nbytes) :
		cdc_base64(token->raw, token->rawlen, false, reserve, nbytes);
}

/* Escapes stay: to resolve them could fail, and this is asked for when something has failed */
static char *
json_print(const CdcToken *token)
{
	return pnstrdup(token->raw, token->rawlen);
}

static const CdcTokenOps json_ops = {
	.string = json_string,
	.integer = json_integer,
	.bytes = json_bytes,
	.members = json_members,
	.elements = json_elements,
	.print = json_print,
};

/* JSON text as a token; what of it is asked for is parsed then.  len > 0 */
CdcToken
cdc_decode_token(const char *text, int len)
{
	return (CdcToken){token_type(*text), false, len, text, &json_ops};
}
