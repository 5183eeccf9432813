--
-- Keys are one by the equality of their index, never by their text.
--
CREATE FUNCTION keyed(tab text, key jsonb, op text, before jsonb, after jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply('peer.public.' || tab, key::text, event(op, tab, before, after), modes())
$$;
CREATE FUNCTION tombstones(tab regclass) RETURNS TABLE (key jsonb, version text) LANGUAGE sql AS $$
	SELECT key, version FROM cdcsync.tombstone WHERE relation = tab ORDER BY key
$$;

-- numeric: 1.0 and 1.00 are one key; the text goes with the winner
CREATE TABLE nums (id numeric PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('nums', version_column => 'v');
SELECT keyed('nums', '{"id": "1.0"}', 'c', NULL, '{"id": "1.0", "body": "a", "v": 1}');
SELECT keyed('nums', '{"id": "1.00"}', 'u', NULL, '{"id": "1.00", "body": "b", "v": 2}');
SELECT keyed('nums', '{"id": "1"}', 'u', NULL, '{"id": "1", "body": "old", "v": 1}');
TABLE nums;
-- the same key in one batch, in three spellings
SELECT cdcsync.apply('peer.public.nums', ARRAY['{"id": "2"}', '{"id": "2.0"}', '{"id": "2.00"}'], ARRAY[
	event('c', 'nums', NULL, '{"id": "2", "body": "a", "v": 1}'),
	event('u', 'nums', NULL, '{"id": "2.0", "body": "b", "v": 2}'),
	event('u', 'nums', NULL, '{"id": "2.00", "body": "c", "v": 3}')], modes());
TABLE nums;
-- equal but for the spelling: it is a tie, and every node chooses the same text
SELECT keyed('nums', '{"id": "2.000"}', 'u', NULL, '{"id": "2.000", "body": "c", "v": 3}');
SELECT keyed('nums', '{"id": "2.0"}', 'u', NULL, '{"id": "2.0", "body": "c", "v": 3}');
TABLE nums;
-- the log shows that as a delete of the one spelling and an insert of the other: the delete is of an older version
CREATE TABLE logged (n int GENERATED ALWAYS AS IDENTITY, old text, new text);
CREATE FUNCTION log_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.logged (old, new) VALUES (OLD::text, NEW::text);
	RETURN NULL;
END $$;
CREATE TRIGGER log_update AFTER UPDATE ON nums FOR EACH ROW EXECUTE FUNCTION log_update();
ALTER TABLE nums ENABLE ALWAYS TRIGGER log_update;
SELECT keyed('nums', '{"id": "2.0000"}', 'u', NULL, '{"id": "2.0000", "body": "c", "v": 3}');
SELECT keyed('nums', '{"id": "2"}', 'u', NULL, '{"id": "2", "body": "d", "v": 4}');
SELECT old, new FROM logged ORDER BY n;
DROP TRIGGER log_update ON nums;
DROP TABLE logged;
DROP FUNCTION log_update;
-- the tombstone is found by equality, and there is one
DELETE FROM nums WHERE id = 1;
SELECT keyed('nums', '{"id": "1"}', 'u', NULL, '{"id": "1", "body": "old", "v": 2}');
SELECT keyed('nums', '{"id": "1.0000"}', 'd', '{"id": "1.0000", "body": "old", "v": 9}', NULL);
SELECT keyed('nums', '{"id": "1"}', 'c', NULL, '{"id": "1", "body": "old", "v": 9}');
INSERT INTO nums VALUES (1.000, 'again');
SELECT * FROM nums WHERE id = 1;
-- a local update that writes the key another way is no change of the key
UPDATE nums SET id = 2.0 WHERE id = 2;
SELECT * FROM tombstones('nums');
SELECT cdcsync.remove_table('nums');
DROP TABLE nums;

-- text and uuid
CREATE TABLE texts (id text PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('texts', version_column => 'v');
SELECT keyed('texts', '{"id": "a"}', 'c', NULL, '{"id": "a", "v": 1}');
SELECT keyed('texts', '{"id": "A"}', 'c', NULL, '{"id": "A", "v": 1}');
SELECT keyed('texts', '{"id": ""}', 'c', NULL, '{"id": "", "v": 1}');
SELECT keyed('texts', '{"id": "a "}', 'c', NULL, '{"id": "a ", "v": 1}');
SELECT keyed('texts', '{"id": "é\"\\"}', 'c', NULL, '{"id": "é\"\\", "v": 1}');
SELECT keyed('texts', '{"id": "a"}', 'd', '{"id": "a", "v": 1}', NULL);
DELETE FROM texts WHERE id LIKE 'é%';
SELECT * FROM tombstones('texts');
SELECT keyed('texts', '{"id": "é\"\\"}', 'c', NULL, '{"id": "é\"\\", "v": 1}');
SELECT id, v FROM texts ORDER BY id COLLATE "C";
SELECT cdcsync.remove_table('texts');
DROP TABLE texts;
CREATE TABLE uuids (id uuid PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('uuids', version_column => 'v');
SELECT keyed('uuids', '{"id": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}', 'c', NULL, '{"id": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "v": 1}');
SELECT keyed('uuids', '{"id": "7D4448409DC011D1B2455FFDCE74FAD2"}', 'd', '{"id": "7D4448409DC011D1B2455FFDCE74FAD2", "v": 1}', NULL);
SELECT * FROM tombstones('uuids');
SELECT cdcsync.remove_table('uuids');
DROP TABLE uuids;

-- several columns, in another order than the table's and the message's
CREATE TABLE comp (a int, body text, b text, v bigint, PRIMARY KEY (b, a));
SELECT cdcsync.add_table('comp', version_column => 'v');
SELECT keyed('comp', '{"a": 1, "b": "x"}', 'c', NULL, '{"a": 1, "b": "x", "body": "one", "v": 1}');
SELECT keyed('comp', '{"b": "y", "a": 1}', 'c', NULL, '{"a": 1, "b": "y", "body": "two", "v": 1}');
SELECT keyed('comp', '{"a": 1, "b": "x"}', 'u', NULL, '{"b": "x", "a": 1, "body": "one!", "v": 2}');
SELECT keyed('comp', '{"b": "y", "a": 1}', 'd', '{"a": 1, "b": "y", "body": "two", "v": 1}', NULL);
TABLE comp;
UPDATE comp SET a = 2;
SELECT * FROM tombstones('comp');
-- a key with fewer columns than the key here is completed by the row; columns that are none here say nothing
SELECT keyed('comp', '{"a": 2}', 'd', '{"a": 2, "b": "x", "body": "one!", "v": 3}', NULL);
SELECT keyed('comp', '{"a": 3, "b": "z", "__dbz__physicalTableIdentifier": "x"}', 'd', '{"a": 3, "b": "z", "body": "no", "v": 1}', NULL);
-- and without either there is none
SELECT keyed('comp', '{"a": 2}', 'd', '{"a": 2, "v": 3}', NULL);
SELECT keyed('comp', NULL, 'd', '{"a": 2, "b": null, "v": 3}', NULL);
SELECT keyed('comp', NULL, 'd', '{"a": 2, "b": "x", "v": 4}', NULL);
SELECT * FROM tombstones('comp');
-- a key with more: rows that are two there would be one here, whatever the event
SELECT keyed('comp', '{"a": 3, "b": "z", "body": "x"}', 'c', NULL, '{"a": 3, "b": "z", "body": "x", "v": 5}');
SELECT keyed('comp', '{"a": 3, "b": "z", "body": "x"}', 'u', NULL, '{"a": 3, "b": "z", "body": "x", "v": 5}');
SELECT keyed('comp', '{"a": 3, "b": "z", "body": "x"}', 'd', '{"a": 3, "b": "z", "body": "x", "v": 5}', NULL);
SELECT cdcsync.apply('peer.public.comp', '{"a": 3, "b": "z", "body": "x"}', NULL);
SELECT keyed('comp', '{"body": "x"}', 'c', NULL, '{"a": 3, "b": "z", "body": "x", "v": 5}');
-- unless it is another key of the table here, too
ALTER TABLE comp ADD UNIQUE (body);
SELECT keyed('comp', '{"body": "x"}', 'c', NULL, '{"a": 3, "b": "z", "body": "x", "v": 5}');
-- or is made the key here
SELECT keyed('comp', '{"a": 3, "b": "z", "body": "y"}', 'c', NULL, '{"a": 3, "b": "z", "body": "y", "v": 6}');
ALTER TABLE comp DROP CONSTRAINT comp_pkey, ADD PRIMARY KEY (a, b, body);
SELECT cdcsync.remove_table('comp');
SELECT cdcsync.add_table('comp', version_column => 'v');
SELECT keyed('comp', '{"a": 3, "b": "z", "body": "y"}', 'c', NULL, '{"a": 3, "b": "z", "body": "y", "v": 6}');
TABLE comp;
SELECT cdcsync.remove_table('comp');
DROP TABLE comp;
-- also where the column is generated here, and so none that events set
CREATE TABLE gen (id int PRIMARY KEY, tenant int GENERATED ALWAYS AS (id % 2) STORED, body text, v bigint);
SELECT cdcsync.add_table('gen', version_column => 'v');
SELECT keyed('gen', '{"id": 1, "tenant": 1}', 'c', NULL, '{"id": 1, "tenant": 1, "body": "one", "v": 1}');
SELECT cdcsync.apply('peer.public.gen', '{"id": 1, "tenant": 2}', NULL);
SELECT keyed('gen', '{"id": 1}', 'c', NULL, '{"id": 1, "tenant": 1, "body": "one", "v": 1}');
SELECT cdcsync.remove_table('gen');
DROP TABLE gen;

-- dates and times
CREATE TABLE times (d date, t timestamptz, v bigint, PRIMARY KEY (d, t));
SELECT cdcsync.add_table('times', version_column => 'v');
SELECT keyed('times', '{"d": 20512, "t": "2026-02-28T04:05:06Z"}', 'c', NULL, '{"d": 20512, "t": "2026-02-28T04:05:06Z", "v": 1}');
SELECT keyed('times', '{"d": 20512, "t": "2026-02-28T04:05:06Z"}', 'u', NULL, '{"d": 20512, "t": "2026-02-28T05:05:06+01:00", "v": 2}');
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
DELETE FROM times;
INSERT INTO times VALUES ('infinity', '-infinity', 1);
DELETE FROM times;
RESET DateStyle;
RESET TimeZone;
SELECT * FROM tombstones('times');
-- found whatever the session's formats were that wrote it
SELECT keyed('times', '{"d": 20512, "t": "2026-02-28T04:05:06Z"}', 'u', NULL, '{"d": 20512, "t": "2026-02-28T04:05:06Z", "v": 2}');
SELECT keyed('times', '{"d": 20512, "t": "2026-02-28T04:05:06Z"}', 'u', NULL, '{"d": 20512, "t": "2026-02-28T04:05:06Z", "v": 3}');
SELECT keyed('times', '{"d": 2, "t": "infinity"}', 'c', NULL, '{"d": -2147472692, "t": "-infinity", "v": 1}');
SELECT cdcsync.remove_table('times');
DROP TABLE times;

CREATE TABLE floats (id float8 PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('floats', version_column => 'v');
SELECT keyed('floats', '{"id": 0.30000000000000004}', 'c', NULL, '{"id": 0.30000000000000004, "v": 1}');
SET extra_float_digits = 0;
DELETE FROM floats;
RESET extra_float_digits;
SELECT keyed('floats', '{"id": 0.30000000000000004}', 'c', NULL, '{"id": 0.30000000000000004, "v": 1}');
SELECT cdcsync.remove_table('floats');
DROP TABLE floats;

-- a unique index over columns that are not null, where there is no primary key
CREATE TABLE uniq (a int, b int NOT NULL, c int NOT NULL, v bigint, UNIQUE (a), EXCLUDE USING btree (b WITH =));
CREATE UNIQUE INDEX uniq_partial ON uniq (b) WHERE c > 0;
CREATE UNIQUE INDEX uniq_expression ON uniq ((b + c));
SELECT cdcsync.add_table('uniq', version_column => 'v');
CREATE UNIQUE INDEX uniq_key ON uniq (c) INCLUDE (b);
SELECT cdcsync.add_table('uniq', version_column => 'v');
SELECT keyed('uniq', '{"c": 1}', 'c', NULL, '{"a": 1, "b": 1, "c": 1, "v": 1}');
SELECT keyed('uniq', '{"a": 1}', 'u', NULL, '{"a": 2, "b": 2, "c": 1, "v": 2}');
SELECT keyed('uniq', '{"a": 2}', 'd', '{"a": 2, "b": 2, "c": 1, "v": 2}', NULL);
SELECT * FROM tombstones('uniq');
SELECT count(*) FROM uniq;
-- Debezium takes another unique index for the key, or none: a change of the key comes as one update
SELECT keyed('uniq', '{"a": 5}', 'c', NULL, '{"a": 5, "b": 5, "c": 5, "v": 10}');
SELECT keyed('uniq', '{"a": 5}', 'u', '{"a": 5, "b": 5, "c": 5, "v": 10}', '{"a": 5, "b": 5, "c": 6, "v": 11}');
SELECT keyed('uniq', NULL, 'u', '{"a": 5, "b": 5, "c": 6, "v": 11}', '{"a": 5, "b": 5, "c": 7, "v": 12}');
-- the same again: nothing
SELECT keyed('uniq', NULL, 'u', '{"a": 5, "b": 5, "c": 6, "v": 11}', '{"a": 5, "b": 5, "c": 7, "v": 12}');
SELECT keyed('uniq', NULL, 'u', '{"a": 5, "b": 5, "c": 7, "v": 12}', '{"a": 5, "b": 5, "c": 7, "v": 13}');
TABLE uniq;
SELECT * FROM tombstones('uniq');
-- of two rows
SELECT keyed('uniq', '{"c": 7}', 'd', '{"a": 5, "b": 5, "c": 8, "v": 12}', NULL);
TABLE uniq;
SELECT cdcsync.remove_table('uniq');
DROP TABLE uniq;


-- long keys: as long as the table's own index takes them
CREATE FUNCTION noise(len int) RETURNS text LANGUAGE sql AS $$
	SELECT left(string_agg(encode(sha512(n::text::bytea), 'base64'), '' ORDER BY n), len) FROM generate_series(1, len / 80 + 1) AS n
$$;
CREATE TABLE longs (a text, b bytea, v bigint, PRIMARY KEY (a, b));
SELECT cdcsync.add_table('longs', version_column => 'v');
INSERT INTO longs VALUES (noise(2680), '', 5), ('', noise(2680)::bytea, 5), (noise(1300), reverse(noise(1300))::bytea, 5);
DELETE FROM longs;
SELECT length(key ->> 'a') AS a, length(key ->> 'b') AS b, version FROM cdcsync.tombstone WHERE relation = 'longs'::regclass ORDER BY 1;
-- also where there is no row; older events do not bring it back, newer ones do
CREATE FUNCTION long_row(len int, version bigint) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('a', noise(len), 'b', '', 'v', version) $$;
SELECT keyed('longs', long_row(2670, 7) - 'v', 'd', long_row(2670, 7), NULL);
SELECT keyed('longs', long_row(len, 6) - 'v', 'u', NULL, long_row(len, 6)) FROM (VALUES (2670), (2680)) AS x(len);
SELECT length(a), v FROM longs;
INSERT INTO longs VALUES (noise(2670), '');
SELECT length(a), v FROM longs ORDER BY 1;
DELETE FROM longs;
SELECT length(key ->> 'a') AS a, version FROM cdcsync.tombstone WHERE relation = 'longs'::regclass ORDER BY 1;
SELECT cdcsync.remove_table('longs');
DROP TABLE longs;
DROP FUNCTION long_row, noise;

-- keys of one hash, for their type has none: told apart by the keys themselves
CREATE TABLE unhashed (id tsvector PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('unhashed', version_column => 'v');
INSERT INTO unhashed VALUES ('a', 5), ('b', 6), ('c', 7);
DELETE FROM unhashed;
SELECT count(DISTINCT key_hash) FROM cdcsync.tombstone_data WHERE relation = 'unhashed'::regclass;
INSERT INTO unhashed VALUES ('c'), ('b'), ('a'), ('d');
SELECT * FROM unhashed ORDER BY id;
DELETE FROM unhashed WHERE id = 'b';
SELECT * FROM tombstones('unhashed');
SELECT cdcsync.remove_table('unhashed');
DROP TABLE unhashed;
-- equal bits are equal bytes: that serves as a hash
CREATE TABLE bits (id varbit PRIMARY KEY, v bigint);
SELECT cdcsync.add_table('bits', version_column => 'v');
INSERT INTO bits SELECT i::bit(8), i FROM generate_series(1, 9) AS i;
DELETE FROM bits;
SELECT count(DISTINCT key_hash) FROM cdcsync.tombstone_data WHERE relation = 'bits'::regclass;
INSERT INTO bits VALUES (B'00000101');
TABLE bits;
SELECT cdcsync.remove_table('bits');
DROP TABLE bits;
DROP FUNCTION keyed(text, jsonb, text, jsonb, jsonb), tombstones(regclass);
