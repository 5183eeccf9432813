--
-- The rules of last-writer-wins under a version column, one by one (doc/conflicts.md).
--
CREATE TABLE note (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('note', version_column => 'v');
CREATE VIEW here AS
	SELECT 'row' AS what, id, body, v FROM note
	UNION ALL SELECT 'tombstone of ' || peer, (key ->> 'id')::int, NULL, version::bigint
	FROM cdcsync.tombstone_data WHERE relation = 'note'::regclass ORDER BY 2, 1;

-- an insert, an update, a delete
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT go('u', 'note', '{"id": 1, "body": "a", "v": 10}', '{"id": 1, "body": "b", "v": 20}');
TABLE here;
SELECT go('d', 'note', '{"id": 1, "body": "b", "v": 20}', NULL);
TABLE here;

-- rule 1: an own echo wins only when strictly newer than row and tombstone
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "z", "v": 10}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "zz", "v": 10}', origin => 'cdcsync:5:1:me');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "zz", "v": 11}', origin => 'cdcsync:5:1:me');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "zzz", "v": 11}', peer => 'me');
SELECT go('d', 'note', '{"id": 1, "body": "zz", "v": 11}', NULL, origin => 'cdcsync:5:1:me');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "back", "v": 11}', origin => 'cdcsync:5:1:me');
TABLE here;
-- the origin that ends in another name is no own echo
SELECT go('u', 'note', NULL, '{"id": 1, "body": "y", "v": 12}', origin => 'cdcsync:5:1:notme');
TABLE here;

-- rule 2: a snapshot row is as an update
CALL clear('note');
SELECT go('r', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT go('r', 'note', NULL, '{"id": 1, "body": "old", "v": 9}');
SELECT go('r', 'note', NULL, '{"id": 1, "body": "new", "v": 11}');
TABLE here;

-- rule 3: an upsert older than the tombstone is dropped, a newer one creates the row
CALL clear('note');
SELECT go('d', 'note', '{"id": 1, "body": "x", "v": 20}', NULL);
SELECT go('u', 'note', NULL, '{"id": 1, "body": "old", "v": 19}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "deleted", "v": 20}');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "old", "v": 20}');
TABLE here;
SELECT go('c', 'note', NULL, '{"id": 1, "body": "again", "v": 21}');
TABLE here;
SELECT go('u', 'note', NULL, '{"id": 2, "body": "no row, no tombstone", "v": 1}');
TABLE here;

-- rule 4: an equal row is not written: its place on the page stays
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT ctid, xmax FROM note;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT ctid FROM note;

-- rule 5: newer wins, older is kept out, equal versions go by the larger canonical text
SELECT go('u', 'note', NULL, '{"id": 1, "body": "newer", "v": 11}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "older", "v": 10}');
TABLE here;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "aaaaa", "v": 11}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "zzzzz", "v": 11}');
-- longer is larger whatever the letters, NULL is the lowest
SELECT go('u', 'note', NULL, '{"id": 1, "body": "aaaaaa", "v": 11}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": null, "v": 11}');
TABLE here;

-- rule 6: a delete without a row raises the tombstone, never lowers it
CALL clear('note');
SELECT go('d', 'note', '{"id": 1, "body": "x", "v": 20}', NULL);
SELECT go('d', 'note', '{"id": 1, "body": "x", "v": 20}', NULL, peer => 'other');
SELECT go('d', 'note', '{"id": 1, "body": "x", "v": 19}', NULL);
TABLE here;
SELECT go('d', 'note', '{"id": 1, "body": "y", "v": 30}', NULL, peer => 'other');
TABLE here;

-- rule 7: a delete removes what its author saw or what is older; a newer edit survives
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT go('d', 'note', '{"id": 1, "body": "before", "v": 9}', NULL);
TABLE here;
SELECT go('d', 'note', '{"id": 1, "body": "other row of this version", "v": 10}', NULL);
TABLE here;
SELECT go('c', 'note', NULL, '{"id": 1, "body": "b", "v": 12}');
SELECT go('d', 'note', '{"id": 1, "body": "later", "v": 15}', NULL);
TABLE here;

-- rule 9: a null value directly after its delete says nothing; alone it asks for the row
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT * FROM cdcsync.apply('peer.public.note', ARRAY['{"id": 1}', '{"id": 1}'],
	ARRAY[event('d', 'note', '{"id": 1, "body": "older", "v": 9}', NULL), NULL], modes());
SELECT cdcsync.apply('peer.public.note', '{"id": 2}', NULL);
SELECT cdcsync.apply('peer.public.note', '{"id": 1}', NULL);
-- in a topic of several nodes another's record may stand between them
SELECT * FROM cdcsync.apply('all', ARRAY['{"id": 1}', '{"id": 4}', '{"id": 1}'],
	ARRAY[event('d', 'note', '{"id": 1, "body": "older", "v": 9}', NULL),
		event('c', 'note', NULL, '{"id": 4, "body": "b", "v": 1}', 'other'), NULL], modes());
