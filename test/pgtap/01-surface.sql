--
-- The SQL surface: names, signatures, columns, comments.
--
-- All files here run by pg_prove, in a database of their own with encoding UTF8, on a
-- server with shared_preload_libraries = 'cdcsync', wal_level = logical and any
-- cdcsync.bootstrap_servers.  Each is one transaction that is rolled back.
--
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS cdcsync;
SELECT plan(42);

SELECT has_schema('cdcsync');
SELECT has_role('cdcsync_admin');
SELECT is(rolcanlogin, false, 'nobody can log in as cdcsync_admin')
	FROM pg_roles WHERE rolname = 'cdcsync_admin';

-- functions: names, arguments with their defaults, results
SELECT results_eq(
	$$ SELECT (p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' ||
			pg_get_function_result(p.oid)) COLLATE "default"
		FROM pg_proc AS p WHERE p.pronamespace = 'cdcsync'::regnamespace
		ORDER BY p.proname, p.pronargs, p.proretset, 1 $$,
	ARRAY[
	'add_table(relation regclass, version_column name DEFAULT NULL::name, conflicts text DEFAULT NULL::text, source_table text DEFAULT NULL::text, column_map jsonb DEFAULT NULL::jsonb, truncate boolean DEFAULT false) void',
	'add_tables(schema regnamespace, version_column name DEFAULT NULL::name, conflicts text DEFAULT NULL::text, truncate boolean DEFAULT false) TABLE(relation regclass, result text, message text, detail text, hint text)',
	'add_version_column(relation regclass, column_name name DEFAULT ''cdcsync_version''::name) void',
	'alter_subscription(subscription text, topics text[] DEFAULT NULL::text[], conflicts text DEFAULT NULL::text, origin text DEFAULT NULL::text, event_time text DEFAULT NULL::text, on_error text DEFAULT NULL::text, on_unknown_table text DEFAULT NULL::text, producer jsonb DEFAULT NULL::jsonb, peers text[] DEFAULT NULL::text[]) void',
	'alter_table_rule(relation regclass, version_column name DEFAULT NULL::name, conflicts text DEFAULT NULL::text, source_table text DEFAULT NULL::text, column_map jsonb DEFAULT NULL::jsonb, truncate boolean DEFAULT NULL::boolean) void',
	'apply(topic text, key text, value text, producer jsonb DEFAULT NULL::jsonb, origin text DEFAULT ''any''::text) text',
	'apply(topic text, keys text[], "values" text[], producer jsonb DEFAULT NULL::jsonb, origin text DEFAULT ''any''::text) SETOF text',
	'check(orphans boolean DEFAULT true) TABLE(level text, subject text, problem text, remedy text)',
	'check_facts(OUT preloaded boolean, OUT node_name text, OUT has_brokers boolean, OUT workers integer, OUT own_topics boolean, OUT wal_room bigint, OUT applying_since timestamp with time zone, OUT partitions_short boolean, OUT tables_short boolean) record',
	'check_orphans() TABLE(level text, subject text, problem text, remedy text)',
	'check_peers() TABLE(level text, subject text, problem text, remedy text)',
	'check_server() TABLE(level text, subject text, problem text, remedy text)',
	'check_subscriptions() TABLE(level text, subject text, problem text, remedy text)',
	'check_tables() TABLE(level text, subject text, problem text, remedy text)',
	'check_triggers() TABLE(relation regclass, level text, subject text, problem text, remedy text)',
	'check_versions() TABLE(level text, subject text, problem text, remedy text)',
	'compare(peer text, digests regclass) TABLE(source_table text, rows_here bigint, rows_there bigint, different_buckets integer[], taken_at timestamp with time zone)',
	'connector_config(host text, port integer DEFAULT NULL::integer, "user" text DEFAULT ''debezium''::text, password text DEFAULT ''${file:/etc/kafka/cdcsync.properties:password}''::text, topology text DEFAULT ''hub''::text, slot text DEFAULT NULL::text, schemas boolean DEFAULT true, extra jsonb DEFAULT NULL::jsonb) jsonb',
	'count_unversioned(relation regclass) bigint',
	'decode(topic text, key text, value text, producer jsonb DEFAULT NULL::jsonb, OUT op text, OUT peer text, OUT source_table text, OUT relation regclass, OUT source_time timestamp with time zone, OUT origin text, OUT key_row jsonb, OUT before_row jsonb, OUT after_row jsonb) record',
	'drop_origin(peer text) void',
	'find_orphans(foreign_key oid, OUT orphans bigint, OUT query text, OUT role text) record',
	'may_read_rows(relation regclass) boolean',
	'only_receives() boolean',
	'pause(subscription text DEFAULT NULL::text) void',
	'peer_digests(peer text, digests regclass) TABLE(source_table text, bucket integer, rows bigint, digest text, taken_at timestamp with time zone)',
	'printable(line text) text',
	'prune_conflicts() bigint',
	'prune_tombstones() bigint',
	'psql_command() text',
	'remove_table(relation regclass) void',
	'republish(relation regclass, since timestamp with time zone, OUT rows bigint, OUT deletes bigint) record',
	'reset_subscription(subscription text, start_at text DEFAULT ''earliest''::text) void',
	'resolve_conflict(id bigint, "row" jsonb) text',
	'resolve_conflict(id bigint, choice text) text',
	'restart_workers() integer',
	'resume(subscription text DEFAULT NULL::text) void',
	'resync_table(relation regclass) void',
	'retry_dead_letter(id bigint) void',
	'rewind(subscription text, "to" jsonb) void',
	'rewind(subscription text, "to" timestamp with time zone) void',
	'role_may_select(role oid, schema_name name, table_name name) boolean',
	'shell_word(word text) text',
	'skip(subscription text, topic text, partition integer, "offset" bigint) void',
	'skip_dead_letter(id bigint) void',
	'stat_origins(OUT peer text, OUT worker integer) SETOF record',
	'stat_partitions(OUT subscription text, OUT topic text, OUT partition integer, OUT state text, OUT pid integer, OUT next_offset bigint, OUT end_offset bigint, OUT last_event_at timestamp with time zone, OUT last_apply_at timestamp with time zone, OUT last_error text, OUT last_error_sqlstate text, OUT last_error_hint text, OUT last_error_at timestamp with time zone, OUT retention interval) SETOF record',
	'stat_peers(OUT peer text, OUT source_table text, OUT subscription text, OUT source_version text, OUT source_database text, OUT ahead interval, OUT signs text[], OUT missing_column text, OUT seen_at timestamp with time zone) SETOF record',
	'stat_tables(OUT relation oid, OUT events bigint, OUT inserted bigint, OUT updated bigint, OUT deleted bigint, OUT unchanged bigint, OUT skipped bigint, OUT confl_insert_exists bigint, OUT confl_update_origin_differs bigint, OUT confl_update_exists bigint, OUT confl_update_missing bigint, OUT confl_update_deleted bigint, OUT confl_delete_origin_differs bigint, OUT confl_delete_exists bigint, OUT confl_delete_missing bigint, OUT confl_multiple_unique_conflicts bigint, OUT since timestamp with time zone) SETOF record',
	'subscribe(subscription text, topics text[], conflicts text DEFAULT ''last_update_wins''::text, origin text DEFAULT ''any''::text, start_at text DEFAULT ''earliest''::text, event_time text DEFAULT ''source''::text, on_error text DEFAULT ''pause''::text, on_unknown_table text DEFAULT ''pause''::text, producer jsonb DEFAULT NULL::jsonb, enabled boolean DEFAULT true, peers text[] DEFAULT NULL::text[]) void',
	'table_digest(relation regclass, buckets integer DEFAULT 1) TABLE(bucket integer, rows bigint, digest text)',
	'table_objection(relation regclass, OUT problem text, OUT remedy text) record',
	'tombstone_trigger() trigger',
	'unsubscribe(subscription text) void',
	'version_check_trigger() trigger',
	'version_trigger() trigger',
	'wait_for(subscription text DEFAULT NULL::text, timeout interval DEFAULT ''00:01:00''::interval) boolean'
	],
	'the functions, with arguments and results');
