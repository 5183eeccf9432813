/*
 * kafka_config.c
 *		The properties of the Kafka client: ours, those of cdcsync.kafka_config_file, and
 *		those of cdcsync.kafka_config.
 *
 * cdcsync.kafka_config is a list as the server's own settings have them: entries
 * name=value, separated by commas; one with a space, a comma or a quote in it stands
 * in double quotes as a whole, with "" for a quote.
 *
 * The file has lines name=value, as Kafka's own tools read them; lines that are empty or
 * begin with # say nothing.  The setting comes after it, and overrides it.
 *
 * No value that may be a secret is ever shown.  A password with a comma in it that is
 * not in quotes is cut there, and its rest looks like an entry: so what stands behind a
 * password is shown only if it is a property.
 */
#include "postgres.h"

#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/guc.h"
#include "kafka/kafka_config.h"

#define FILE_SIZE_MAX	(64 * 1024)

#define ENTRY_HINT \
	"Entries name=value are separated by commas; one with a space or a comma in it stands in double quotes as a whole."

/* Where the library's defaults do not suit: the setting may say otherwise */
static const CdcKafkaProperty defaults[] = {
	{"fetch.max.bytes", "8388608"},
	/* since 2.2; see nudge_fetchers in consumer.c */
	{"fetch.queue.backoff.ms", "20",.optional = true},
	/* requests wait behind a fetch that waits; ten idle fetches per second cost 0.25 % of a CPU */
	{"fetch.wait.max.ms", "100"},
	/* what is fetched and not yet taken: of the worker's memory, in all */
	{"queued.max.messages.kbytes", "16384"},
	{"queued.min.messages", "50000"},
	/* be quick when the network is back */
	{"reconnect.backoff.max.ms", "2000"},
	{"socket.connection.setup.timeout.ms", "10000"},
	{"socket.keepalive.enable", "true"},
	{"topic.metadata.refresh.interval.ms", "60000"},
};

/* What consumer.c depends on: the setting may not name these */
static const CdcKafkaProperty fixed[] = {
	{"allow.auto.create.topics", "false"},
	{"auto.offset.reset", "error"},
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"enable.partition.eof", "true"},
	{"isolation.level", "read_committed"},
	{"log.queue", "true"},
	{"statistics.interval.ms", "0"},
};

/* Nor these: they have settings of their own, or would let the library act by itself */
static const char *const refused[] = {
	"auto.commit.enable",
	"bootstrap.servers",
	"internal.termination.signal",
	"metadata.broker.list",
	"offset.store.method",
	"offset.store.path",
	"plugin.library.paths",
};

/* A property whose name holds one of these has a value that is not to be shown */
static const char *const secret_words[] = {
	"password",
	"secret",
	"token",
	".pem",
	"oauthbearer.config",
};

#define SETTING_WHERE	"parameter \"cdcsync.kafka_config\""

/* What the properties were made of; NULL while there were none yet */
static char *last_given = NULL;

/* Its beginning; "" where no file is set; NULL if it cannot be read and that is no error */
static char *
read_file(bool missing_ok)
{
	FILE	   *file;
	char	   *text;

	if (cdc_kafka_config_file[0] == '\0')
		return pstrdup("");
	file = AllocateFile(cdc_kafka_config_file, PG_BINARY_R);
	if (file == NULL && missing_ok)
		return NULL;
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", cdc_kafka_config_file),
				 errhint("Set cdcsync.kafka_config_file to a file that the server's user may read.")));
	text = palloc0(FILE_SIZE_MAX + 1);
	if (fread(text, 1, FILE_SIZE_MAX, file) == 0)
		text[0] = '\0';
	FreeFile(file);
	return text;
}

static List *
add_property(List *properties, const char *name, const char *value)
{
	CdcKafkaProperty *property = palloc0(sizeof(CdcKafkaProperty));

	property->name = name;
	property->value = value;
	return lappend(properties, property);
}

/* No group is joined, but without the name of one the library refuses to assign */
static List *
add_ours(List *properties)
{
	char	   *name;

	if (cdc_bootstrap_servers == NULL || cdc_bootstrap_servers[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no Kafka broker is configured"),
				 errhint("Set cdcsync.bootstrap_servers, for example to \"localhost:9092\".")));
	name = cdc_node_name != NULL && cdc_node_name[0] != '\0' ?
		psprintf("cdcsync-%s", cdc_node_name) : pstrdup("cdcsync");

	properties = add_property(properties, "bootstrap.servers", cdc_bootstrap_servers);
	properties = add_property(properties, "client.id", name);
	properties = add_property(properties, "group.id", name);
	for (int i = 0; i < lengthof(defaults); i++)
		properties = lappend(properties, unconstify(CdcKafkaProperty *, &defaults[i]));
	return properties;
}

