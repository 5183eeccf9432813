--
-- The version column as a clock: local writes grow strictly, deletes are remembered.
--
CREATE TABLE doc (id int PRIMARY KEY, body text, v timestamptz);
SELECT cdcsync.add_table('doc', version_column => 'v');
CREATE FUNCTION fresh(timestamptz) RETURNS boolean LANGUAGE sql AS
	$$ SELECT abs(extract(epoch FROM clock_timestamp() - $1)) < 60 $$;

-- an insert without a version, with one, with one of the future
INSERT INTO doc VALUES (1, 'a', NULL), (2, 'b', '2020-01-01'), (3, 'c', '2100-01-01');
SELECT id, fresh(v), CASE WHEN NOT fresh(v) THEN v END AS v FROM doc ORDER BY id;
-- an update that says nothing of the version, an older one, the same one, a newer one
UPDATE doc SET body = body || '!';
SELECT id, body, fresh(v), CASE WHEN NOT fresh(v) THEN v END AS v FROM doc ORDER BY id;
UPDATE doc SET v = '2000-01-01' WHERE id = 3;
UPDATE doc SET v = v WHERE id = 3;
UPDATE doc SET v = NULL WHERE id = 3;
SELECT v FROM doc WHERE id = 3;
UPDATE doc SET v = '2200-01-01' WHERE id = 3;
SELECT v FROM doc WHERE id = 3;
-- two updates in one transaction
BEGIN;
UPDATE doc SET body = 'x' WHERE id = 1 RETURNING v AS v1 \gset
UPDATE doc SET body = 'y' WHERE id = 1 RETURNING v AS v2 \gset
COMMIT;
SELECT :'v2'::timestamptz > :'v1'::timestamptz AS grows;
-- infinity cannot be a version
INSERT INTO doc VALUES (4, 'd', 'infinity');
UPDATE doc SET v = '-infinity' WHERE id = 1;

-- a delete is remembered with the version of the row
DELETE FROM doc WHERE id = 3;
SELECT key, version, peer FROM cdcsync.tombstone WHERE relation = 'doc'::regclass;
-- and the key that is used again comes after it, whatever the clock says
INSERT INTO doc VALUES (3, 'again');
SELECT v FROM doc WHERE id = 3;
DELETE FROM doc WHERE id = 3;
INSERT INTO doc VALUES (3, 'again', '2200-01-01 00:00:00.000005+00');
SELECT v FROM doc WHERE id = 3;
-- a key change is a delete of the old key, and comes after the new key's tombstone
UPDATE doc SET id = 30 WHERE id = 3;
UPDATE doc SET id = 3 WHERE id = 1;
SELECT id, v FROM doc WHERE id IN (3, 30) ORDER BY id;
SELECT key, CASE WHEN key ->> 'id' = '3' THEN version END AS version, peer
FROM cdcsync.tombstone WHERE relation = 'doc'::regclass ORDER BY key;
-- rolled back, so is the memory
BEGIN;
DELETE FROM doc WHERE id = 30;
ROLLBACK;
SELECT count(*) FROM cdcsync.tombstone WHERE key ->> 'id' = '30';
-- other writers under the replica role count as local ones
SET session_replication_role = replica;
INSERT INTO doc VALUES (50, 'replica');
DELETE FROM doc WHERE id = 30;
RESET session_replication_role;
SELECT fresh(v) FROM doc WHERE id = 50;
SELECT key FROM cdcsync.tombstone WHERE key ->> 'id' = '30';
-- INSERT … ON CONFLICT DO UPDATE
INSERT INTO doc VALUES (50, 'upsert') ON CONFLICT (id) DO UPDATE SET body = excluded.body
RETURNING body, fresh(v);
-- the triggers' functions are nothing else
SELECT cdcsync.version_trigger();
-- a user without rights on cdcsync's tables
CREATE ROLE regress_cdcsync_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON doc TO regress_cdcsync_writer;
SET ROLE regress_cdcsync_writer;
DELETE FROM doc WHERE id = 50;
INSERT INTO doc VALUES (50, 'writer');
RESET ROLE;
SELECT body, fresh(v) FROM doc WHERE id = 50;
SELECT cdcsync.remove_table('doc');
DROP TABLE doc;
DROP ROLE regress_cdcsync_writer;

