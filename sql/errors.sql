--
-- What an error leaves behind: nothing.
--
CREATE TABLE note (id int PRIMARY KEY, body text, v bigint NOT NULL, CHECK (body <> 'refused'));
SELECT cdcsync.add_table('note', version_column => 'v');
CREATE VIEW settings AS
	SELECT current_setting('session_replication_role') AS role, current_setting('search_path') AS search_path,
		current_setting('DateStyle') AS datestyle, current_setting('lock_timeout') AS lock_timeout;

-- a batch is one: what is wrong with a message is said with its place
SELECT cdcsync.apply('peer.public.note', ARRAY['{"id": 1}', '{"id": 2}', '{"id": 3}'], ARRAY[
	event('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}'),
	event('c', 'note', NULL, '{"id": 2, "body": 5, "v": 1}'),
	event('c', 'note', NULL, '{"id": 3, "body": "c", "v": 1}')]);
SELECT cdcsync.apply('peer.public.note', ARRAY['{"id": 1}', '{"id": 2}', '{"id": 3'], ARRAY[
	event('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}'),
	event('d', 'note', '{"id": 2, "body": "b", "v": 1}', NULL),
	event('c', 'note', NULL, '{"id": 3, "body": "c", "v": 1}')]);
-- what the table refuses is found out when all is written
\set SHOW_CONTEXT never
SELECT cdcsync.apply('peer.public.note', ARRAY['{"id": 1}', '{"id": 2}'], ARRAY[
	event('d', 'note', '{"id": 1, "body": "a", "v": 1}', NULL),
	event('c', 'note', NULL, '{"id": 2, "body": "refused", "v": 1}')]);
\set SHOW_CONTEXT errors
TABLE note;
SELECT count(*) FROM cdcsync.tombstone WHERE relation = 'note'::regclass;
-- the session is as before, and local writes are local writes again
TABLE settings;
INSERT INTO note VALUES (1, 'local', NULL);
DELETE FROM note;
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'note'::regclass;

-- in a transaction that goes on: after a savepoint, in a block that catches the error
BEGIN;
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 2}');
TABLE settings;
SAVEPOINT s;
SELECT go('u', 'note', NULL, '{"id": 1, "body": 5, "v": 3}');
ROLLBACK TO s;
TABLE settings;
UPDATE note SET body = 'local';
SELECT go('u', 'note', NULL, '{"id": 1, "body": "too old", "v": 2}');
DO $$
BEGIN
	BEGIN
		PERFORM go('u', 'note', NULL, '{"id": 1, "body": 5, "v": 4}');
	EXCEPTION WHEN data_exception THEN
		RAISE NOTICE 'caught: %', SQLERRM;
	END;
	UPDATE note SET body = 'local again';
	BEGIN
		PERFORM go('u', 'note', NULL, '{"id": 1, "body": "refused", "v": 9}');
	EXCEPTION WHEN check_violation THEN
		RAISE NOTICE 'caught: %', SQLERRM;
	END;
	PERFORM go('u', 'note', NULL, '{"id": 1, "body": "remote", "v": 9}');
END $$;
TABLE note;
TABLE settings;
COMMIT;
UPDATE note SET body = 'local';
TABLE note;
-- a transaction that is rolled back takes all with it, a subtransaction that ends well does not
BEGIN;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "rolled back", "v": 20}');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "kept", "v": 20}');
RELEASE s;
COMMIT;
TABLE note;
TABLE settings;

-- a transaction that may not write
BEGIN READ ONLY;
\set SHOW_CONTEXT never
SELECT go('u', 'note', NULL, '{"id": 1, "body": "no", "v": 30}');
ROLLBACK;
\set SHOW_CONTEXT errors
BEGIN READ ONLY;
SELECT after_row FROM cdcsync.decode('peer.public.note', NULL, event('u', 'note', NULL, '{"id": 1, "v": 30}'));
ROLLBACK;

-- a trigger that is enabled always may not keep rows from being written
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE OR DELETE ON note FOR EACH ROW EXECUTE FUNCTION suppress();
ALTER TABLE note ENABLE ALWAYS TRIGGER suppress;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "suppressed", "v": 30}');
SELECT go('c', 'note', NULL, '{"id": 2, "body": "suppressed", "v": 30}');
SELECT go('d', 'note', '{"id": 1, "body": "kept", "v": 20}', NULL);
SELECT go('d', 'note', '{"id": 3, "body": "none", "v": 20}', NULL);
TABLE note;
DROP TRIGGER suppress ON note;
DROP FUNCTION suppress();

-- arguments
SELECT cdcsync.apply('t', ARRAY['{"id": 1}'], ARRAY[NULL, NULL]);
SELECT cdcsync.apply('t', ARRAY[['{"id": 1}']], ARRAY[['null']]);
SELECT cdcsync.apply('t', NULL::text[], NULL::text[]);
SELECT cdcsync.apply('t', '{}'::text[], '{}'::text[]);
SELECT cdcsync.apply('t', NULL, '{"op": "m", "source": {}}', NULL, 'all');
SELECT cdcsync.apply('t', NULL, '{"op": "m", "source": {}}', '[]');
SELECT cdcsync.apply('t', NULL, '{"op": "m", "source": {}}', '{"decimal.handling.mode": 1}');
SELECT cdcsync.apply(NULL, NULL, NULL);
SELECT cdcsync.apply('peer.public.note', NULL, NULL);
SELECT cdcsync.apply('peer.public.note', NULL, '{"op": "m", "source": {}}');
SELECT * FROM cdcsync.decode(NULL, NULL, NULL);

-- a table that is dropped takes its rule along
DROP VIEW settings;
DROP TABLE note;
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}');
CREATE TABLE note (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}');
SELECT cdcsync.add_table('note', version_column => 'v');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}');
SELECT cdcsync.remove_table('note');
DROP TABLE note;

-- hints that name what is really to be done: a map that was left over, a partition, a union of Avro's
CREATE TABLE part (id int, body text, v bigint NOT NULL, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
SELECT cdcsync.add_table('part', version_column => 'v', column_map => '{"text": "body"}');
\set SHOW_CONTEXT never
SELECT go('c', 'part_1', NULL, '{"id": 1, "text": "a", "v": 1}');
SELECT go('c', 'part', NULL, '{"id": 1, "body": "a", "v": 1}');
SELECT go('c', 'part', NULL, '{"id": 1, "text": {"string": "a"}, "v": 1}');
SELECT go('c', 'part', NULL, '{"id": 1, "text": {"strings": "a"}, "v": 1}');
SELECT cdcsync.alter_table_rule('part', column_map => '{}');
SELECT go('c', 'part', NULL, '{"id": 1, "body": "a", "v": 1}');
SELECT go('c', 'part', NULL, '{"id": 1, "body": "a", "more": "b", "v": 1}');
\set SHOW_CONTEXT errors
SELECT cdcsync.remove_table('part');
DROP TABLE part;
