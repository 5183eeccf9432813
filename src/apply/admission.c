/*
 * admission.c
 *		Who may speak in a subscription's topics.
 *
 * What an event says of its author, source.name, anybody can write who may write to the
 * topic.  So the subscription names its peers; without a word, a topic is that of the node
 * whose name it begins with, as Debezium makes it.  Others are refused before anything is
 * done under their name: a replication origin is one of a few that the whole server has.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "apply/admission.h"
#include "stored/topic_name.h"
#include "base/compat.h"
#include "base/guc.h"

static bool
is_of_node(const char *topic, const char *peer)
{
	size_t		length = strlen(peer);

	return strncmp(topic, peer, length) == 0 && (topic[length] == '.' || topic[length] == '\0');
}

static bool
matches_any(const List *peers, const char *peer)
{
	const ListCell *lc;

	foreach(lc, peers)
	{
		if (cdc_topic_matches(lfirst(lc), peer))
			return true;
	}
	return false;
}

/* May a node speak there?  In a transaction or out of one. */
bool
cdc_admission_allows(const CdcApplyOptions *options, const char *topic, const char *peer)
{
	return options->peers == NIL ? is_of_node(topic, peer) : matches_any(options->peers, peer);
}

/* Whoever wrote it chose the name: it is shown in no command, and cut */
pg_noreturn static void
refuse_name(const CdcEvent *event)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("invalid name of a peer: \"%s\"",
					pnstrdup(event->peer, pg_mbcliplen(event->peer, strlen(event->peer), 64))),
			 errdetail("source.name is no name that a node can have."),
			 errhint("Give the peer's connector another topic.prefix.")));
}

/* As elements of an SQL array */
static char *
peers_with(const CdcApplyOptions *options, const char *peer)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, options->peers)
		appendStringInfo(&buf, "%s, ", quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(&buf, quote_literal_cstr(peer));
	return buf.data;
}

pg_noreturn static void
refuse(const CdcApplyOptions *options, const CdcEvent *event)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("node \"%s\" is not a peer of subscription \"%s\" in this topic", event->peer,
					options->subscription),
			 options->peers == NIL ?
			 errdetail("Without peers, a topic is that of the node whose name the topic's name begins with, up to a dot.") :
			 errdetail("The subscription's peers are others."),
			 errhint("If it may write there, name all who may: SELECT cdcsync.alter_subscription(%s, peers => ARRAY[%s])",
					 quote_literal_cstr(options->subscription), peers_with(options, event->peer))));
}

/*
 * Raises insufficient_privilege, with the command that would let the event's peer in,
 * where its name is one that a node can have.  Events without a peer pass.
 */
void
cdc_admission_check(const CdcApplyOptions *options, const CdcEvent *event)
{
	if (event->peer == NULL)
		return;
	if (!cdc_guc_is_node_name(event->peer))
		refuse_name(event);
	if (!cdc_admission_allows(options, event->message->topic, event->peer))
		refuse(options, event);
}