-- the other kinds of version column
CREATE TABLE ints (id int PRIMARY KEY, body text, v int);
SELECT cdcsync.add_table('ints', version_column => 'v');
INSERT INTO ints VALUES (1, 'a', NULL), (2, 'b', 7);
UPDATE ints SET body = 'c';
DELETE FROM ints WHERE id = 2;
INSERT INTO ints VALUES (2, 'again');
SELECT * FROM ints ORDER BY id;
SELECT key, version FROM cdcsync.tombstone;
UPDATE ints SET v = 2147483647 WHERE id = 1;
UPDATE ints SET body = 'as before' WHERE id = 1 RETURNING v;
-- nor may an event leave no room: neither a row nor a delete
SELECT cdcsync.apply('peer.public.ints', '{"id": 1}',
	event('u', 'ints', NULL, '{"id": 1, "body": "x", "v": 2147483647}'), modes());
SELECT cdcsync.apply('peer.public.ints', '{"id": 1}',
	event('d', 'ints', '{"id": 1, "body": "x", "v": 2147483646}', NULL), modes());
-- it may come near, and grow from there
SELECT cdcsync.apply('peer.public.ints', '{"id": 1}',
	event('u', 'ints', NULL, '{"id": 1, "body": "near", "v": 2013265920}'), modes());
UPDATE ints SET body = 'on' WHERE id = 1 RETURNING v;
SELECT cdcsync.apply('peer.public.ints', '{"id": 1}',
	event('u', 'ints', NULL, '{"id": 1, "body": "peer", "v": 2013265930}'), modes());
SELECT * FROM ints WHERE id = 1;
SELECT cdcsync.remove_table('ints');
DROP TABLE ints;

