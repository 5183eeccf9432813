--
-- What "before" is for: it says what its author had seen, and stops nothing that does not need it.
--
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE visit (id int PRIMARY KEY, body text, marks int[], mood mood, v bigint NOT NULL);
INSERT INTO visit VALUES (1, 'C''s first', NULL, NULL, 1), (2, 'C''s second', NULL, NULL, 1), (3, 'the same', '{1}', 'sad', 1);
SELECT cdcsync.add_table('visit', version_column => 'v');
CREATE VIEW record AS
	SELECT key ->> 'id' AS id, conflict_type, resolution, local_row ->> 'body' AS local, remote_row ->> 'body' AS remote,
		before_row ->> 'body' AS before
	FROM cdcsync.conflict_history WHERE relation = 'visit'::regclass ORDER BY cdcsync.conflict_history.id;

-- rows from before the table was registered have one version, and are others on each node: what goes is on record
SELECT go('u', 'visit', '{"id": 1, "body": "A''s first", "marks": null, "mood": null, "v": 1}',
	'{"id": 1, "body": "A''s first, changed", "marks": null, "mood": null, "v": 5}', 'a');
SELECT go('d', 'visit', '{"id": 2, "body": "A''s second", "marks": null, "mood": null, "v": 1}', NULL, 'a');
TABLE record;
SELECT cdcsync.resolve_conflict(max(id), 'local') FROM cdcsync.conflict_history;
TABLE visit;
-- the same row is the same row, with fewer columns, too
SELECT go('u', 'visit', '{"id": 3, "body": "the same", "marks": [1], "v": 1}', '{"id": 3, "body": "known", "v": 5}', 'a');
SELECT go('d', 'visit', '{"id": 3, "body": "known", "marks": [1], "mood": "sad", "v": 5}', NULL, 'b');
SELECT count(*) FROM record;
-- in a tie: the author of the next change has not seen the row that won here
CALL clear('visit');
SELECT go('c', 'visit', NULL, '{"id": 1, "body": "longer", "v": 1}', 'a');
SELECT go('c', 'visit', NULL, '{"id": 1, "body": "short", "v": 1}', 'b');
SELECT go('u', 'visit', '{"id": 1, "body": "short", "v": 1}', '{"id": 1, "body": "shorter", "v": 2}', 'b');
SELECT * FROM record OFFSET 2;

-- a value that cannot be decoded stops its insert, but neither the update that mends it nor the delete that removes it
CALL clear('visit');
DELETE FROM cdcsync.conflict_data;
INSERT INTO visit VALUES (1, 'here', '{{1,2}}', NULL, 1), (2, 'here', '{{1,2}}', NULL, 1), (3, 'here', '{{1,2}}', NULL, 1);
\set SHOW_CONTEXT never
SELECT go('c', 'visit', NULL, '{"id": 4, "body": "x", "marks": [null, null], "v": 1}');
\set SHOW_CONTEXT errors
SELECT go('u', 'visit', '{"id": 1, "body": "here", "marks": [null, null], "mood": null, "v": 1}',
	'{"id": 1, "body": "mended", "marks": [1, 2], "mood": null, "v": 2}');
SELECT go('d', 'visit', '{"id": 2, "body": "here", "marks": [null, null], "mood": null, "v": 1}', NULL);
-- a value of an enum that has been renamed since
SELECT go('u', 'visit', '{"id": 3, "body": "here", "marks": null, "mood": "gloomy", "v": 1}',
	'{"id": 3, "body": "seen", "marks": null, "mood": "sad", "v": 2}');
SELECT go('d', 'visit', '{"id": 3, "body": "seen", "marks": null, "mood": "gloomy", "v": 2}', NULL);
TABLE visit;
-- nobody can know whether it was the row here: so it is on record, with what could not be decoded as it came
SELECT key, conflict_type, resolution, before_row FROM cdcsync.conflict_history ORDER BY id;
-- a delete without a row here is passed on without that value
SELECT go('d', 'visit', '{"id": 5, "body": "x", "marks": [null, null], "mood": "gloomy", "v": 7}', NULL);
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'visit'::regclass ORDER BY key;
-- what a delete is decided by must be there
\set SHOW_CONTEXT never
SELECT go('d', 'visit', '{"id": 6, "body": "x", "v": "seven"}', NULL);
\set SHOW_CONTEXT errors
-- of an update it need not
INSERT INTO visit VALUES (6, 'here', NULL, NULL, 1);
SELECT go('u', 'visit', '{"id": 6, "body": "x", "v": "seven"}', '{"id": 6, "body": "mended", "v": 8}');
-- a lock that a domain's CHECK waits for in vain is no fault of the value
CREATE FUNCTION look_up(text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = 'busy' THEN RAISE lock_not_available; END IF;
	RETURN true;
END
$$;
CREATE DOMAIN looked_up AS text CHECK (public.look_up(VALUE));
CREATE TABLE desk (id int PRIMARY KEY, body looked_up, v bigint NOT NULL);
SELECT cdcsync.add_table('desk', version_column => 'v');
INSERT INTO desk VALUES (1, 'here', 1);
\set SHOW_CONTEXT never
SELECT go('u', 'desk', '{"id": 1, "body": "busy", "v": 1}', '{"id": 1, "body": "free", "v": 2}');
\set SHOW_CONTEXT errors
SELECT conflict_type FROM cdcsync.conflict_history WHERE relation = 'desk'::regclass;
DROP TABLE desk;
DROP DOMAIN looked_up;
DROP FUNCTION look_up;
-- in a batch, too, and beside events that are in order
SELECT cdcsync.apply('peer.public.visit', ARRAY['{"id": 7}', '{"id": 6}', '{"id": 8}'], ARRAY[
	event('c', 'visit', NULL, '{"id": 7, "body": "a", "v": 1}'),
	event('u', 'visit', '{"id": 6, "body": "mended", "marks": [null, null], "v": 8}', '{"id": 6, "body": "again", "v": 9}'),
	event('c', 'visit', NULL, '{"id": 8, "body": "b", "v": 1}')], modes());
TABLE visit;

-- under the commit clock
CREATE TABLE visited (id int PRIMARY KEY, marks int[], touched int);
SELECT cdcsync.add_table('visited');
INSERT INTO visited VALUES (1, '{{1,2}}');
SELECT cdcsync.apply('peer.public.visited', '{"id": 1}', event('u', 'visited', '{"id": 1, "marks": [null, null], "touched": null}',
	'{"id": 1, "marks": null, "touched": 1}', at => now() + '1 s'));
SELECT cdcsync.apply('peer.public.visited', '{"id": 1}', event('d', 'visited', '{"id": 1, "marks": [null, null], "touched": 1}',
	NULL, at => now() + '2 s'));
TABLE visited;
SELECT conflict_type, resolution, before_row FROM cdcsync.conflict_history WHERE relation = 'visited'::regclass ORDER BY id;

-- under a preset such a row is not known to be the one here: the spoke keeps its own, the hub deletes
CREATE TABLE card (id int PRIMARY KEY, marks int[], v bigint NOT NULL);
SELECT cdcsync.add_table('card', version_column => 'v', conflicts => 'spoke');
INSERT INTO card VALUES (1, '{{1,2}}', 1);
SELECT go('d', 'card', '{"id": 1, "marks": [null, null], "v": 1}', NULL);
SELECT cdcsync.alter_table_rule('card', conflicts => 'hub');
SELECT go('d', 'card', '{"id": 1, "marks": [null, null], "v": 1}', NULL);
DROP TABLE visit, visited, card CASCADE;
DROP TYPE mood;