SELECT is_empty(
	$$ SELECT p.proname FROM pg_proc AS p
		WHERE p.pronamespace = 'cdcsync'::regnamespace AND p.prosecdef $$,
	'no function runs with other rights than its caller''s');

-- tables and views
SELECT tables_are('cdcsync', ARRAY['subscription', 'table_rule', 'subscription_offset',
	'tombstone_data', 'tombstone_horizon', 'conflict_data', 'dead_letter_data', 'local_identity', 'signal', 'unsent']);
SELECT views_are('cdcsync', ARRAY['stat_subscription', 'stat_table', 'stat_origin', 'tombstone',
	'conflict_history', 'dead_letter']);

SELECT columns_are('cdcsync', 'subscription', ARRAY['name', 'topics', 'enabled', 'conflicts',
	'origin', 'start_at', 'event_time', 'on_error', 'on_unknown_table', 'producer', 'peers',
	'created_at', 'started']);
SELECT columns_are('cdcsync', 'table_rule', ARRAY['relation', 'version_column',
	'source_table', 'conflicts', 'column_map', 'truncate', 'own_name', 'tombstone_key', 'created_at']);
SELECT columns_are('cdcsync', 'subscription_offset', ARRAY['subscription', 'topic',
	'partition', 'next_offset', 'record_time', 'cluster_id', 'rewind_to', 'events_of']);