-- by steps it comes to the end of its type, and no further
CREATE TABLE smalls (id int PRIMARY KEY, v smallint);
SELECT cdcsync.add_table('smalls', version_column => 'v');
INSERT INTO smalls VALUES (1, 30720);
UPDATE smalls SET v = 31720;
UPDATE smalls SET v = 32720;
UPDATE smalls SET v = 32767;
UPDATE smalls SET id = id;
SELECT * FROM smalls;
DELETE FROM smalls;
INSERT INTO smalls VALUES (1);
INSERT INTO smalls VALUES (2);
SELECT cdcsync.remove_table('smalls');
DROP TABLE smalls;
-- the same of the largest types, where what it grew from was written behind the trigger's back
CREATE TABLE bigs (id int PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('bigs', version_column => 'v');
SELECT cdcsync.apply('peer.public.bigs', '{"id": 1}',
	event('c', 'bigs', NULL, '{"id": 1, "v": 8646911284551352321}'), modes());
SELECT cdcsync.apply('peer.public.bigs', '{"id": 1}',
	event('c', 'bigs', NULL, '{"id": 1, "v": 8646911284551352320}'), modes());
ALTER TABLE bigs DISABLE TRIGGER "~cdcsync_version";
UPDATE bigs SET v = 9223372036854775807;
ALTER TABLE bigs ENABLE ALWAYS TRIGGER "~cdcsync_version";
UPDATE bigs SET id = id;
SELECT cdcsync.remove_table('bigs');
DROP TABLE bigs;

CREATE TABLE nums (id int PRIMARY KEY, v numeric);
SELECT cdcsync.add_table('nums', version_column => 'v');
INSERT INTO nums VALUES (1, NULL), (2, 1.5), (3, 1e30);
UPDATE nums SET id = id;
INSERT INTO nums VALUES (4, 'NaN');
INSERT INTO nums VALUES (4, 1e100);
SELECT cdcsync.apply('peer.public.nums', '{"id": 5}', event('c', 'nums', NULL, jsonb_build_object('id', 5, 'v', repeat('9', 100))), modes());
SELECT cdcsync.apply('peer.public.nums', '{"id": 6}', event('c', 'nums', NULL, jsonb_build_object('id', 6, 'v', repeat('9', 101))), modes());
SELECT * FROM nums ORDER BY id;
SELECT cdcsync.remove_table('nums');
DROP TABLE nums;

-- a timestamp without time zone counts in UTC, whatever the session's zone
CREATE TABLE stamps (id int PRIMARY KEY, v timestamp);
SELECT cdcsync.add_table('stamps', version_column => 'v');
SET TimeZone = 'Asia/Tokyo';
INSERT INTO stamps VALUES (1);
SELECT fresh(v AT TIME ZONE 'UTC') FROM stamps;
RESET TimeZone;
INSERT INTO stamps VALUES (2, '290000-01-01');
SELECT cdcsync.remove_table('stamps');
DROP TABLE stamps;

-- a managed column for tables that have none: old rows are equal on every node
CREATE TABLE plain (id int PRIMARY KEY, body text);
INSERT INTO plain VALUES (1, 'old');
SELECT cdcsync.add_version_column('plain');
SELECT cdcsync.add_table('plain', version_column => 'cdcsync_version');
INSERT INTO plain VALUES (2, 'new');
SELECT id, body, fresh(cdcsync_version), CASE WHEN id = 1 THEN cdcsync_version END FROM plain ORDER BY id;
SELECT cdcsync.remove_table('plain');
DROP TABLE plain;

-- partitioned tables: through the root, through a partition, across partitions
CREATE TABLE parts (id int, region text, body text, v timestamptz, PRIMARY KEY (id, region))
	PARTITION BY LIST (region);
CREATE TABLE parts_a (v timestamptz, body text, id int NOT NULL, region text NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_a FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
SELECT cdcsync.add_table('parts', version_column => 'v');
CREATE TABLE parts_c PARTITION OF parts FOR VALUES IN ('c');
INSERT INTO parts VALUES (1, 'a', 'root'), (2, 'b', 'root'), (3, 'c', 'root');
INSERT INTO parts_a (id, region, body) VALUES (4, 'a', 'leaf');
SELECT id, region, fresh(v) FROM parts ORDER BY id;
DELETE FROM parts_a WHERE id = 1;
DELETE FROM parts WHERE id = 3;
UPDATE parts SET region = 'a' WHERE id = 2;
SELECT key, relation FROM cdcsync.tombstone ORDER BY key;
-- applied through the root
SELECT cdcsync.apply('peer.public.parts', '{"id": 9, "region": "a"}',
	event('c', 'parts', NULL, '{"id": 9, "region": "a", "body": "x", "v": "2030-01-01T00:00:00Z"}'), modes());
SELECT cdcsync.apply('peer.public.parts', '{"id": 9, "region": "a"}',
	event('u', 'parts', NULL, '{"id": 9, "region": "a", "body": "y", "v": "2030-01-02T00:00:00Z"}'), modes());
SELECT cdcsync.apply('peer.public.parts', '{"id": 4, "region": "a"}',
	event('d', 'parts', '{"id": 4, "region": "a", "body": "leaf", "v": "2130-01-01T00:00:00Z"}', NULL), modes());
SELECT id, region, body FROM parts ORDER BY id;
-- a truncate of the root: as its rule says, through the root, without tombstones; an own one never
SELECT cdcsync.apply('peer.public.parts', NULL, event('t', 'parts', NULL, NULL), modes());
SELECT count(*) FROM parts;
SELECT cdcsync.alter_table_rule('parts', truncate => true);
SELECT cdcsync.apply('me.public.parts', NULL, event('t', 'parts', NULL, NULL, 'me'), modes());
SELECT cdcsync.apply('peer.public.parts', NULL, event('t', 'parts', NULL, NULL, origin => 'cdcsync:5:1:me'), modes());
SELECT count(*) FROM parts;
-- in a batch it counts for what came before it, in whichever partition
SELECT cdcsync.apply('peer.public.parts', ARRAY['{"id": 10, "region": "a"}', NULL, '{"id": 11, "region": "c"}'], ARRAY[
	event('c', 'parts', NULL, '{"id": 10, "region": "a", "body": "before", "v": "2030-01-01T00:00:00Z"}'),
	event('t', 'parts', NULL, NULL),
	event('c', 'parts', NULL, '{"id": 11, "region": "c", "body": "after", "v": "2030-01-01T00:00:00Z"}')], modes());
SELECT tableoid::regclass, id, body FROM parts ORDER BY id;
SELECT key FROM cdcsync.tombstone WHERE relation = 'parts'::regclass ORDER BY key;
-- of a partition, which is no registered table
SELECT cdcsync.apply('peer.public.parts_c', NULL, event('t', 'parts_c', NULL, NULL), modes());
SELECT count(*) FROM parts;
SELECT cdcsync.remove_table('parts');
DROP TABLE parts;
DROP FUNCTION fresh(timestamptz);
