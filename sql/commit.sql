--
-- The same rules under the commit clock: versions are commit times (doc/conflicts.md).
--
CREATE TABLE memo (id int PRIMARY KEY, body text);
SELECT cdcsync.add_table('memo');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'memo'::regclass ORDER BY 1;

-- what a worker does: its transactions are stamped with the event's time, under the peer's origin
SELECT 1 FROM pg_replication_origin_create('cdcsync:0:1:peer');
SELECT 1 FROM pg_replication_origin_create('cdcsync:0:1:other');
CREATE FUNCTION at(second int) RETURNS timestamptz LANGUAGE sql AS $$
	SELECT '2026-01-01 00:00:00+00'::timestamptz + second * interval '1 s'
$$;
CREATE PROCEDURE take(second int, op text, before jsonb, after jsonb, peer text DEFAULT 'peer',
	origin text DEFAULT NULL, tab text DEFAULT 'memo') LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
BEGIN
	IF peer IN ('peer', 'other') THEN
		PERFORM pg_replication_origin_session_setup('cdcsync:0:1:' || peer);
		PERFORM pg_replication_origin_xact_setup('0/1', CASE WHEN op = 'r' THEN '2000-01-01 00:00:00.000001+00' ELSE at(second) END);
	END IF;
	outcome := cdcsync.apply(peer || '.public.' || tab,
		jsonb_strip_nulls(jsonb_build_object('id', coalesce(after, before) -> 'id',
			'region', coalesce(after, before) -> 'region'))::text,
		event(op, tab, before, after, peer, origin, at(second)), producer => modes());
	COMMIT;
	IF peer IN ('peer', 'other') THEN
		PERFORM pg_replication_origin_session_reset();
	END IF;
	RAISE NOTICE '%', outcome;
END
$$;
-- local rows and their versions, in seconds after at(0); those of this test are older than an hour
CREATE FUNCTION seconds(t timestamptz) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN t > now() - interval '1 hour' THEN 'now' WHEN t < '2001-01-01' THEN 'snapshot'
		ELSE extract(epoch FROM t - at(0))::int::text END
$$;
CREATE VIEW here AS
	SELECT 'row' AS what, id, body, seconds(pg_xact_commit_timestamp(xmin)) AS version FROM memo
	UNION ALL SELECT 'tombstone of ' || peer, (key ->> 'id')::int, NULL, seconds(version::timestamptz)
	FROM cdcsync.tombstone WHERE relation = 'memo'::regclass ORDER BY 2, 1;

