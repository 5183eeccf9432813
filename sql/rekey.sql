--
-- Tombstones follow the key of their table, and how it is hashed (src/table/tombstone_key.c).
--
CREATE FUNCTION late(tab text, key jsonb, version jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply('peer.public.' || tab, key::text, event('u', tab, NULL, key || jsonb_build_object('v', version)), modes())
$$;
CREATE FUNCTION tombstones(tab regclass) RETURNS TABLE (key jsonb, version text) LANGUAGE sql AS $$
	SELECT key, version FROM cdcsync.tombstone WHERE relation = tab ORDER BY key
$$;

-- the new key's columns are all in the old key's: another order, fewer
CREATE TABLE swapped (a int, b text, v bigint, PRIMARY KEY (a, b));
SELECT cdcsync.add_table('swapped', version_column => 'v');
INSERT INTO swapped VALUES (1, 'x', 5), (2, 'y', 6);
DELETE FROM swapped;
ALTER TABLE swapped DROP CONSTRAINT swapped_pkey, ADD PRIMARY KEY (b, a);
SELECT late('swapped', '{"a": 1, "b": "x"}', '4');
SELECT cdcsync.alter_table_rule('swapped');
SELECT late('swapped', '{"a": 2, "b": "y"}', '5');
ALTER TABLE swapped DROP CONSTRAINT swapped_pkey, ADD PRIMARY KEY (b);
SELECT cdcsync.alter_table_rule('swapped');
SELECT * FROM tombstones('swapped');
INSERT INTO swapped VALUES (9, 'y');
TABLE swapped;
-- a column of the key is renamed, and a new one takes the old name
DELETE FROM swapped;
ALTER TABLE swapped RENAME b TO c;
SELECT cdcsync.alter_table_rule('swapped');
SELECT * FROM tombstones('swapped');
SELECT late('swapped', '{"c": "y"}', '7');
ALTER TABLE swapped RENAME c TO d;
ALTER TABLE swapped ADD c text;
SELECT late('swapped', '{"d": "y"}', '7');
SELECT cdcsync.remove_table('swapped');
DROP TABLE swapped;

-- the new key has more: what was deleted cannot be told key by key, but it is not forgotten
CREATE TABLE wider (id int PRIMARY KEY, tenant int NOT NULL DEFAULT 1, v timestamptz);
SELECT cdcsync.add_table('wider', version_column => 'v');
INSERT INTO wider VALUES (1, 1, '2026-01-05'), (2, 1, '2026-01-06');
DELETE FROM wider;
ALTER TABLE wider DROP CONSTRAINT wider_pkey, ADD PRIMARY KEY (id, tenant);
SELECT cdcsync.alter_table_rule('wider');
SELECT * FROM tombstones('wider');
SELECT late('wider', '{"id": 1, "tenant": 1}', '"2026-01-04T00:00:00Z"');
SELECT late('wider', '{"id": 1, "tenant": 1}', '"2026-01-07T00:00:00Z"');
TABLE wider;
SELECT cdcsync.remove_table('wider');
DROP TABLE wider;
CREATE TABLE memo (id int PRIMARY KEY, tenant int NOT NULL DEFAULT 1);
SELECT cdcsync.add_table('memo');
INSERT INTO memo VALUES (1);
DELETE FROM memo;
ALTER TABLE memo DROP CONSTRAINT memo_pkey, ADD PRIMARY KEY (id, tenant);
SELECT cdcsync.alter_table_rule('memo');
SELECT now() - '1970-01-01 UTC'::timestamptz - version::float8 * interval '1 microsecond' < '1 min' AS recent FROM cdcsync.tombstone_horizon WHERE relation = 'memo'::regclass;
SELECT cdcsync.remove_table('memo');
DROP TABLE memo;
-- by the commit clock they keep the time of their delete, and one of this transaction waits for its commit
CREATE TABLE memo (a int, b int, PRIMARY KEY (a, b));
SELECT cdcsync.add_table('memo');
INSERT INTO memo VALUES (1, 1), (2, 2);
DELETE FROM memo WHERE a = 1;
SELECT version AS deleted FROM tombstones('memo') \gset
BEGIN;
DELETE FROM memo;
ALTER TABLE memo DROP CONSTRAINT memo_pkey, ADD PRIMARY KEY (b, a);
SELECT cdcsync.alter_table_rule('memo');
SELECT key, version IS NULL AS to_come FROM tombstones('memo');
COMMIT;
SELECT key, version = :'deleted' AS as_deleted FROM tombstones('memo');
SELECT cdcsync.remove_table('memo');
DROP TABLE memo;
-- nor where versions do not grow with time: then somebody must say so
CREATE TABLE counted (id int PRIMARY KEY, tenant int NOT NULL DEFAULT 1, v bigint);
SELECT cdcsync.add_table('counted', version_column => 'v');
INSERT INTO counted VALUES (1, 1, 5);
DELETE FROM counted;
ALTER TABLE counted DROP CONSTRAINT counted_pkey, ADD PRIMARY KEY (id, tenant);
SELECT late('counted', '{"id": 1, "tenant": 1}', '4');
SELECT cdcsync.alter_table_rule('counted');
SELECT cdcsync.remove_table('counted');
SELECT cdcsync.add_table('counted', version_column => 'v');
SELECT late('counted', '{"id": 1, "tenant": 1}', '4');
SELECT cdcsync.remove_table('counted');
DROP TABLE counted;

-- a dump of a machine that hashes otherwise
CREATE TABLE moved (id text PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('moved', version_column => 'v');
INSERT INTO moved SELECT i, 5 FROM generate_series(1, 2500) AS i;
DELETE FROM moved;
CREATE TABLE hashes AS SELECT key, key_hash FROM cdcsync.tombstone_data WHERE relation = 'moved'::regclass;
SELECT tombstone_key FROM cdcsync.table_rule WHERE relation = 'moved'::regclass AND tombstone_key !~ '"columns": {"id": 1}, "hash": \["\d+ (little|big)-endian", "hashtextextended"';
UPDATE cdcsync.tombstone_data SET key_hash = -key_hash;
UPDATE cdcsync.table_rule SET tombstone_key = replace(tombstone_key, '-endian', '-endian elsewhere') WHERE relation = 'moved'::regclass;
SELECT late('moved', '{"id": "17"}', '4');
SELECT count(*) FROM cdcsync.tombstone_data JOIN hashes USING (key, key_hash);
-- what is right stays as it is
CREATE TABLE places AS SELECT ctid AS place, key FROM cdcsync.tombstone_data WHERE relation = 'moved'::regclass;
UPDATE cdcsync.table_rule SET tombstone_key = replace(tombstone_key, '-endian', '-endian elsewhere') WHERE relation = 'moved'::regclass;
SELECT cdcsync.alter_table_rule('moved');
SELECT count(*) FROM cdcsync.tombstone_data AS t JOIN places AS p ON t.ctid = p.place AND t.key = p.key;
DROP TABLE places;
SELECT cdcsync.remove_table('moved');
DROP TABLE moved, hashes;
DROP FUNCTION late, tombstones(regclass);
