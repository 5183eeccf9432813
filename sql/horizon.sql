--
-- Tombstones are forgotten after a while; what may have been deleted then goes the error way.
--
CREATE TABLE hor (id int PRIMARY KEY, body text, v timestamptz NOT NULL);
SELECT cdcsync.add_table('hor', version_column => 'v');
SELECT go('d', 'hor', '{"id": 1, "body": "x", "v": "2026-01-01T10:00:00Z"}', NULL);
SELECT go('d', 'hor', '{"id": 2, "body": "x", "v": "2026-01-01T12:00:00Z"}', NULL);
-- young ones stay
SELECT cdcsync.prune_tombstones();
-- a worker may be at it, too
BEGIN;
UPDATE cdcsync.tombstone_data SET written_at = '2020-01-01' WHERE key ->> 'id' = '2';
SELECT cdcsync.prune_tombstones();
COMMIT;
SELECT key, version AT TIME ZONE 'UTC' AS version FROM
	(SELECT key, version::timestamptz FROM cdcsync.tombstone WHERE relation = 'hor'::regclass) AS t;
SELECT to_timestamp(version / 1000000) AT TIME ZONE 'UTC' AS horizon FROM cdcsync.tombstone_horizon;
-- not newer than the horizon, and neither row nor tombstone: nobody can know
SELECT go('u', 'hor', NULL, '{"id": 2, "body": "y", "v": "2026-01-01T12:00:00Z"}');
SELECT go('c', 'hor', NULL, '{"id": 3, "body": "y", "v": "2026-01-01T11:00:00Z"}');
-- but handling may say what to do with it
SELECT cdcsync.alter_table_rule('hor', conflicts => '{"update_deleted": "keep_local"}');
SELECT go('c', 'hor', NULL, '{"id": 4, "body": "y", "v": "2026-01-01T11:00:00Z"}');
SELECT cdcsync.alter_table_rule('hor', conflicts => '{"update_deleted": "apply_remote"}');
SELECT go('c', 'hor', NULL, '{"id": 4, "body": "y", "v": "2026-01-01T11:00:00Z"}');
SELECT cdcsync.alter_table_rule('hor', conflicts => '{}');
-- newer than the horizon, or with a row or a tombstone, as ever
SELECT go('c', 'hor', NULL, '{"id": 3, "body": "y", "v": "2026-01-01T12:00:00.000001Z"}');
SELECT go('u', 'hor', NULL, '{"id": 3, "body": "z", "v": "2026-01-01T11:00:00Z"}');
SELECT go('u', 'hor', NULL, '{"id": 1, "body": "y", "v": "2026-01-01T09:00:00Z"}');
SELECT go('u', 'hor', NULL, '{"id": 1, "body": "y", "v": "2026-01-01T11:00:00Z"}');
SELECT id, body FROM hor ORDER BY id;
-- versions that do not grow with time are never forgotten
CREATE TABLE hor_int (id int PRIMARY KEY, v int NOT NULL);
SELECT cdcsync.add_table('hor_int', version_column => 'v');
SELECT go('d', 'hor_int', '{"id": 1, "v": 5}', NULL);
BEGIN;
UPDATE cdcsync.tombstone_data SET written_at = '2020-01-01';
SELECT cdcsync.prune_tombstones();
COMMIT;
SELECT relation, key FROM cdcsync.tombstone WHERE relation = 'hor_int'::regclass;
-- but those of a table that is gone are
BEGIN;
DROP TABLE hor_int;
SELECT cdcsync.prune_tombstones();
COMMIT;
SELECT cdcsync.remove_table('hor');
SELECT count(*) FROM cdcsync.tombstone_data;
SELECT count(*) FROM cdcsync.tombstone_horizon;
DROP TABLE hor;
