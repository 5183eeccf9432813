/*
 * peer.c
 *		What the events of peers tell of their makers, for check().
 *
 * There is no other way to learn of a peer's connector than by its events.  The worker
 * keeps an entry per peer and table and copies what has changed to shared memory once
 * per batch.  A sign is what the last event says that could tell: when the cause is
 * mended, the next event takes it away.  Those of two databases under one name stay
 * until the worker ends, for it takes several events to see them.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply/peer.h"
#include "base/guc.h"
#include "base/unixtime.h"
#include "event/token.h"
#include "shared/control.h"
#include "shared/peer_stat.h"


#define SIGN(sign)		(1u << (sign))

/* Those that the fields of a row show, by the types that the columns have here */
#define SIGNS_OF_FIELDS (SIGN(CDC_SIGN_NO_SCHEMA) | SIGN(CDC_SIGN_TEXT_BYTES) | \
						 SIGN(CDC_SIGN_CONNECT_TIMES) | SIGN(CDC_SIGN_DOUBLE_DECIMALS))

/* What the worker keeps besides */
typedef struct PeerTable
{
	CdcPeerStat stat;
	int			place;			/* in peer_stat.c, or -1 */
	bool		dirty;
	const CdcSchema *schema;	/* that field_signs were made of; NULL: of none */
	int			ncolumns;		/* the table had then */
	uint32		field_signs;
	char		former_database[NAMEDATALEN];
	int32		partition;		/* of the last event that told the time */
	int64		offset;			/* likewise */
	int64		next_offset;	/* in the first partition, for the log */
	uint64		last_lsn;		/* of the last commit before the last event */
	uint64		high_lsn;		/* from which the log went back, if behind */
	bool		behind;
	int			returns;		/* times it then went on above, as another log does */
} PeerTable;

/* A hub hears of many: by the names that an event gives, as far as there is room for them */
typedef struct PeerKey
{
	char		peer[CDC_PEER_NAME_SIZE];
	char		schema[NAMEDATALEN];
	char		table[NAMEDATALEN];
} PeerKey;

typedef struct PeerEntry
{
	PeerKey		key;
	PeerTable	table;
} PeerEntry;

static HTAB *peers = NULL;		/* of PeerEntry, the worker's */
static PeerTable *last_peer = NULL;

/* ---- the worker ---- */

/* As far as it was kept */
static bool
is_name(const char *kept, const char *name, int size)
{
	int			len = strlen(kept);

	return strncmp(kept, name, len) == 0 &&
		(name[len] == '\0' || len >= size - MAX_MULTIBYTE_CHAR_LEN);
}

static bool
is_of(const PeerTable *t, const CdcEvent *event)
{
	return is_name(t->stat.table, event->table, NAMEDATALEN) &&
		is_name(t->stat.peer, event->peer, CDC_PEER_NAME_SIZE) &&
		is_name(t->stat.schema, event->schema, NAMEDATALEN);
}

