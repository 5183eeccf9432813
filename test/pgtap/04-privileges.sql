--
-- Who may do what, tried by the roles themselves.
--
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS cdcsync;
SELECT no_plan();
SET LOCAL cdcsync.node_name = 'pgtap';

CREATE ROLE tap_nobody;
CREATE ROLE tap_monitor IN ROLE pg_monitor;
CREATE ROLE tap_admin IN ROLE cdcsync_admin;
CREATE ROLE tap_owner IN ROLE cdcsync_admin;	-- of tables, too
CREATE ROLE tap_app;							-- writes them
CREATE SCHEMA app AUTHORIZATION tap_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
CREATE TABLE app.items (id int PRIMARY KEY, v bigint, t text);
CREATE TABLE app.others (id int PRIMARY KEY, v bigint);
ALTER TABLE app.items OWNER TO tap_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.items TO tap_app;

-- PUBLIC: nothing
SET LOCAL ROLE tap_nobody;
SELECT throws_ok(command, '42501', 'permission denied for schema cdcsync')
	FROM unnest(ARRAY[
		$$ SELECT cdcsync.subscribe('s', '{t}') $$,
		$$ SELECT cdcsync.pause() $$,
		$$ SELECT cdcsync.wait_for() $$,
		$$ SELECT cdcsync.decode('t', NULL, NULL) $$,
		$$ SELECT * FROM cdcsync.stat_subscription $$,
		$$ SELECT * FROM cdcsync.tombstone $$]) AS command;
RESET ROLE;
GRANT USAGE ON SCHEMA cdcsync TO tap_nobody;
SET LOCAL ROLE tap_nobody;
SELECT throws_ok(command, '42501', NULL, command)
	FROM unnest(ARRAY[
		$$ SELECT cdcsync.subscribe('s', '{t}') $$,
		$$ SELECT cdcsync.alter_subscription('s') $$,
		$$ SELECT cdcsync.unsubscribe('s') $$,
		$$ SELECT cdcsync.pause() $$,
		$$ SELECT cdcsync.resume() $$,
		$$ SELECT cdcsync.add_table('app.items', 'v') $$,
		$$ SELECT cdcsync.alter_table_rule('app.items') $$,
		$$ SELECT cdcsync.remove_table('app.items') $$,
		$$ SELECT cdcsync.add_version_column('app.items') $$,
		$$ SELECT cdcsync.decode('t', NULL, NULL) $$,
		$$ SELECT cdcsync.apply('t', NULL::text, NULL) $$,
		$$ SELECT cdcsync.apply('t', '{}'::text[], '{}') $$,
		$$ SELECT cdcsync.wait_for() $$,
		$$ SELECT cdcsync.connector_config('h') $$,
		$$ SELECT cdcsync.check() $$,
		$$ SELECT cdcsync.stat_peers() $$,
		$$ SELECT cdcsync.stat_partitions() $$,
		$$ SELECT cdcsync.stat_tables() $$,
		$$ SELECT * FROM cdcsync.subscription $$,
		$$ SELECT * FROM cdcsync.table_rule $$,
		$$ SELECT * FROM cdcsync.subscription_offset $$,
		$$ SELECT * FROM cdcsync.tombstone_data $$,
		$$ SELECT * FROM cdcsync.tombstone_horizon $$,
		$$ SELECT * FROM cdcsync.local_identity $$,
		$$ SELECT * FROM cdcsync.stat_subscription $$,
		$$ SELECT * FROM cdcsync.stat_table $$,
		$$ SELECT * FROM cdcsync.tombstone $$]) AS command;
CREATE TEMPORARY TABLE mine (id int);
SELECT lives_ok($$ CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW
	EXECUTE FUNCTION cdcsync.version_trigger() $$, 'the trigger functions are free, for owners of partitions');
SELECT lives_ok($$ INSERT INTO mine VALUES (1) $$, '... and do nothing on other tables');

