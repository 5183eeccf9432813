--
-- Tombstones of local deletes, written row by row (src/table/tombstone_row.c).
--
CREATE TABLE doc (id int PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('doc', version_column => 'v');
CREATE VIEW remembered AS
	SELECT (key ->> 'id')::int AS id, version, peer FROM cdcsync.tombstone WHERE relation = 'doc'::regclass ORDER BY 1;

-- keys with and without a tombstone in one statement, and the other way round
INSERT INTO doc VALUES (1, 'a', 10), (2, 'b', 10), (3, 'c', 10);
DELETE FROM doc WHERE id = 2;
INSERT INTO doc VALUES (2, 'again');
DELETE FROM doc;
TABLE remembered;
INSERT INTO doc SELECT i FROM generate_series(1, 4) AS i;
DELETE FROM doc;
TABLE remembered;
-- a savepoint
INSERT INTO doc VALUES (5, 'e', 10), (6, 'f', 10);
BEGIN;
DELETE FROM doc WHERE id = 5;
SAVEPOINT s;
DELETE FROM doc WHERE id = 6;
ROLLBACK TO s;
COMMIT;
SELECT id FROM remembered WHERE id > 4;

-- never lower: a row that is older than its tombstone, for nobody gave it a version
ALTER TABLE doc DISABLE TRIGGER "~cdcsync_version", DISABLE TRIGGER "~cdcsync_version_check";
INSERT INTO doc VALUES (4, 'older', 0), (7, 'unknown', NULL), (8, 'known', 8);
DELETE FROM doc WHERE id IN (4, 7, 8);
INSERT INTO doc VALUES (7, 'known', 7), (8, 'unknown', NULL);
DELETE FROM doc WHERE id IN (7, 8);
ALTER TABLE doc ENABLE ALWAYS TRIGGER "~cdcsync_version", ENABLE ALWAYS TRIGGER "~cdcsync_version_check";
SELECT id, version FROM remembered WHERE id IN (4, 7, 8);

-- what one row leaves and the next one takes, in one statement: the tombstone must be seen by then
CALL clear('doc');
INSERT INTO doc VALUES (2, 'high', 1000), (1, 'low', 1);
UPDATE doc SET id = id + 1;
SELECT * FROM doc ORDER BY id;

-- a key that goes by the cascade of another table, in a function, and in a query that goes on
CALL clear('doc');
CREATE TABLE folder (id int PRIMARY KEY);
ALTER TABLE doc ADD COLUMN folder int REFERENCES folder ON DELETE CASCADE;
CREATE FUNCTION away(which int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM doc WHERE id = which;
	RETURN (SELECT count(*) FROM remembered WHERE id = which);
END $$;
INSERT INTO folder VALUES (1);
INSERT INTO doc SELECT i, 'x', 10, CASE WHEN i > 2 THEN 1 END FROM generate_series(1, 4) AS i;
DELETE FROM folder;
WITH gone AS (DELETE FROM doc WHERE id = 1 RETURNING id) SELECT id, away(2) FROM gone;
TABLE remembered;

-- the index leads to every tombstone, also where an update had to move it to another page
CALL clear('doc');
INSERT INTO doc SELECT i, 'x', i FROM generate_series(1, 2000) AS i;
DELETE FROM doc;
INSERT INTO doc SELECT i, 'y' FROM generate_series(1, 2000) AS i;
DELETE FROM doc;
INSERT INTO doc SELECT i, 'z' FROM generate_series(1, 2000) AS i;
SELECT count(*), count(*) FILTER (WHERE d.v > r.version::bigint) AS newer, count(*) FILTER (WHERE r.version::bigint = d.id + 1) AS raised
FROM doc AS d JOIN remembered AS r USING (id);

-- what a superuser adds to the table is served as well
CALL clear('doc');
CREATE INDEX tombstone_peer ON cdcsync.tombstone_data (relation, peer);
INSERT INTO doc VALUES (1, 'a', 10);
DELETE FROM doc;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT key FROM cdcsync.tombstone_data WHERE relation = 'doc'::regclass AND peer = 'me';
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP INDEX cdcsync.tombstone_peer;
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% of %', TG_OP, NEW.key;
	RETURN NEW;
END $$;
CREATE TRIGGER say BEFORE INSERT ON cdcsync.tombstone_data FOR EACH ROW EXECUTE FUNCTION say();
INSERT INTO doc VALUES (2, 'b', 10);
DELETE FROM doc;
DROP FUNCTION say CASCADE;
BEGIN;
ALTER TABLE cdcsync.tombstone_data ADD COLUMN who text DEFAULT 'whoever';
INSERT INTO doc VALUES (3, 'c', 10);
DELETE FROM doc;
SELECT key, who FROM cdcsync.tombstone_data WHERE relation = 'doc'::regclass ORDER BY key;
ROLLBACK;
SELECT cdcsync.remove_table('doc');
DROP VIEW remembered;
DROP TABLE doc, folder;
DROP FUNCTION away;

-- integers of any size and sign, alone and last of several columns
CREATE TABLE small (id smallint PRIMARY KEY, v bigint);
CREATE TABLE big (id bigint PRIMARY KEY, v bigint);
CREATE TABLE pair (a int, b int, v bigint, PRIMARY KEY (a, b));
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{small, big, pair}'::regclass[]) AS t;
INSERT INTO small VALUES (-32768, 1), (0, 1), (32767, 1);
INSERT INTO big VALUES (-9223372036854775808, 1), (0, 1), (9223372036854775807, 1);
INSERT INTO pair VALUES (1, 2, 1), (2, 1, 1), (-1, -1, 1);
DELETE FROM small;
DELETE FROM big;
DELETE FROM pair;
INSERT INTO small VALUES (-32768), (0), (32767);
INSERT INTO big VALUES (-9223372036854775808), (0), (9223372036854775807);
INSERT INTO pair VALUES (1, 2), (2, 1), (-1, -1);
TABLE small;
TABLE big;
TABLE pair;
-- those that a sequence gave lie side by side in the index, also beside another column
INSERT INTO big SELECT i, 1 FROM generate_series(1001, 1010) AS i;
INSERT INTO pair SELECT 7, i, 1 FROM generate_series(1001, 1010) AS i;
DELETE FROM big WHERE id > 1000 AND id < 2000;
DELETE FROM pair WHERE a = 7;
SELECT relation, count(*), max(key_hash) - min(key_hash) < 100 AS near FROM cdcsync.tombstone_data
WHERE coalesce(key ->> 'b', key ->> 'id') LIKE '10__' GROUP BY relation ORDER BY relation::text;
SELECT cdcsync.remove_table(t) FROM unnest('{small, big, pair}'::regclass[]) AS t;
DROP TABLE small, big, pair;

-- without a version column the last delete counts, whatever is remembered
CREATE TABLE memo (id int PRIMARY KEY);
SELECT cdcsync.add_table('memo');
CREATE VIEW deleted AS SELECT max(version::timestamptz) AS version FROM cdcsync.tombstone WHERE relation = 'memo'::regclass;
INSERT INTO memo VALUES (1);
DELETE FROM memo;
SELECT version AS first FROM deleted \gset
INSERT INTO memo VALUES (1);
DELETE FROM memo;
SELECT version > :'first' AS later, version AS second FROM deleted \gset
\echo :later
-- also over one whose time has been copied
SELECT cdcsync.prune_tombstones();
INSERT INTO memo VALUES (1);
DELETE FROM memo;
SELECT version > :'second' AS later FROM deleted;
SELECT cdcsync.remove_table('memo');
DROP VIEW deleted;
DROP TABLE memo;
