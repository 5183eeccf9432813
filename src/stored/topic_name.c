/*
 * topic_name.c
 *		Names of topics, as Kafka and subscriptions have them.
 *
 * A subscription names topics, and peers, or gives regular expressions for them, which are
 * PostgreSQL's and match as the operator ~ does under the collation "C": the views that
 * show what belongs to whom use that.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "regex/regex.h"
#include "utils/builtins.h"

#include "stored/topic_name.h"

/* Whether Kafka would let a topic have this name */
bool
cdc_topic_is_name(const char *topic)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t		length = strlen(topic);

	return length > 0 && length <= CDC_TOPIC_MAX_LENGTH && strspn(topic, legal) == length &&
		strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
}

/* Is it this name, or does it match this regular expression, that begins with '^'? */
bool
cdc_topic_matches(const char *pattern, const char *name)
{
	if (!cdc_topic_is_regex(pattern))
		return strcmp(pattern, name) == 0;
	return RE_compile_and_execute(cstring_to_text(pattern), unconstify(char *, name), strlen(name),
								  REG_ADVANCED, C_COLLATION_OID, 0, NULL);
}