-- pg_monitor: sees what holds no row data, changes nothing
SET LOCAL ROLE tap_monitor;
SELECT lives_ok(command, command)
	FROM unnest(ARRAY[
		$$ SELECT * FROM cdcsync.subscription $$,
		$$ SELECT * FROM cdcsync.table_rule $$,
		$$ SELECT * FROM cdcsync.stat_subscription $$,
		$$ SELECT * FROM cdcsync.check() $$,
		$$ SELECT * FROM cdcsync.stat_table $$]) AS command;
SELECT throws_ok(command, '42501', NULL, command)
	FROM unnest(ARRAY[
		$$ SELECT cdcsync.connector_config('h') $$,
		$$ SELECT * FROM cdcsync.tombstone $$,
		$$ SELECT * FROM cdcsync.tombstone_data $$,
		$$ SELECT cdcsync.pause() $$,
		$$ SELECT cdcsync.decode('t', NULL, NULL) $$,
		$$ SELECT cdcsync.apply('t', NULL::text, NULL) $$,
		$$ UPDATE cdcsync.subscription SET enabled = false $$]) AS command;

-- cdcsync_admin: through the functions, and only tables of its own
SET LOCAL ROLE tap_admin;
SELECT lives_ok(command, command)
	FROM unnest(ARRAY[
		$$ SELECT cdcsync.subscribe('s', '{t}') $$,
		$$ SELECT cdcsync.alter_subscription('s', '{t,u}') $$,
		$$ SELECT cdcsync.pause('s') $$,
		$$ SELECT cdcsync.resume() $$,
		$$ SELECT * FROM cdcsync.subscription $$,
		$$ SELECT * FROM cdcsync.table_rule $$,
		$$ SELECT * FROM cdcsync.stat_subscription $$,
		$$ SELECT * FROM cdcsync.stat_table $$,
		$$ SELECT * FROM cdcsync.tombstone $$,
		$$ SELECT * FROM cdcsync.check() $$,
		$$ SELECT cdcsync.unsubscribe('s') $$]) AS command;
SELECT throws_ok(command, '42501', NULL, command)
	FROM unnest(ARRAY[
		$$ INSERT INTO cdcsync.table_rule (relation, source_table) VALUES ('app.items', 'x.y') $$,
		$$ UPDATE cdcsync.subscription SET topics = '{x}' $$,
		$$ DELETE FROM cdcsync.subscription_offset $$,
		$$ SELECT * FROM cdcsync.tombstone_data $$,
		$$ SELECT * FROM cdcsync.local_identity $$]) AS command;
SELECT throws_ok(command, '42501', 'must be owner of table items', command)
	FROM unnest(ARRAY[
		$$ SELECT cdcsync.add_table('app.items', 'v') $$,
		$$ SELECT cdcsync.alter_table_rule('app.items') $$,
		$$ SELECT cdcsync.remove_table('app.items') $$,
		$$ SELECT cdcsync.add_version_column('app.items') $$]) AS command;
SELECT throws_ok($$ SELECT cdcsync.add_table('pg_class', 'relname') $$, '42501',
	'must be owner of table pg_class');

-- a table's owner needs no other right
SET LOCAL ROLE tap_owner;
SELECT throws_ok($$ SELECT cdcsync.add_table('app.others', 'v') $$, '42501',
	'must be owner of table others');
SELECT lives_ok($$ SELECT cdcsync.add_version_column('app.items') $$);
SELECT lives_ok($$ SELECT cdcsync.add_table('app.items', 'v') $$);
SELECT is(pubowner::regrole::text, extowner::regrole::text,
	'the publication is the extension owner''s')
	FROM pg_publication, pg_extension WHERE pubname = 'cdcsync' AND extname = 'cdcsync';
SELECT lives_ok($$ SELECT cdcsync.alter_table_rule('app.items', truncate => true) $$);

-- who writes a registered table needs no right on cdcsync
SET LOCAL ROLE tap_app;
SELECT lives_ok($$ INSERT INTO app.items VALUES (1, 1, 'a'), (2, 1, 'b') $$);
SELECT lives_ok($$ UPDATE app.items SET t = 'c' $$);
SELECT lives_ok($$ UPDATE app.items SET id = 3 WHERE id = 1 $$);
SELECT lives_ok($$ DELETE FROM app.items WHERE id = 2 $$);
SELECT throws_ok($$ SELECT * FROM cdcsync.tombstone $$, '42501',
	'permission denied for schema cdcsync');
