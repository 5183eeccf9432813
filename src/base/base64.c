/*
 * base64.c
 *		base64 -> bytes, in either alphabet of RFC 4648.
 *
 * The server's own (common/base64.h) has not the URL-safe alphabet, in which Java leaves
 * the padding out, too; and it passes white space by, which no encoder of Kafka's writes.
 */
#include "postgres.h"

#include "base/base64.h"

static int
base64_digit(char c, bool url_safe)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url_safe ? '-' : '+'))
		return 62;
	if (c == (url_safe ? '_' : '/'))
		return 63;
	return -1;
}

/*
 * The bytes of base64, in either alphabet as asked, in CurrentMemoryContext after
 * reserve free bytes; NULL if it is not base64.
 */
char *
cdc_base64(const char *text, int len, bool url_safe, int reserve, int *nbytes)
{
	char	   *result = palloc(reserve + (Size) len / 4 * 3 + 3);
	char	   *out = result + reserve;
	uint32		bits = 0;
	int			ndigits;

	/* padding completes the last group of four; the URL alphabet may do without */
	ndigits = len;
	while (ndigits > 0 && ndigits > len - 2 && text[ndigits - 1] == '=')
		ndigits--;
	if ((len % 4 != 0 && !(url_safe && ndigits == len)) || ndigits % 4 == 1)
		return NULL;

	for (int i = 0; i < ndigits; i++)
	{
		int			digit = base64_digit(text[i], url_safe);

		if (digit < 0)
			return NULL;
		bits = bits << 6 | digit;
		if (i % 4 == 3)
		{
			*out++ = (char) (bits >> 16);
			*out++ = (char) (bits >> 8);
			*out++ = (char) bits;
		}
	}
	if (ndigits % 4 == 2)
		*out++ = (char) (bits >> 4);
	if (ndigits % 4 == 3)
	{
		*out++ = (char) (bits >> 10);
		*out++ = (char) (bits >> 2);
	}
	*nbytes = out - result - reserve;
	return result;
}
