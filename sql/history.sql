--
-- What is kept of conflicts, who sees it, how long, and how a side is brought back.
--
DELETE FROM cdcsync.conflict_data;
CREATE TABLE doc (id int, part numeric, body text, n numeric, f float8, ok bool, j jsonb, js json, a int[], b bytea, at timestamptz,
	made text GENERATED ALWAYS AS (upper(body)) STORED, v bigint, PRIMARY KEY (id, part));
SELECT cdcsync.add_table('doc', version_column => 'v');
CREATE FUNCTION conflict() RETURNS bigint LANGUAGE sql AS $$
	SELECT max(id) FROM cdcsync.conflict_history WHERE relation = 'doc'::regclass
$$;

-- rows as JSON, and back without loss
INSERT INTO doc VALUES (1, 1.0, 'local', 'NaN', '-0', true, '{"a": [1, null]}', '{"b":  1}', '{1,NULL,3}', '\x00ff', '2026-01-01 00:00:00.123456+00', DEFAULT, 10);
SELECT cdcsync.apply('peer.public.doc', '{"id": 1, "part": "1"}',
	event('u', 'doc', '{"id": 1, "part": "1.0", "body": "seen", "v": 9}',
		'{"id": 1, "part": "1.0", "body": "remote", "n": "1.50", "f": 0.1, "ok": null, "j": "{\"a\": 2}", "js": "{}", "a": null, "b": "01", "at": "2026-01-02T00:00:00Z", "v": 20}'), modes());
SELECT jsonb_pretty(to_jsonb(c) - 'at' - 'id' - 'relation') FROM cdcsync.conflict_history AS c WHERE id = conflict();
SELECT cdcsync.resolve_conflict(conflict(), 'local');
SELECT id, part, body, n, f, ok, j, js, a, b, at, made, v FROM doc;
SELECT cdcsync.resolve_conflict(conflict(), 'remote');
SELECT id, part, body, n, f, ok, j, js, a, b, at, made, v FROM doc;
-- another row
SELECT cdcsync.resolve_conflict(conflict(), '{"body": "by hand"}');
SELECT cdcsync.resolve_conflict(conflict(), jsonb '{"ok": false, "id": 9}');
SELECT id, part, body, ok, v FROM doc;
-- also where the row is newer elsewhere, as keep_local leaves it
SELECT cdcsync.alter_table_rule('doc', conflicts => 'keep_local');
SELECT cdcsync.apply('peer.public.doc', '{"id": 1, "part": "1"}',
	event('u', 'doc', NULL, '{"id": 1, "part": "1.0", "body": "far ahead", "v": 1000}'), modes());
SELECT cdcsync.resolve_conflict(conflict(), 'local');
SELECT body, v FROM doc;
SELECT cdcsync.alter_table_rule('doc', conflicts => 'last_update_wins');
-- a side that was deleted
SELECT cdcsync.apply('peer.public.doc', '{"id": 1, "part": "1"}',
	event('d', 'doc', '{"id": 1, "part": "1.0", "body": "x", "v": 1}', NULL), modes());
SELECT conflict_type, resolution FROM cdcsync.conflict_history WHERE id = conflict();
SELECT cdcsync.resolve_conflict(conflict(), 'remote');
SELECT cdcsync.resolve_conflict(conflict(), 'remote');
SELECT count(*) FROM doc;
SELECT cdcsync.resolve_conflict(conflict(), 'local');
SELECT body, v FROM doc;
-- it is an ordinary local change: triggers fire, the log has it without an origin
CREATE TABLE audit (what text);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END';
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON doc FOR EACH ROW EXECUTE FUNCTION audit();
SELECT cdcsync.resolve_conflict(conflict(), 'local');
TABLE audit;
-- errors
SELECT cdcsync.resolve_conflict(0, 'local');
SELECT cdcsync.resolve_conflict(conflict(), 'newest');
SELECT cdcsync.resolve_conflict(conflict(), '{"nope": 1}');
SELECT cdcsync.resolve_conflict(conflict(), '{"n": "x"}');
SELECT cdcsync.resolve_conflict(conflict(), jsonb '[]');

-- long values of large rows are kept in part, and a part is not written
UPDATE doc SET body = 'here' || repeat('x', 1000000), j = jsonb_build_object('k', repeat('y', 20000));
SELECT cdcsync.apply('peer.public.doc', format('{"id": %s, "part": "%s"}', id, part),
	event('u', 'doc', NULL, format('{"id": %s, "part": "%s", "body": "%s", "v": 100000}', id, part, 'there' || repeat('z', 1000000))::jsonb), modes()) FROM doc LIMIT 1;
SELECT pg_column_size(c.*) < 20000 AS small, local_row #>> '{body,bytes}' AS here, length(local_row #>> '{body,cut}') AS cut,
	local_row -> 'j' -> 'bytes' AS j, remote_row #>> '{body,bytes}' AS there FROM cdcsync.conflict_data AS c WHERE id = conflict();
SELECT cdcsync.resolve_conflict(conflict(), 'local');
SELECT cdcsync.resolve_conflict(conflict(), '{"body": "whole", "j": null}');

-- one sees the conflicts of tables that one may SELECT, and writes with one's own rights
CREATE ROLE reader IN ROLE cdcsync_admin;
SET ROLE reader;
SELECT count(*) FROM cdcsync.conflict_history;
SELECT cdcsync.resolve_conflict((SELECT max(id) FROM cdcsync.conflict_history), 'local');
SELECT cdcsync.resolve_conflict(1, 'local');
RESET ROLE;
GRANT SELECT ON doc TO reader;
SET ROLE reader;
SELECT count(*) > 0 FROM cdcsync.conflict_history;
SELECT cdcsync.resolve_conflict(conflict(), 'local');
RESET ROLE;
REVOKE ALL ON doc FROM reader;
DROP ROLE reader;

-- retention
SHOW cdcsync.conflict_retention;
SELECT count(*) > 0 AS some FROM cdcsync.conflict_data;
UPDATE cdcsync.conflict_data SET at = at - interval '31 days' WHERE id <> conflict();
SELECT cdcsync.prune_conflicts() > 0 AS pruned;
SELECT count(*) FROM cdcsync.conflict_data;
SELECT cdcsync.prune_conflicts();

-- the history outlives the rule, and goes with the table
SELECT cdcsync.remove_table('doc');
SELECT count(*) FROM cdcsync.conflict_history;
SELECT cdcsync.resolve_conflict(conflict(), 'local');
DROP FUNCTION conflict;
DROP TABLE doc, audit;
DROP FUNCTION audit;
SELECT count(*) FROM cdcsync.conflict_history;