pg_noreturn static void
config_error(const char *where, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s", where),
			 errdetail_internal("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0));
}

static char *
sources(const char *file)
{
	return psprintf("%s\n%s\n%s", cdc_bootstrap_servers, cdc_kafka_config, file);
}

/* Without spaces at its ends, in place */
static char *
trim(char *text)
{
	size_t		length;

	text += strspn(text, " \t\r");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
		length--;
	text[length] = '\0';
	return text;
}

static CdcKafkaProperty *
parse_entry(char *entry, const char *where, const char *hint)
{
	CdcKafkaProperty *property = palloc0(sizeof(CdcKafkaProperty));
	char	   *equals = strchr(entry, '=');

	if (equals == NULL)
		config_error(where, "There is an entry that is not name=value.", hint);
	*equals = '\0';
	property->name = trim(entry);
	property->value = trim(equals + 1);
	property->where = where;
	return property;
}

static void
check_allowed(const CdcKafkaProperty *property)
{
	bool		allowed = true;

	for (int i = 0; i < lengthof(fixed); i++)
		allowed &= strcmp(property->name, fixed[i].name) != 0;
	for (int i = 0; i < lengthof(refused); i++)
		allowed &= strcmp(property->name, refused[i]) != 0;
	if (!allowed)
		config_error(property->where,
					 psprintf("cdcsync itself decides on the property \"%s\".", property->name),
					 "Remove it there.");
}

static List *
add_file(List *properties, char *text)
{
	char	   *next = text;

	for (int line = 1; next != NULL; line++)
	{
		char	   *entry = trim(strsep(&next, "\n"));
		CdcKafkaProperty *property;

		if (entry[0] == '\0' || entry[0] == '#')
			continue;
		property = parse_entry(entry, psprintf("file \"%s\", line %d", cdc_kafka_config_file, line),
							   "The file has lines name=value.");
		check_allowed(property);
		properties = lappend(properties, property);
	}
	return properties;
}

static List *
split_setting(void)
{
	List	   *entries = NIL;

	if (cdc_kafka_config != NULL && !SplitGUCList(pstrdup(cdc_kafka_config), ',', &entries))
		config_error(SETTING_WHERE, "List syntax is invalid.", ENTRY_HINT);
	return entries;
}

static bool
is_secret(const char *name)
{
	for (int i = 0; i < lengthof(secret_words); i++)
	{
		if (strstr(name, secret_words[i]) != NULL)
			return true;
	}
	return false;
}

static List *
add_setting(List *properties)
{
	bool		after_secret = false;
	ListCell   *lc;

	foreach(lc, split_setting())
	{
		CdcKafkaProperty *property = parse_entry(lfirst(lc), SETTING_WHERE, ENTRY_HINT);

		property->after_secret = after_secret;
		check_allowed(property);
		properties = lappend(properties, property);
		after_secret = is_secret(property->name);
	}
	return properties;
}

/*
 * All properties, in the order in which to set them: a list of CdcKafkaProperty in
 * CurrentMemoryContext.  Raises an error that names the setting that is wrong.
 */
List *
cdc_kafka_config_properties(void)
{
	char	   *file = read_file(false);
	List	   *properties = add_ours(NIL);

	if (strlen(file) == FILE_SIZE_MAX)
		config_error(psprintf("file \"%s\"", cdc_kafka_config_file), "It is too long.",
					 "Set cdcsync.kafka_config_file to a file of properties of the Kafka client.");

	if (last_given)
		pfree(last_given);
	last_given = MemoryContextStrdup(TopMemoryContext, sources(file));
	properties = add_file(properties, file);
	properties = add_setting(properties);
	for (int i = 0; i < lengthof(fixed); i++)
		properties = lappend(properties, unconstify(CdcKafkaProperty *, &fixed[i]));
	return properties;
}

/*
 * Would the properties be others by now than those last given?  Not if the file cannot
 * be read: what runs goes on.
 */
bool
cdc_kafka_config_changed(void)
{
	char	   *file = read_file(true);

	if (file == NULL)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", cdc_kafka_config_file),
				 errdetail("What was read of it before stays in force until cdcsync connects to Kafka anew."),
				 errhint("Set cdcsync.kafka_config_file to a file that the server's user may read.")));
	return file != NULL && last_given != NULL && strcmp(sources(file), last_given) != 0;
}

/* The library's words can hold the value */
void
cdc_kafka_config_refused(const CdcKafkaProperty *property, bool unknown, const char *reason)
{
	if (property->where == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not configure the Kafka client"),
				 errdetail("%s.", reason)));
	if (unknown && property->after_secret)
		config_error(property->where,
					 "There is an entry that does not begin with the name of a property.",
					 ENTRY_HINT);
	if (is_secret(property->name))
		config_error(property->where,
					 psprintf("The property \"%s\" cannot have this value.", property->name),
					 NULL);
	config_error(property->where, psprintf("%s.", reason), NULL);
}
