/*
 * printable.c
 *		Text that others wrote, on its way to a terminal or a log.
 *
 * A terminal obeys what stands behind an escape character; a line break, or a mark that
 * turns the direction of writing, makes text look like what it is not.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/printable.h"

#define EXCERPT_LENGTH	100

typedef struct Range
{
	pg_wchar	first;
	pg_wchar	last;
} Range;

/* Beyond ASCII: C1 controls, marks of direction, separators, invisible operators and tags */
static const Range unprintable[] = {
	{0x0080, 0x009F}, {0x061C, 0x061C}, {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},
	{0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}
};

static bool
is_unprintable(pg_wchar c)
{
	for (int i = 0; i < lengthof(unprintable); i++)
	{
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return true;
	}
	return false;
}

static char *
escape(const char *text, const char *newline)
{
	int			encoding = GetDatabaseEncoding();
	const char *end = text + strlen(text);
	StringInfoData buf;
	int			len;

	initStringInfo(&buf);
	for (const char *s = text; s < end; s += len)
	{
		unsigned char c = (unsigned char) *s;
		pg_wchar	code = c;

		len = pg_encoding_verifymbchar(encoding, s, end - s);
		if (len > 1)
			code = encoding == PG_UTF8 ? utf8_to_unicode((const unsigned char *) s) : 0;
		if (c == '\n')
			appendStringInfoString(&buf, newline);
		else if (len < 0 || c < 0x20 || c == 0x7F)
			appendStringInfo(&buf, "\\x%02X", c);
		else if (len > 1 && is_unprintable(code))
			appendStringInfo(&buf, "\\u%04X", code);
		else
			appendBinaryStringInfo(&buf, s, len);
		len = Max(len, 1);
	}
	return buf.data;
}

/*
 * A copy in CurrentMemoryContext without control characters, marks that turn the
 * direction of writing, and bytes that are no character: each stands there as its
 * escape, such as \n, \x1B or \u202E.
 */
char *
cdc_printable(const char *text)
{
	return escape(text, "\\n");
}

/* The same, but lines stay lines: each after the first begins with a tab, as in the server's log */
char *
cdc_printable_lines(const char *text)
{
	return escape(text, "\n\t");
}

/* The beginning of a text in UTF-8, fit for an error message; in CurrentMemoryContext */
char *
cdc_excerpt(const char *text, int len)
{
	int			clipped = pg_encoding_mbcliplen(PG_UTF8, text, len, EXCERPT_LENGTH);

	return psprintf("%s%s", cdc_printable(pnstrdup(text, clipped)), clipped < len ? "..." : "");
}

/* printable(text): the same for check() */
PG_FUNCTION_INFO_V1(cdcsync_printable);
Datum
cdcsync_printable(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(cdc_printable(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}
