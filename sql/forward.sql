--
-- What goes on from here to other nodes: the net effect of a batch, and what rules 6 and
-- 7 write so that a forwarded delete carries the version its author saw.
--
CREATE TABLE fwd (id int PRIMARY KEY, body text, v bigint NOT NULL, CHECK (body <> 'refused'));
SELECT cdcsync.add_table('fwd', version_column => 'v');
SELECT FROM pg_create_logical_replication_slot('fwd', 'test_decoding');
CREATE FUNCTION forwarded() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT data FROM pg_logical_slot_get_changes('fwd', NULL, NULL, 'skip-empty-xacts', '1',
		'include-xids', '0') WHERE data LIKE 'table public.fwd%'
$$;
CREATE FUNCTION batch(VARIADIC events text[]) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT cdcsync.apply('peer.public.fwd', array_agg(jsonb_build_object('id',
		coalesce(e::jsonb #> '{after,id}', e::jsonb #> '{before,id}'))::text), events, modes())
	FROM unnest(events) AS e
$$;

-- a delete of a missing row is written through
SELECT go('d', 'fwd', '{"id": 1, "body": "seen", "v": 20}', NULL);
SELECT forwarded();
-- one that raises nothing is not
SELECT go('d', 'fwd', '{"id": 1, "body": "seen", "v": 20}', NULL);
SELECT go('d', 'fwd', '{"id": 1, "body": "seen", "v": 19}', NULL);
SELECT forwarded();
-- but it is whatever the subscription skips: who reads this node's log is not known here
SELECT cdcsync.apply('peer.public.fwd', '{"id": 9}',
	event('d', 'fwd', '{"id": 9, "body": "seen", "v": 20}', NULL), modes(), 'none');
SELECT forwarded();
-- nor is it where a constraint refuses the row: the tombstone alone is raised
SELECT go('d', 'fwd', '{"id": 2, "body": "refused", "v": 20}', NULL);
SELECT forwarded();
SELECT key, version FROM cdcsync.tombstone WHERE relation = 'fwd'::regclass ORDER BY key;

-- a row of another version than its deleter saw is made what the deleter saw
CALL clear('fwd');
SELECT go('c', 'fwd', NULL, '{"id": 1, "body": "here", "v": 10}');
SELECT go('d', 'fwd', '{"id": 1, "body": "seen", "v": 15}', NULL);
SELECT forwarded();
-- the same version: deleted as it is
SELECT go('c', 'fwd', NULL, '{"id": 1, "body": "here", "v": 20}');
SELECT go('d', 'fwd', '{"id": 1, "body": "here", "v": 20}', NULL);
SELECT forwarded();
-- a constraint refuses what the deleter saw: deleted all the same
SELECT go('c', 'fwd', NULL, '{"id": 3, "body": "here", "v": 10}');
SELECT go('d', 'fwd', '{"id": 3, "body": "refused", "v": 15}', NULL);
SELECT forwarded();

-- several changes of one key are one
CALL clear('fwd');
SELECT batch(event('c', 'fwd', NULL, '{"id": 1, "body": "a", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 1, "body": "b", "v": 2}'),
	event('c', 'fwd', NULL, '{"id": 2, "body": "other", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 1, "body": "c", "v": 3}'));
SELECT forwarded();
-- created and deleted: written through, for others must learn of the delete
SELECT batch(event('c', 'fwd', NULL, '{"id": 3, "body": "a", "v": 1}'),
	event('d', 'fwd', '{"id": 3, "body": "a", "v": 1}', NULL));
SELECT forwarded();
-- updated and deleted: the delete carries the last version
SELECT batch(event('u', 'fwd', NULL, '{"id": 2, "body": "b", "v": 2}'),
	event('d', 'fwd', '{"id": 2, "body": "b", "v": 2}', NULL));
SELECT forwarded();
-- deleted and created again: an update
SELECT batch(event('d', 'fwd', '{"id": 1, "body": "c", "v": 3}', NULL),
	event('c', 'fwd', NULL, '{"id": 1, "body": "d", "v": 5}'));
SELECT forwarded();
-- a create that loses to the tombstone of its own batch
SELECT batch(event('d', 'fwd', '{"id": 1, "body": "d", "v": 5}', NULL),
	event('c', 'fwd', NULL, '{"id": 1, "body": "old", "v": 4}'));
SELECT forwarded();
-- decided one after the other, not collapsed before: the tie between equal versions is
-- broken against the row in between
SELECT batch(event('c', 'fwd', NULL, '{"id": 4, "body": "m", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 4, "body": "z", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 4, "body": "a", "v": 1}'));
SELECT forwarded();
-- what decides nothing writes nothing
SELECT batch(event('c', 'fwd', NULL, '{"id": 4, "body": "m", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 4, "body": "z", "v": 1}'),
	event('u', 'fwd', NULL, '{"id": 4, "body": "old", "v": 0}'));
SELECT forwarded();

SELECT FROM pg_drop_replication_slot('fwd');
DROP FUNCTION forwarded(), batch(text[]);
SELECT cdcsync.remove_table('fwd');
DROP TABLE fwd;