-- an insert, an update, a delete
CALL take(10, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(20, 'u', '{"id": 1, "body": "a"}', '{"id": 1, "body": "b"}');
TABLE here;
CALL take(30, 'd', '{"id": 1, "body": "b"}', NULL);
TABLE here;

-- rule 1: own events and echoes win only when newer
CALL clear('memo');
CALL take(10, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(10, 'u', NULL, '{"id": 1, "body": "zz"}', origin => 'cdcsync:5:1:me');
CALL take(9, 'u', NULL, '{"id": 1, "body": "zz"}', peer => 'me');
CALL take(11, 'u', NULL, '{"id": 1, "body": "later"}', origin => 'cdcsync:5:1:me');
TABLE here;

-- rule 2: a snapshot row only where nothing is known of its key
CALL clear('memo');
CALL take(50, 'r', NULL, '{"id": 1, "body": "snap"}');
TABLE here;
CALL take(60, 'r', NULL, '{"id": 1, "body": "again"}');
CALL take(5, 'u', '{"id": 1, "body": "snap"}', '{"id": 1, "body": "any change is newer"}');
CALL take(30, 'd', '{"id": 2, "body": "x"}', NULL);
CALL take(60, 'r', NULL, '{"id": 2, "body": "deleted"}');
TABLE here;

-- rule 3: against the tombstone
CALL clear('memo');
CALL take(20, 'd', '{"id": 1, "body": "x"}', NULL);
CALL take(19, 'u', NULL, '{"id": 1, "body": "old"}');
-- of the same transaction, later in its log; of another node
CALL take(20, 'c', NULL, '{"id": 1, "body": "other"}', peer => 'other');
CALL take(20, 'c', NULL, '{"id": 1, "body": "again"}');
TABLE here;
CALL take(21, 'd', '{"id": 1, "body": "again"}', NULL);
CALL take(22, 'c', NULL, '{"id": 1, "body": "new"}');
TABLE here;

-- rule 4: an equal row that is newer is written, so that its version is known
CALL clear('memo');
CALL take(10, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(12, 'u', NULL, '{"id": 1, "body": "a"}');
TABLE here;
CALL take(11, 'u', NULL, '{"id": 1, "body": "a"}');
CALL take(12, 'u', NULL, '{"id": 1, "body": "a"}');
TABLE here;
-- also where only the key can be set
CREATE TABLE tag (id int PRIMARY KEY);
SELECT cdcsync.add_table('tag');
SELECT go('c', 'tag', NULL, '{"id": 1}');
SELECT cdcsync.apply('peer.public.tag', '{"id": 1}',
	event('u', 'tag', NULL, '{"id": 1}', at => now() - interval '1 s'), modes());
SELECT cdcsync.apply('peer.public.tag', '{"id": 1}',
	event('u', 'tag', NULL, '{"id": 1}', at => clock_timestamp()), modes());
TABLE tag;

-- rule 5: newer, older; at the same time the writer's own order, else the larger text
CALL take(13, 'u', NULL, '{"id": 1, "body": "newer"}');
CALL take(12, 'u', NULL, '{"id": 1, "body": "older"}');
CALL take(13, 'u', NULL, '{"id": 1, "body": "b"}');
CALL take(13, 'u', NULL, '{"id": 1, "body": "aaaaa"}', peer => 'other');
CALL take(13, 'u', NULL, '{"id": 1, "body": "zz"}');
CALL take(13, 'u', NULL, '{"id": 1, "body": "a"}', peer => 'other');
TABLE here;

-- a local row has its commit's time
UPDATE memo SET body = 'local';
CALL take(14, 'u', NULL, '{"id": 1, "body": "remote"}');
CALL take(14, 'd', '{"id": 1, "body": "remote"}', NULL);
TABLE here;
-- and so has a local delete
DELETE FROM memo;
TABLE here;
CALL take(15, 'u', NULL, '{"id": 1, "body": "remote"}');
-- also when VACUUM has frozen it before its time is copied
VACUUM FULL cdcsync.tombstone_data;
CALL take(15, 'u', NULL, '{"id": 1, "body": "remote"}');
SELECT cdcsync.prune_tombstones();
SELECT version IS NOT NULL AS kept FROM cdcsync.tombstone_data WHERE relation = 'memo'::regclass;
TABLE here;
-- a remote delete raises it no further
CALL take(16, 'd', '{"id": 1, "body": "remote"}', NULL, peer => 'other');
TABLE here;

-- insert and delete of one transaction
BEGIN;
INSERT INTO memo VALUES (5, 'short');
DELETE FROM memo WHERE id = 5;
INSERT INTO memo VALUES (5, 'long');
COMMIT;
TABLE here;

-- rule 6: a delete without a row; rule 7: with one
CALL clear('memo');
CALL take(20, 'd', '{"id": 1, "body": "x"}', NULL);
CALL take(19, 'd', '{"id": 1, "body": "x"}', NULL, peer => 'other');
CALL take(25, 'd', '{"id": 1, "body": "x"}', NULL, peer => 'other');
TABLE here;
CALL take(30, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(29, 'd', '{"id": 1, "body": "never"}', NULL);
CALL take(30, 'd', '{"id": 1, "body": "a"}', NULL);
TABLE here;

-- rule 9: a lone null value is a delete at the record's time, which at the door is now
CALL take(40, 'c', NULL, '{"id": 1, "body": "a"}');
SELECT cdcsync.apply('peer.public.memo', '{"id": 1}', NULL);
SELECT what, id FROM here;
SELECT cdcsync.apply('peer.public.memo', '{"id": 7}', NULL);

-- an event of the future
SELECT cdcsync.apply('peer.public.memo', '{"id": 8}',
	event('c', 'memo', NULL, '{"id": 8, "body": "x"}', at => '2100-01-01 00:00:00+00'), modes());

-- conflicts: before is compared whole, and the writer's own rows are no conflict
DELETE FROM cdcsync.conflict_data;
CALL clear('memo');
CALL take(10, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(11, 'u', '{"id": 1, "body": "x"}', '{"id": 1, "body": "b"}');
CALL take(12, 'u', '{"id": 1, "body": "b"}', '{"id": 1, "body": "c"}', peer => 'other');
CALL take(13, 'u', '{"id": 1, "body": "b"}', '{"id": 1, "body": "d"}');
SELECT conflict_type, resolution, local_row, remote_row, before_row, local_origin, remote_origin,
	seconds(local_version::timestamptz) AS local, seconds(remote_version::timestamptz) AS remote
FROM cdcsync.conflict_history WHERE relation = 'memo'::regclass AND key = '{"id": 1}'
ORDER BY id DESC LIMIT 2;

-- a key that is spelled otherwise: of the delete and the insert in the log either may come first, for their keys may be
-- in two partitions; a delete of the row as it is, at the same time, deletes
CREATE TABLE spelled (id numeric PRIMARY KEY);
SELECT cdcsync.add_table('spelled');
CALL take(10, 'c', NULL, '{"id": "1"}', tab => 'spelled');
CALL take(20, 'c', NULL, '{"id": "1.0"}', tab => 'spelled');
CALL take(20, 'd', '{"id": "1"}', NULL, tab => 'spelled');
TABLE spelled;
CALL take(30, 'd', '{"id": "1.0"}', NULL, tab => 'spelled');
CALL take(30, 'c', NULL, '{"id": "1.00"}', tab => 'spelled');
TABLE spelled;
CALL take(30, 'd', '{"id": "1.00"}', NULL, tab => 'spelled');
TABLE spelled;
SELECT cdcsync.remove_table('spelled');
DROP TABLE spelled;
-- "before" that has no key, though the message has one
CREATE TABLE named (id text PRIMARY KEY);
SELECT cdcsync.add_table('named');
CALL take(10, 'c', NULL, '{"id": "k"}', tab => 'named');
BEGIN;
SELECT cdcsync.apply('peer.public.named', '{"id": "k"}', event('d', 'named', '{"id": null}', NULL, at => at(10)), producer => modes());
ROLLBACK;
SELECT cdcsync.remove_table('named');
DROP TABLE named;

-- a side that is brought back is a local change: newer than both sides, whichever; one without a row is a delete
DELETE FROM cdcsync.conflict_data;
CALL clear('memo');
CREATE VIEW last AS SELECT max(id) AS id FROM cdcsync.conflict_history;
CALL take(10, 'c', NULL, '{"id": 1, "body": "a"}');
CALL take(12, 'u', '{"id": 1, "body": "x"}', '{"id": 1, "body": "newer"}', peer => 'other');
TABLE here;
SELECT cdcsync.resolve_conflict(id, 'local') FROM last;
TABLE here;
CALL take(13, 'u', '{"id": 1, "body": "newer"}', '{"id": 1, "body": "older than that"}', peer => 'other');
SELECT cdcsync.resolve_conflict(id, 'remote') FROM last;
TABLE here;
SELECT cdcsync.resolve_conflict(id, '{"body": "by hand"}') FROM last;
TABLE here;
CALL take(14, 'd', '{"id": 1, "body": "older than that"}', NULL, peer => 'other');
SELECT cdcsync.resolve_conflict(id, 'remote') FROM last;
TABLE here;
SELECT cdcsync.resolve_conflict(id, 'remote') FROM last;
CALL take(15, 'u', '{"id": 1, "body": "a"}', '{"id": 1, "body": "older than the delete"}');
SELECT cdcsync.resolve_conflict(id, 'local') FROM last;
SELECT cdcsync.resolve_conflict(id, 'remote') FROM last;
TABLE here;
DROP VIEW last;

-- a partitioned table, through its root: versions are the rows', records and tombstones are the root's
CREATE TABLE part (id int, region text, body text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_a (body text, region text NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_a FOR VALUES IN ('a');
CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b');
SELECT cdcsync.add_table('part');
CREATE VIEW there AS
	SELECT tableoid::regclass::text AS what, id, region, body, seconds(pg_xact_commit_timestamp(xmin)) AS version FROM part
	UNION ALL SELECT relation || ' tombstone of ' || peer, (key ->> 'id')::int, key ->> 'region', NULL, seconds(version::timestamptz)
	FROM cdcsync.tombstone WHERE relation::regclass::text LIKE 'part%' ORDER BY 2, 3, 1;
CALL take(10, 'c', NULL, '{"id": 1, "region": "a", "body": "a"}', tab => 'part');
CALL take(10, 'c', NULL, '{"id": 2, "region": "b", "body": "b"}', tab => 'part');
CALL take(20, 'u', '{"id": 1, "region": "a", "body": "a"}', '{"id": 1, "region": "a", "body": "a2"}', tab => 'part');
TABLE there;
-- conflicts: older, newer; with a local row, written through the root and in its partition
DELETE FROM cdcsync.conflict_data;
CALL take(19, 'u', '{"id": 1, "region": "a", "body": "x"}', '{"id": 1, "region": "a", "body": "older"}', 'other', tab => 'part');
CALL take(21, 'u', '{"id": 2, "region": "b", "body": "x"}', '{"id": 2, "region": "b", "body": "newer"}', 'other', tab => 'part');
INSERT INTO part VALUES (3, 'a', 'local');
INSERT INTO part_b VALUES (4, 'b', 'local');
CALL take(22, 'c', NULL, '{"id": 3, "region": "a", "body": "older"}', tab => 'part');
CALL take(22, 'c', NULL, '{"id": 4, "region": "b", "body": "older"}', tab => 'part');
CALL take(22, 'd', '{"id": 4, "region": "b", "body": "older"}', NULL, tab => 'part');
TABLE there;
SELECT relation, key, conflict_type, resolution, local_origin, remote_origin
FROM cdcsync.conflict_history ORDER BY id;
-- deletes leave a tombstone: remote ones with and without a row, local ones through the root and in the partition
CALL take(23, 'd', '{"id": 1, "region": "a", "body": "a2"}', NULL, tab => 'part');
CALL take(23, 'd', '{"id": 5, "region": "b", "body": "x"}', NULL, tab => 'part');
DELETE FROM part WHERE id = 3;
DELETE FROM part_b WHERE id = 4;
TABLE there;
CALL take(22, 'u', NULL, '{"id": 1, "region": "a", "body": "older than the delete"}', 'other', tab => 'part');
CALL take(24, 'u', NULL, '{"id": 3, "region": "a", "body": "older than the delete"}', tab => 'part');
CALL take(24, 'u', NULL, '{"id": 4, "region": "b", "body": "older than the delete"}', tab => 'part');
CALL take(24, 'c', NULL, '{"id": 1, "region": "a", "body": "newer"}', 'other', tab => 'part');
-- a row that moves to another partition is a delete there and an insert here
UPDATE part SET region = 'a' WHERE id = 2;
TABLE there;
CALL take(25, 'u', NULL, '{"id": 2, "region": "b", "body": "older than the move"}', tab => 'part');
SELECT cdcsync.resolve_conflict(max(id), 'remote') FROM cdcsync.conflict_history;
TABLE there;
SELECT cdcsync.remove_table('part');
DROP TABLE part CASCADE;
-- a table that had a version column before
CREATE TABLE former (id int PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('former', 'v');
INSERT INTO former VALUES (1, 'local', 10);
SELECT cdcsync.remove_table('former');
ALTER TABLE former DROP COLUMN v;
SELECT cdcsync.add_table('former');
CALL take(10, 'c', NULL, '{"id": 1, "body": "older"}', tab => 'former');
SELECT cdcsync.resolve_conflict(max(id), 'remote') FROM cdcsync.conflict_history;
TABLE former;
SELECT cdcsync.remove_table('former');
DROP TABLE former;

-- of what a restore has brought nothing is known, also when the first look at how far that goes fails
CALL clear('memo');
INSERT INTO memo VALUES (1, 'restored');
UPDATE cdcsync.local_identity SET commits_known_from = pg_snapshot_xmax(pg_current_snapshot()), written_by = pg_current_xact_id()::xid;
\c
BEGIN;
ALTER TABLE cdcsync.local_identity RENAME commits_known_from TO away;
SELECT cdcsync.apply('peer.public.memo', '{"id": 1}', event('u', 'memo', NULL, '{"id": 1, "body": "x"}', at => at(10)), modes());
ROLLBACK;
CALL take(10, 'u', NULL, '{"id": 1, "body": "newer"}');
TABLE here;
UPDATE cdcsync.local_identity SET commits_known_from = NULL, written_by = pg_current_xact_id()::xid;

-- several paths are warned of
BEGIN;
SELECT cdcsync.subscribe('one', '{a}');
SELECT cdcsync.subscribe('two', '{b}', origin => 'none');
SELECT cdcsync.alter_subscription('two', origin => 'any');
ROLLBACK;

-- rules of registration
SELECT cdcsync.alter_table_rule('memo', version_column => 'body');
SELECT cdcsync.remove_table('memo');
SELECT cdcsync.remove_table('tag');
DROP TABLE memo, tag CASCADE;
DROP PROCEDURE take;
DROP FUNCTION at, seconds;
