/*
 * kafka_log.c
 *		The Kafka client's log lines in the server's log.
 *
 * A broker that is away for days is not to fill the server's log: a line that was
 * written in the last minutes is only counted.  Lines that differ in nothing but
 * numbers, or in what is said of the time before, are the same line.
 */
#include "postgres.h"

#include <syslog.h>

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "base/printable.h"
#include "kafka/kafka_log.h"

#define REPEAT_MS	(5 * 60 * 1000)
#define MEMORY		16

typedef struct Line
{
	uint32		hash;
	TimestampTz written;
	int			repeated;		/* since then */
} Line;

static Line lines[MEMORY];

/* The place of this line, or that of the oldest */
static Line *
find_line(uint32 hash)
{
	Line	   *oldest = &lines[0];

	for (int i = 0; i < MEMORY; i++)
	{
		if (lines[i].hash == hash)
			return &lines[i];
		if (lines[i].written < oldest->written)
			oldest = &lines[i];
	}
	return oldest;
}

static bool
is_repeated(uint32 hash, int *repeated_before)
{
	TimestampTz now = GetCurrentTimestamp();
	Line	   *line = find_line(hash);
	bool		known = line->hash == hash && line->written != 0;

	if (known && !TimestampDifferenceExceeds(line->written, now, REPEAT_MS))
	{
		line->repeated++;
		return true;
	}
	*repeated_before = known ? line->repeated : 0;
	line->hash = hash;
	line->written = now;
	line->repeated = 0;
	return false;
}

static uint32
hash_line(const char *facility, const char *text)
{
	uint32		hash = hash_bytes((const unsigned char *) facility, strlen(facility));
	const char *end = strstr(text, " (after ");

	for (; *text != '\0' && text != end; text++)
	{
		if (*text < '0' || *text > '9')
			hash = hash_combine(hash, (uint32) *text);
	}
	return hash;
}

/*
 * What a line FAIL says also comes as an error event, and so as ERROR.  Debug lines
 * come only with the property "debug" set: they are all written.
 */
void
cdc_kafka_log_line(int level, const char *facility, const char *text)
{
	int			repeated_before;

	if (level > LOG_WARNING || strcmp(facility, "FAIL") == 0)
		ereport(level == LOG_DEBUG ? DEBUG2 : DEBUG1,
				(errmsg_internal("librdkafka: %s: %s", facility, cdc_printable(text))));
	else if (!is_repeated(hash_line(facility, text), &repeated_before))
		ereport(LOG,
				(errmsg_internal("librdkafka: %s: %s", facility, cdc_printable(text)),
				 repeated_before > 0 ?
				 errdetail_internal("It was repeated %d times since it was last written.",
									repeated_before) : 0));
}