SELECT results_eq(
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.stat_subscription'::regclass AND attnum > 0
		ORDER BY attnum $$,
	ARRAY['subscription text', 'topic text', 'partition integer', 'state text',
		'pid integer', 'next_offset bigint', 'end_offset bigint', 'lag bigint',
		'lag_seconds numeric', 'last_event_at timestamp with time zone',
		'last_apply_at timestamp with time zone', 'last_error text', 'last_error_sqlstate text', 'last_error_hint text',
		'last_error_at timestamp with time zone'],
	'columns of stat_subscription');
SELECT results_eq(
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.stat_table'::regclass AND attnum > 0
		ORDER BY attnum $$,
	ARRAY['relation regclass', 'events bigint', 'inserted bigint', 'updated bigint',
		'deleted bigint', 'unchanged bigint', 'skipped bigint',
		'confl_insert_exists bigint', 'confl_update_origin_differs bigint',
		'confl_update_exists bigint', 'confl_update_missing bigint',
		'confl_update_deleted bigint', 'confl_delete_origin_differs bigint',
		'confl_delete_exists bigint', 'confl_delete_missing bigint',
		'confl_multiple_unique_conflicts bigint', 'since timestamp with time zone'],
	'columns of stat_table');
SELECT results_eq(
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.tombstone'::regclass AND attnum > 0
		ORDER BY attnum $$,
	ARRAY['relation regclass', 'key jsonb', 'version text', 'peer text',
		'written_at timestamp with time zone'],
	'columns of tombstone');

SELECT results_eq(
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.conflict_history'::regclass AND attnum > 0
		ORDER BY attnum $$,
	ARRAY['id bigint', 'at timestamp with time zone', 'relation regclass', 'key jsonb',
		'conflict_type text', 'resolution text', 'local_row jsonb', 'remote_row jsonb',
		'before_row jsonb', 'local_version text', 'remote_version text', 'local_origin text',
		'remote_origin text', 'subscription text', 'topic text', 'partition integer',
		'offset bigint'],
	'columns of conflict_history');
