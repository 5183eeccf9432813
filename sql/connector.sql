--
-- connector_config: the connector that suits this database.  wal_level and the port are
-- the server's: test/t/025_connector.pl.
--
\set SHOW_CONTEXT never

CREATE FUNCTION shown(config jsonb) RETURNS TABLE (property text, value text) LANGUAGE sql AS $$
	SELECT key, value FROM jsonb_each_text(config -> 'config') ORDER BY key COLLATE "C"
$$;
-- what differs from the connector of a hub
CREATE FUNCTION differs(config jsonb) RETURNS TABLE (property text, was text, is_now text) LANGUAGE sql AS $$
	SELECT property, a.value, b.value
	FROM shown(cdcsync.connector_config('h', 5432)) AS a FULL JOIN shown(config) AS b USING (property)
	WHERE a.value IS DISTINCT FROM b.value ORDER BY property COLLATE "C"
$$;

SET cdcsync.node_name = 'client-1';
CREATE TABLE "Odd, name" (id int PRIMARY KEY, v int);
CREATE TABLE plain (id int PRIMARY KEY, v int);

-- without a publication there is nothing to capture
BEGIN;
DROP PUBLICATION IF EXISTS cdcsync;
SELECT cdcsync.connector_config('h');
ROLLBACK;

-- everything, with the tables that are published now
BEGIN;
DROP PUBLICATION IF EXISTS cdcsync;
SELECT cdcsync.add_table('plain', version_column => 'v');
SELECT cdcsync.add_table('"Odd, name"', version_column => 'v');
SELECT cdcsync.connector_config('db.example.org', 5432) - 'config' AS beside;
SELECT * FROM shown(cdcsync.connector_config('db.example.org', 5432));

-- what the arguments change; text, numbers and booleans alike become text, null takes away
SELECT * FROM differs(cdcsync.connector_config('h2', 6432, 'cdc', '${env:CDC}', slot => 's', schemas => false));
SELECT * FROM differs(cdcsync.connector_config('h', 5432, password => NULL));
SELECT * FROM differs(cdcsync.connector_config('h', 5432, topology => 'shared'));
SELECT * FROM differs(cdcsync.connector_config('h', 5432, topology => 'pernode'));
SELECT property, is_now FROM differs(cdcsync.connector_config('h', 5432, topology => 'mesh'))
	WHERE (property, is_now) <> ('slot.stream.params', 'origin=none');
SELECT count(*) = (current_setting('server_version_num')::int >= 160000)::int AS filtered_by_the_server
	FROM differs(cdcsync.connector_config('h', 5432, topology => 'mesh'));
SELECT * FROM differs(cdcsync.connector_config('h', 5432, extra =>
	'{"poll.interval.ms": 50, "tombstones.on.delete": false, "tasks.max": null, "snapshot.mode": "always"}'));

-- a rule that obeys truncate events wants them sent
SELECT cdcsync.alter_table_rule('plain', truncate => true);
SELECT * FROM differs('{}') WHERE property = 'skipped.operations';
-- without a published table nothing is copied
SELECT cdcsync.remove_table('plain'), cdcsync.remove_table('"Odd, name"');
SELECT * FROM shown(cdcsync.connector_config('h')) WHERE property ~ '^snapshot';
-- cdcsync's own tables are none of the user's
ALTER PUBLICATION cdcsync ADD TABLE cdcsync.subscription;
SELECT * FROM shown(cdcsync.connector_config('h')) WHERE property ~ '^snapshot';
-- slots have short names of few letters
SET LOCAL cdcsync.node_name = 'Some.Node-of_a_name_that_is_much_too_long_for_the_name_of_a_slot_0123456789';
SELECT config ->> 'name' AS name, config -> 'config' ->> 'slot.name' AS slot,
	config -> 'config' ->> 'transforms.route.topic.regex' AS regex
	FROM cdcsync.connector_config('h', topology => 'pernode') AS config;
-- nobody's objects come before the system's
CREATE VIEW public.pg_publication AS SELECT 'other'::name AS pubname;
SET LOCAL search_path = public, pg_catalog;
SELECT (cdcsync.connector_config('h')) ->> 'name' AS name;
ROLLBACK;

-- errors
SET cdcsync.node_name = '';
SELECT cdcsync.connector_config('h');
SET cdcsync.node_name = 'client-1';
SELECT cdcsync.add_table('plain', version_column => 'v');
SELECT cdcsync.connector_config(NULL);
SELECT cdcsync.connector_config('');
SELECT cdcsync.connector_config('h', topology => 'star');
SELECT cdcsync.connector_config('h', topology => NULL);
SELECT cdcsync.connector_config('h', extra => '[1]');
SELECT cdcsync.remove_table('plain');

RESET cdcsync.node_name;
DROP TABLE plain, "Odd, name";
DROP FUNCTION shown, differs;