RESET ROLE;
SELECT results_eq($$ SELECT key, version FROM cdcsync.tombstone ORDER BY key $$,
	$$ VALUES ('{"id": "1"}'::jsonb, '2'), ('{"id": "2"}', '2') $$, 'their deletes are remembered');
SET LOCAL ROLE tap_admin;
SELECT is_empty($$ SELECT FROM cdcsync.tombstone $$, 'an administrator sees those of the tables that he may read');
SELECT is(cdcsync.connector_config('h') ->> 'name', 'pgtap', 'an administrator makes connectors');

-- nothing that a caller puts in front of pg_catalog runs with cdcsync's rights
RESET ROLE;
CREATE SCHEMA evil;
CREATE TABLE evil.ran (who name, what text);
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT INSERT, SELECT ON evil.ran TO PUBLIC;
DO $do$
DECLARE
	type_name text;
	op_name text;
BEGIN
	FOREACH type_name IN ARRAY ARRAY['text', 'oid', 'regclass', 'name', 'bigint', 'int', 'boolean',
		'jsonb', 'numeric', 'text[]', 'timestamptz'] LOOP
		FOREACH op_name IN ARRAY ARRAY['=', '<>', '<', '>'] LOOP
			EXECUTE format('CREATE FUNCTION evil.%I(a %s, b %s) RETURNS boolean LANGUAGE plpgsql
				AS $f$ BEGIN
					INSERT INTO evil.ran VALUES (current_user, %L);
					RETURN a OPERATOR(pg_catalog.%s) b;
				END $f$',
				op_name || type_name, type_name, type_name, op_name || type_name, op_name);
			EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I, LEFTARG = %s, RIGHTARG = %s)',
				op_name, op_name || type_name, type_name, type_name);
		END LOOP;
	END LOOP;
END
$do$;
CREATE FUNCTION evil.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO evil.ran VALUES (current_user, 'unnest');
	RETURN QUERY SELECT pg_catalog.unnest($1);
END
$$;
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO evil.ran VALUES (current_user, 'clock_timestamp');
	RETURN pg_catalog.clock_timestamp();
END
$$;
CREATE DOMAIN evil.timestamptz AS pg_catalog.timestamptz CHECK (evil.clock_timestamp() IS NOT NULL);
CREATE TABLE app.evil (id int, k text, v timestamptz, PRIMARY KEY (id, k));
ALTER TABLE app.evil OWNER TO tap_owner;
GRANT ALL ON app.evil TO tap_app;
SET LOCAL search_path = evil, pg_catalog, public;
SET LOCAL ROLE tap_owner;
SELECT cdcsync.add_table('app.evil', 'v') \g /dev/null
SELECT cdcsync.alter_table_rule('app.evil', source_table => 'x.y') \g /dev/null
SELECT cdcsync.subscribe('s', '{t,^u}') \g /dev/null
SELECT cdcsync.alter_subscription('s', '{t}') \g /dev/null
SELECT cdcsync.pause('s') \g /dev/null
SELECT cdcsync.resume('s') \g /dev/null
SET LOCAL ROLE tap_app;
INSERT INTO app.evil (id, k) VALUES (1, 'a'), (2, 'b');
UPDATE app.evil SET k = 'c' WHERE id OPERATOR(pg_catalog.=) 1;
DELETE FROM app.evil;
INSERT INTO app.evil (id, k) VALUES (1, 'a'), (2, 'b');
SET LOCAL ROLE tap_owner;
SELECT cdcsync.unsubscribe('s') \g /dev/null
SELECT cdcsync.remove_table('app.evil') \g /dev/null
SELECT cdcsync.add_version_column('app.evil') \g /dev/null
RESET ROLE;
SET LOCAL search_path = public;
SELECT is_empty('SELECT DISTINCT who, what FROM evil.ran', 'none of it ran');

SELECT * FROM finish();
ROLLBACK;