SELECT results_eq(
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.conflict_history'::regclass AND attnum > 2
		ORDER BY attnum $$,
	$$ SELECT (attname || ' ' || format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute
		WHERE attrelid = 'cdcsync.conflict'::regclass ORDER BY attnum $$,
	'a handler is asked about what the history keeps');

SELECT col_is_pk('cdcsync', 'subscription', 'name'::name, 'primary key of subscription');
SELECT col_is_pk('cdcsync', 'table_rule', 'relation'::name, 'primary key of table_rule');
SELECT col_is_unique('cdcsync', 'table_rule', 'source_table'::name, 'unique column of table_rule');
SELECT col_is_pk('cdcsync', 'subscription_offset', ARRAY['subscription', 'topic', 'partition']::name[], 'primary key of subscription_offset');
SELECT has_index('cdcsync', 'tombstone_data', 'tombstone_data_key', ARRAY['relation', 'key_hash']::name[], 'index of tombstone_data');
SELECT col_is_pk('cdcsync', 'tombstone_horizon', 'relation'::name, 'primary key of tombstone_horizon');
SELECT is_empty(
	$$ SELECT conname FROM pg_constraint
		WHERE connamespace = 'cdcsync'::regnamespace AND contype = 'f' $$,
	'no foreign keys');

-- comments
SELECT is_empty(
	$$ SELECT pg_describe_object(d.classid, d.objid, 0)
		FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
			AND e.extname = 'cdcsync'
			AND d.classid <> 'pg_type'::regclass
			AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = d.objid AND c.relkind IN ('S', 'c'))
			AND obj_description(d.objid, d.classid::regclass::name) IS NULL $$,
	'every object of the extension has a comment');
SELECT is_empty(
	$$ SELECT a.attrelid::regclass || '.' || a.attname
		FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND c.relkind IN ('r', 'v')
			AND a.attnum > 0 AND NOT a.attisdropped
			AND col_description(a.attrelid, a.attnum) IS NULL $$,
	'every column has a comment');
SELECT is_empty(
	$$ SELECT d.description FROM pg_description AS d
			JOIN pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND d.description ~ '\.$' $$,
	'comments do not end in a full stop');

-- dumps
SELECT set_eq(
	$$ SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'cdcsync' $$,
	ARRAY['cdcsync.subscription', 'cdcsync.table_rule', 'cdcsync.subscription_offset',
		'cdcsync.tombstone_data', 'cdcsync.tombstone_horizon', 'cdcsync.conflict_data',
		'cdcsync.conflict_data_id_seq', 'cdcsync.dead_letter_data', 'cdcsync.dead_letter_data_id_seq', 'cdcsync.local_identity'],
	'pg_dump takes the catalogs along');

-- rights, as the catalogs have them
SELECT set_eq(
	$$ SELECT p.proname FROM pg_proc AS p,
			aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE p.pronamespace = 'cdcsync'::regnamespace AND a.grantee = 0
			AND p.prorettype <> 'trigger'::regtype $$,
	ARRAY['may_read_rows']::name[],
	'PUBLIC may execute nothing but trigger functions, and what tells everybody of himself');
SELECT is_empty(
	$$ SELECT c.oid::regclass FROM pg_class AS c, aclexplode(c.relacl) AS a
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND a.grantee = 0 $$,
	'PUBLIC may read nothing');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM pg_proc AS p
		WHERE p.pronamespace = 'cdcsync'::regnamespace
			AND NOT has_function_privilege('cdcsync_admin', p.oid, 'EXECUTE') $$,
	'cdcsync_admin may execute everything');
SELECT set_eq(
	$$ SELECT p.proname FROM pg_proc AS p
		WHERE p.pronamespace = 'cdcsync'::regnamespace AND p.prorettype <> 'trigger'::regtype
			AND has_function_privilege('pg_monitor', p.oid, 'EXECUTE') $$,
	ARRAY['stat_partitions', 'stat_tables', 'stat_peers', 'stat_origins', 'wait_for', 'check', 'check_facts', 'check_orphans',
		'check_peers', 'check_server', 'check_subscriptions', 'check_tables', 'check_triggers', 'check_versions', 'count_unversioned', 'find_orphans',
		'may_read_rows', 'only_receives',
		'printable', 'psql_command', 'role_may_select', 'shell_word', 'table_objection']::name[],
	'pg_monitor may look and wait');
