-- republish(): what was changed here since a time is written once more
CREATE TABLE pub (id int PRIMARY KEY, title text NOT NULL, n int NOT NULL CHECK (n < 100), made timestamptz NOT NULL DEFAULT '2026-01-01',
	code text UNIQUE, v bigint NOT NULL);
SELECT cdcsync.add_table('pub', version_column => 'v');
CREATE TABLE fired (what text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO fired VALUES (TG_OP); RETURN NULL; END';
CREATE TRIGGER fire AFTER INSERT OR UPDATE OR DELETE ON pub FOR EACH ROW EXECUTE FUNCTION fire();
INSERT INTO pub VALUES (1, 'one', 1, '2026-01-01', 'a', 10), (2, 'two', 2, '2026-01-01', 'b', 20), (3, 'three', 3, '2026-01-01', 'c', 30);
DELETE FROM pub WHERE id = 3;
TRUNCATE fired;
SELECT clock_timestamp() AS moment \gset
SELECT pg_sleep(0.01);
UPDATE pub SET title = 'Two' WHERE id = 2;
DELETE FROM pub WHERE id = 1;
INSERT INTO pub VALUES (4, 'four', 4, '2026-01-01', 'd', 40);
TRUNCATE fired;

-- what is written is what goes out
SELECT slot_name FROM pg_create_logical_replication_slot('republish', 'test_decoding', true);
CREATE FUNCTION sent() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT data FROM pg_logical_slot_get_changes('republish', NULL, NULL, 'skip-empty-xacts', '1', 'include-xids', '0')
	WHERE data LIKE 'table public.%'
$$;
SELECT * FROM cdcsync.republish('pub', :'moment');
SELECT * FROM sent();
SELECT * FROM pub ORDER BY id;
SELECT key, version, peer = current_setting('cdcsync.node_name') AS mine FROM cdcsync.tombstone WHERE relation = 'pub'::regclass ORDER BY key;
SELECT * FROM fired;
SELECT * FROM cdcsync.republish('pub', now() + interval '1 day');
SELECT * FROM cdcsync.republish('pub', '-infinity');
SELECT count(*) FROM sent();

-- a key that is there again is more than its delete
INSERT INTO pub VALUES (1, 'again', 1, '2026-01-01', 'a', 11);
SELECT * FROM cdcsync.republish('pub', :'moment');

-- what cannot be written for a moment
ALTER TABLE pub ADD tag uuid;
UPDATE pub SET tag = '00000000-0000-0000-0000-000000000001';
DELETE FROM pub;
ALTER TABLE pub ALTER tag SET NOT NULL;
\set VERBOSITY terse
SELECT * FROM cdcsync.republish('pub', :'moment');
\set VERBOSITY default
SELECT count(*) FROM pub;

-- without a version column they are new changes
CREATE TABLE stamped (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
SELECT cdcsync.add_table('stamped');
INSERT INTO stamped (body) VALUES ('one'), ('two'), ('three');
DELETE FROM stamped WHERE id = 1;
SELECT xmin AS former FROM stamped WHERE id = 2 \gset
SELECT count(*) >= 0 AS read FROM sent();
SELECT * FROM cdcsync.republish('stamped', :'moment');
SELECT * FROM sent();
SELECT bool_and(pg_xact_commit_timestamp(xmin) > pg_xact_commit_timestamp(:'former'::xid)) AS newer FROM stamped;

-- refused
CREATE TABLE other (id int PRIMARY KEY);
SELECT * FROM cdcsync.republish('other', now());
SELECT * FROM cdcsync.republish('pg_class', now());
CREATE ROLE republisher IN ROLE cdcsync_admin;
SET ROLE republisher;
SELECT * FROM cdcsync.republish('pub', now());
RESET ROLE;
DROP ROLE republisher;

SELECT cdcsync.remove_table('pub'), cdcsync.remove_table('stamped');
DROP TABLE pub, stamped, other, fired;
DROP FUNCTION fire, sent;
