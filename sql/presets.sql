--
-- The presets of the local-first flow in which the server decides: every cell of the
-- table in doc/conflicts.md, with a version column and under the commit clock.
--
DELETE FROM cdcsync.conflict_data;
CREATE TABLE card (id int PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('card', version_column => 'v');
CREATE VIEW kept AS
	SELECT conflict_type, resolution, local_row ->> 'body' AS local, remote_row ->> 'body' AS remote,
		before_row ->> 'body' AS before
	FROM cdcsync.conflict_history WHERE relation = 'card'::regclass ORDER BY id;
CREATE PROCEDURE start(preset text, local jsonb DEFAULT '{"id": 1, "body": "local", "v": 10}')
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cdcsync.alter_table_rule('card', conflicts => preset);
	CALL clear('card');
	DELETE FROM cdcsync.conflict_data;
	INSERT INTO card SELECT * FROM jsonb_populate_record(NULL::card, local) WHERE local IS NOT NULL;
END
$$;

-- hub: create, key exists: ignore, however new
CALL start('hub');
SELECT go('c', 'card', NULL, '{"id": 1, "body": "remote", "v": 99}');
TABLE card; TABLE kept;
SELECT go('r', 'card', NULL, '{"id": 1, "body": "remote", "v": 99}');
SELECT go('c', 'card', NULL, '{"id": 1, "body": "local", "v": 10}');
-- hub: update, missing: create; tombstones are ignored
CALL start('hub', NULL);
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "remote", "v": 5}');
TABLE card; TABLE kept;
DELETE FROM card;
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "older than the delete", "v": 5}');
TABLE card;
-- hub: update, before = local: apply, however old; nothing to warn of
CALL start('hub');
SELECT go('u', 'card', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "remote", "v": 9}');
TABLE card; TABLE kept;
-- hub: update, before <> local: newer, then older
CALL start('hub');
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 10}', '{"id": 1, "body": "older", "v": 9}');
TABLE card;
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 10}', '{"id": 1, "body": "as old", "v": 10}');
TABLE card;
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 10}', '{"id": 1, "body": "newer", "v": 11}');
TABLE card; TABLE kept;
-- hub: delete, missing: ignore
CALL start('hub', NULL);
SELECT go('d', 'card', '{"id": 1, "body": "b", "v": 4}', NULL);
TABLE card; TABLE kept;
SELECT count(*) FROM cdcsync.tombstone WHERE relation = 'card'::regclass;
-- hub: delete, before <> local: delete; before = local: delete
CALL start('hub');
SELECT go('d', 'card', '{"id": 1, "body": "seen", "v": 4}', NULL);
TABLE card; TABLE kept;
CALL start('hub');
SELECT go('d', 'card', '{"id": 1, "body": "local", "v": 10}', NULL);
TABLE card; TABLE kept;
-- hub: an own echo wins only when strictly newer than row and tombstone
CALL start('hub');
SELECT go('u', 'card', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "echo", "v": 10}', origin => 'cdcsync:5:1:me');
SELECT go('d', 'card', '{"id": 1, "body": "local", "v": 9}', NULL, origin => 'cdcsync:5:1:me');
SELECT go('u', 'card', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "echo", "v": 11}', origin => 'cdcsync:5:1:me');
DELETE FROM card;
SELECT go('u', 'card', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "echo", "v": 11}', origin => 'cdcsync:5:1:me');
TABLE card; TABLE kept;

-- spoke: create, key exists: apply
CALL start('spoke');
SELECT go('c', 'card', NULL, '{"id": 1, "body": "remote", "v": 1}');
TABLE card; TABLE kept;
-- spoke: update, missing: create
CALL start('spoke', NULL);
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "remote", "v": 5}');
TABLE card; TABLE kept;
DELETE FROM card;
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "older than the delete", "v": 5}');
TABLE card;
-- spoke: update, before <> local: apply
CALL start('spoke');
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 4}', '{"id": 1, "body": "older", "v": 5}');
TABLE card; TABLE kept;
-- spoke: delete, missing: ignore
CALL start('spoke', NULL);
SELECT go('d', 'card', '{"id": 1, "body": "b", "v": 4}', NULL);
TABLE card; TABLE kept;
SELECT count(*) FROM cdcsync.tombstone WHERE relation = 'card'::regclass;
-- spoke: delete, before <> local: conflict, ignored
CALL start('spoke');
SELECT go('d', 'card', '{"id": 1, "body": "seen", "v": 99}', NULL);
TABLE card; TABLE kept;
SELECT go('d', 'card', '{"id": 1, "body": "local", "v": 10}', NULL);
TABLE card;
-- spoke: its echoes go by the table
CALL start('spoke');
SELECT go('u', 'card', '{"id": 1, "body": "x", "v": 3}', '{"id": 1, "body": "echo", "v": 4}', origin => 'cdcsync:5:1:me');
TABLE card; TABLE kept;

-- a preset of the table gives way to handling by type
CALL start('{"update_missing": "skip"}', NULL);
SELECT go('u', 'card', NULL, '{"id": 1, "body": "remote", "v": 5}');
TABLE card; TABLE kept;
CALL start('hub', NULL);
SELECT cdcsync.remove_table('card');

-- any clock will do
SELECT cdcsync.add_table('card', conflicts => 'hub');
CALL start('hub');
SELECT go('u', 'card', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "before is local", "v": 1}');
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 10}', '{"id": 1, "body": "older", "v": 1}');
SELECT go('c', 'card', NULL, '{"id": 1, "body": "remote", "v": 99}');
TABLE card;
SELECT go('d', 'card', '{"id": 1, "body": "seen", "v": 4}', NULL);
CALL start('spoke');
SELECT go('u', 'card', '{"id": 1, "body": "seen", "v": 4}', '{"id": 1, "body": "older", "v": 5}');
SELECT go('d', 'card', '{"id": 1, "body": "seen", "v": 99}', NULL);
TABLE card; TABLE kept;
CALL start('hub', NULL);
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "remote", "v": 5}');
CALL start('hub', NULL);
SELECT go('d', 'card', '{"id": 1, "body": "b", "v": 4}', NULL);
CALL start('hub');
SELECT cdcsync.apply('peer.public.card', '{"id": 1}', event('u', 'card', '{"id": 1, "body": "seen", "v": 10}',
	'{"id": 1, "body": "newer", "v": 1}', at => clock_timestamp()), modes());
CALL start('spoke');
SELECT go('c', 'card', NULL, '{"id": 1, "body": "remote", "v": 1}');
CALL start('spoke', NULL);
SELECT go('u', 'card', '{"id": 1, "body": "b", "v": 4}', '{"id": 1, "body": "remote", "v": 5}');
CALL start('spoke', NULL);
SELECT go('d', 'card', '{"id": 1, "body": "b", "v": 4}', NULL);

SELECT cdcsync.remove_table('card');
DROP PROCEDURE start;
DROP TABLE card CASCADE;
