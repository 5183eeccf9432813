/*
 * decode_scan.c
 *		Ordinary JSON text -> the fields of its upper levels, in one quick pass.
 *
 * A change event is read in less than half the time of the server's parser, which calls a
 * function for each token and allocates as it goes.  What is accepted here is JSON, with
 * the fields that the parser would find (test/fuzz compares them); what is not, such as
 * escapes in names and deep nesting, is left to it, and so are all errors.
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/memutils.h"

#include "event/decode_scan.h"

/* An event has four; far below what the stack can bear */
#define MAX_DEPTH		32

/* Room to begin with: for all of an ordinary change event, for small values */
#define TREE_FIELDS		64
#define OBJECT_FIELDS	8

/* What is left of the text */
typedef struct Cursor
{
	const char *p;
	const char *end;
} Cursor;

/* Bytes of a string that stand for themselves */
#define IS_PLAIN(c) ((unsigned char) (c) >= ' ' && (c) != '"' && (c) != '\\')
#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

static bool scan_object(Cursor *c, CdcFieldLevels *found, int level);
static bool scan_value(Cursor *c, CdcFieldLevels *found, int level, CdcToken *token);

static void
skip_space(Cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

/* Step over this character, if it is the next */
static bool
take(Cursor *c, char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

/* Behind its backslash */
static bool
scan_escape(Cursor *c)
{
	if (c->p == c->end)
		return false;
	switch (*c->p++)
	{
		case '"':
		case '\\':
		case '/':
		case 'b':
		case 'f':
		case 'n':
		case 'r':
		case 't':
			return true;
		case 'u':
			for (int i = 0; i < 4; i++, c->p++)
			{
				if (c->p == c->end || !isxdigit((unsigned char) *c->p))
					return false;
			}
			return true;
		default:
			return false;
	}
}

/* Behind its quote */
static bool
scan_string(Cursor *c, CdcToken *token)
{
	const char *p = c->p;

	token->type = CDC_TOKEN_STRING;
	token->escaped = false;
	token->raw = p;
	for (;;)
	{
		while (p < c->end && IS_PLAIN(*p))
			p++;
		c->p = p;
		if (take(c, '"'))
			break;
		if (!take(c, '\\') || !scan_escape(c))
			return false;
		token->escaped = true;
		p = c->p;
	}
	token->rawlen = p - token->raw;
	return true;
}

/* Behind its bracket */
static bool
scan_array(Cursor *c, CdcFieldLevels *found, int level)
{
	CdcToken	token;

	skip_space(c);
	if (take(c, ']'))
		return true;
	do
	{
		if (!scan_value(c, found, level, &token))
			return false;
		skip_space(c);
	} while (take(c, ','));
	return take(c, ']');
}

/* true, false or null.  What may not stand behind it, the caller sees */
static bool
scan_word(Cursor *c, const char *word, int len)
{
	if (c->end - c->p < len || memcmp(c->p, word, len) != 0)
		return false;
	c->p += len;
	return true;
}

static bool
scan_digits(Cursor *c)
{
	const char *begin = c->p;

	while (c->p < c->end && IS_DIGIT(*c->p))
		c->p++;
	return c->p > begin;
}

/* What may not stand behind a number, the caller sees */
static bool
scan_number(Cursor *c)
{
	(void) take(c, '-');
	if (!take(c, '0') && !scan_digits(c))
		return false;
	if (take(c, '.') && !scan_digits(c))
		return false;
	if (take(c, 'e') || take(c, 'E'))
	{
		if (!take(c, '+'))
			(void) take(c, '-');
		return scan_digits(c);
	}
	return true;
}

/*
 * Any value, at the level of the object that it stands in.  token becomes its extent; of a
 * string without the quotes.
 */
static bool
scan_value(Cursor *c, CdcFieldLevels *found, int level, CdcToken *token)
{
	bool		ok;

	skip_space(c);
	if (c->p == c->end || level >= MAX_DEPTH)
		return false;
	token->raw = c->p;
	token->escaped = false;
	switch (*c->p)
	{
		case '"':
			c->p++;
			return scan_string(c, token);
		case '{':
			c->p++;
			token->type = CDC_TOKEN_OBJECT;
			ok = scan_object(c, found, level + 1);
			break;
		case '[':
			c->p++;
			token->type = CDC_TOKEN_ARRAY;
			ok = scan_array(c, found, level + 1);
			break;
		case 't':
			token->type = CDC_TOKEN_TRUE;
			ok = scan_word(c, "true", 4);
			break;
		case 'f':
			token->type = CDC_TOKEN_FALSE;
			ok = scan_word(c, "false", 5);
			break;
		case 'n':
			token->type = CDC_TOKEN_NULL;
			ok = scan_word(c, "null", 4);
			break;
		default:
			token->type = CDC_TOKEN_NUMBER;
			ok = scan_number(c);
			break;
	}
	token->rawlen = c->p - token->raw;
	return ok;
}

/* A field stays where it is while its value is scanned: that adds fields to deeper levels only */
static bool
scan_field(Cursor *c, CdcFieldLevels *found, int level)
{
	CdcToken	name;
	CdcToken	passed_by;
	CdcField   *field = NULL;

	skip_space(c);
	if (!take(c, '"') || !scan_string(c, &name) || name.escaped)
		return false;
	skip_space(c);
	if (!take(c, ':'))
		return false;
	if (level <= found->depth)
	{
		field = cdc_decode_add_field(found, level);
		field->name = name.raw;
		field->namelen = name.rawlen;
	}
	return scan_value(c, found, level, field ? &field->token : &passed_by);
}

/* Behind its brace.  Fields of deeper levels are passed by */
static bool
scan_object(Cursor *c, CdcFieldLevels *found, int level)
{
	skip_space(c);
	if (take(c, '}'))
		return true;
	do
	{
		if (!scan_field(c, found, level))
			return false;
		skip_space(c);
	} while (take(c, ','));
	return take(c, '}');
}

/*
 * False for what is not JSON, not an object, or not ordinary: then the fields mean
 * nothing, and the server's parser is to be asked.
 */
bool
cdc_decode_scan(const char *text, int len, CdcFieldLevels *found)
{
	Cursor		c = {text, text + len};

	skip_space(&c);
	if (!take(&c, '{') || !scan_object(&c, found, 1))
		return false;
	skip_space(&c);
	return c.p == c.end;
}

/* ---- what is found ---- */

/*
 * Levels are lists of their own, each in one piece of memory, so that the children of a
 * member stand together though its siblings were found before and after them.
 */

/* A new last field of a level; of the first, the children to come are its own */
CdcField *
cdc_decode_add_field(CdcFieldLevels *found, int level)
{
	CdcFieldList *list = &found->levels[level - 1];
	CdcField   *field;

	if (list->n == list->max)
		list->fields = cdc_decode_grow(list->fields, &list->max, sizeof(CdcField),
									   found->depth > 1 ? TREE_FIELDS : OBJECT_FIELDS);
	if (level == 1 && found->depth > 1)
		cdc_decode_end_fields(found);
	field = &list->fields[list->n++];
	field->token.ops = found->ops;
	field->schema = NULL;
	return field;
}

/* The children end here */
void
cdc_decode_end_fields(CdcFieldLevels *found)
{
	int			member = found->levels[0].n;

	if (member == found->max_first_child)
		found->first_child = cdc_decode_grow(found->first_child, &found->max_first_child,
											 sizeof(int), TREE_FIELDS);
	found->first_child[member] = found->levels[1].n;
}

/* Make room for more than *max items */
void *
cdc_decode_grow(void *items, int *max, Size size, int initial)
{
	if (*max > (int) (MaxAllocSize / size / 2))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("message has more than %d values in one object or array", *max)));
	*max = Max(*max * 2, initial);
	return items == NULL ? palloc(*max * size) : repalloc(items, *max * size);
}
