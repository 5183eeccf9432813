/* cdcsync--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cdcsync" to load this file. \quit

--
-- The role that administers; roles are of the whole cluster, so another
-- database may have made it already, or be making it at this moment.
--
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cdcsync_admin') THEN
		CREATE ROLE cdcsync_admin NOLOGIN;
		COMMENT ON ROLE cdcsync_admin IS 'may administer cdcsync in every database that has it';
	END IF;
EXCEPTION
	WHEN duplicate_object OR unique_violation THEN
		NULL;
END
$$;

CREATE SCHEMA cdcsync;

COMMENT ON SCHEMA cdcsync IS 'objects of the extension cdcsync';

--
-- Catalogs.  Only cdcsync's own functions write them.
--
CREATE TABLE cdcsync.subscription (
	name text PRIMARY KEY,
	topics text[] NOT NULL,
	enabled boolean NOT NULL,
	conflicts text NOT NULL,
	origin text NOT NULL,
	start_at text NOT NULL,
	event_time text NOT NULL,
	on_error text NOT NULL,
	on_unknown_table text NOT NULL,
	producer jsonb,
	created_at timestamptz NOT NULL,
	started boolean NOT NULL DEFAULT false
);

COMMENT ON TABLE cdcsync.subscription IS 'named sets of topics that this node consumes; see subscribe()';
COMMENT ON COLUMN cdcsync.subscription.name IS 'name of the subscription';
COMMENT ON COLUMN cdcsync.subscription.topics IS 'topic names, or regular expressions that begin with ^';
COMMENT ON COLUMN cdcsync.subscription.enabled IS 'false while paused';
COMMENT ON COLUMN cdcsync.subscription.conflicts IS 'how conflicts are handled';
COMMENT ON COLUMN cdcsync.subscription.origin IS 'any: all events; none: only those without an origin';
COMMENT ON COLUMN cdcsync.subscription.start_at IS 'where the partitions begin that existed at subscribe(): earliest, latest or a time';
COMMENT ON COLUMN cdcsync.subscription.event_time IS 'where the time of an event comes from';
COMMENT ON COLUMN cdcsync.subscription.on_error IS 'what happens to a message that cannot be applied';
COMMENT ON COLUMN cdcsync.subscription.on_unknown_table IS 'what happens to an event of a table that is not registered';
COMMENT ON COLUMN cdcsync.subscription.producer IS 'modes of the connector, for JSON without schemas; keys are the connector''s property names';
COMMENT ON COLUMN cdcsync.subscription.created_at IS 'when subscribe() was called';
COMMENT ON COLUMN cdcsync.subscription.started IS 'whether those partitions have their position: later ones are read from their beginning';

CREATE TABLE cdcsync.table_rule (
	relation regclass PRIMARY KEY,
	version_column name,
	source_table text NOT NULL UNIQUE,
	conflicts text,
	column_map jsonb,
	truncate boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

COMMENT ON TABLE cdcsync.table_rule IS 'registered local tables; see add_table()';
COMMENT ON COLUMN cdcsync.table_rule.relation IS 'the local table';
COMMENT ON COLUMN cdcsync.table_rule.version_column IS 'column whose value is the version of a row; NULL: the commit timestamp';
COMMENT ON COLUMN cdcsync.table_rule.source_table IS 'the table''s name in events, schema.table, quoted as an identifier';
COMMENT ON COLUMN cdcsync.table_rule.conflicts IS 'how conflicts are handled; NULL: as the subscription says';
COMMENT ON COLUMN cdcsync.table_rule.column_map IS 'remote column names to local ones; columns not named keep their name';
COMMENT ON COLUMN cdcsync.table_rule.truncate IS 'whether truncate events are obeyed';
COMMENT ON COLUMN cdcsync.table_rule.created_at IS 'when add_table() was called';

-- written once per local commit: room on the page keeps those updates HOT
CREATE TABLE cdcsync.subscription_offset (
	subscription text NOT NULL,
	topic text NOT NULL,
	partition integer NOT NULL,
	next_offset bigint NOT NULL,
	record_time bigint,
	cluster_id text,
	PRIMARY KEY (subscription, topic, partition)
) WITH (fillfactor = 10);

COMMENT ON TABLE cdcsync.subscription_offset IS 'positions in the topics; they commit together with the rows';
COMMENT ON COLUMN cdcsync.subscription_offset.subscription IS 'name of the subscription';
COMMENT ON COLUMN cdcsync.subscription_offset.topic IS 'name of the topic';
COMMENT ON COLUMN cdcsync.subscription_offset.partition IS 'number of the partition';
COMMENT ON COLUMN cdcsync.subscription_offset.next_offset IS 'first offset that is not yet applied';
COMMENT ON COLUMN cdcsync.subscription_offset.record_time IS 'Kafka''s time of the record before it, ms since 1970, to recognise the log';
COMMENT ON COLUMN cdcsync.subscription_offset.cluster_id IS 'Kafka cluster that was read';

CREATE TABLE cdcsync.tombstone_data (
	relation regclass NOT NULL,
	key_hash bigint NOT NULL,
	key jsonb NOT NULL,
	version numeric,
	peer text,
	written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (relation, key_hash, key)
);

COMMENT ON TABLE cdcsync.tombstone_data IS 'remembered deletes; read them through the view tombstone';
COMMENT ON COLUMN cdcsync.tombstone_data.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.tombstone_data.key_hash IS 'hash of the key that agrees with its equality';
COMMENT ON COLUMN cdcsync.tombstone_data.key IS 'the key: column names and texts';
COMMENT ON COLUMN cdcsync.tombstone_data.version IS 'version of the row that was deleted: a number, or µs since 1970; NULL is the oldest, or without a version column a local delete whose commit time is to be copied';
COMMENT ON COLUMN cdcsync.tombstone_data.peer IS 'the node whose delete it is';
COMMENT ON COLUMN cdcsync.tombstone_data.written_at IS 'when it was written here';

CREATE TABLE cdcsync.tombstone_horizon (
	relation regclass PRIMARY KEY,
	version numeric
);

COMMENT ON TABLE cdcsync.tombstone_horizon IS 'newest version of the tombstones that were pruned, per table';
COMMENT ON COLUMN cdcsync.tombstone_horizon.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.tombstone_horizon.version IS 'in the measure of tombstone_data.version';

CREATE TABLE cdcsync.conflict_data (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	relation regclass NOT NULL,
	key jsonb NOT NULL,
	conflict_type text NOT NULL,
	resolution text NOT NULL,
	local_row jsonb,
	remote_row jsonb,
	before_row jsonb,
	local_version text,
	remote_version text,
	local_origin text,
	remote_origin text,
	subscription text,
	topic text,
	partition integer,
	"offset" bigint
);

COMMENT ON TABLE cdcsync.conflict_data IS 'recorded conflicts; read them through the view conflict_history';
COMMENT ON COLUMN cdcsync.conflict_data.id IS 'number of the record, for resolve_conflict()';
COMMENT ON COLUMN cdcsync.conflict_data.at IS 'when it was decided here';
COMMENT ON COLUMN cdcsync.conflict_data.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.conflict_data.key IS 'key of the row that the event is about';
COMMENT ON COLUMN cdcsync.conflict_data.conflict_type IS 'what the event met';
COMMENT ON COLUMN cdcsync.conflict_data.resolution IS 'what was done: apply_remote, keep_local, skip, merge or error';
COMMENT ON COLUMN cdcsync.conflict_data.local_row IS 'the row that was here; NULL: none';
COMMENT ON COLUMN cdcsync.conflict_data.remote_row IS 'the row that the event brought; NULL: a delete';
COMMENT ON COLUMN cdcsync.conflict_data.before_row IS 'the row that the event''s author had seen';
COMMENT ON COLUMN cdcsync.conflict_data.local_version IS 'version of the row or of the tombstone that was here';
COMMENT ON COLUMN cdcsync.conflict_data.remote_version IS 'version of the event; a delete has that of the row it deleted, or its time';
COMMENT ON COLUMN cdcsync.conflict_data.local_origin IS 'node that wrote what was here, where it is known';
COMMENT ON COLUMN cdcsync.conflict_data.remote_origin IS 'node that wrote the event';
COMMENT ON COLUMN cdcsync.conflict_data.subscription IS 'subscription that brought it; NULL: apply() by hand';
COMMENT ON COLUMN cdcsync.conflict_data.topic IS 'topic of the event';
COMMENT ON COLUMN cdcsync.conflict_data.partition IS 'partition of the event';
COMMENT ON COLUMN cdcsync.conflict_data."offset" IS 'offset of the event';

CREATE TABLE cdcsync.dead_letter_data (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	subscription text NOT NULL,
	topic text NOT NULL,
	partition integer NOT NULL,
	"offset" bigint NOT NULL,
	key bytea,
	value bytea,
	headers bytea,
	record_time bigint NOT NULL,
	sqlstate text NOT NULL,
	message text NOT NULL,
	detail text,
	context text,
	status text NOT NULL DEFAULT 'failed' CHECK (status IN ('failed', 'retry', 'applied', 'skipped')),
	done_at timestamptz
);

CREATE INDEX dead_letter_data_retry ON cdcsync.dead_letter_data (id) WHERE status = 'retry';
CREATE INDEX dead_letter_data_done ON cdcsync.dead_letter_data (done_at) WHERE done_at IS NOT NULL;

COMMENT ON TABLE cdcsync.dead_letter_data IS 'messages that could not be applied; read them through the view dead_letter';
COMMENT ON COLUMN cdcsync.dead_letter_data.record_time IS 'Kafka''s time of the record, ms since 1970';
COMMENT ON COLUMN cdcsync.dead_letter_data.done_at IS 'when it was applied or skipped';
COMMENT ON COLUMN cdcsync.dead_letter_data.id IS 'number of the dead letter, for retry_dead_letter() and skip_dead_letter()';
COMMENT ON COLUMN cdcsync.dead_letter_data.at IS 'when it was kept';
COMMENT ON COLUMN cdcsync.dead_letter_data.subscription IS 'subscription that brought it';
COMMENT ON COLUMN cdcsync.dead_letter_data.topic IS 'topic of the message';
COMMENT ON COLUMN cdcsync.dead_letter_data.partition IS 'partition of the message';
COMMENT ON COLUMN cdcsync.dead_letter_data."offset" IS 'offset of the message';
COMMENT ON COLUMN cdcsync.dead_letter_data.key IS 'key of the message, its bytes';
COMMENT ON COLUMN cdcsync.dead_letter_data.value IS 'value of the message, its bytes';
COMMENT ON COLUMN cdcsync.dead_letter_data.headers IS 'headers of the message, as JSON: pairs of name and value, the value in hex; NULL: none';
COMMENT ON COLUMN cdcsync.dead_letter_data.sqlstate IS 'what was wrong, as SQLSTATE';
COMMENT ON COLUMN cdcsync.dead_letter_data.message IS 'what was wrong';
COMMENT ON COLUMN cdcsync.dead_letter_data.detail IS 'more of it';
COMMENT ON COLUMN cdcsync.dead_letter_data.context IS 'where it was met';
COMMENT ON COLUMN cdcsync.dead_letter_data.status IS 'failed; retry: to be applied by the worker; applied; skipped';

-- a dump that is restored elsewhere carries another identity than its database
CREATE TABLE cdcsync.local_identity (
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	system_identifier text NOT NULL,
	database_oid oid NOT NULL
);

COMMENT ON TABLE cdcsync.local_identity IS 'the database these catalogs belong to; in another one all subscriptions wait for resume()';
COMMENT ON COLUMN cdcsync.local_identity.singleton IS 'there is one row at most';
COMMENT ON COLUMN cdcsync.local_identity.system_identifier IS 'identifier of the cluster';
COMMENT ON COLUMN cdcsync.local_identity.database_oid IS 'the database''s oid';

-- dumped with the database; what belongs to a table that is gone stays behind
SELECT pg_catalog.pg_extension_config_dump('cdcsync.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.subscription_offset', '');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.local_identity', '');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.table_rule',
	'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.tombstone_data',
	'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.tombstone_horizon',
	'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.conflict_data',
	'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.conflict_data_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.dead_letter_data', '');
SELECT pg_catalog.pg_extension_config_dump('cdcsync.dead_letter_data_id_seq', '');

--
-- Subscriptions
--
CREATE FUNCTION cdcsync.subscribe(
	subscription text,
	topics text[],
	conflicts text DEFAULT 'last_update_wins',
	origin text DEFAULT 'any',
	start_at text DEFAULT 'earliest',
	event_time text DEFAULT 'source',
	on_error text DEFAULT 'pause',
	on_unknown_table text DEFAULT 'pause',
	producer jsonb DEFAULT NULL,
	enabled boolean DEFAULT true)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_subscribe'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.subscribe(text, text[], text, text, text, text, text, text, jsonb, boolean) IS
'consume topics, given by names or ^regular expressions';

CREATE FUNCTION cdcsync.alter_subscription(
	subscription text,
	topics text[] DEFAULT NULL,
	conflicts text DEFAULT NULL,
	origin text DEFAULT NULL,
	event_time text DEFAULT NULL,
	on_error text DEFAULT NULL,
	on_unknown_table text DEFAULT NULL,
	producer jsonb DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_alter_subscription'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.alter_subscription(text, text[], text, text, text, text, text, jsonb) IS
'change a subscription; NULL leaves as it is, and positions in topics left out are kept';

CREATE FUNCTION cdcsync.unsubscribe(subscription text)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_unsubscribe'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.unsubscribe(text) IS
'end a subscription and forget its positions: a later subscribe() starts again by its start_at';

CREATE FUNCTION cdcsync.pause(subscription text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_pause'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.pause(text) IS
'stop a subscription, or all, until resume(); survives a restart';

CREATE FUNCTION cdcsync.resume(subscription text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_resume'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.resume(text) IS
'go on after pause(), after an error, or in a database that was restored elsewhere';

--
-- Tables
--
CREATE FUNCTION cdcsync.add_table(
	relation regclass,
	version_column name DEFAULT NULL,
	conflicts text DEFAULT NULL,
	source_table text DEFAULT NULL,
	column_map jsonb DEFAULT NULL,
	truncate boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_add_table'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.add_table(regclass, name, text, text, jsonb, boolean) IS
'register a table: checks its key, sets REPLICA IDENTITY FULL, creates triggers, adds it to the publication cdcsync';

CREATE FUNCTION cdcsync.alter_table_rule(
	relation regclass,
	version_column name DEFAULT NULL,
	conflicts text DEFAULT NULL,
	source_table text DEFAULT NULL,
	column_map jsonb DEFAULT NULL,
	truncate boolean DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_alter_table_rule'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.alter_table_rule(regclass, name, text, text, jsonb, boolean) IS
'change the rule of a registered table; NULL leaves as it is; repairs what add_table() had set up, also on new partitions';

CREATE FUNCTION cdcsync.remove_table(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_remove_table'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.remove_table(regclass) IS
'undo add_table() and forget the table''s tombstones; REPLICA IDENTITY and the version column stay';

CREATE FUNCTION cdcsync.add_version_column(
	relation regclass,
	column_name name DEFAULT 'cdcsync_version')
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_add_version_column'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.add_version_column(regclass, name) IS
'add a column that can be a version_column; rows that exist are as old as can be, on every node';

CREATE FUNCTION cdcsync.version_trigger()
RETURNS trigger
AS 'MODULE_PATHNAME', 'cdcsync_version_trigger'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.version_trigger() IS
'trigger of registered tables: keeps versions strictly growing';

CREATE FUNCTION cdcsync.version_check_trigger()
RETURNS trigger
AS 'MODULE_PATHNAME', 'cdcsync_version_check_trigger'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.version_check_trigger() IS
'trigger of registered tables: looks once more that a version exceeds the key''s tombstone';

CREATE FUNCTION cdcsync.tombstone_trigger()
RETURNS trigger
AS 'MODULE_PATHNAME', 'cdcsync_tombstone_trigger'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.tombstone_trigger() IS
'trigger of registered tables: remembers local deletes';

CREATE FUNCTION cdcsync.prune_tombstones()
RETURNS bigint
AS 'MODULE_PATHNAME', 'cdcsync_prune_tombstones'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.prune_tombstones() IS
'forget tombstones older than cdcsync.tombstone_retention, as the worker does by itself; returns how many';

--
-- Conflicts
--
CREATE TYPE cdcsync.conflict AS (
	relation regclass,
	key jsonb,
	conflict_type text,
	resolution text,
	local_row jsonb,
	remote_row jsonb,
	before_row jsonb,
	local_version text,
	remote_version text,
	local_origin text,
	remote_origin text,
	subscription text,
	topic text,
	partition integer,
	"offset" bigint
);

COMMENT ON TYPE cdcsync.conflict IS
'what a conflict handler is asked about; the columns are those of conflict_history, and resolution is what last_update_wins would do';

CREATE VIEW cdcsync.conflict_history WITH (security_barrier) AS
SELECT c.id, c.at, c.relation, c.key, c.conflict_type, c.resolution, c.local_row, c.remote_row,
	c.before_row, c.local_version, c.remote_version, c.local_origin, c.remote_origin,
	c.subscription, c.topic, c.partition, c."offset"
FROM cdcsync.conflict_data AS c
WHERE pg_catalog.has_table_privilege(c.relation::oid, 'SELECT');

COMMENT ON VIEW cdcsync.conflict_history IS 'conflicts of the tables that you may SELECT, and how they were decided';
COMMENT ON COLUMN cdcsync.conflict_history.id IS 'number of the record, for resolve_conflict()';
COMMENT ON COLUMN cdcsync.conflict_history.at IS 'when it was decided here';
COMMENT ON COLUMN cdcsync.conflict_history.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.conflict_history.key IS 'key of the row that the event is about';
COMMENT ON COLUMN cdcsync.conflict_history.conflict_type IS 'what the event met';
COMMENT ON COLUMN cdcsync.conflict_history.resolution IS 'what was done: apply_remote, keep_local, skip, merge or error';
COMMENT ON COLUMN cdcsync.conflict_history.local_row IS 'the row that was here; NULL: none';
COMMENT ON COLUMN cdcsync.conflict_history.remote_row IS 'the row that the event brought; NULL: a delete';
COMMENT ON COLUMN cdcsync.conflict_history.before_row IS 'the row that the event''s author had seen';
COMMENT ON COLUMN cdcsync.conflict_history.local_version IS 'version of the row or of the tombstone that was here';
COMMENT ON COLUMN cdcsync.conflict_history.remote_version IS 'version of the event; a delete has that of the row it deleted, or its time';
COMMENT ON COLUMN cdcsync.conflict_history.local_origin IS 'node that wrote what was here, where it is known';
COMMENT ON COLUMN cdcsync.conflict_history.remote_origin IS 'node that wrote the event';
COMMENT ON COLUMN cdcsync.conflict_history.subscription IS 'subscription that brought it; NULL: apply() by hand';
COMMENT ON COLUMN cdcsync.conflict_history.topic IS 'topic of the event';
COMMENT ON COLUMN cdcsync.conflict_history.partition IS 'partition of the event';
COMMENT ON COLUMN cdcsync.conflict_history."offset" IS 'offset of the event';

CREATE FUNCTION cdcsync.resolve_conflict(id bigint, choice text)
RETURNS text
AS 'MODULE_PATHNAME', 'cdcsync_resolve_conflict'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.resolve_conflict(bigint, text) IS
'write the local or the remote row of a conflict as a new local change, which wins everywhere; returns what was done';

CREATE FUNCTION cdcsync.resolve_conflict(id bigint, "row" jsonb)
RETURNS text
AS 'MODULE_PATHNAME', 'cdcsync_resolve_conflict_row'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.resolve_conflict(bigint, jsonb) IS
'write this row as a new local change, which wins everywhere; columns left out stay as they are';

CREATE FUNCTION cdcsync.prune_conflicts()
RETURNS bigint
AS 'MODULE_PATHNAME', 'cdcsync_prune_conflicts'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.prune_conflicts() IS
'forget conflicts older than cdcsync.conflict_retention, as the worker does by itself; returns how many';

--
-- Messages that could not be applied
--
CREATE VIEW cdcsync.dead_letter AS
SELECT l.id, l.at, l.subscription, l.topic, l.partition, l."offset", l.key, l.value, l.headers,
	l.sqlstate, l.message, l.detail, l.context, l.status
FROM cdcsync.dead_letter_data AS l;

COMMENT ON VIEW cdcsync.dead_letter IS 'messages that could not be applied, of subscriptions whose on_error is dead_letter';
COMMENT ON COLUMN cdcsync.dead_letter.id IS 'number of the dead letter, for retry_dead_letter() and skip_dead_letter()';
COMMENT ON COLUMN cdcsync.dead_letter.at IS 'when it was kept';
COMMENT ON COLUMN cdcsync.dead_letter.subscription IS 'subscription that brought it';
COMMENT ON COLUMN cdcsync.dead_letter.topic IS 'topic of the message';
COMMENT ON COLUMN cdcsync.dead_letter.partition IS 'partition of the message';
COMMENT ON COLUMN cdcsync.dead_letter."offset" IS 'offset of the message';
COMMENT ON COLUMN cdcsync.dead_letter.key IS 'key of the message, its bytes';
COMMENT ON COLUMN cdcsync.dead_letter.value IS 'value of the message, its bytes';
COMMENT ON COLUMN cdcsync.dead_letter.headers IS 'headers of the message, as JSON: pairs of name and value, the value in hex; NULL: none';
COMMENT ON COLUMN cdcsync.dead_letter.sqlstate IS 'what was wrong, as SQLSTATE';
COMMENT ON COLUMN cdcsync.dead_letter.message IS 'what was wrong';
COMMENT ON COLUMN cdcsync.dead_letter.detail IS 'more of it';
COMMENT ON COLUMN cdcsync.dead_letter.context IS 'where it was met';
COMMENT ON COLUMN cdcsync.dead_letter.status IS 'failed; retry: to be applied by the worker; applied; skipped';

CREATE FUNCTION cdcsync.retry_dead_letter(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_retry_dead_letter'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.retry_dead_letter(bigint) IS
'let the worker apply a dead letter; its status says what became of it';

CREATE FUNCTION cdcsync.skip_dead_letter(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_skip_dead_letter'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.skip_dead_letter(bigint) IS
'say that a dead letter is not to be applied';

CREATE FUNCTION cdcsync.skip(subscription text, topic text, partition integer, "offset" bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_skip'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.skip(text, text, integer, bigint) IS
'go on behind the message that a partition is stopped at: the one with its next_offset';
--
-- The producer
--
CREATE FUNCTION cdcsync.connector_config(
	host text,
	port integer DEFAULT NULL,
	"user" text DEFAULT 'debezium',
	password text DEFAULT '${file:/etc/kafka/cdcsync.properties:password}',
	topology text DEFAULT 'hub',
	slot text DEFAULT NULL,
	schemas boolean DEFAULT true,
	extra jsonb DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	node text := nullif(current_setting('cdcsync.node_name', true), '');
	published text;
	config jsonb;
BEGIN
	IF node IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'this database has no node name',
			HINT = format('Run ALTER DATABASE %I SET cdcsync.node_name = ''...'' and connect again.',
				current_database());
	END IF;
	IF current_setting('wal_level') <> 'logical' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'changes of this server cannot be captured',
			DETAIL = format('"wal_level" is "%s".', current_setting('wal_level')),
			HINT = 'Set "wal_level" to "logical" and restart the server.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'cdcsync') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'publication "cdcsync" does not exist',
			HINT = 'Register a table with cdcsync.add_table, which creates it.';
	END IF;
	IF host IS NULL OR host = '' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'host must not be empty',
			HINT = 'Give the name by which Kafka Connect reaches this server.';
	END IF;
	IF topology IS NULL OR topology NOT IN ('hub', 'mesh', 'shared', 'pernode') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('invalid topology "%s"', topology),
			HINT = 'It is "hub", "mesh", "shared" or "pernode".';
	END IF;
	IF jsonb_typeof(extra) <> 'object' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'extra must be a JSON object of connector properties';
	END IF;

	-- regular expressions, which the connector separates by commas
	SELECT string_agg(regexp_replace(p.schemaname || '.' || p.tablename, '([^A-Za-z0-9_])', '\\\1', 'g'), ','
			ORDER BY p.schemaname COLLATE "C", p.tablename COLLATE "C")
	INTO published
	FROM pg_publication_tables AS p
	WHERE p.pubname = 'cdcsync' AND p.schemaname <> 'cdcsync';

	SELECT jsonb_object_agg(p.name, p.value) INTO config
	FROM (VALUES
		('connector.class', 'io.debezium.connector.postgresql.PostgresConnector'),
		('tasks.max', '1'),
		-- where this database is
		('database.hostname', host),
		('database.port', coalesce(port::text, current_setting('port'))),
		('database.dbname', current_database()),
		('database.user', "user"),
		('database.password', password),
		-- peers know this node by it
		('topic.prefix', node),
		-- the decoder that says which origin a change has
		('plugin.name', 'pgoutput'),
		('slot.name', coalesce(slot, left('cdcsync_' || regexp_replace(lower(node), '[^a-z0-9_]', '_', 'g'), 63))),
		-- the server can leave out what came from peers
		('slot.stream.params', CASE WHEN topology = 'mesh' AND current_setting('server_version_num')::integer >= 160000
			THEN 'origin=none' END),
		-- add_table keeps it: no list of tables here, which would have to be kept as well
		('publication.name', 'cdcsync'),
		('publication.autocreate.mode', 'disabled'),
		('schema.exclude.list', 'cdcsync'),
		-- else a snapshot copies every table
		('snapshot.include.collection.list', published),
		('snapshot.mode', CASE WHEN published IS NULL THEN 'no_data' END),
		-- some rule obeys truncate events
		('skipped.operations', CASE WHEN EXISTS (SELECT FROM cdcsync.table_rule AS r WHERE r.truncate) THEN 'none' END),
		-- in a topic of several connectors nothing tells whose row a null value deletes
		('tombstones.on.delete', CASE topology WHEN 'shared' THEN 'false' ELSE 'true' END),
		-- of all modes, those in which no value is lost
		('decimal.handling.mode', 'string'),
		('time.precision.mode', 'microseconds'),
		('interval.handling.mode', 'string'),
		('binary.handling.mode', 'bytes'),
		('hstore.handling.mode', 'json'),
		('include.unknown.datatypes', 'true'),
		('field.name.adjustment.mode', 'none'),
		-- stop rather than send NULL for what cannot be converted, or leave events out
		('event.converting.failure.handling.mode', 'fail'),
		('event.processing.failure.handling.mode', 'fail'),
		-- the form that is read; NULL stays NULL
		('key.converter', 'org.apache.kafka.connect.json.JsonConverter'),
		('key.converter.schemas.enable', coalesce(schemas, true)::text),
		('key.converter.replace.null.with.default', 'false'),
		('value.converter', 'org.apache.kafka.connect.json.JsonConverter'),
		('value.converter.schemas.enable', coalesce(schemas, true)::text),
		('value.converter.replace.null.with.default', 'false'),
		-- the order of a topic's events, as many replicas as the broker's default
		('topic.creation.default.partitions', '1'),
		('topic.creation.default.replication.factor', '-1'),
		-- routing: of tables alone, not of heartbeats
		('transforms', CASE WHEN topology IN ('shared', 'pernode') THEN 'route' END),
		('transforms.route.type', CASE WHEN topology IN ('shared', 'pernode')
			THEN 'io.debezium.transforms.ByLogicalTableRouter' END),
		('transforms.route.topic.regex', CASE WHEN topology IN ('shared', 'pernode')
			THEN replace(node, '.', '[.]') || '[.][^.]+[.].+' END),
		('transforms.route.topic.replacement', CASE topology WHEN 'shared' THEN 'all.changes'
			WHEN 'pernode' THEN node || '.changes' END),
		('transforms.route.key.enforce.uniqueness', CASE WHEN topology IN ('shared', 'pernode') THEN 'false' END),
		-- do not wait for more to send, but send much at once; events hold two images of a row
		('poll.interval.ms', '5'),
		('producer.override.linger.ms', '0'),
		('producer.override.batch.size', '262144'),
		('producer.override.max.request.size', '16777216'),
		-- the slot moves on while only other tables or databases are written; it follows
		-- the connector's own offset, which lsn.flush.mode=connector_and_driver overtakes
		('heartbeat.interval.ms', '10000'),
		('heartbeat.action.query', 'SELECT pg_logical_emit_message(false, ''cdcsync_heartbeat'', '''')'),
		('message.prefix.exclude.list', 'cdcsync_heartbeat')
	) AS p(name, value);

	-- all values are texts; null takes a property away
	config := config || coalesce((SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each_text(extra) AS e), '{}');
	RETURN jsonb_build_object('name', node, 'config', jsonb_strip_nulls(config));
END
$$;

COMMENT ON FUNCTION cdcsync.connector_config(text, integer, text, text, text, text, boolean, jsonb) IS
'the Debezium connector that suits this database, ready to be posted to Kafka Connect; host and port are those by which Kafka Connect reaches this server';

--
-- Doors: one message by hand, or several
--
CREATE FUNCTION cdcsync.decode(
	topic text,
	key text,
	value text,
	producer jsonb DEFAULT NULL,
	OUT op text,
	OUT peer text,
	OUT source_table text,
	OUT relation regclass,
	OUT source_time timestamptz,
	OUT origin text,
	OUT key_row jsonb,
	OUT before_row jsonb,
	OUT after_row jsonb)
RETURNS record
AS 'MODULE_PATHNAME', 'cdcsync_decode'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.decode(text, text, text, jsonb) IS
'show what a message means here; writes nothing';

CREATE FUNCTION cdcsync.apply(
	topic text,
	key text,
	value text,
	producer jsonb DEFAULT NULL,
	origin text DEFAULT 'any')
RETURNS text
AS 'MODULE_PATHNAME', 'cdcsync_apply'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.apply(text, text, text, jsonb, text) IS
'apply a message as the worker would, and say what was done';

CREATE FUNCTION cdcsync.apply(
	topic text,
	keys text[],
	"values" text[],
	producer jsonb DEFAULT NULL,
	origin text DEFAULT 'any')
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'cdcsync_apply_batch'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.apply(text, text[], text[], jsonb, text) IS
'apply messages as one batch as the worker would, and say what was done';

--
-- What is going on
--
CREATE FUNCTION cdcsync.stat_partitions(
	OUT subscription text,
	OUT topic text,
	OUT partition integer,
	OUT state text,
	OUT pid integer,
	OUT next_offset bigint,
	OUT end_offset bigint,
	OUT last_event_at timestamptz,
	OUT last_apply_at timestamptz,
	OUT last_error text,
	OUT last_error_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'cdcsync_stat_partitions'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.stat_partitions() IS
'what the worker of this database reports of its partitions; see stat_subscription';

CREATE FUNCTION cdcsync.stat_tables(
	OUT relation oid,
	OUT events bigint,
	OUT inserted bigint,
	OUT updated bigint,
	OUT deleted bigint,
	OUT unchanged bigint,
	OUT skipped bigint,
	OUT confl_insert_exists bigint,
	OUT confl_update_origin_differs bigint,
	OUT confl_update_exists bigint,
	OUT confl_update_missing bigint,
	OUT confl_update_deleted bigint,
	OUT confl_delete_origin_differs bigint,
	OUT confl_delete_exists bigint,
	OUT confl_delete_missing bigint,
	OUT confl_multiple_unique_conflicts bigint,
	OUT since timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'cdcsync_stat_tables'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.stat_tables() IS
'counters of this database''s registered tables; see stat_table';

CREATE FUNCTION cdcsync.wait_for(
	subscription text DEFAULT NULL,
	timeout interval DEFAULT '1 minute')
RETURNS boolean
AS 'MODULE_PATHNAME', 'cdcsync_wait_for'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.wait_for(text, interval) IS
'wait until everything that is in the subscribed topics now is applied; false on timeout';

--
-- Partitions are known from the worker, or from their stored position while it does
-- not run or has not come to them.  Where the worker knows of no partition yet, it
-- reports for a topic (partition is NULL) or for the subscription (topic is NULL too).
--
CREATE VIEW cdcsync.stat_subscription AS
WITH worker AS MATERIALIZED (
	SELECT p.subscription, p.topic, nullif(p.partition, -1) AS partition, p.state, p.pid,
		p.next_offset, p.end_offset, p.last_event_at, p.last_apply_at, p.last_error,
		p.last_error_at
	FROM cdcsync.stat_partitions() AS p
), stored AS (
	SELECT o.subscription, o.topic, o.partition, o.next_offset
	FROM cdcsync.subscription_offset AS o
	JOIN cdcsync.subscription AS s ON s.name = o.subscription
	WHERE EXISTS (
		SELECT FROM pg_catalog.unnest(s.topics) AS t(topic)
		WHERE t.topic = o.topic
			OR (pg_catalog.starts_with(t.topic, '^') AND o.topic ~ (t.topic COLLATE "C")))
), known AS (
	SELECT w.subscription, w.topic, w.partition FROM worker AS w WHERE w.partition IS NOT NULL
	UNION
	SELECT o.subscription, o.topic, o.partition FROM stored AS o
), shown AS (
	SELECT k.subscription, k.topic, k.partition FROM known AS k
	UNION ALL
	SELECT w.subscription, w.topic, NULL FROM worker AS w
	WHERE w.partition IS NULL AND NOT EXISTS (
		SELECT FROM known AS k
		WHERE k.subscription = w.subscription AND (w.topic IS NULL OR k.topic = w.topic))
	UNION ALL
	SELECT s.name, NULL, NULL FROM cdcsync.subscription AS s
	WHERE NOT EXISTS (SELECT FROM known AS k WHERE k.subscription = s.name)
		AND NOT EXISTS (SELECT FROM worker AS w WHERE w.subscription = s.name)
)
SELECT
	n.subscription,
	n.topic,
	n.partition,
	CASE WHEN s.enabled THEN coalesce(w.state, 'starting') ELSE 'paused' END AS state,
	w.pid,
	p.next_offset,
	w.end_offset,
	p.lag,
	CASE
		WHEN p.lag = 0 THEN 0
		WHEN p.lag > 0 AND w.last_event_at > pg_catalog.clock_timestamp() THEN 0
		WHEN p.lag > 0 THEN pg_catalog.round(pg_catalog.date_part('epoch',
			pg_catalog.clock_timestamp() - w.last_event_at)::numeric, 3)
	END AS lag_seconds,
	w.last_event_at,
	w.last_apply_at,
	w.last_error,
	w.last_error_at
FROM shown AS n
JOIN cdcsync.subscription AS s ON s.name = n.subscription
LEFT JOIN stored AS o
	ON o.subscription = n.subscription AND o.topic = n.topic AND o.partition = n.partition
LEFT JOIN LATERAL (
	SELECT r.* FROM worker AS r
	WHERE r.subscription = n.subscription
		AND (r.topic = n.topic OR r.topic IS NULL)
		AND (r.partition = n.partition OR r.partition IS NULL)
	ORDER BY r.topic IS NULL, r.partition IS NULL
	LIMIT 1) AS w ON true
CROSS JOIN LATERAL (
	SELECT q.next_offset,
		CASE WHEN w.end_offset < q.next_offset THEN 0
			ELSE w.end_offset - q.next_offset
		END AS lag
	FROM (SELECT coalesce(w.next_offset, o.next_offset)) AS q(next_offset)) AS p;

COMMENT ON VIEW cdcsync.stat_subscription IS 'state and position of every subscription, by partition';
COMMENT ON COLUMN cdcsync.stat_subscription.subscription IS 'name of the subscription';
COMMENT ON COLUMN cdcsync.stat_subscription.topic IS 'topic; NULL while none is known';
COMMENT ON COLUMN cdcsync.stat_subscription.partition IS 'partition; NULL while none is known';
COMMENT ON COLUMN cdcsync.stat_subscription.state IS 'starting, streaming (also when idle), waiting (a transient fault is retried, or the topic is unknown), paused (by pause()) or error (stopped at a message)';
COMMENT ON COLUMN cdcsync.stat_subscription.pid IS 'process of the worker';
COMMENT ON COLUMN cdcsync.stat_subscription.next_offset IS 'first offset that is not yet applied';
COMMENT ON COLUMN cdcsync.stat_subscription.end_offset IS 'end of the partition as last heard of';
COMMENT ON COLUMN cdcsync.stat_subscription.lag IS 'events between the two';
COMMENT ON COLUMN cdcsync.stat_subscription.lag_seconds IS 'age of the last event applied; 0 when there is no lag';
COMMENT ON COLUMN cdcsync.stat_subscription.last_event_at IS 'source time of the last event applied';
COMMENT ON COLUMN cdcsync.stat_subscription.last_apply_at IS 'when it was applied';
COMMENT ON COLUMN cdcsync.stat_subscription.last_error IS 'last error, also if it is over';
COMMENT ON COLUMN cdcsync.stat_subscription.last_error_at IS 'when it happened';

CREATE VIEW cdcsync.stat_table AS
SELECT
	r.relation,
	coalesce(t.events, 0) AS events,
	coalesce(t.inserted, 0) AS inserted,
	coalesce(t.updated, 0) AS updated,
	coalesce(t.deleted, 0) AS deleted,
	coalesce(t.unchanged, 0) AS unchanged,
	coalesce(t.skipped, 0) AS skipped,
	coalesce(t.confl_insert_exists, 0) AS confl_insert_exists,
	coalesce(t.confl_update_origin_differs, 0) AS confl_update_origin_differs,
	coalesce(t.confl_update_exists, 0) AS confl_update_exists,
	coalesce(t.confl_update_missing, 0) AS confl_update_missing,
	coalesce(t.confl_update_deleted, 0) AS confl_update_deleted,
	coalesce(t.confl_delete_origin_differs, 0) AS confl_delete_origin_differs,
	coalesce(t.confl_delete_exists, 0) AS confl_delete_exists,
	coalesce(t.confl_delete_missing, 0) AS confl_delete_missing,
	coalesce(t.confl_multiple_unique_conflicts, 0) AS confl_multiple_unique_conflicts,
	t.since
FROM (
	SELECT relation FROM cdcsync.table_rule WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)
	UNION ALL
	SELECT NULL WHERE EXISTS (SELECT FROM cdcsync.stat_tables() WHERE relation = 0)) AS r
LEFT JOIN cdcsync.stat_tables() AS t ON t.relation = coalesce(r.relation::oid, 0);

COMMENT ON VIEW cdcsync.stat_table IS 'what was applied to each registered table';
COMMENT ON COLUMN cdcsync.stat_table.relation IS 'the registered table; NULL for events of tables that are not registered';
COMMENT ON COLUMN cdcsync.stat_table.events IS 'events that were applied, found to change nothing, or skipped';
COMMENT ON COLUMN cdcsync.stat_table.inserted IS 'events that inserted their row';
COMMENT ON COLUMN cdcsync.stat_table.updated IS 'events that updated their row';
COMMENT ON COLUMN cdcsync.stat_table.deleted IS 'events that deleted their row';
COMMENT ON COLUMN cdcsync.stat_table.unchanged IS 'events that decided nothing and so wrote nothing';
COMMENT ON COLUMN cdcsync.stat_table.skipped IS 'events that the subscription or the table''s rule leaves out';
COMMENT ON COLUMN cdcsync.stat_table.confl_insert_exists IS 'a create or snapshot row found its key, or one other unique value';
COMMENT ON COLUMN cdcsync.stat_table.confl_update_origin_differs IS 'an update found a row that was not its before';
COMMENT ON COLUMN cdcsync.stat_table.confl_update_exists IS 'an update hit one other unique value';
COMMENT ON COLUMN cdcsync.stat_table.confl_update_missing IS 'an update found no row';
COMMENT ON COLUMN cdcsync.stat_table.confl_update_deleted IS 'an update found a tombstone';
COMMENT ON COLUMN cdcsync.stat_table.confl_delete_origin_differs IS 'a delete removed a row that was not its before';
COMMENT ON COLUMN cdcsync.stat_table.confl_delete_exists IS 'a delete found a newer row and kept it';
COMMENT ON COLUMN cdcsync.stat_table.confl_delete_missing IS 'a delete found no row';
COMMENT ON COLUMN cdcsync.stat_table.confl_multiple_unique_conflicts IS 'an event hit more than one unique value';
COMMENT ON COLUMN cdcsync.stat_table.since IS 'when counting began; NULL if there was nothing to count';

CREATE VIEW cdcsync.tombstone AS
SELECT
	t.relation,
	t.key,
	CASE coalesce(a.atttypid, CASE WHEN r.version_column IS NULL THEN 1184::oid END)
		WHEN 'pg_catalog.timestamptz'::pg_catalog.regtype THEN
			coalesce('1970-01-01 00:00:00+00'::timestamptz
				+ t.version::double precision * '1 microsecond'::interval,
				CASE WHEN r.version_column IS NULL
					THEN pg_catalog.pg_xact_commit_timestamp(t.xmin) END)::text
		WHEN 'pg_catalog.timestamp'::pg_catalog.regtype THEN
			('1970-01-01 00:00:00'::timestamp
				+ t.version::double precision * '1 microsecond'::interval)::text
		ELSE t.version::text
	END AS version,
	t.peer,
	t.written_at
FROM cdcsync.tombstone_data AS t
LEFT JOIN cdcsync.table_rule AS r ON r.relation = t.relation
LEFT JOIN pg_catalog.pg_attribute AS a
	ON a.attrelid = r.relation AND a.attname = r.version_column AND NOT a.attisdropped;

COMMENT ON VIEW cdcsync.tombstone IS 'remembered deletes';
COMMENT ON COLUMN cdcsync.tombstone.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.tombstone.key IS 'key of the deleted row';
COMMENT ON COLUMN cdcsync.tombstone.version IS 'version of the deleted row, and the delete comes just after it; without a version column, when it was deleted';
COMMENT ON COLUMN cdcsync.tombstone.peer IS 'the node whose delete it is';
COMMENT ON COLUMN cdcsync.tombstone.written_at IS 'when it was written here';

--
-- Rights: nothing is PUBLIC's.  Functions that change anything, and what holds row
-- data, are cdcsync_admin's; who may monitor sees states and rules.
--
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cdcsync FROM PUBLIC;
GRANT USAGE ON SCHEMA cdcsync TO cdcsync_admin, pg_monitor;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdcsync TO cdcsync_admin;
GRANT EXECUTE ON FUNCTION cdcsync.stat_partitions(), cdcsync.stat_tables(),
	cdcsync.wait_for(text, interval) TO pg_monitor;
GRANT SELECT ON cdcsync.subscription, cdcsync.table_rule, cdcsync.stat_subscription,
	cdcsync.stat_table TO cdcsync_admin, pg_monitor;
GRANT SELECT ON cdcsync.tombstone, cdcsync.conflict_history, cdcsync.dead_letter TO cdcsync_admin;
