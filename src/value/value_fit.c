/*
 * value_fit.c
 *		Does a column hold a value as it came?
 *
 * Input functions round and cut what a narrower column cannot hold.  The nodes would
 * differ then, and the author would get it back at the next change made here: so it is an
 * error.  What is lost without a change of the value, zeros at the end of a fraction, fits.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "value/value_convert.h"

/* As many as Java writes of a float, of which the server needs no more, either */
#define FLOAT4_DIGITS 9

/* Most texts tell by their length; what is left is compared */
static bool
numeric_fits(CdcConversion *c, const char *text, Datum value)
{
	int			scale = (((c->vt->typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	const char *point = strchr(text, '.');
	const char *end = text + strlen(text);
	Datum		exact;

	if (scale >= 0 && strpbrk(text, "eE") == NULL)
	{
		if (point == NULL)
			return true;
		while (end[-1] == '0')
			end--;
		return end - point - 1 <= scale;
	}
	exact = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return DatumGetBool(DirectFunctionCall2(numeric_eq, exact, value));
}

/* By the three fields: the type's own equality takes a month for 30 days */
static bool
interval_fits(CdcConversion *c, const char *text, Datum value)
{
	const Interval *here = DatumGetIntervalP(value);
	const Interval *exact =
		DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));

	return here->month == exact->month && here->day == exact->day && here->time == exact->time;
}

/* Does the column give the number back as it came? */
static bool
float4_is_exactly(const char *text, Datum value)
{
	char		here[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(DatumGetFloat4(value), here);
	return DatumGetBool(DirectFunctionCall2(numeric_eq,
											DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
											DirectFunctionCall3(numeric_in, CStringGetDatum(here),
																ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

/*
 * A schema says that it is one; else a double can be told by its digits, and an integer by
 * the point that Java writes of every float
 */
static bool
float4_fits(CdcConversion *c, const char *text, Datum value)
{
	int			ndigits = 0;
	int			nzeros = 0;		/* the last ones */

	if (c->schema != &c->implied)
		return true;
	if (strpbrk(text, ".eE") == NULL)
		return float4_is_exactly(text, value);
	for (const char *p = text; *p != '\0' && *p != 'e' && *p != 'E'; p++)
	{
		if (!isdigit((unsigned char) *p) || (*p == '0' && ndigits == 0))
			continue;
		ndigits++;
		nzeros = *p == '0' ? nzeros + 1 : 0;
	}
	return ndigits - nzeros <= FLOAT4_DIGITS;
}

/* The input function cuts it, as it does an identifier */
static bool
name_fits(CdcConversion *c, const char *text, Datum value)
{
	return strlen(text) < NAMEDATALEN;
}

/* One byte, or its number: \ooo */
static bool
char_fits(CdcConversion *c, const char *text, Datum value)
{
	return strlen(text) <= 1 || (text[0] == '\\' && strlen(text) == 4);
}

static const struct
{
	Oid			type;
	bool		by_typmod;		/* only if the column has one */
	CdcFits		fits;
}			checks[] = {
	{NUMERICOID, true, numeric_fits},
	{INTERVALOID, true, interval_fits},
	{FLOAT4OID, false, float4_fits},
	{NAMEOID, false, name_fits},
	{CHAROID, false, char_fits},
};

/* How to find out for a type whether texts fit; NULL if they always do */
CdcFits
cdc_value_find_fits(Oid type, int32 typmod)
{
	for (int i = 0; i < lengthof(checks); i++)
	{
		if (checks[i].type == type && (!checks[i].by_typmod || typmod >= 0))
			return checks[i].fits;
	}
	return NULL;
}
