--
-- Conflicts are handled as the table's rule says: by a word, by type, by a function.
--
DELETE FROM cdcsync.conflict_data;
CREATE TABLE page (id int PRIMARY KEY, body text, hits int, v bigint);
SELECT cdcsync.add_table('page', version_column => 'v');
CREATE VIEW kept AS
	SELECT conflict_type, resolution, local_row ->> 'body' AS local, remote_row ->> 'body' AS remote,
		local_version, remote_version
	FROM cdcsync.conflict_history WHERE relation = 'page'::regclass ORDER BY id;
CREATE PROCEDURE start(conflicts text, local jsonb DEFAULT '{"id": 1, "body": "local", "hits": 1, "v": 10}',
	gone bigint DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cdcsync.alter_table_rule('page', conflicts => conflicts);
	CALL clear('page');
	DELETE FROM cdcsync.conflict_data;
	IF gone IS NOT NULL THEN
		INSERT INTO page VALUES (1, 'gone', 0, gone);
		DELETE FROM page;
	END IF;
	INSERT INTO page SELECT * FROM jsonb_populate_record(NULL::page, local) WHERE local IS NOT NULL;
END
$$;
-- one of each type, each on its own row; and what became of it
CREATE PROCEDURE all_types(conflicts text) LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
	test record;
BEGIN
	FOR test IN SELECT * FROM (VALUES
		('insert_exists', 'c', '{"id": 1, "body": "local", "v": 10}'::jsonb, NULL::bigint, NULL::jsonb, '{"id": 1, "body": "older", "v": 9}'::jsonb),
		('update_origin_differs', 'u', '{"id": 1, "body": "local", "v": 10}', NULL, '{"id": 1, "body": "b", "v": 3}', '{"id": 1, "body": "newer", "v": 11}'),
		('update_missing', 'u', NULL, NULL, '{"id": 1, "body": "b", "v": 3}', '{"id": 1, "body": "remote", "v": 11}'),
		('update_deleted', 'u', NULL, 20, '{"id": 1, "body": "b", "v": 3}', '{"id": 1, "body": "older", "v": 11}'),
		('delete_origin_differs', 'd', '{"id": 1, "body": "local", "v": 10}', NULL, '{"id": 1, "body": "b", "v": 12}', NULL),
		('delete_exists', 'd', '{"id": 1, "body": "local", "v": 10}', NULL, '{"id": 1, "body": "b", "v": 3}', NULL),
		('delete_missing', 'd', NULL, NULL, '{"id": 1, "body": "b", "v": 3}', NULL)
		) AS t(type, op, local, gone, before, after)
	LOOP
		CALL start(conflicts, test.local, test.gone);
		BEGIN
			outcome := go(test.op, 'page', test.before, test.after);
		EXCEPTION WHEN OTHERS THEN
			outcome := SQLERRM;
		END;
		RAISE NOTICE '%: %; %, row %, tombstone %', test.type, outcome,
			(SELECT conflict_type || ' ' || resolution FROM kept), (SELECT body FROM page),
			(SELECT version FROM cdcsync.tombstone WHERE relation = 'page'::regclass);
	END LOOP;
END
$$;
CALL all_types('last_update_wins');
CALL all_types('apply_remote');
CALL all_types('keep_local');
CALL all_types('skip');
CALL all_types('error');

-- by type; what is not named is last_update_wins
CALL start('{"update_origin_differs": "keep_local", "insert_exists": "error"}');
SELECT go('u', 'page', '{"id": 1, "body": "b", "v": 3}', '{"id": 1, "body": "newer", "v": 11}');
SELECT go('c', 'page', NULL, '{"id": 1, "body": "newer", "v": 11}');
SELECT go('d', 'page', '{"id": 1, "body": "b", "v": 13}', NULL);
TABLE page; TABLE kept;
-- a create that is newer wins; the second time it is there already
CALL start('last_update_wins');
SELECT go('c', 'page', NULL, '{"id": 1, "body": "newer", "v": 11}');
SELECT go('c', 'page', NULL, '{"id": 1, "body": "newer", "v": 11}');
TABLE page; TABLE kept;
-- what is no conflict is not asked about
CALL start('error');
SELECT go('u', 'page', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "next", "v": 11}');
SELECT go('u', 'page', '{"id": 1, "body": "local", "v": 10}', '{"id": 1, "body": "next", "v": 11}');
TABLE page;

-- a function: hits are added up, the newer body stays
CREATE FUNCTION add_hits(c cdcsync.conflict) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('row', jsonb_build_object('hits',
		(c.local_row ->> 'hits')::int + (c.remote_row ->> 'hits')::int
			- coalesce((c.before_row ->> 'hits')::int, 0),
		'body', CASE c.resolution WHEN 'apply_remote' THEN c.remote_row ELSE c.local_row END -> 'body'))
$$;
CALL start('{"update_origin_differs": "public.add_hits"}');
SELECT go('u', 'page', '{"id": 1, "body": "b", "hits": 0, "v": 9}', '{"id": 1, "body": "remote", "hits": 5, "v": 11}');
TABLE page;
SELECT go('u', 'page', '{"id": 1, "body": "b", "hits": 0, "v": 9}', '{"id": 1, "body": "older", "hits": 2, "v": 11}', peer => 'other');
-- newer than both sides, by one: the same on every node
TABLE page; TABLE kept;
-- the other node, which has the other row, comes to the same one
CALL start('{"update_origin_differs": "public.add_hits"}', '{"id": 1, "body": "remote", "hits": 5, "v": 11}');
SELECT go('u', 'page', '{"id": 1, "body": "b", "hits": 0, "v": 9}', '{"id": 1, "body": "local", "hits": 1, "v": 10}');
TABLE page;
-- what it may answer
CREATE FUNCTION answer(c cdcsync.conflict) RETURNS jsonb LANGUAGE sql AS $$
	SELECT current_setting('test.answer')::jsonb
$$;
CREATE PROCEDURE answers(answer text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('test.answer', answer, false);
	CALL all_types('{"insert_exists": "public.answer", "update_missing": "public.answer", "delete_exists": "public.answer"}');
END
$$;
CALL answers('{"resolution": "apply_remote"}');
CALL answers('{"resolution": "keep_local"}');
CALL answers('{"row": {"body": "merged"}}');
CALL answers('{"row": {"id": 7, "body": "the key stays", "v": 100}}');
CALL answers('{"resolution": "merge"}');
CALL answers('{"row": 1}');
CALL answers('[]');
CALL answers('null');
-- NULL leaves it to last_update_wins
CREATE OR REPLACE FUNCTION answer(c cdcsync.conflict) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
CALL answers('');
-- it is asked with the rights of the table's owner, and what it raises stops the event
CREATE OR REPLACE FUNCTION answer(c cdcsync.conflict) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'asked by %, about %', current_user, c.conflict_type;
END
$$;
CREATE ROLE page_owner;
GRANT ALL ON SCHEMA public TO page_owner;
ALTER TABLE page OWNER TO page_owner;
CALL start('{"insert_exists": "public.answer"}');
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
REVOKE EXECUTE ON FUNCTION answer FROM PUBLIC;
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
DROP FUNCTION answer;
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
TABLE page;

-- nor does anybody become the owner by naming a function of theirs in a subscription
CREATE ROLE mallory;
CREATE FUNCTION answer(c cdcsync.conflict) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'asked by %, about %', current_user, c.conflict_type;
END
$$;
ALTER FUNCTION answer OWNER TO mallory;
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
GRANT page_owner TO mallory;
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
ALTER FUNCTION answer OWNER TO page_owner;
REVOKE page_owner FROM mallory;
SELECT go('c', 'page', NULL, '{"id": 1, "body": "older", "v": 9}');
DROP FUNCTION answer;
DROP ROLE mallory;
TABLE page;

-- a lone null value, if it is applied, deletes the row that is here, of its version
CALL start('{"delete_origin_differs": "apply_remote"}');
SELECT cdcsync.apply('peer.public.page', '{"id": 1}', NULL, modes());
TABLE page;
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'page'::regclass;

-- a record that cannot be written does not stop the change
CALL start('last_update_wins');
ALTER TABLE cdcsync.conflict_data ADD CONSTRAINT never CHECK (false) NOT VALID;
SELECT go('u', 'page', '{"id": 1, "body": "b", "v": 9}', '{"id": 1, "body": "newer", "v": 11}');
ALTER TABLE cdcsync.conflict_data DROP CONSTRAINT never;
TABLE page; TABLE kept;


-- what a handler's row leaves out is of its own key, whosever unique value is in the way
CREATE TABLE team (id int PRIMARY KEY, u text UNIQUE, w text UNIQUE, doc jsonb, raw json, v bigint);
CREATE FUNCTION merge_team(c cdcsync.conflict) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('row', current_setting('test.answer')::jsonb)
$$;
SELECT cdcsync.add_table('team', version_column => 'v', conflicts => '{"update_exists": "public.merge_team", "update_origin_differs": "public.merge_team"}');
CREATE PROCEDURE start_team(answer text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('test.answer', answer, false);
	CALL clear('team');
	DELETE FROM cdcsync.conflict_data;
	INSERT INTO team VALUES (1, 'a', 'k', 'null', '{"x":  1}', 10), (2, 'b', 'l', '{}', '{}', 20), (3, 'c', 'm', '{}', '{}', 30);
END
$$;
CREATE VIEW kept_team AS
	SELECT key, conflict_type, resolution, local_row ->> 'id' AS local, remote_row ->> 'u' AS remote
	FROM cdcsync.conflict_history WHERE relation = 'team'::regclass ORDER BY id;
CALL start_team('{"u": "x"}');
SELECT go('u', 'team', '{"id": 1, "u": "a", "w": "k", "v": 10}', '{"id": 1, "u": "b", "w": "k", "v": 25}');
SELECT * FROM team ORDER BY id; TABLE kept_team;
CALL start_team('{}');
SELECT go('u', 'team', '{"id": 9, "u": "a", "w": "k", "v": 10}', '{"id": 9, "u": "b", "w": "z", "v": 25}');
SELECT * FROM team ORDER BY id; TABLE kept_team;
-- the merged row has a unique value of a row that the handler was not asked about: the newest keeps it
CALL start_team('{"u": "b"}');
SELECT go('u', 'team', '{"id": 1, "u": "q", "w": "q", "v": 9}', '{"id": 1, "u": "a", "w": "k", "v": 11}');
SELECT * FROM team ORDER BY id; TABLE kept_team;
CALL start_team('{"u": "b"}');
SELECT go('u', 'team', '{"id": 1, "u": "q", "w": "q", "v": 9}', '{"id": 1, "u": "a", "w": "k", "v": 21}');
SELECT * FROM team ORDER BY id; TABLE kept_team;
-- a conflict about the key is recorded with the key's row, also where others have unique values
SELECT cdcsync.alter_table_rule('team', conflicts => 'last_update_wins');
CALL start_team('{}');
SELECT cdcsync.apply('peer.public.team', ARRAY['{"id": 3}', '{"id": 1}'], ARRAY[
	event('u', 'team', '{"id": 3, "u": "c", "w": "m", "v": 30}', '{"id": 3, "u": "b", "w": "m", "v": 31}'),
	event('u', 'team', '{"id": 1, "u": "q", "w": "k", "v": 5}', '{"id": 1, "u": "b", "w": "k", "v": 9}')], modes());
SELECT * FROM team ORDER BY id; TABLE kept_team;
-- json that jsonb cannot hold is recorded as text
CALL start_team('{}');
SELECT go('u', 'team', '{"id": 1, "u": "a", "w": "k", "v": 5}', '{"id": 1, "u": "a", "w": "k", "raw": "{\"a\": \"\\u0000\", \"b\": 1}", "v": 11}');
SELECT raw FROM team WHERE id = 1;
SELECT remote_row, local_row -> 'raw' AS local_raw FROM cdcsync.conflict_history WHERE relation = 'team'::regclass;
SELECT cdcsync.remove_table('team');
DROP TABLE team CASCADE;
DROP FUNCTION merge_team;

SELECT cdcsync.remove_table('page');
DROP PROCEDURE start_team, answers, all_types, start;
DROP TABLE page CASCADE;
DROP FUNCTION add_hits;
REVOKE ALL ON SCHEMA public FROM page_owner;
DROP ROLE page_owner;
