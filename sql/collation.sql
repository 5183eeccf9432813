--
-- Keys that are one although their bytes differ: letters in any case.
--
SELECT NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')
	OR NOT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')
	OR getdatabaseencoding() <> 'UTF8' AS skip \gset
\if :skip
\echo 'skipped: this server has no ICU or no citext'
\quit
\endif
-- a collation under which they are equal
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE ci (id text COLLATE any_case PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('ci', version_column => 'v');
SELECT go('c', 'ci', NULL, '{"id": "Key", "body": "a", "v": 1}');
SELECT go('u', 'ci', NULL, '{"id": "KEY", "body": "b", "v": 2}');
TABLE ci;
-- one key in a batch
SELECT cdcsync.apply('peer.public.ci', ARRAY['{"id": "é"}', '{"id": "É"}'], ARRAY[
	event('c', 'ci', NULL, '{"id": "é", "body": "a", "v": 1}'),
	event('u', 'ci', NULL, '{"id": "É", "body": "b", "v": 2}')]);
SELECT * FROM ci ORDER BY id;
-- to write it another way is no delete
UPDATE ci SET id = 'key' WHERE id = 'kEy';
SELECT key FROM cdcsync.tombstone WHERE relation = 'ci'::regclass;
-- its tombstone is found
DELETE FROM ci WHERE id = 'KEY';
SELECT go('u', 'ci', NULL, '{"id": "kEY", "body": "old", "v": 3}');
INSERT INTO ci VALUES ('keY', 'again');
SELECT * FROM ci WHERE id = 'key';
SELECT go('d', 'ci', '{"id": "Key", "body": "again", "v": 4}', NULL);
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'ci'::regclass ORDER BY version;
SELECT go('c', 'ci', NULL, '{"id": "kEy", "body": "old", "v": 4}');
SELECT go('c', 'ci', NULL, '{"id": "kEy", "body": "new", "v": 5}');
SELECT * FROM ci ORDER BY id;
SELECT cdcsync.remove_table('ci');
DROP TABLE ci;
DROP COLLATION any_case;

-- a type under which they are equal; its tombstones are found, too
CREATE EXTENSION citext;
CREATE TABLE ci (id citext PRIMARY KEY, body text, v bigint);
SELECT cdcsync.add_table('ci', version_column => 'v');
INSERT INTO ci VALUES ('Key', 'a', 7);
UPDATE ci SET id = 'key';
DELETE FROM ci;
INSERT INTO ci VALUES ('KEY', 'again');
TABLE ci;
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'ci'::regclass;
SELECT go('u', 'ci', NULL, '{"id": "kEy", "body": "b", "v": 10}');
SELECT cdcsync.remove_table('ci');
DROP TABLE ci;
DROP EXTENSION citext;
