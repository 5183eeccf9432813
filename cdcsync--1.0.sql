/* cdcsync--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cdcsync" to load this file. \quit

--
-- The role that administers; roles are of the whole cluster, so another
-- database may have made it already, or be making it at this moment; or
-- somebody who may create roles has, and keeps a hand on it.
--
DO $$
DECLARE
	granters text := (
		SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(m.rolname), ', ')
		FROM pg_catalog.pg_auth_members AS a
		JOIN pg_catalog.pg_roles AS r ON r.oid = a.roleid
		JOIN pg_catalog.pg_roles AS m ON m.oid = a.member
		WHERE r.rolname = 'cdcsync_admin' AND a.admin_option AND NOT m.rolsuper);
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cdcsync_admin') THEN
		CREATE ROLE cdcsync_admin NOLOGIN;
		COMMENT ON ROLE cdcsync_admin IS 'may administer cdcsync in every database that has it';
	END IF;
	IF granters IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = 'role "cdcsync_admin" exists already, and others than superusers may grant it',
			DETAIL = 'Who may: ' || granters || '.',
			HINT = 'If they are not to administer cdcsync: REVOKE cdcsync_admin FROM ' || granters || '.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cdcsync_admin' AND rolcanlogin) THEN
		RAISE WARNING USING
			MESSAGE = 'role "cdcsync_admin" exists already, and may log in',
			HINT = 'If it is not to: ALTER ROLE cdcsync_admin NOLOGIN PASSWORD NULL.';
	END IF;
EXCEPTION
	WHEN duplicate_object OR unique_violation THEN
		NULL;
END
$$;

CREATE SCHEMA cdcsync;

COMMENT ON SCHEMA cdcsync IS 'objects of the extension cdcsync';

--
-- What is here stands in the order of the folders of src/: the catalogs and what keeps
-- them (stored), registered tables (table), what is applied (apply), the processes and
-- what is said of them (worker).
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
	peers text[],
	created_at timestamptz NOT NULL,
	started boolean NOT NULL DEFAULT false
) USING heap;

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
COMMENT ON COLUMN cdcsync.subscription.peers IS 'nodes that may speak there, names or regular expressions that begin with ^; NULL: whose name the topic''s name begins with';
COMMENT ON COLUMN cdcsync.subscription.created_at IS 'when subscribe() was called';
COMMENT ON COLUMN cdcsync.subscription.started IS 'whether those partitions have their position: later ones are read from their beginning';

CREATE TABLE cdcsync.table_rule (
	relation regclass PRIMARY KEY,
	version_column name,
	source_table text NOT NULL UNIQUE,
	conflicts text,
	column_map jsonb,
	truncate boolean NOT NULL DEFAULT false,
	own_name boolean NOT NULL,
	tombstone_key text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) USING heap;

COMMENT ON TABLE cdcsync.table_rule IS 'registered local tables; see add_table()';
COMMENT ON COLUMN cdcsync.table_rule.relation IS 'the local table';
COMMENT ON COLUMN cdcsync.table_rule.version_column IS 'column whose value is the version of a row; NULL: the commit timestamp';
COMMENT ON COLUMN cdcsync.table_rule.source_table IS 'the table''s name in events, schema.table, quoted as an identifier';
COMMENT ON COLUMN cdcsync.table_rule.conflicts IS 'how conflicts are handled; NULL: as the subscription says';
COMMENT ON COLUMN cdcsync.table_rule.column_map IS 'remote column names to local ones; columns not named keep their name';
COMMENT ON COLUMN cdcsync.table_rule.truncate IS 'whether truncate events are obeyed';
COMMENT ON COLUMN cdcsync.table_rule.own_name IS 'whether source_table was the table''s own name when it was given';
COMMENT ON COLUMN cdcsync.table_rule.tombstone_key IS 'the key that tombstones were written by, and how it was hashed';
COMMENT ON COLUMN cdcsync.table_rule.created_at IS 'when add_table() was called';

CREATE TABLE cdcsync.unsent (
	relation regclass,
	what text CHECK (what IN ('rows', 'truncate', 'detach')),
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (relation, what)
) USING heap;

COMMENT ON TABLE cdcsync.unsent IS 'what happened to registered tables here and other nodes do not know, for check()';
COMMENT ON COLUMN cdcsync.unsent.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.unsent.what IS 'rows: it had some before its changes were captured; truncate: it was emptied; detach: a partition went with its rows';
COMMENT ON COLUMN cdcsync.unsent.at IS 'when, the last time';

-- written once per local commit: room on the page keeps those updates HOT
CREATE TABLE cdcsync.subscription_offset (
	subscription text NOT NULL,
	topic text NOT NULL,
	partition integer NOT NULL,
	next_offset bigint NOT NULL,
	record_time bigint,
	cluster_id text,
	rewind_to timestamptz,
	events_of text,
	PRIMARY KEY (subscription, topic, partition)
) USING heap WITH (fillfactor = 10);

COMMENT ON TABLE cdcsync.subscription_offset IS 'positions in the topics; they commit together with the rows';
COMMENT ON COLUMN cdcsync.subscription_offset.subscription IS 'name of the subscription';
COMMENT ON COLUMN cdcsync.subscription_offset.topic IS 'name of the topic';
COMMENT ON COLUMN cdcsync.subscription_offset.partition IS 'number of the partition';
COMMENT ON COLUMN cdcsync.subscription_offset.next_offset IS 'first offset that is not yet applied';
COMMENT ON COLUMN cdcsync.subscription_offset.record_time IS 'Kafka''s time of the record before it, ms since 1970, to recognise the log';
COMMENT ON COLUMN cdcsync.subscription_offset.cluster_id IS 'Kafka cluster that was read';
COMMENT ON COLUMN cdcsync.subscription_offset.events_of IS 'the table that its events are of, peer.schema.table, by which null values are known; empty: several';
COMMENT ON COLUMN cdcsync.subscription_offset.rewind_to IS 'time since which rewind() wants it read again; NULL: none';

-- a key that is deleted again has its tombstone updated: room on the page keeps that HOT
CREATE TABLE cdcsync.tombstone_data (
	relation regclass NOT NULL,
	key_hash bigint NOT NULL,
	key jsonb NOT NULL,
	version numeric,
	peer text,
	written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) USING heap WITH (fillfactor = 50);

-- not of the key itself: a key can be longer than an entry of an index.  Who looks compares the keys, and takes the newest
CREATE INDEX tombstone_data_key ON cdcsync.tombstone_data (relation, key_hash);

COMMENT ON TABLE cdcsync.tombstone_data IS 'remembered deletes, of a key one or, of deletes at the same moment, several: the newest counts; read them through the view tombstone';
COMMENT ON COLUMN cdcsync.tombstone_data.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.tombstone_data.key_hash IS 'hash of the key that agrees with its equality';
COMMENT ON COLUMN cdcsync.tombstone_data.key IS 'the key: column names and texts';
COMMENT ON COLUMN cdcsync.tombstone_data.version IS 'version of the row that was deleted: a number, or µs since 1970; NULL is the oldest, or without a version column a local delete whose commit time is to be copied';
COMMENT ON COLUMN cdcsync.tombstone_data.peer IS 'the node whose delete it is';
COMMENT ON COLUMN cdcsync.tombstone_data.written_at IS 'when it was written here';

CREATE TABLE cdcsync.tombstone_horizon (
	relation regclass PRIMARY KEY,
	version numeric
) USING heap;

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
) USING heap;

CREATE INDEX conflict_data_at ON cdcsync.conflict_data (at);
CREATE INDEX conflict_data_relation ON cdcsync.conflict_data (relation, id);

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
	message_public boolean NOT NULL DEFAULT false,
	detail text,
	context text,
	source_table text,
	status text NOT NULL DEFAULT 'failed' CHECK (status IN ('failed', 'retry', 'applied', 'skipped')),
	done_at timestamptz
) USING heap;

CREATE INDEX dead_letter_data_retry ON cdcsync.dead_letter_data (id) WHERE status = 'retry';
CREATE INDEX dead_letter_data_open ON cdcsync.dead_letter_data (id) WHERE done_at IS NULL;
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
COMMENT ON COLUMN cdcsync.dead_letter_data.message_public IS 'whether that is without values, and so for everybody';
COMMENT ON COLUMN cdcsync.dead_letter_data.source_table IS 'the table that it is about, by its name in events; NULL: not known';
COMMENT ON COLUMN cdcsync.dead_letter_data.detail IS 'more of it';
COMMENT ON COLUMN cdcsync.dead_letter_data.context IS 'where it was met';
COMMENT ON COLUMN cdcsync.dead_letter_data.status IS 'failed; retry: to be applied by the worker; applied; skipped';

-- a dump that is restored elsewhere carries another identity than its database
CREATE TABLE cdcsync.local_identity (
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	system_identifier text NOT NULL,
	database_oid oid NOT NULL,
	written_by xid,
	commits_known_from xid8
) USING heap;

COMMENT ON COLUMN cdcsync.local_identity.written_by IS 'transaction that wrote this row; another one has if it comes from a dump';
COMMENT ON COLUMN cdcsync.local_identity.commits_known_from IS 'rows of transactions before are older than their commit times say: a dump was restored; NULL: none';
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
	enabled boolean DEFAULT true,
	peers text[] DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_subscribe'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.subscribe(text, text[], text, text, text, text, text, text, jsonb, boolean, text[]) IS
'consume topics, given by names or ^regular expressions, of peers likewise; without peers, a topic is that of the node whose name it begins with';

CREATE FUNCTION cdcsync.alter_subscription(
	subscription text,
	topics text[] DEFAULT NULL,
	conflicts text DEFAULT NULL,
	origin text DEFAULT NULL,
	event_time text DEFAULT NULL,
	on_error text DEFAULT NULL,
	on_unknown_table text DEFAULT NULL,
	producer jsonb DEFAULT NULL,
	peers text[] DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_alter_subscription'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.alter_subscription(text, text[], text, text, text, text, text, jsonb, text[]) IS
'change a subscription; NULL leaves as it is, peers => ''{}'' is the default again, and positions in topics left out are kept';

CREATE FUNCTION cdcsync.unsubscribe(subscription text)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_unsubscribe'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.unsubscribe(text) IS
'end a subscription and forget its positions: a later subscribe() starts again by its start_at';

CREATE FUNCTION cdcsync.reset_subscription(
	subscription text,
	start_at text DEFAULT 'earliest')
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_reset_subscription'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.reset_subscription(text, text) IS
'forget its positions and begin by start_at, as for topics that were deleted and created again; its options stay';

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
-- Positions
--
CREATE FUNCTION cdcsync.skip(subscription text, topic text, partition integer, "offset" bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_skip'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.skip(text, text, integer, bigint) IS
'go on behind the message that a partition is stopped at: the one with its next_offset';
CREATE FUNCTION cdcsync.rewind(subscription text, "to" timestamptz)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_rewind_time'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.rewind(text, timestamptz) IS
'read again what is in the topics since that time; what is known already changes nothing';

CREATE FUNCTION cdcsync.rewind(subscription text, "to" jsonb)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_rewind_offsets'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.rewind(text, jsonb) IS
'read on from these offsets, back or forward: {"topic": {"partition": offset}}';

--
-- The record of conflicts
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

CREATE FUNCTION cdcsync.may_read_rows(relation regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'cdcsync_may_read_rows'
LANGUAGE C STABLE;

COMMENT ON FUNCTION cdcsync.may_read_rows(regclass) IS
'whether you may SELECT the whole table, and no row security binds you; NULL or a table that is gone: all tables.  Views show texts of rows by it';

CREATE VIEW cdcsync.conflict_history WITH (security_barrier) AS
SELECT c.id, c.at, c.relation, c.key, c.conflict_type, c.resolution, c.local_row, c.remote_row,
	c.before_row, c.local_version, c.remote_version, c.local_origin, c.remote_origin,
	c.subscription, c.topic, c.partition, c."offset"
FROM cdcsync.conflict_data AS c
WHERE cdcsync.may_read_rows(c.relation);

COMMENT ON VIEW cdcsync.conflict_history IS 'conflicts of the tables whose rows you may read, and how they were decided';

CREATE FUNCTION cdcsync.prune_conflicts()
RETURNS bigint
AS 'MODULE_PATHNAME', 'cdcsync_prune_conflicts'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.prune_conflicts() IS
'forget conflicts older than cdcsync.conflict_retention, as the worker does by itself; returns how many';

--
-- Messages that could not be applied

--
-- who may not read the table's rows, or where the table is not known, sees that there is one
CREATE VIEW cdcsync.dead_letter WITH (security_barrier) AS
SELECT l.id, l.at, l.subscription, l.topic, l.partition, l."offset",
	CASE WHEN u.may_read THEN l.key END AS key,
	CASE WHEN u.may_read THEN l.value END AS value,
	CASE WHEN u.may_read THEN l.headers END AS headers,
	l.sqlstate,
	CASE WHEN u.may_read OR l.message_public THEN l.message END AS message,
	CASE WHEN u.may_read THEN l.detail END AS detail,
	CASE WHEN u.may_read THEN l.context END AS context,
	l.status, l.source_table
FROM cdcsync.dead_letter_data AS l
LEFT JOIN cdcsync.table_rule AS r ON r.source_table = l.source_table
CROSS JOIN LATERAL cdcsync.may_read_rows(r.relation) AS u(may_read);

COMMENT ON VIEW cdcsync.dead_letter IS 'messages that could not be applied, of subscriptions whose on_error is dead_letter; what they hold only of the tables whose rows you may read';

-- a column of a view is what it is in the table
DO $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT pg_catalog.format('COMMENT ON COLUMN cdcsync.%I.%I IS %L', p.shown, v.attname,
			pg_catalog.col_description(t.attrelid, t.attnum))
		FROM (VALUES ('conflict_history', 'conflict_data'), ('dead_letter', 'dead_letter_data')) AS p(shown, kept)
		JOIN pg_catalog.pg_attribute AS v ON v.attrelid = ('cdcsync.' || p.shown)::regclass::oid AND v.attnum > 0
		JOIN pg_catalog.pg_attribute AS t ON t.attrelid = ('cdcsync.' || p.kept)::regclass::oid AND t.attname = v.attname
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;

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

CREATE FUNCTION cdcsync.add_tables(
	schema regnamespace,
	version_column name DEFAULT NULL,
	conflicts text DEFAULT NULL,
	truncate boolean DEFAULT false)
RETURNS TABLE (relation regclass, result text, message text, detail text, hint text)
AS 'MODULE_PATHNAME', 'cdcsync_add_tables'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.add_tables(regnamespace, name, text, boolean) IS
'add_table() for each table of a schema; a row per table says whether it was registered, or was before (unchanged), or why it was refused';

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

--
-- Triggers of registered tables, and the deletes that they remember
--
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

CREATE VIEW cdcsync.tombstone WITH (security_barrier) AS
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
	ON a.attrelid = r.relation AND a.attname = r.version_column AND NOT a.attisdropped
WHERE cdcsync.may_read_rows(t.relation);

COMMENT ON VIEW cdcsync.tombstone IS 'remembered deletes of the tables whose rows you may read';
COMMENT ON COLUMN cdcsync.tombstone.relation IS 'the registered table';
COMMENT ON COLUMN cdcsync.tombstone.key IS 'key of the deleted row';
COMMENT ON COLUMN cdcsync.tombstone.version IS 'version of the deleted row, and the delete comes just after it; without a version column, when it was deleted';
COMMENT ON COLUMN cdcsync.tombstone.peer IS 'the node whose delete it is';
COMMENT ON COLUMN cdcsync.tombstone.written_at IS 'when it was written here';

CREATE FUNCTION cdcsync.prune_tombstones()
RETURNS bigint
AS 'MODULE_PATHNAME', 'cdcsync_prune_tombstones'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.prune_tombstones() IS
'forget tombstones older than cdcsync.tombstone_retention, as the worker does by itself; returns how many';

--
-- Do nodes agree?  A digest does not depend on the order of rows or on settings, and
-- travels to the others in a table that is synced like any other.
--
CREATE FUNCTION cdcsync.table_digest(relation regclass, buckets integer DEFAULT 1)
RETURNS TABLE (bucket integer, rows bigint, digest text)
AS 'MODULE_PATHNAME', 'cdcsync_table_digest'
LANGUAGE C STABLE
SET bytea_output = 'hex'
SET DateStyle = 'ISO, YMD'
SET extra_float_digits = 1
SET IntervalStyle = 'postgres'
SET lc_monetary = 'C'
SET TimeZone = 'UTC';

COMMENT ON FUNCTION cdcsync.table_digest(regclass, integer) IS
'number of rows and digest of all their values, by the hash of the key in so many buckets: the same on nodes that agree';

CREATE FUNCTION cdcsync.peer_digests(peer text, digests regclass)
RETURNS TABLE (source_table text, bucket integer, rows bigint, digest text, taken_at timestamptz)
AS 'MODULE_PATHNAME', 'cdcsync_peer_digests'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION cdcsync.peer_digests(text, regclass) IS
'part of compare(): what a peer has said of its tables in a table of digests';

CREATE FUNCTION cdcsync.compare(peer text, digests regclass)
RETURNS TABLE (source_table text, rows_here bigint, rows_there bigint, different_buckets integer[], taken_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	there record;
BEGIN
	FOR there IN
		SELECT d.source_table, r.relation, count(*)::integer AS buckets, max(d.taken_at) AS taken_at,
			sum(d.rows)::bigint AS rows, array_agg(d.bucket || ' ' || d.digest ORDER BY d.bucket) AS digests
		FROM cdcsync.peer_digests(compare.peer, compare.digests) AS d
		LEFT JOIN cdcsync.table_rule AS r ON r.source_table = d.source_table
		GROUP BY d.source_table, r.relation ORDER BY d.source_table COLLATE "C"
	LOOP
		source_table := there.source_table;
		rows_there := there.rows;
		taken_at := there.taken_at;
		rows_here := NULL;
		different_buckets := NULL;
		IF there.relation IS NOT NULL THEN
			SELECT sum(h.rows), coalesce(array_agg(h.bucket ORDER BY h.bucket)
				FILTER (WHERE h.bucket || ' ' || h.digest <> ALL (there.digests)), '{}')
			INTO rows_here, different_buckets
			FROM cdcsync.table_digest(there.relation, there.buckets) AS h;
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;

COMMENT ON FUNCTION cdcsync.compare(text, regclass) IS
'what a peer has said of its tables in a table of digests, beside what is here: different_buckets is empty where both agree, NULL where the table is not registered here';

--
-- Sending again what others have not got
--
CREATE TABLE cdcsync.signal (
	id varchar(42) PRIMARY KEY,
	type varchar(32) NOT NULL,
	data varchar(2048)
) USING heap;

COMMENT ON TABLE cdcsync.signal IS 'what the connector is asked to do (its signal.data.collection), and its own marks';
COMMENT ON COLUMN cdcsync.signal.id IS 'name of the signal';
COMMENT ON COLUMN cdcsync.signal.type IS 'what is to be done';
COMMENT ON COLUMN cdcsync.signal.data IS 'its parameters, as JSON';

CREATE FUNCTION cdcsync.resync_table(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_resync_table'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.resync_table(regclass) IS
'let the connector read the table again and send all of its rows: Debezium''s incremental snapshot';

CREATE FUNCTION cdcsync.republish(
	relation regclass,
	since timestamptz,
	OUT rows bigint,
	OUT deletes bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'cdcsync_republish'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.republish(regclass, timestamptz) IS
'write once more what was changed here since that time, so that a connector whose slot was lost sends it; -infinity: all rows';

--
-- Deciding a conflict anew
--
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
-- The connector of this database
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
	grants text;
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

	-- regular expressions, which the connector takes apart at commas twice: an escape does not last
	SELECT string_agg(replace(regexp_replace(p.schemaname || '.' || p.tablename, '([^A-Za-z0-9_])', '\\\1', 'g'), '\,', '\x2C'), ','
			ORDER BY p.schemaname COLLATE "C", p.tablename COLLATE "C")
	INTO published
	FROM pg_publication_tables AS p
	WHERE p.pubname = 'cdcsync' AND p.schemaname <> 'cdcsync';

	SELECT string_agg(format('GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT ON %I.%I TO %I', p.schemaname, r.rolname, p.schemaname, p.tablename, r.rolname),
		'; ' ORDER BY p.schemaname, p.tablename)
	INTO grants
	FROM pg_publication_tables AS p JOIN pg_roles AS r ON r.rolname = connector_config."user"
	WHERE p.pubname = 'cdcsync' AND p.schemaname <> 'cdcsync' AND NOT cdcsync.role_may_select(r.oid, p.schemaname, p.tablename);
	IF grants IS NOT NULL THEN
		RAISE WARNING USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('role "%s" may not read tables of publication "cdcsync": the connector would send nothing', "user"),
			HINT = format('Run %s.', grants);
	END IF;

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
		-- resync_table writes there
		('signal.data.collection', 'cdcsync.signal'),
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
	OUT last_error_sqlstate text,
	OUT last_error_hint text,
	OUT last_error_at timestamptz,
	OUT retention interval)
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

CREATE FUNCTION cdcsync.stat_peers(
	OUT peer text,
	OUT source_table text,
	OUT subscription text,
	OUT source_version text,
	OUT source_database text,
	OUT ahead interval,
	OUT signs text[],
	OUT missing_column text,
	OUT seen_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'cdcsync_stat_peers'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.stat_peers() IS
'what the events of peers have told the worker since it started, by table; see check()';

CREATE FUNCTION cdcsync.stat_origins(
	OUT peer text,
	OUT worker integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'cdcsync_stat_origins'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.stat_origins() IS
'replication origins of this database that have one of the server''s places; see stat_origin';

CREATE FUNCTION cdcsync.restart_workers()
RETURNS integer
AS 'MODULE_PATHNAME', 'cdcsync_restart_workers'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.restart_workers() IS
'end the apply workers of this database, which start anew and go on from the stored positions; returns how many';

CREATE FUNCTION cdcsync.drop_origin(peer text)
RETURNS void
AS 'MODULE_PATHNAME', 'cdcsync_drop_origin'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.drop_origin(text) IS
'give back the replication origins of a peer that is gone; should it come back, it gets them again';

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
		p.last_error_sqlstate, p.last_error_hint, p.last_error_at
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
	-- not before the worker says so of its partitions: it may still be applying
	CASE WHEN s.enabled THEN coalesce(w.state, 'starting')
		WHEN w.pid IS NULL OR w.partition IS NULL THEN 'paused'
		ELSE w.state END AS state,
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
	w.last_error_sqlstate,
	w.last_error_hint,
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
COMMENT ON COLUMN cdcsync.stat_subscription.last_error_sqlstate IS 'its SQLSTATE; NULL for what Kafka or its client says';
COMMENT ON COLUMN cdcsync.stat_subscription.last_error_hint IS 'what mends it, where cdcsync itself raised it: no text of users'' code is ever here';
COMMENT ON COLUMN cdcsync.stat_subscription.last_error_at IS 'when it happened';

CREATE VIEW cdcsync.stat_origin AS
SELECT o.peer, o.worker, EXISTS (
		SELECT FROM cdcsync.subscription AS s
		WHERE CASE WHEN s.peers IS NULL THEN EXISTS (
				-- topics by their names, and those that are known by a regular expression
				SELECT FROM (
					SELECT pg_catalog.unnest(s.topics)
					UNION ALL
					SELECT f.topic FROM cdcsync.subscription_offset AS f WHERE f.subscription = s.name) AS t(topic)
				WHERE t.topic = o.peer OR pg_catalog.starts_with(t.topic, o.peer || '.'))
			ELSE EXISTS (
				SELECT FROM pg_catalog.unnest(s.peers) AS p(pattern)
				WHERE p.pattern = o.peer OR (pg_catalog.starts_with(p.pattern, '^') AND o.peer ~ (p.pattern COLLATE "C")))
			END) AS admitted
FROM cdcsync.stat_origins() AS o;

COMMENT ON VIEW cdcsync.stat_origin IS 'replication origins of this database that are in use: one for each peer and apply worker';
COMMENT ON COLUMN cdcsync.stat_origin.peer IS 'name of the peer';
COMMENT ON COLUMN cdcsync.stat_origin.worker IS 'number of the apply worker';
COMMENT ON COLUMN cdcsync.stat_origin.admitted IS 'whether a subscription takes events of this peer';

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

--
-- What is set up wrongly.  Each check_ function is a list of queries, a query per fault;
-- check() asks them all.
--
CREATE FUNCTION cdcsync.check_facts(
	OUT preloaded boolean,
	OUT node_name text,
	OUT has_brokers boolean,
	OUT workers integer,
	OUT own_topics boolean,
	OUT wal_room bigint,
	OUT applying_since timestamptz,
	OUT partitions_short boolean,
	OUT tables_short boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'cdcsync_check_facts'
LANGUAGE C;

COMMENT ON FUNCTION cdcsync.check_facts() IS
'what check() needs to know of the server and of Kafka: own_topics says whether there are topics of this node, wal_room the free bytes of the WAL''s file system, applying_since since when a worker has been in a transaction that takes longer than a second, partitions_short and tables_short whether some found no place in the statistics';

-- names stand in these lines, which may be anything, and the lines are for a terminal
CREATE FUNCTION cdcsync.printable(line text)
RETURNS text
AS 'MODULE_PATHNAME', 'cdcsync_printable'
LANGUAGE C IMMUTABLE STRICT;

COMMENT ON FUNCTION cdcsync.printable(text) IS
'part of check(): the text with escapes for control characters and marks of direction';

CREATE FUNCTION cdcsync.shell_word(word text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:,@%+=-]+$' THEN word ELSE '''' || replace(word, '''', '''\''''') || '''' END
$$;

COMMENT ON FUNCTION cdcsync.shell_word(text) IS
'part of check(): the text as one word of a shell';

CREATE FUNCTION cdcsync.role_may_select(role oid, schema_name name, table_name name)
RETURNS boolean
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT has_schema_privilege(role, n.oid, 'USAGE') AND has_table_privilege(role, c.oid, 'SELECT')
	FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE n.nspname = schema_name AND c.relname = table_name
$$;

COMMENT ON FUNCTION cdcsync.role_may_select(oid, name, name) IS
'part of check() and connector_config(): whether a connector''s role may read a table';

CREATE FUNCTION cdcsync.psql_command()
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- a name with = or a scheme would be taken for a connection string
	SELECT format('psql -p %s -d %s', current_setting('port'), cdcsync.shell_word(CASE
		WHEN d ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]*$' THEN d
		ELSE 'dbname=''' || replace(replace(d, '\', '\\'), '''', '\''') || '''' END))
	FROM current_database() AS d
$$;

COMMENT ON FUNCTION cdcsync.psql_command() IS
'part of check(): psql, connected to this database';

CREATE FUNCTION cdcsync.table_objection(
	relation regclass,
	OUT problem text,
	OUT remedy text)
RETURNS record
AS 'MODULE_PATHNAME', 'cdcsync_table_objection'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.table_objection(regclass) IS
'why add_table() would refuse this table now; NULL if it would not';

CREATE FUNCTION cdcsync.only_receives()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM cdcsync.subscription)
		AND NOT EXISTS (
			SELECT FROM cdcsync.table_rule AS r
			JOIN pg_publication_tables AS t ON t.pubname = 'cdcsync'
			JOIN pg_namespace AS n ON n.nspname = t.schemaname
			JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.tablename
			WHERE c.oid = r.relation OR c.oid IN (SELECT relid FROM pg_partition_tree(r.relation)))
		AND NOT EXISTS (
			SELECT FROM pg_replication_slots
			WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary)
$$;

COMMENT ON FUNCTION cdcsync.only_receives() IS
'whether this node is one that sends nothing: it subscribes, publishes none of the registered tables, and has no slot of a connector';

CREATE FUNCTION cdcsync.check_server()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH facts AS MATERIALIZED (
	SELECT f.*, pg_is_in_recovery() AS standby,
		EXISTS (SELECT FROM cdcsync.table_rule) AND NOT cdcsync.only_receives() AS sends,
		EXISTS (SELECT FROM cdcsync.subscription WHERE enabled) AS has_subscriptions,
		current_setting('max_worker_processes')::integer <= (
			SELECT count(*) FROM pg_stat_activity AS a
			WHERE a.backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker',
				'background writer', 'checkpointer', 'walwriter', 'walsender', 'walreceiver', 'startup',
				'archiver', 'walsummarizer', 'slotsync worker', 'io worker')) AS no_worker_left
	FROM cdcsync.check_facts() AS f
), slot AS MATERIALIZED (
	-- those that a connector of this database may read
	SELECT s.slot_name, s.active, s.wal_status, pg_size_bytes(current_setting('max_slot_wal_keep_size')) AS keep_limit,
		pg_wal_lsn_diff(CASE WHEN f.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
			s.restart_lsn)::bigint AS kept
	FROM pg_replication_slots AS s, facts AS f
	WHERE s.database = current_database() AND s.plugin = 'pgoutput' AND NOT s.temporary AND f.sends
)
SELECT 'error', 'shared_preload_libraries', 'cdcsync is not in it: nothing is applied',
	'Add cdcsync to shared_preload_libraries and restart the server.'
FROM facts WHERE NOT preloaded

UNION ALL
SELECT 'warning', 'extension', format('it is of version %s here, the files of the server are of version %s', e.extversion, a.default_version),
	'Restart the server if it still runs with the library of before, then: ALTER EXTENSION cdcsync UPDATE'
FROM pg_extension AS e JOIN pg_available_extensions() AS a ON a.name = e.extname
WHERE e.extname = 'cdcsync' AND a.default_version <> e.extversion

UNION ALL
SELECT 'error', 'cdcsync.node_name', 'this database has no node name',
	format('ALTER DATABASE %I SET cdcsync.node_name = ''...''; and connect again', current_database())
FROM facts WHERE node_name IS NULL

UNION ALL
SELECT 'error', 'cdcsync.node_name', format('database %I of this server has the same node name', d.datname),
	format('ALTER DATABASE %I SET cdcsync.node_name = ''...''', d.datname)
FROM facts AS f, pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase
WHERE s.setrole = 0 AND d.datname <> current_database()
	AND 'cdcsync.node_name=' || f.node_name = ANY (s.setconfig)

UNION ALL
SELECT 'warning', 'cdcsync.node_name',
	format('Kafka has no topic of node "%s", though a connector reads this database: is its topic.prefix another?', f.node_name),
	'Make the two the same: cdcsync.connector_config gives a connector this node''s name.'
FROM facts AS f
WHERE NOT f.own_topics AND EXISTS (SELECT FROM slot WHERE active)
	AND NOT EXISTS (SELECT FROM cdcsync.stat_peers() AS p WHERE p.peer = f.node_name)

UNION ALL
SELECT 'error', 'cdcsync.bootstrap_servers', 'no Kafka broker is named',
	'ALTER SYSTEM SET cdcsync.bootstrap_servers = ''host:port''; SELECT pg_reload_conf()'
FROM facts WHERE NOT has_brokers AND has_subscriptions

UNION ALL
SELECT 'error', 'wal_level', format('it is "%s": changes of this database cannot be captured', current_setting('wal_level')),
	'ALTER SYSTEM SET wal_level = ''logical''; and restart the server'
FROM facts WHERE sends AND current_setting('wal_level') <> 'logical'

UNION ALL
SELECT 'error', 'track_commit_timestamp', format('it is off, and table %s has no version column', r.relation),
	'ALTER SYSTEM SET track_commit_timestamp = on; and restart the server'
FROM cdcsync.table_rule AS r
WHERE r.version_column IS NULL AND NOT current_setting('track_commit_timestamp')::boolean

UNION ALL
SELECT 'error', 'max_worker_processes',
	format('all %s are used, and %s of %s apply workers run in this database', current_setting('max_worker_processes'),
		workers, current_setting('cdcsync.apply_workers')),
	format('ALTER SYSTEM SET max_worker_processes = %s; and restart the server', current_setting('max_worker_processes')::integer + 8)
FROM facts
WHERE preloaded AND has_subscriptions AND has_brokers AND workers < current_setting('cdcsync.apply_workers')::integer
	AND NOT standby AND no_worker_left

UNION ALL
SELECT 'error', 'worker', 'no worker runs in this database: nothing is applied',
	'The server''s log says why.'
FROM facts
WHERE preloaded AND has_subscriptions AND has_brokers AND workers = 0 AND NOT standby AND NOT no_worker_left
	AND NOT EXISTS (
		-- it may be about to start
		SELECT FROM cdcsync.subscription WHERE created_at > now() - interval '1 minute')

UNION ALL
SELECT 'warning', 'worker', format('it has been applying one transaction for %s: a trigger of a table, or a conflict handler, may wait for something',
		date_trunc('second', clock_timestamp() - applying_since)),
	'SELECT cdcsync.pause(), which interrupts it; or SELECT cdcsync.restart_workers()'
FROM facts WHERE applying_since < clock_timestamp() - interval '5 seconds'

UNION ALL
SELECT 'warning', s.name, format('it is %s, of which a database may have three times as many as the others leave free: %s', s.value, s.what),
	format('ALTER SYSTEM SET %s = %s; and restart the server', s.name, 2 * s.value)
FROM facts, LATERAL (VALUES
	(partitions_short, 'cdcsync.max_partitions', current_setting('cdcsync.max_partitions', true)::integer,
		'some partitions of this database are not in stat_subscription, and wait_for fails for their subscriptions, or some peers are not looked at here'),
	(tables_short, 'cdcsync.max_tables', current_setting('cdcsync.max_tables', true)::integer,
		'some tables of this database are not in stat_table')) AS s(short, name, value, what)
WHERE s.short

UNION ALL
SELECT 'info', 'worker', 'this server is a standby: nothing is applied before its promotion', 'SELECT pg_promote()'
FROM facts WHERE standby AND has_subscriptions

UNION ALL
SELECT 'error', 'max_replication_slots',
	format('all %s slots are used, and a connector of this database needs one', current_setting('max_replication_slots')),
	format('ALTER SYSTEM SET max_replication_slots = %s; and restart the server', current_setting('max_replication_slots')::integer + 10)
FROM facts AS f
WHERE f.sends AND NOT EXISTS (SELECT FROM slot)
	AND (SELECT count(*) FROM pg_replication_slots) >= current_setting('max_replication_slots')::integer

UNION ALL
SELECT 'warning', 'connector', 'no connector has a replication slot in this database: its changes are not captured',
	format('%s -Atc "SELECT cdcsync.connector_config(''HOST'')" | curl -sS -H ''Content-Type: application/json'' -d @- $CONNECT/connectors; '
		'or, if it is only to receive: DROP PUBLICATION cdcsync', cdcsync.psql_command())
FROM facts AS f
WHERE f.sends AND NOT f.standby AND NOT EXISTS (SELECT FROM slot)

UNION ALL
SELECT 'error', 'max_wal_senders',
	format('it is %s, and %s replication slots are to be read', current_setting('max_wal_senders'), n.slots),
	format('ALTER SYSTEM SET max_wal_senders = %s; and restart the server', n.slots + 5)
FROM facts AS f, (SELECT count(*) FROM pg_replication_slots) AS n(slots)
WHERE f.sends AND n.slots > current_setting('max_wal_senders')::integer

UNION ALL
SELECT 'warning', 'replication origins',
	format('this database has all of the %s that it may have, one for each peer and apply worker: another peer has to wait', l.origins),
	format('Drop those of peers that are gone, SELECT * FROM cdcsync.stat_origin; or: ALTER SYSTEM SET %s = %s; and restart the server',
		m.setting, m.value + 10)
FROM (SELECT CASE WHEN x IS NULL THEN 'max_replication_slots' ELSE 'max_active_replication_origins' END,
		coalesce(x, current_setting('max_replication_slots'))::integer
	FROM current_setting('max_active_replication_origins', true) AS x) AS m(setting, value)
CROSS JOIN LATERAL (
	SELECT coalesce(nullif(current_setting('cdcsync.max_origins')::integer, -1), m.value - m.value / 4)) AS l(origins)
WHERE l.origins <= (SELECT count(*) FROM cdcsync.stat_origin)

UNION ALL
SELECT 'warning', 'replication origin of ' || quote_ident(o.peer),
	CASE WHEN o.admitted THEN format('it is of apply worker %s, and there are %s', o.worker, current_setting('cdcsync.apply_workers'))
		ELSE 'no subscription takes events of this peer' END,
	format('SELECT cdcsync.drop_origin(%L)', o.peer)
FROM cdcsync.stat_origin AS o
WHERE NOT o.admitted OR o.worker > current_setting('cdcsync.apply_workers')::integer

UNION ALL
SELECT 'error', 'slot ' || s.slot_name, CASE s.wal_status
		WHEN 'lost' THEN 'it is lost: the connector cannot go on, and changes since are not sent'
		ELSE 'the WAL it needs is about to be removed' END,
	CASE s.wal_status
		WHEN 'lost' THEN 'Delete the connector and its offsets, drop the slot, make it anew, run cdcsync.republish() for each table, post the connector again without a snapshot.'
		ELSE 'Start the connector, or: ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf()' END
FROM slot AS s WHERE s.wal_status IN ('lost', 'unreserved')

UNION ALL
SELECT 'warning', 'slot ' || s.slot_name, format('nobody reads it, the connector does not run; it keeps %s of WAL', pg_size_pretty(s.kept)),
	format('curl -sS -X PUT $CONNECT/connectors/%1$s/resume; curl -sS -X POST "$CONNECT/connectors/%1$s/restart?includeTasks=true&onlyFailed=true"; '
		'curl -sS $CONNECT/connectors/%1$s/status', coalesce(cdcsync.shell_word(f.node_name), 'NAME'))
FROM slot AS s, facts AS f WHERE NOT s.active AND s.wal_status NOT IN ('lost', 'unreserved')

UNION ALL
-- Kafka Connect says RUNNING all the same
SELECT 'warning', 'role ' || r.rolname, format('it may not SELECT %s: a connector that connects as it sends nothing',
		string_agg(format('%I.%I', t.schemaname, t.tablename), ', ' ORDER BY t.schemaname, t.tablename)),
	string_agg(format('GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT ON %I.%I TO %I', t.schemaname, r.rolname, t.schemaname, t.tablename, r.rolname),
		'; ' ORDER BY t.schemaname, t.tablename)
FROM pg_roles AS r, pg_publication_tables AS t
WHERE r.rolreplication AND r.rolcanlogin AND NOT r.rolsuper AND has_database_privilege(r.oid, current_database(), 'CONNECT')
	AND t.pubname = 'cdcsync' AND t.schemaname <> 'cdcsync'
	AND EXISTS (SELECT FROM slot AS s WHERE NOT s.active)
	AND NOT cdcsync.role_may_select(r.oid, t.schemaname, t.tablename)
GROUP BY r.rolname

UNION ALL
SELECT 'warning', 'slot ' || s.slot_name, format('it keeps %s of WAL, and is lost at %s (max_slot_wal_keep_size)',
		pg_size_pretty(s.kept), pg_size_pretty(s.keep_limit)),
	'Let the connector run, or: ALTER SYSTEM SET max_slot_wal_keep_size = ''...''; SELECT pg_reload_conf()'
FROM slot AS s WHERE s.keep_limit > 0 AND s.kept > s.keep_limit / 2 AND s.wal_status NOT IN ('lost', 'unreserved')

UNION ALL
SELECT 'warning', 'slot ' || s.slot_name, format('it keeps %s of WAL, and %s are free on the disk', pg_size_pretty(s.kept), pg_size_pretty(f.wal_room)),
	'Let the connector run, or limit it: ALTER SYSTEM SET max_slot_wal_keep_size = ''...''; SELECT pg_reload_conf()'
FROM slot AS s, facts AS f
WHERE s.kept > f.wal_room AND NOT coalesce(s.keep_limit BETWEEN 0 AND f.wal_room, false)
$$;

COMMENT ON FUNCTION cdcsync.check_server() IS
'part of check(): settings, the worker, and the slot of the connector';

CREATE FUNCTION cdcsync.check_triggers()
RETURNS TABLE (relation regclass, level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH fired AS (
	-- triggers of users that fire where changes are applied; bits of tgtype: 1 row, 2 before, 4 insert, 16 update
	SELECT r.relation, r.version_column, 'table ' || t.tgrelid::regclass AS subject, t.tgname, t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 AS before,
		format('ALTER TABLE %s ENABLE TRIGGER %I, so that it fires for local writes alone', t.tgrelid::regclass, t.tgname) AS remedy
	FROM cdcsync.table_rule AS r
	JOIN pg_trigger AS t ON t.tgrelid = r.relation OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(r.relation))
	JOIN pg_proc AS p ON p.oid = t.tgfoid
	WHERE t.tgenabled IN ('A', 'R') AND p.pronamespace <> 'cdcsync'::regnamespace
		AND NOT EXISTS (SELECT FROM pg_trigger AS o WHERE o.oid = t.tgparentid AND o.tgenabled IN ('A', 'R'))
)
SELECT relation, 'warning', subject, format('trigger %I fires where changes are applied, before a row is written: a row that it changes stops the partition', tgname), remedy
FROM fired WHERE before

UNION ALL
SELECT relation, 'info', subject, format('trigger %I fires where changes are applied: what it writes there to tables without a version column has the origin of the change that it fired for, '
	'so that peers with origin => ''none'' do not get it', tgname), remedy
FROM fired
WHERE version_column IS NULL OR EXISTS (SELECT FROM cdcsync.table_rule AS r WHERE r.version_column IS NULL)
$$;

COMMENT ON FUNCTION cdcsync.check_triggers() IS
'part of check(), and of what add_table() says: triggers of registered tables that fire where changes are applied';

CREATE FUNCTION cdcsync.check_tables()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH rule AS MATERIALIZED (
	SELECT r.relation, r.version_column, r.source_table, r.own_name, r.column_map, r.truncate,
		c.relkind = 'p' AS partitioned, n.nspname, c.relname,
		format('SELECT cdcsync.alter_table_rule(%L)', r.relation::text) AS repair
	FROM cdcsync.table_rule AS r
	JOIN pg_class AS c ON c.oid = r.relation
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
), member AS (
	-- a table and its partitions
	SELECT r.*, r.relation::oid AS relid FROM rule AS r
	UNION ALL
	SELECT r.*, t.relid::oid FROM rule AS r, pg_partition_tree(r.relation) AS t WHERE t.level > 0
), publication AS (
	SELECT * FROM pg_publication WHERE pubname = 'cdcsync'
)
SELECT 'error', 'table ' || r.relation, lower(left(o.problem, 1)) || rtrim(substr(o.problem, 2), '.'), coalesce(o.remedy, 'SELECT cdcsync.remove_table(' || quote_literal(r.relation::text) || ')')
FROM rule AS r, cdcsync.table_objection(r.relation) AS o
WHERE o.problem IS NOT NULL

UNION ALL
SELECT 'error', 'table ' || m.relid::regclass, 'it is not REPLICA IDENTITY FULL: events do not show the row that was there', m.repair
FROM member AS m JOIN pg_class AS c ON c.oid = m.relid
WHERE c.relreplident <> 'f' AND c.relkind IN ('r', 'p')

UNION ALL
-- from 18 on; pg_upgrade brings a publication that knows nothing of them
SELECT 'error', 'table ' || r.relation, 'its generated columns are not published: no row of it can be updated or deleted', r.repair
FROM rule AS r, publication AS p
WHERE to_jsonb(p) ->> 'pubgencols' = 'n'
	AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = r.relation AND a.attgenerated = 's' AND NOT a.attisdropped)

UNION ALL
SELECT 'error', 'table ' || m.relid::regclass,
	format('trigger %I %s: %s', t.name, CASE WHEN g.oid IS NULL THEN 'is missing'
		WHEN g.tgenabled <> 'A' THEN 'does not fire in every session' ELSE 'is another one' END, t.purpose),
	m.repair
FROM member AS m
JOIN (VALUES
	-- tgtype: each row 1, before 2, insert 4, delete 8, update 16
	('~cdcsync_version', true, 'version_trigger', 23, false, 'versions do not grow'),
	('~cdcsync_version_check', true, 'version_check_trigger', 5, false, 'a key that is used again may be older than its delete'),
	('~cdcsync_version_check_key', true, 'version_check_trigger', 17, true, 'a key that is used again may be older than its delete'),
	('~cdcsync_tombstone', false, 'tombstone_trigger', 9, false, 'deletes are not remembered'),
	('~cdcsync_tombstone_key', false, 'tombstone_trigger', 17, true, 'deletes are not remembered'))
	AS t(name, for_version, function, type, with_condition, purpose)
	ON m.version_column IS NOT NULL OR NOT t.for_version
LEFT JOIN pg_trigger AS g ON g.tgrelid = m.relid AND g.tgname = t.name
WHERE (g.tgenabled, g.tgfoid, g.tgtype::integer, g.tgqual IS NOT NULL, g.tgattr::text, g.tgconstraint) IS DISTINCT FROM
	('A', ('cdcsync.' || t.function || '()')::regprocedure, t.type, t.with_condition, '', 0)

UNION ALL
SELECT t.level, t.subject, t.problem, t.remedy FROM cdcsync.check_triggers() AS t

UNION ALL
SELECT 'error', 'table ' || r.relation, format('version column %I %s', r.version_column,
		CASE WHEN a.attnum IS NULL THEN 'does not exist' ELSE 'is of type ' || format_type(a.atttypid, a.atttypmod) END),
	CASE WHEN a.attnum IS NULL
		THEN format('SELECT cdcsync.alter_table_rule(%L, version_column => ''...'') if it was renamed', r.relation::text)
		ELSE 'Use timestamptz, timestamp, numeric or an integer type, without a precision, on every node.' END
FROM rule AS r
LEFT JOIN pg_attribute AS a ON a.attrelid = r.relation AND a.attname = r.version_column AND NOT a.attisdropped
WHERE r.version_column IS NOT NULL AND (a.attnum IS NULL
	OR a.atttypid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
		'timestamptz'::regtype, 'timestamp'::regtype)
	OR (a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype) AND a.atttypmod BETWEEN 0 AND 5))

UNION ALL
SELECT 'error', 'table ' || r.relation, format('column %I of its column_map does not exist', p.value),
	format('SELECT cdcsync.alter_table_rule(%L, column_map => ''...'')', r.relation::text)
FROM rule AS r, jsonb_each_text(r.column_map) AS p
WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
	WHERE a.attrelid = r.relation AND a.attname = p.value AND a.attnum > 0 AND NOT a.attisdropped)

UNION ALL
SELECT CASE WHEN o.oid IS NULL THEN 'warning' ELSE 'error' END, 'table ' || r.relation,
	CASE WHEN o.oid IS NULL
		THEN format('it was renamed: other nodes still name it %s, and its own changes go to another topic', r.source_table)
		ELSE format('it was renamed, and %s is another table now, which is not registered: events are applied to neither, and changes of the new one are not captured', r.source_table) END,
	CASE WHEN o.oid IS NULL
		THEN format('Rename it on all nodes, change their subscriptions, then: SELECT cdcsync.alter_table_rule(%L, source_table => %L)',
			r.relation::text, format('%I.%I', r.nspname, r.relname))
		ELSE format('SELECT cdcsync.remove_table(%L); SELECT cdcsync.add_table(%L%s)', r.relation::text, r.source_table,
			', version_column => ' || quote_literal(r.version_column)) END
FROM rule AS r
-- not one of somebody who could not have taken the name away
LEFT JOIN pg_class AS o ON o.oid = to_regclass(r.source_table) AND o.relkind IN ('r', 'p')
	AND pg_has_role(o.relowner, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = r.relation), 'USAGE')
	AND NOT EXISTS (SELECT FROM rule AS x WHERE x.relation = o.oid)
WHERE r.own_name AND parse_ident(r.source_table) <> ARRAY[r.nspname::text, r.relname::text]

UNION ALL
-- the rule is of the one that went, until a table is registered
SELECT 'error', 'table ' || o.oid::regclass,
	'the table of this name that was registered was dropped: changes of this one are neither captured nor applied',
	format('If it takes its place: SELECT cdcsync.add_table(%L%s)', o.oid::regclass::text,
		', version_column => ' || quote_literal(r.version_column))
FROM cdcsync.table_rule AS r
JOIN pg_class AS o ON o.oid = to_regclass(r.source_table) AND o.relkind IN ('r', 'p') AND NOT o.relispartition
WHERE r.own_name AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = r.relation)
	AND NOT EXISTS (SELECT FROM rule AS x WHERE x.relation = o.oid)

UNION ALL
SELECT DISTINCT 'warning', 'table ' || m.relation,
	format('subscription %I of PostgreSQL itself writes to it: what it brings has an origin, and nodes that subscribe to this one with origin => ''none'' leave it out', s.subname),
	'Let those nodes subscribe with origin => ''any'', or make the publisher a node of its own.'
FROM member AS m JOIN pg_subscription_rel AS sr ON sr.srrelid = m.relid
JOIN pg_subscription AS s ON s.oid = sr.srsubid

UNION ALL
SELECT 'warning', 'table ' || r.relation, format(k.problem, date_trunc('second', u.at)), format(k.remedy, r.relation::text)
FROM rule AS r JOIN cdcsync.unsent AS u ON u.relation = r.relation
JOIN (VALUES
	('rows', 'it had rows before its changes were captured (%s), which have not been sent',
		'SELECT * FROM cdcsync.republish(%L, ''-infinity'')'),
	('truncate', 'it was emptied by TRUNCATE here (%s), which other nodes do not know',
		'TRUNCATE it on all nodes, or have the rows sent again by one that has them (cdcsync.resync_table there); then: SELECT cdcsync.alter_table_rule(%L)'),
	('detach', 'a partition was detached or dropped here (%s), whose rows other nodes keep',
		'Detach or drop it on all nodes; then: SELECT cdcsync.alter_table_rule(%L)')) AS k(what, problem, remedy) ON k.what = u.what
WHERE NOT cdcsync.only_receives()

UNION ALL
SELECT 'info', 'publication cdcsync', 'it has no table that is registered: this node only receives',
	'SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule'
WHERE cdcsync.only_receives() AND EXISTS (SELECT FROM rule)

UNION ALL
SELECT 'error', 'publication cdcsync', 'it does not exist: no change is captured', 'SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule'
WHERE NOT EXISTS (SELECT FROM publication) AND EXISTS (SELECT FROM rule) AND NOT cdcsync.only_receives()

UNION ALL
SELECT 'error', 'publication cdcsync', format('it belongs to role %I, who can take tables out of it', pg_get_userbyid(p.pubowner)),
	format('ALTER PUBLICATION cdcsync OWNER TO %I', pg_get_userbyid(e.extowner))
FROM publication AS p, pg_extension AS e
WHERE e.extname = 'cdcsync' AND NOT pg_has_role(p.pubowner, e.extowner, 'USAGE')

UNION ALL
SELECT 'error', 'publication cdcsync', 'it names the partitions of table ' || r.relation || ' instead of the table',
	'ALTER PUBLICATION cdcsync SET (publish_via_partition_root = true)'
FROM rule AS r, publication AS p WHERE r.partitioned AND NOT p.pubviaroot

UNION ALL
SELECT 'error', 'publication cdcsync', format('table %s is not in it: its changes are not captured', r.relation), r.repair
FROM rule AS r, publication AS p
WHERE (NOT r.partitioned OR p.pubviaroot) AND NOT cdcsync.only_receives()
	AND NOT EXISTS (SELECT FROM pg_publication_tables AS t
		WHERE t.pubname = 'cdcsync' AND t.schemaname = r.nspname AND t.tablename = r.relname)

UNION ALL
SELECT 'error', 'publication cdcsync', 'it leaves out ' || concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'inserts' END,
		CASE WHEN NOT p.pubupdate THEN 'updates' END, CASE WHEN NOT p.pubdelete THEN 'deletes' END,
		CASE WHEN NOT p.pubtruncate THEN 'truncates' END),
	'ALTER PUBLICATION cdcsync SET (publish = ''insert, update, delete, truncate'')'
FROM publication AS p
WHERE NOT (p.pubinsert AND p.pubupdate AND p.pubdelete)
	OR NOT p.pubtruncate AND EXISTS (SELECT FROM rule AS r WHERE r.truncate)

UNION ALL
SELECT 'error', 'publication cdcsync', format('it leaves out rows or columns of table %s', r.relation),
	format('ALTER PUBLICATION cdcsync DROP TABLE %s; %s', r.relation, r.repair)
FROM rule AS r JOIN pg_publication_rel AS pr ON pr.prrelid = r.relation
JOIN publication AS p ON p.oid = pr.prpubid
WHERE pr.prqual IS NOT NULL OR pr.prattrs IS NOT NULL

UNION ALL
SELECT 'error', 'publication cdcsync', format('table cdcsync.%I is in it, which belongs to this node alone', t.tablename),
	CASE
		WHEN p.puballtables THEN 'DROP PUBLICATION cdcsync; SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule'
		WHEN EXISTS (SELECT FROM pg_publication_namespace AS n JOIN pg_namespace AS s ON s.oid = n.pnnspid
			WHERE n.pnpubid = p.oid AND s.nspname = 'cdcsync') THEN 'ALTER PUBLICATION cdcsync DROP TABLES IN SCHEMA cdcsync'
		ELSE format('ALTER PUBLICATION cdcsync DROP TABLE cdcsync.%I', t.tablename)
	END
FROM publication AS p JOIN pg_publication_tables AS t ON t.pubname = p.pubname AND t.schemaname = 'cdcsync'
WHERE t.tablename <> 'signal'
$$;

COMMENT ON FUNCTION cdcsync.check_tables() IS
'part of check(): registered tables and the publication';

CREATE FUNCTION cdcsync.check_subscriptions()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH made_elsewhere AS MATERIALIZED (
	SELECT i.database_oid <> d.oid OR i.system_identifier <> c.system_identifier::text AS is
	FROM cdcsync.local_identity AS i, pg_control_system() AS c, pg_database AS d
	WHERE d.datname = current_database()
)
SELECT CASE s.state WHEN 'error' THEN 'error' ELSE 'warning' END,
	concat('subscription ', s.subscription, ', topic ' || s.topic, ', partition ' || s.partition),
	concat_ws(': ', s.state, split_part(s.last_error, E'\n', 1)),
	coalesce(s.last_error_hint, CASE s.state
		WHEN 'error' THEN format('Mend the cause, then: SELECT cdcsync.resume(%L)', s.subscription)
		ELSE 'Mend the cause; it tries again by itself.' END)
FROM cdcsync.stat_subscription AS s
WHERE s.state IN ('error', 'waiting')

UNION ALL
SELECT 'warning', 'subscription ' || l.subscription, format('%s of its messages could not be applied, and are dead letters', count(*)),
	format('SELECT cdcsync.retry_dead_letter(id) FROM cdcsync.dead_letter WHERE status = ''failed'' AND subscription = %L', l.subscription)
FROM cdcsync.dead_letter_data AS l WHERE l.status = 'failed'
GROUP BY l.subscription

UNION ALL
SELECT 'error', 'cdcsync.max_dead_letters', format('there are %s, as many as this database keeps: what else cannot be applied stops its partition', m.value),
	format('SELECT cdcsync.retry_dead_letter(id) or SELECT cdcsync.skip_dead_letter(id) for what is in cdcsync.dead_letter; or: '
		'ALTER SYSTEM SET cdcsync.max_dead_letters = %s; SELECT pg_reload_conf()', 2 * m.value::bigint)
FROM (SELECT current_setting('cdcsync.max_dead_letters', true)::integer) AS m(value)
WHERE m.value > 0 AND EXISTS (SELECT FROM cdcsync.dead_letter_data AS l WHERE l.done_at IS NULL ORDER BY l.id OFFSET greatest(m.value - 1, 0) LIMIT 1)

UNION ALL
-- where that is reached, a tenth goes
SELECT 'warning', 'table ' || r.relation,
	format('there are as many conflicts of it as are kept (cdcsync.max_conflicts): those before %s are forgotten', date_trunc('second', f.at)),
	format('Look for who makes so many, SELECT remote_origin, conflict_type, count(*) FROM cdcsync.conflict_history WHERE relation = %L::regclass GROUP BY 1, 2; or: '
		'ALTER SYSTEM SET cdcsync.max_conflicts = %s; SELECT pg_reload_conf()', r.relation::text, 2 * m.value::bigint)
FROM (SELECT current_setting('cdcsync.max_conflicts', true)::integer) AS m(value), cdcsync.table_rule AS r,
	LATERAL (SELECT c.at FROM cdcsync.conflict_data AS c WHERE c.relation = r.relation ORDER BY c.id LIMIT 1) AS f
WHERE m.value > 0 AND EXISTS (SELECT FROM cdcsync.conflict_data AS c WHERE c.relation = r.relation
	ORDER BY c.id OFFSET greatest(m.value - m.value / 10 - 1, 0) LIMIT 1)

UNION ALL
SELECT CASE WHEN s.lag_seconds > k.seconds THEN 'error' ELSE 'warning' END,
	concat('subscription ', s.subscription, ', topic ', s.topic, ', partition ', s.partition),
	format('the last event applied is %s old, and Kafka keeps events for %s',
		justify_interval(date_trunc('second', s.lag_seconds * interval '1 second')), justify_interval(p.retention)),
	format('kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config retention.ms=-1',
		CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
		THEN cdcsync.shell_word(current_setting('cdcsync.bootstrap_servers')) ELSE 'HOST:PORT' END, cdcsync.shell_word(s.topic))
FROM cdcsync.stat_subscription AS s
JOIN cdcsync.stat_partitions() AS p USING (subscription, topic, partition)
CROSS JOIN LATERAL (SELECT date_part('epoch', p.retention)) AS k(seconds)
WHERE s.lag > 0 AND s.lag_seconds > k.seconds / 2

UNION ALL
SELECT 'info', 'subscription ' || s.name, 'it is paused', format('SELECT cdcsync.resume(%L)', s.name)
FROM cdcsync.subscription AS s WHERE NOT s.enabled AND NOT EXISTS (SELECT FROM made_elsewhere AS m WHERE m.is)

UNION ALL
SELECT 'warning', 'subscription ' || s.name,
	'it is paused, for its database was made in another server or as another database: this is a copy of it, or the same after pg_upgrade',
	format('In place of the other: SELECT cdcsync.resume(%L). Beside it, first: ALTER DATABASE %I SET cdcsync.node_name = ''...''; and connect again',
		s.name, current_database())
FROM cdcsync.subscription AS s, made_elsewhere AS m WHERE NOT s.enabled AND m.is

UNION ALL
SELECT 'warning', 'table ' || r.relation,
	'it has no version column, and when its rows were written is not known any more, for the database was made elsewhere: the oldest event wins over them',
	'cdcsync.resume() once no change from before is on its way, see "A newer PostgreSQL" in doc/operations.md'
FROM cdcsync.table_rule AS r, made_elsewhere AS m WHERE r.version_column IS NULL AND m.is

UNION ALL
SELECT 'warning', 'subscription ' || s.name, format('table %s has no version column, and its changes may come over several paths', r.relation),
	format('SELECT cdcsync.alter_subscription(%L, origin => ''none'') if that peer does not forward', s.name)
FROM cdcsync.table_rule AS r, cdcsync.subscription AS s
WHERE r.version_column IS NULL AND s.origin = 'any'
	AND 1 < (SELECT count(*) FROM cdcsync.subscription AS o WHERE o.origin = 'any')

UNION ALL
SELECT 'warning', 'subscription ' || s.name, format('its producer has %s=%s: %s', m.property, m.value, m.loss),
	format('SELECT cdcsync.alter_subscription(%L, producer => ''...'') after a change of the peer''s connector', s.name)
FROM cdcsync.subscription AS s, (VALUES
	('decimal.handling.mode', 'double', 'numbers lose digits'),
	('time.precision.mode', 'connect', 'times lose microseconds'),
	('decimal.handling.mode', 'precise', 'events without schemas do not say the scale of numbers, which stop their partitions'),
	('time.precision.mode', 'adaptive', 'events without schemas do not say the unit of times, which stop their partitions'),
	('time.precision.mode', 'adaptive_time_microseconds', 'events without schemas do not say the unit of timestamps, which stop their partitions'),
	('binary.handling.mode', 'base64', 'a value that was not sent cannot be told from another'),
	('binary.handling.mode', 'base64-url-safe', 'a value that was not sent cannot be told from another'))
	AS m(property, value, loss)
WHERE s.producer ->> m.property = m.value
$$;

COMMENT ON FUNCTION cdcsync.check_subscriptions() IS
'part of check(): states of subscriptions, and what they say';

CREATE FUNCTION cdcsync.check_peers()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH peer AS MATERIALIZED (
	-- a peer may say anything
	SELECT p.*, substring(p.source_version, '^\d+')::numeric AS major,
		substring(p.source_version, '^\d+\.(\d+)')::numeric AS minor,
		s.origin = 'none' OR s.conflicts IN ('hub', 'spoke') AS needs_origin, r.version_column, r.relation,
		r.column_map, coalesce(r.column_map ->> p.missing_column, p.missing_column) AS local_column
	FROM cdcsync.stat_peers() AS p
	JOIN cdcsync.subscription AS s ON s.name = p.subscription
	JOIN cdcsync.table_rule AS r ON r.source_table = p.source_table
)
SELECT k.level, 'peer ' || p.peer, format('table %s: %s', string_agg(DISTINCT p.source_table, ', '), k.problem), format(k.remedy, cdcsync.shell_word(p.peer))
FROM peer AS p JOIN (VALUES
	('no_schema', 'warning', 'its events come without schemas, and the subscription does not say the modes of the connector',
		'Set value.converter.schemas.enable=true in connector %s, or alter_subscription(..., producer => ''{"decimal.handling.mode": ...}'').'),
	('text_bytes', 'warning', 'bytea comes as text, of which a value that was not sent cannot be told',
		'Set binary.handling.mode=bytes in connector %s.'),
	('connect_times', 'warning', 'times have lost their microseconds',
		'Set time.precision.mode=microseconds in connector %s.'),
	('double_decimals', 'warning', 'numbers have lost digits',
		'Set decimal.handling.mode=string in connector %s.'),
	('defaults', 'warning', 'NULL arrives as the default of its column',
		'Set value.converter.replace.null.with.default=false in connector %s.'),
	('no_before', 'error', 'updates do not show the row that was there',
		'On node %s: SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule'),
	('blind_deletes', 'error', 'deletes do not show the row that was there, and do not remove it',
		'On node %s: SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule'),
	('truncates', 'warning', 'it was emptied there by TRUNCATE, which this node does not obey',
		'TRUNCATE the table here, too; or let node %s have its rows again, by cdcsync.resync_table here'),
	('two_logs', 'error', 'events of two databases take turns under this name',
		'Give one of the databases that are named %s another cdcsync.node_name, and its connector that topic.prefix. Then: '
		'SELECT cdcsync.restart_workers()'),
	('own_name', 'error', 'another database writes under this node''s name',
		'Give it another cdcsync.node_name than %s, and its connector that topic.prefix.'))
	AS k(sign, level, problem, remedy) ON k.sign = ANY (p.signs)
GROUP BY p.peer, k.sign, k.level, k.problem, k.remedy

UNION ALL
SELECT DISTINCT 'info', 'peer ' || p.peer, format('table %s: its events have no column %I, which keeps its value or its default here', p.source_table, p.missing_column),
	CASE WHEN p.column_map ? p.missing_column
		THEN format('If it was renamed there: SELECT cdcsync.alter_table_rule(%L, column_map => ''{}''), with what else is to be mapped.',
			p.relation::text)
		ELSE format('On node %s: ALTER TABLE %s ADD COLUMN %I %s, if it was forgotten.', cdcsync.shell_word(p.peer), p.source_table, p.missing_column,
			format_type(a.atttypid, a.atttypmod))
	END
FROM peer AS p
LEFT JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attname = p.local_column
WHERE p.missing_column IS NOT NULL

UNION ALL
SELECT 'warning', 'node ' || f.node_name,
	'changes under this node''s name have come that it did not have: it was restored from a backup, or another database has its name',
	'If there is another one, give it another cdcsync.node_name, and its connector that topic.prefix. Then: '
	'SELECT cdcsync.restart_workers()'
FROM cdcsync.check_facts() AS f WHERE EXISTS (SELECT FROM peer AS p WHERE 'own_news' = ANY (p.signs))

UNION ALL
SELECT CASE WHEN bool_or(p.needs_origin) THEN 'error' ELSE 'warning' END, 'peer ' || p.peer,
	format('its Debezium is %s, and does not say what the peer has from others; 3.5 is the first that does', max(p.source_version)),
	'Update Debezium in its Kafka Connect to 3.5 or later.'
FROM peer AS p WHERE (p.major, p.minor) < (3, 5)
GROUP BY p.peer

UNION ALL
SELECT CASE WHEN bool_or(p.version_column IS NULL) AND max(p.ahead) > current_setting('cdcsync.max_clock_skew')::interval
		THEN 'error' ELSE 'warning' END, 'peer ' || p.peer,
	format('its clock is ahead of this node''s by %s', max(p.ahead)),
	'Set the clocks of both machines, by NTP for instance.'
FROM peer AS p WHERE p.ahead > interval '1 second'
GROUP BY p.peer
$$;

COMMENT ON FUNCTION cdcsync.check_peers() IS
'part of check(): what the events of peers tell of their connectors, clocks and names';

CREATE FUNCTION cdcsync.find_orphans(
	foreign_key oid,
	OUT orphans bigint,
	OUT query text,
	OUT role text)
RETURNS record
AS 'MODULE_PATHNAME', 'cdcsync_find_orphans'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.find_orphans(oid) IS
'how many rows have no parent by a foreign key, the query that shows them and the role to run it as; NULL for tables that you may not SELECT';

CREATE FUNCTION cdcsync.check_orphans()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN o.orphans IS NULL THEN 'info' ELSE 'warning' END,
	'table ' || c.conrelid::regclass,
	CASE WHEN o.orphans IS NULL
		THEN format('foreign key %I: rows without a parent in table %s are not looked for, as neither owner has the rights of the other', c.conname, c.confrelid::regclass)
		ELSE format('foreign key %I: rows without a parent in table %s: %s', c.conname, c.confrelid::regclass, o.orphans) END,
	CASE WHEN o.orphans IS NULL THEN 'As a role that may SELECT both and nothing else: ' || o.query
		ELSE format('Insert the parents, or delete the rows; as role %I: %s', o.role, o.query) END
FROM cdcsync.table_rule AS r
JOIN pg_constraint AS c ON c.conrelid = r.relation AND c.contype = 'f' AND c.conparentid = 0
	-- since 18 some are not meant to hold
	AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
CROSS JOIN LATERAL cdcsync.find_orphans(c.oid) AS o
WHERE o.query IS NOT NULL AND o.orphans IS DISTINCT FROM 0
$$;

COMMENT ON FUNCTION cdcsync.check_orphans() IS
'part of check(): rows of registered tables, those of which you may SELECT all rows, whose parents by a foreign key are missing';

CREATE FUNCTION cdcsync.count_unversioned(relation regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'cdcsync_count_unversioned'
LANGUAGE C STRICT;

COMMENT ON FUNCTION cdcsync.count_unversioned(regclass) IS
'how many rows of a registered table have no version; NULL if you may not SELECT all of them';

CREATE FUNCTION cdcsync.check_versions()
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT 'error', 'table ' || r.relation,
	format('rows without a version, whose deletes stop those who read them: %s', n.rows),
	format('SELECT cdcsync.alter_table_rule(%L)', r.relation::text)
FROM cdcsync.table_rule AS r, cdcsync.count_unversioned(r.relation) AS n(rows)
WHERE n.rows > 0
$$;

COMMENT ON FUNCTION cdcsync.check_versions() IS
'part of check(): rows of registered tables, those of which you may SELECT all rows, that were written while no trigger fired';

CREATE FUNCTION cdcsync.check(orphans boolean DEFAULT true)
RETURNS TABLE (level text, subject text, problem text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- else there is nothing to ask of the worker
	preloaded boolean := (SELECT f.preloaded FROM cdcsync.check_facts() AS f);
BEGIN
	RETURN QUERY
	SELECT c.level, cdcsync.printable(c.subject), cdcsync.printable(c.problem), cdcsync.printable(c.remedy)
	FROM (
		SELECT 1, s.* FROM cdcsync.check_server() AS s
		UNION ALL SELECT 2, t.* FROM cdcsync.check_tables() AS t
		UNION ALL SELECT 3, s.* FROM cdcsync.check_subscriptions() AS s WHERE preloaded
		UNION ALL SELECT 4, p.* FROM cdcsync.check_peers() AS p WHERE preloaded
		UNION ALL SELECT 5, o.* FROM cdcsync.check_orphans() AS o WHERE orphans
		UNION ALL SELECT 6, v.* FROM cdcsync.check_versions() AS v WHERE orphans
	) AS c(part, level, subject, problem, remedy)
	ORDER BY array_position('{error,warning,info}', c.level), c.part, c.subject, c.problem;
END
$$;

COMMENT ON FUNCTION cdcsync.check(boolean) IS
'what is set up wrongly, with what mends it; empty when all is well.  orphans: look for rows without parents or versions, too, which reads the tables';

--
-- Rights: nothing is PUBLIC's but the trigger functions, which do nothing elsewhere than on
-- registered tables: who makes a partition gets the triggers, and must have the right to them;
-- and may_read_rows, which tells everybody of himself, and which views ask in his name.
-- Functions that change anything, and what holds row data, are cdcsync_admin's; who may
-- monitor sees states and rules.
--
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cdcsync FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cdcsync.version_trigger(), cdcsync.version_check_trigger(), cdcsync.tombstone_trigger() TO PUBLIC;
GRANT EXECUTE ON FUNCTION cdcsync.may_read_rows(regclass) TO PUBLIC;
GRANT USAGE ON SCHEMA cdcsync TO cdcsync_admin, pg_monitor;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdcsync TO cdcsync_admin;
GRANT EXECUTE ON FUNCTION cdcsync.check_triggers() TO pg_monitor;
GRANT EXECUTE ON FUNCTION cdcsync.stat_partitions(), cdcsync.stat_tables(), cdcsync.stat_peers(),
	cdcsync.stat_origins(), cdcsync.wait_for(text, interval), cdcsync.check_facts(), cdcsync.table_objection(regclass),
	cdcsync.only_receives(), cdcsync.check_server(), cdcsync.check_tables(), cdcsync.check_subscriptions(),
	cdcsync.check_peers(), cdcsync.find_orphans(oid), cdcsync.check_orphans(), cdcsync.count_unversioned(regclass),
	cdcsync.check_versions(), cdcsync.check(boolean),
	cdcsync.printable(text), cdcsync.shell_word(text), cdcsync.psql_command(), cdcsync.role_may_select(oid, name, name)
	TO pg_monitor;
GRANT SELECT ON cdcsync.subscription, cdcsync.table_rule, cdcsync.unsent, cdcsync.stat_subscription,
	cdcsync.stat_table, cdcsync.stat_origin TO cdcsync_admin, pg_monitor;
GRANT SELECT ON cdcsync.tombstone, cdcsync.conflict_history, cdcsync.dead_letter TO cdcsync_admin;
GRANT SELECT (subscription, status, id, done_at) ON cdcsync.dead_letter_data TO cdcsync_admin, pg_monitor;
GRANT SELECT (id, at, relation) ON cdcsync.conflict_data TO cdcsync_admin, pg_monitor;
GRANT SELECT (system_identifier, database_oid) ON cdcsync.local_identity TO cdcsync_admin, pg_monitor;