static void
create_hash(void)
{
	HASHCTL		ctl = {.keysize = sizeof(PeerKey),.entrysize = sizeof(PeerEntry),
	.hcxt = TopMemoryContext};

	peers = hash_create("cdcsync peers", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
copy_text(char *dst, const char *src, int len, int size)
{
	len = pg_mbcliplen(src, len, size - 1);
	if (strncmp(dst, src, len) == 0 && dst[len] == '\0')
		return false;
	memcpy(dst, src, len);
	dst[len] = '\0';
	return true;
}

static void
make_key(PeerKey *key, const CdcEvent *event)
{
	memset(key, 0, sizeof(PeerKey));
	copy_text(key->peer, event->peer, strlen(event->peer), CDC_PEER_NAME_SIZE);
	copy_text(key->schema, event->schema, strlen(event->schema), NAMEDATALEN);
	copy_text(key->table, event->table, strlen(event->table), NAMEDATALEN);
}

static void
init_peer(PeerTable *t, const PeerKey *key)
{
	memset(t, 0, sizeof(PeerTable));
	t->stat.dboid = MyDatabaseId;
	t->stat.pid = MyProcPid;
	t->place = -1;
	t->offset = -1;
	strcpy(t->stat.peer, key->peer);
	strcpy(t->stat.schema, key->schema);
	strcpy(t->stat.table, key->table);
}

static PeerTable *
find_peer(const CdcEvent *event)
{
	PeerKey		key;
	PeerEntry  *entry;
	bool		found;

	if (last_peer && is_of(last_peer, event))
		return last_peer;
	if (peers == NULL)
		create_hash();
	make_key(&key, event);
	entry = hash_search(peers, &key, HASH_ENTER, &found);
	if (!found)
		init_peer(&entry->table, &key);
	return last_peer = &entry->table;
}

/* Returns whether it is another text now */
static bool
copy_token(char *dst, const CdcToken *token, int size)
{
	int			len;
	const char *text;

	if (token->type != CDC_TOKEN_STRING)
		return false;
	text = cdc_token_chars(token, &len);
	return copy_text(dst, text, len, size);
}

static void
set_sign(PeerTable *t, CdcPeerSign sign, bool on)
{
	if (on)
		t->stat.signs |= SIGN(sign);
	else
		t->stat.signs &= ~SIGN(sign);
}

/* It may be renamed once, but not back and forth */
static void
see_database(PeerTable *t, const CdcToken *token)
{
	char		before[NAMEDATALEN];

	strlcpy(before, t->stat.database, NAMEDATALEN);
	if (!copy_token(t->stat.database, token, NAMEDATALEN) || before[0] == '\0')
		return;
	if (strcmp(t->stat.database, t->former_database) == 0)
		set_sign(t, CDC_SIGN_TWO_LOGS, true);
	strlcpy(t->former_database, before, NAMEDATALEN);
}

/*
 * A connector that repeats itself goes back and then comes by the event from which it
 * went back; one that was restored goes back once.  Two logs go back and on for ever.
 */
static void
see_log(PeerTable *t, const CdcMessage *message, uint64 lsn)
{
	/* several partitions are not read in the order of the log; a batch may be repeated */
	if (lsn == 0 || message->partition != 0 || message->offset < t->next_offset)
		return;
	t->next_offset = message->offset + 1;
	if (!t->behind && lsn < t->last_lsn)
	{
		t->behind = true;
		t->high_lsn = t->last_lsn;
	}
	else if (t->behind && lsn >= t->high_lsn)
	{
		t->behind = false;
		if (lsn > t->high_lsn && ++t->returns > 1)
			set_sign(t, CDC_SIGN_TWO_LOGS, true);
	}
	t->last_lsn = lsn;
}

/*
 * Of ["123","456"], as it stands in the message, the first: the position of the last
 * commit.  Other than the change's own it never goes back in one log.  0: not known.
 */
static uint64
first_lsn(const CdcToken *sequence)
{
	uint64		lsn = 0;
	int			len;
	const char *chars;

	if (sequence->type != CDC_TOKEN_STRING)
		return 0;
	chars = cdc_token_chars(sequence, &len);
	for (int i = 0; i < len && chars[i] != ','; i++)
	{
		if (isdigit((unsigned char) chars[i]))
			lsn = lsn * 10 + (chars[i] - '0');
	}
	return lsn;
}

/* Under this node's name, but of another database, or of a log that is further */
static bool
is_foreign(const PeerTable *t, const CdcEvent *event)
{
	static char *own_database = NULL;
	int64		lsn;

	if (strcmp(t->stat.peer, cdc_node_name) != 0)
		return false;
	if (own_database == NULL)
		own_database = MemoryContextStrdup(TopMemoryContext, get_database_name(MyDatabaseId));
	return (t->stat.database[0] != '\0' && strcmp(t->stat.database, own_database) != 0) ||
		(event->source.lsn.type == CDC_TOKEN_NUMBER &&
		 cdc_token_integer(&event->source.lsn, &lsn) && lsn > (int64) GetXLogInsertRecPtr());
}

static void
see_source(PeerTable *t, const CdcEvent *event)
{
	const CdcToken *snapshot = &event->source.snapshot;

	copy_token(t->stat.version, &event->source.version, CDC_PEER_VERSION_SIZE);
	see_database(t, &event->source.db);
	if (event->op == CDC_OP_READ)
		return;
	see_log(t, event->message, first_lsn(&event->source.sequence));
	set_sign(t, CDC_SIGN_OWN_NAME, is_foreign(t, event));
	/* Debezium leaves this field unset; only its default is this text */
	set_sign(t, CDC_SIGN_DEFAULTS, cdc_token_is(snapshot, "false"));
}

static uint32
field_sign(const CdcSchema *schema, const CdcValueType *vt)
{
	bool		fine = vt->typmod < 0 || vt->typmod > 3;	/* more than milliseconds */

	switch (vt->base_type)
	{
		case BYTEAOID:
			return schema->type == CDC_SCHEMA_STRING ? SIGN(CDC_SIGN_TEXT_BYTES) : 0;
		case NUMERICOID:
			return schema->type == CDC_SCHEMA_DOUBLE ? SIGN(CDC_SIGN_DOUBLE_DECIMALS) : 0;
		case TIMEOID:
		case TIMESTAMPOID:
			return fine && (schema->semantic == CDC_SEMANTIC_CONNECT_TIME ||
							schema->semantic == CDC_SEMANTIC_CONNECT_TIMESTAMP) ?
				SIGN(CDC_SIGN_CONNECT_TIMES) : 0;
		default:
			return 0;
	}
}

static uint32
field_signs(const CdcImage *image, const CdcRelation *rel)
{
	uint32		signs = 0;

	for (int i = 0; i < image->nfields; i++)
	{
		const CdcColumn *col = cdc_relation_find_column(rel, &image->fields[i]);
		const CdcSchema *schema = image->fields[i].schema;

		if (col == NULL)
			continue;
		if (schema->type == CDC_SCHEMA_ARRAY && schema->items && col->vt.element)
			signs |= field_sign(schema->items, col->vt.element);
		else
			signs |= field_sign(schema, &col->vt);
	}
	return signs;
}

/* Is there a column whose values depend on a mode that the subscription does not tell? */
static bool
is_untold(const CdcRelation *rel, const CdcProducer *producer)
{
	for (int i = 0; i < rel->ncolumns; i++)
	{
		switch (rel->columns[i].vt.base_type)
		{
			case BYTEAOID:
				if (producer->binary == CDC_BINARY_UNKNOWN)
					return true;
				break;
			case NUMERICOID:
				if (producer->decimal == CDC_DECIMAL_UNKNOWN)
					return true;
				break;
			case DATEOID:
			case TIMEOID:
			case TIMESTAMPOID:
				if (producer->time_precision == CDC_TIME_UNKNOWN)
					return true;
				break;
		}
	}
	return false;
}

/* The first one, or an empty text */
static const char *
missing_column(const CdcImage *image, const CdcRelation *rel)
{
	for (int i = 0; i < rel->ncolumns; i++)
	{
		bool		found = !cdc_value_is_sent(rel->columns[i].vt.type);

		for (int j = 0; j < image->nfields && !found; j++)
			found = cdc_relation_find_column(rel, &image->fields[j]) == &rel->columns[i];
		if (!found)
			return rel->columns[i].remote_name;
	}
	return "";
}

static void
see_fields(PeerTable *t, const CdcImage *image, const CdcRelation *rel,
		   const CdcProducer *producer)
{
	uint32		signs;

	if (!image->present || image->nfields == 0)
		return;
	if (image->schema && image->schema == t->schema && rel->ncolumns == t->ncolumns)
		signs = t->field_signs;
	else if (image->fields[0].schema == NULL)
		signs = is_untold(rel, producer) ? SIGN(CDC_SIGN_NO_SCHEMA) : 0;
	else
	{
		const char *missing = missing_column(image, rel);

		signs = field_signs(image, rel);
		copy_text(t->stat.missing, missing, strlen(missing), NAMEDATALEN);
	}
	t->schema = image->schema;
	t->ncolumns = rel->ncolumns;
	t->field_signs = signs;
	if (producer->binary == CDC_BINARY_HEX)
		signs &= ~SIGN(CDC_SIGN_TEXT_BYTES);
	t->stat.signs = (t->stat.signs & ~SIGNS_OF_FIELDS) | signs;
}

/* Of what others wrote the time is theirs; what waits for its time is seen again */
static void
see_clock(PeerTable *t, const CdcEvent *event, TimestampTz now)
{
	const CdcMessage *message = event->message;

	if (event->origin || (message->partition == t->partition && message->offset <= t->offset))
		return;
	t->partition = message->partition;
	t->offset = message->offset;
	t->stat.ahead = cdc_unixtime_to_timestamptz(event->time) - now;
}

void
cdc_peer_see(const CdcApplyItem *item, const CdcRelation *rel, TimestampTz now)
{
	const CdcEvent *event = item->event;
	PeerTable  *t;

	/* at a door, a person may try anything */
	if (item->options->subscription == NULL || event->op == CDC_OP_NULL_VALUE)
		return;
	t = find_peer(event);
	t->dirty = true;
	t->stat.seen_at = now;
	copy_text(t->stat.subscription, item->options->subscription,
			  strlen(item->options->subscription), CDC_PEER_NAME_SIZE);
	see_source(t, event);
	if (event->op == CDC_OP_TRUNCATE)
		set_sign(t, CDC_SIGN_TRUNCATES, !rel->rule->truncate && !item->own && !item->skip);
	if (event->op == CDC_OP_READ || event->op == CDC_OP_TRUNCATE)
		return;
	see_fields(t, event->after.present ? &event->after : &event->before, rel,
			   item->options->producer);
	if (event->op == CDC_OP_UPDATE)
		set_sign(t, CDC_SIGN_NO_BEFORE, !event->before.present);
	see_clock(t, event, now);
}

/*
 * An own echo comes back to where it was written: it cannot be news, unless this node was
 * restored from a backup, or another one has its name.
 */
void
cdc_peer_see_outcome(const CdcApplyItem *item)
{
	bool		own_news = item->own && item->changed;
	PeerTable  *t;

	if (item->options->subscription == NULL ||
		(!own_news && item->event->op != CDC_OP_DELETE))
		return;
	t = find_peer(item->event);
	t->dirty = true;
	if (own_news)
		set_sign(t, CDC_SIGN_OWN_NEWS, true);
	if (item->event->op == CDC_OP_DELETE)
		set_sign(t, CDC_SIGN_BLIND_DELETES, item->blind);
}

/* Once per batch: what has changed is shown; what finds no place tries again the next time */
void
cdc_peer_publish(void)
{
	HASH_SEQ_STATUS status;
	PeerEntry  *entry;
	bool		unseen = false;

	if (peers == NULL)
		return;
	hash_seq_init(&status, peers);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		PeerTable  *t = &entry->table;

		if (!t->dirty)
			continue;
		t->dirty = !cdc_peer_stat_put(&t->stat, &t->place);
		unseen |= t->dirty;
	}
	cdc_control_set_short(CDC_SHORT_OF_PEERS, unseen);
}