-- after the delete of another key it is alone
SELECT * FROM cdcsync.apply('peer.public.note', ARRAY['{"id": 3}', '{"id": 1}'],
	ARRAY[event('d', 'note', '{"id": 3, "body": "x", "v": 9}', NULL), NULL], modes());
TABLE here;

-- rule 10: truncate is obeyed only where the table rule says so
SELECT cdcsync.apply('peer.public.note', NULL, event('t', 'note', NULL, NULL));
SELECT count(*) FROM note;
SELECT cdcsync.alter_table_rule('note', truncate => true);
SELECT * FROM cdcsync.apply('peer.public.note', ARRAY['{"id": 7}', NULL, '{"id": 8}'], ARRAY[
	event('c', 'note', NULL, '{"id": 7, "body": "before", "v": 1}'),
	event('t', 'note', NULL, NULL),
	event('c', 'note', NULL, '{"id": 8, "body": "after", "v": 1}')], modes());
TABLE here;
-- one's own never
SELECT cdcsync.apply('me.public.note', NULL, event('t', 'note', NULL, NULL, 'me'));
TABLE here;
SELECT cdcsync.alter_table_rule('note', truncate => false);
-- it is of one table, to which foreign keys may point: the error says what to do; those from within do no harm
CREATE TABLE album (id int, up int, v bigint, PRIMARY KEY (id), FOREIGN KEY (up) REFERENCES album) PARTITION BY RANGE (id);
CREATE TABLE album_1 PARTITION OF album DEFAULT;
SELECT cdcsync.add_table('album', version_column => 'v', truncate => true);
INSERT INTO album VALUES (1, 1, 1);
SELECT cdcsync.apply('peer.public.album', NULL, event('t', 'album', NULL, NULL));
SELECT count(*) FROM album;
CREATE TABLE photo (id int PRIMARY KEY, album int REFERENCES album);
SELECT cdcsync.apply('peer.public.album', NULL, event('t', 'album', NULL, NULL));
SELECT cdcsync.remove_table('album');
DROP TABLE photo, album;

-- rule 11: a key change is its delete and its create
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": 10}');
SELECT * FROM cdcsync.apply('peer.public.note', ARRAY['{"id": 1}', '{"id": 1}', '{"id": 2}'], ARRAY[
	event('d', 'note', '{"id": 1, "body": "a", "v": 10}', NULL), NULL,
	event('c', 'note', NULL, '{"id": 2, "body": "a", "v": 11}')], modes());
TABLE here;

-- origin => 'none' skips what other nodes wrote at the peer, but not own echoes
CALL clear('note');
SELECT cdcsync.apply('peer.public.note', '{"id": 1}',
	event('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}', 'peer', 'cdcsync:9:1:third'),
	modes(), 'none');
SELECT cdcsync.apply('peer.public.note', '{"id": 1}',
	event('c', 'note', NULL, '{"id": 1, "body": "mine", "v": 1}', 'peer', 'cdcsync:9:1:me'),
	modes(), 'none');
SELECT cdcsync.apply('peer.public.note', '{"id": 2}',
	event('c', 'note', NULL, '{"id": 2, "body": "b", "v": 1}'), modes(), 'none');
TABLE here;

-- a row whose version is NULL is the oldest
ALTER TABLE note ALTER v DROP NOT NULL;
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "a", "v": null}');
SELECT go('u', 'note', NULL, '{"id": 1, "body": "b", "v": -5}');
TABLE here;
-- but a delete cannot name it
SELECT cdcsync.remove_table('note');
INSERT INTO note VALUES (2, 'c', NULL);
SELECT cdcsync.add_table('note', version_column => 'v');
UPDATE note SET v = v WHERE v IS NULL;
TABLE here;

-- Debezium makes up the version of a delete where the log has but its key: no delete is silently one of an older row
CALL clear('note');
SELECT coalesce(max(id), 0) AS last FROM cdcsync.conflict_data \gset
SELECT go('c', 'note', NULL, '{"id": 5, "body": "by peer", "v": 7}');
SELECT go('d', 'note', '{"id": 5, "body": "read again", "v": 6}', NULL);
SELECT go('d', 'note', '{"id": 5, "body": null, "v": 0}', NULL);
SELECT conflict_type, resolution, local_row, before_row FROM cdcsync.conflict_history WHERE id > :last;

-- what a delete cannot do without
SELECT go('d', 'note', '{"id": 1, "body": "b", "v": null}', NULL);
SELECT go('d', 'note', '{"id": 1}', NULL);
-- nor an upsert
SELECT go('u', 'note', NULL, '{"id": 1, "body": "b"}');

-- a version that cannot grow is not taken
CALL clear('note');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "last", "v": 9223372036854775807}');
UPDATE note SET body = 'one more';
TABLE here;

DROP VIEW here;
SELECT cdcsync.remove_table('note');
DROP TABLE note;
