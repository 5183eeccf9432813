/*
 * log_tail.c
 *		What a log ended with before a message: what its null values mean.
 *
 * A null value has nothing but its key and its topic.  Of which table it is, the events
 * before it in its partition say: the name of the topic need not, for Debezium puts an
 * underscore in it where a table's name has what a topic's cannot have, and a dot in a name
 * looks like one between names; connectors may be told to write elsewhere, too.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "event/log_tail.h"

static bool
take_delete(CdcLogTail *tail, const CdcMessage *message)
{
	for (int i = 0; i < CDC_TAIL_DELETES; i++)
	{
		if (tail->deletes[i].key && tail->deletes[i].len == message->key_len &&
			memcmp(tail->deletes[i].key, message->key, message->key_len) == 0)
		{
			pfree(tail->deletes[i].key);
			tail->deletes[i].key = NULL;
			return true;
		}
	}
	return false;
}

/* Is a null value that of a delete before it? */
bool
cdc_log_tail_follows_delete(CdcLogTail *tail, CdcMessage *message)
{
	if (!message->tail_known && message->key)
		message->after_delete = take_delete(tail, message);
	message->tail_known = true;
	return message->after_delete;
}

void
cdc_log_tail_note_delete(CdcLogTail *tail, CdcMessage *message)
{
	int			i = tail->next;

	if (message->tail_known || message->key == NULL)
		return;
	message->tail_known = true;
	if (tail->deletes[i].key)
		pfree(tail->deletes[i].key);
	tail->deletes[i].key = MemoryContextAlloc(TopMemoryContext, message->key_len + 1);
	tail->deletes[i].len = message->key_len;
	memcpy(tail->deletes[i].key, message->key, message->key_len);
	tail->next = (i + 1) % CDC_TAIL_DELETES;
}

/* Forget the deletes: the log is read from another place */
void
cdc_log_tail_reset(CdcLogTail *tail)
{
	for (int i = 0; i < CDC_TAIL_DELETES; i++)
	{
		if (tail->deletes[i].key)
			pfree(tail->deletes[i].key);
		tail->deletes[i].key = NULL;
	}
	tail->next = 0;
}

/* It changes twice at most */
static void
add_table(CdcLogTail *tail, const CdcEvent *event)
{
	char	   *name;

	if (event->op == CDC_OP_NULL_VALUE || event->table == NULL || event->peer == NULL ||
		(tail->table && tail->table[0] == '\0'))
		return;
	name = psprintf("%s.%s", quote_identifier(event->peer),
					quote_qualified_identifier(event->schema, event->table));
	if (tail->table == NULL)
		tail->table = MemoryContextStrdup(TopMemoryContext, name);
	else if (strcmp(tail->table, name) != 0)
		tail->table = "";
	pfree(name);
}

/*
 * event is NULL if nothing is applied of the message.  What the log's events are of so far
 * is noted in the message as well: of a batch that is repeated in parts, a part knows
 * nothing of what comes after it.
 */
void
cdc_log_tail_note_table(CdcLogTail *tail, CdcMessage *message, const CdcEvent *event)
{
	if (message->log_table_known)
		return;
	if (event)
		add_table(tail, event);
	message->log_table = tail->table;
	message->log_table_known = true;
}

/* <topic.prefix>.<schema>.<table> by default */
static void
set_by_topic(CdcEvent *event)
{
	char	   *peer = pstrdup(event->message->topic);
	char	   *table = strrchr(peer, '.');
	char	   *schema = NULL;

	if (table)
	{
		*table++ = '\0';
		schema = strrchr(peer, '.');
		if (schema)
			*schema++ = '\0';
	}
	event->peer = peer;
	event->schema = schema ? schema : "";
	event->table = table ? table : peer;
}

static void
set_seen(const char *seen, CdcEvent *event)
{
	List	   *names;

	if (seen[0] == '\0')
		event->schema = event->table = "";	/* nobody knows */
	/* as quoted, but not cut to an identifier's length: a node's name may be longer */
	else if (SplitGUCList(pstrdup(seen), '.', &names) && list_length(names) == 3)
	{
		event->peer = linitial(names);
		event->schema = lsecond(names);
		event->table = lthird(names);
	}
}

/* An underscore may stand for another letter, and dots may be part of a name */
static bool
may_be_another(const char *topic, const CdcEvent *event)
{
	int			ndots = 0;

	for (const char *c = topic; *c; c++)
		ndots += *c == '.';
	return ndots != 2 || strchr(event->schema, '_') || strchr(event->table, '_');
}

/*
 * Give a null value its peer, schema and table.  They are those of the events before it;
 * without any they follow from the topic's name, as far as that says them, which
 * table_by_name tells.
 */
void
cdc_log_tail_name_table(const CdcLogTail *tail, CdcEvent *event)
{
	const CdcMessage *message = event->message;
	const char *table = message->log_table_known ? message->log_table : tail->table;

	set_by_topic(event);
	if (table)
		set_seen(table, event);
	else
		event->table_by_name = may_be_another(event->message->topic, event);
}
