--
-- Unique values other than the key: the newest of all rows that want one keeps it.
--
DELETE FROM cdcsync.conflict_data;
CREATE TABLE account (id int PRIMARY KEY, email text, nick text, v bigint);
CREATE UNIQUE INDEX ON account (email);
CREATE UNIQUE INDEX ON account (lower(nick)) WHERE nick <> '';
SELECT cdcsync.add_table('account', version_column => 'v');
CREATE VIEW here AS
	SELECT 'row' AS what, id, email, nick, v FROM account
	UNION ALL SELECT 'tombstone of ' || peer, (key ->> 'id')::int, NULL, NULL, version::bigint
	FROM cdcsync.tombstone_data WHERE relation = 'account'::regclass ORDER BY 2, 1;
CREATE VIEW kept AS
	SELECT conflict_type, resolution, key, local_row ->> 'id' AS local, remote_row ->> 'id' AS remote
	FROM cdcsync.conflict_history WHERE relation = 'account'::regclass ORDER BY id;
CREATE PROCEDURE start() LANGUAGE plpgsql AS $$
BEGIN
	CALL clear('account');
	DELETE FROM cdcsync.conflict_data;
	INSERT INTO account VALUES (1, 'a', 'Ann', 10), (2, 'b', 'Bob', 20), (3, NULL, '', 30);
END
$$;

-- a create, older and newer
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": "b", "nick": "", "v": 19}');
SELECT go('c', 'account', NULL, '{"id": 5, "email": "a", "nick": "", "v": 11}');
TABLE here; TABLE kept;
-- the loser comes again when it is edited later
SELECT go('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": "a", "nick": "Ann", "v": 12}');
TABLE here;
-- an update
CALL start();
SELECT go('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": "b", "nick": "Ann", "v": 19}');
SELECT go('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": "b", "nick": "Ann", "v": 21}');
TABLE here; TABLE kept;
-- more than one
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "BOB", "v": 15}');
SELECT go('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "BOB", "v": 25}');
TABLE here; TABLE kept;
-- its key and another unique value
CALL start();
SELECT go('c', 'account', NULL, '{"id": 1, "email": "b", "nick": "x", "v": 25}');
TABLE here; TABLE kept;
-- expressions and predicates count, NULLs do not
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": null, "nick": "", "v": 1}');
SELECT go('c', 'account', NULL, '{"id": 5, "email": null, "nick": "aNN", "v": 11}');
TABLE here; TABLE kept;
-- equal versions: the larger text
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "A", "v": 10}');
SELECT go('c', 'account', NULL, '{"id": 5, "email": "a", "nick": "Annabel", "v": 10}');
TABLE here;

-- two rows that swap their values inside one transaction
CALL start();
SELECT cdcsync.apply('peer.public.account', ARRAY['{"id": 1}', '{"id": 2}', '{"id": 1}'], ARRAY[
	event('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": null, "nick": "Ann", "v": 21}'),
	event('u', 'account', '{"id": 2, "email": "b", "nick": "Bob", "v": 20}', '{"id": 2, "email": "a", "nick": "Bob", "v": 22}'),
	event('u', 'account', '{"id": 1, "email": null, "nick": "Ann", "v": 21}', '{"id": 1, "email": "b", "nick": "Ann", "v": 23}')], modes());
TABLE here; TABLE kept;
-- as the source's deferred constraint lets it see
CALL start();
SELECT cdcsync.apply('peer.public.account', ARRAY['{"id": 1}', '{"id": 2}'], ARRAY[
	event('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": "b", "nick": "Ann", "v": 21}'),
	event('u', 'account', '{"id": 2, "email": "b", "nick": "Bob", "v": 20}', '{"id": 2, "email": "a", "nick": "Bob", "v": 21}')], modes());
TABLE here; TABLE kept;

-- handled otherwise
CALL start();
SELECT cdcsync.alter_table_rule('account', conflicts => '{"insert_exists": "keep_local", "update_exists": "error", "multiple_unique_conflicts": "apply_remote"}');
SELECT go('c', 'account', NULL, '{"id": 4, "email": "b", "nick": "", "v": 99}');
SELECT go('u', 'account', '{"id": 1, "email": "a", "nick": "Ann", "v": 10}', '{"id": 1, "email": "b", "nick": "Ann", "v": 99}');
SELECT go('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "BOB", "v": 1}');
TABLE here; TABLE kept;
-- on a spoke the server's word goes, at the hub the newer
SELECT cdcsync.alter_table_rule('account', conflicts => 'spoke');
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": "b", "nick": "", "v": 1}');
TABLE here;
SELECT cdcsync.alter_table_rule('account', conflicts => 'hub');
CALL start();
SELECT go('c', 'account', NULL, '{"id": 4, "email": "b", "nick": "", "v": 1}');
SELECT go('c', 'account', NULL, '{"id": 4, "email": "b", "nick": "", "v": 21}');
TABLE here;
SELECT cdcsync.remove_table('account');

-- under the commit clock the loser's tombstone has the event's time
DROP INDEX account_lower_idx;
TRUNCATE account;
ALTER TABLE account ADD UNIQUE NULLS NOT DISTINCT (nick);
SELECT cdcsync.add_table('account');
CALL start();
SELECT cdcsync.apply('peer.public.account', '{"id": 4}',
	event('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "n", "v": 1}', at => '2026-01-01'), modes());
SELECT cdcsync.apply('peer.public.account', '{"id": 4}',
	event('c', 'account', NULL, '{"id": 4, "email": "a", "nick": "n", "v": 1}', at => clock_timestamp()), modes());
SELECT id, email FROM account ORDER BY id;
SELECT key, version::timestamptz > now() - interval '1 min' AS now FROM cdcsync.tombstone WHERE relation = 'account'::regclass;
-- NULLs that are not distinct
SELECT go('c', 'account', NULL, '{"id": 6, "email": null, "nick": null, "v": 1}');
SELECT cdcsync.apply('peer.public.account', '{"id": 7}',
	event('c', 'account', NULL, '{"id": 7, "email": null, "nick": null, "v": 1}', at => clock_timestamp()), modes());
SELECT id, nick FROM account WHERE nick IS NULL;
-- a generated column's value is not known before it is written: the constraint speaks
DELETE FROM account WHERE id <> 2;
ALTER TABLE account ADD g int GENERATED ALWAYS AS (length(email)) STORED UNIQUE;
SELECT cdcsync.apply('peer.public.account', '{"id": 8}',
	event('c', 'account', NULL, '{"id": 8, "email": "x", "nick": "x", "v": 1}', at => clock_timestamp()), modes());

SELECT cdcsync.remove_table('account');
DROP PROCEDURE start;
DROP TABLE account CASCADE;