SELECT schema_privs_are('cdcsync', 'cdcsync_admin', ARRAY['USAGE']);
SELECT schema_privs_are('cdcsync', 'pg_monitor', ARRAY['USAGE']);
SELECT set_eq(
	$$ SELECT (c.relname || ' ' || a.privilege_type) COLLATE "default"
		FROM pg_class AS c, aclexplode(c.relacl) AS a
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND a.grantee = 'cdcsync_admin'::regrole $$,
	ARRAY['subscription SELECT', 'table_rule SELECT', 'unsent SELECT', 'stat_subscription SELECT',
		'stat_table SELECT', 'stat_origin SELECT', 'tombstone SELECT', 'conflict_history SELECT', 'dead_letter SELECT'],
	'cdcsync_admin reads, and writes through functions only');
SELECT set_eq(
	$$ SELECT (c.relname || ' ' || a.privilege_type) COLLATE "default"
		FROM pg_class AS c, aclexplode(c.relacl) AS a
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND a.grantee = 'pg_monitor'::regrole $$,
	ARRAY['subscription SELECT', 'table_rule SELECT', 'unsent SELECT', 'stat_subscription SELECT',
		'stat_table SELECT', 'stat_origin SELECT'],
	'pg_monitor reads what holds no row data');

-- the views over an empty catalog
SELECT is_empty('SELECT * FROM cdcsync.stat_subscription', 'no subscription, no state');
SELECT is_empty('SELECT * FROM cdcsync.stat_table', 'no table, no counters');
SELECT is_empty('SELECT * FROM cdcsync.tombstone', 'no tombstone');

-- versions of tombstones are shown readably
CREATE TABLE t_tz (id int PRIMARY KEY, v timestamptz);
CREATE TABLE t_ts (id int PRIMARY KEY, v timestamp);
CREATE TABLE t_num (id int PRIMARY KEY, v numeric);
SELECT cdcsync.add_table('t_tz', version_column => 'v') \g /dev/null
SELECT cdcsync.add_table('t_ts', version_column => 'v') \g /dev/null
SELECT cdcsync.add_table('t_num', version_column => 'v') \g /dev/null
INSERT INTO cdcsync.tombstone_data (relation, key_hash, key, version, peer)
	SELECT relation, 1, '{"id": "1"}', v, 'n1'
	FROM (VALUES ('t_tz'::regclass, 1767225600123456), ('t_ts', 1767225600123456),
		('t_num', 17.50)) AS x(relation, v);
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';
SELECT is(version, '2026-01-01 00:00:00.123456+00', 'timestamptz version')
	FROM cdcsync.tombstone WHERE relation = 't_tz'::regclass;
SELECT is(version, '2026-01-01 00:00:00.123456', 'timestamp version')
	FROM cdcsync.tombstone WHERE relation = 't_ts'::regclass;
SELECT is(version, '17.50', 'numeric version')
	FROM cdcsync.tombstone WHERE relation = 't_num'::regclass;
DELETE FROM cdcsync.tombstone_data;
INSERT INTO cdcsync.tombstone_data (relation, key_hash, key) VALUES ('t_tz', 1, '{}');
SELECT is(version, NULL, 'a version that was NULL')
	FROM cdcsync.tombstone WHERE relation = 't_tz'::regclass;
SELECT results_eq(
	$$ SELECT relation::text, events, since FROM cdcsync.stat_table ORDER BY 1 $$,
	$$ VALUES ('t_num', 0::bigint, NULL::timestamptz), ('t_ts', 0, NULL), ('t_tz', 0, NULL) $$,
	'every registered table has its counters');

SELECT * FROM finish();
ROLLBACK;
