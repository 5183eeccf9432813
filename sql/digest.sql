-- table_digest() and compare(): do two nodes agree?
CREATE TABLE here (id int PRIMARY KEY, body text, at timestamptz, d double precision, raw bytea, span interval, v bigint NOT NULL);
CREATE TABLE there (v bigint NOT NULL, raw bytea, span interval, at timestamptz, d double precision, id int PRIMARY KEY, body text);
INSERT INTO here SELECT i, 'b' || i, '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 s', i / 3.0, '\x01', i * interval '1 day', i
	FROM generate_series(1, 1000) AS i;
INSERT INTO there (id, body, at, d, raw, span, v) SELECT id, body, at, d, raw, span, v FROM here ORDER BY id DESC;
CREATE VIEW differing AS
	SELECT count(*) FILTER (WHERE h.digest <> t.digest) AS different, sum(h.rows) AS here, sum(t.rows) AS there
	FROM cdcsync.table_digest('here', 16) AS h JOIN cdcsync.table_digest('there', 16) AS t USING (bucket);
SELECT * FROM differing;
SELECT count(*), sum(rows), count(DISTINCT digest) FROM cdcsync.table_digest('here', 16);

-- not by settings
SELECT digest AS former FROM cdcsync.table_digest('here') \gset
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET bytea_output = 'escape';
SET extra_float_digits = -5;
SELECT digest = :'former' AS same FROM cdcsync.table_digest('here');
RESET TimeZone; RESET DateStyle; RESET IntervalStyle; RESET bytea_output; RESET extra_float_digits;

-- each of these is seen, in one bucket
BEGIN; UPDATE there SET body = NULL WHERE id = 7; SELECT * FROM differing; ROLLBACK;
BEGIN; UPDATE there SET at = at + interval '1 us' WHERE id = 7; SELECT * FROM differing; ROLLBACK;
BEGIN; DELETE FROM there WHERE id = 7; SELECT * FROM differing; ROLLBACK;
BEGIN; INSERT INTO there VALUES (1, NULL, NULL, NULL, NULL, 0, NULL); SELECT * FROM differing; ROLLBACK;
BEGIN; UPDATE there SET body = CASE id WHEN 1 THEN 'b2' ELSE 'b1' END WHERE id IN (1, 2); SELECT different > 0 AS seen FROM differing; ROLLBACK;
-- values that run into each other
CREATE TABLE pair (id int PRIMARY KEY, a text, b text);
INSERT INTO pair VALUES (1, 'x', 'yz');
SELECT digest AS former FROM cdcsync.table_digest('pair') \gset
UPDATE pair SET a = 'xy', b = 'z';
SELECT digest = :'former' AS same FROM cdcsync.table_digest('pair');
UPDATE pair SET a = '1:x2:yz', b = '';
SELECT digest = :'former' AS same FROM cdcsync.table_digest('pair');
TRUNCATE pair;
SELECT * FROM cdcsync.table_digest('pair', 2);

-- what a peer says, in a table of digests
CREATE TABLE cdcsync_digest (node text, source_table text, bucket int, rows bigint, digest text, taken_at timestamptz NOT NULL,
	PRIMARY KEY (node, source_table, bucket));
SELECT cdcsync.add_table('here', version_column => 'v', source_table => 'public.item');
INSERT INTO cdcsync_digest SELECT 'peer', s.name, d.bucket, d.rows, d.digest, '2026-01-01'
	FROM (VALUES ('public.item'), ('public.gone')) AS s(name), cdcsync.table_digest('there', 8) AS d;
SELECT source_table, rows_here, rows_there, different_buckets, taken_at = '2026-01-01' AS taken FROM cdcsync.compare('peer', 'cdcsync_digest');
DELETE FROM here WHERE id = 500;
SELECT source_table, rows_here, rows_there, cardinality(different_buckets) FROM cdcsync.compare('peer', 'cdcsync_digest');
SELECT * FROM cdcsync.compare('nobody', 'cdcsync_digest');

-- renamed columns go by their names in events
SELECT cdcsync.alter_table_rule('here', column_map => '{"z_body": "body"}');
ALTER TABLE there RENAME body TO z_body;
DELETE FROM there WHERE id = 500;
SELECT * FROM differing;

-- refused
SELECT * FROM cdcsync.table_digest('here', 0);
CREATE ROLE looker IN ROLE cdcsync_admin;
SET ROLE looker;
SELECT * FROM cdcsync.table_digest('here');
RESET ROLE;
DROP ROLE looker;

SELECT cdcsync.remove_table('here');
DROP VIEW differing;
DROP TABLE here, there, pair, cdcsync_digest;
