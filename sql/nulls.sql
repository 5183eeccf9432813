--
-- Null values: of which table they are.  A topic's name alone need not say it.
--
CREATE TABLE my_notes (id int PRIMARY KEY, body text);
CREATE TABLE "my notes" (id int PRIMARY KEY, body text);
CREATE TABLE "my.notes" (id int PRIMARY KEY, body text);
CREATE TABLE "mäßig" (id int PRIMARY KEY, body text);
CREATE TABLE plain (id int PRIMARY KEY, body text);
SELECT cdcsync.add_table(t) FROM unnest('{my_notes,"\"my.notes\"",mäßig,plain}'::regclass[]) AS t;
INSERT INTO my_notes VALUES (1, 'snake'), (2, 'snake');
INSERT INTO "my notes" VALUES (1, 'blank'), (2, 'blank');
INSERT INTO "my.notes" VALUES (1, 'dot'), (2, 'dot');
INSERT INTO "mäßig" VALUES (1, 'sharp'), (2, 'sharp');
INSERT INTO plain VALUES (1, 'plain'), (2, 'plain');
CREATE VIEW notes AS
	SELECT 'my_notes' AS tab, * FROM my_notes UNION ALL SELECT 'my notes', * FROM "my notes" UNION ALL SELECT 'my.notes', * FROM "my.notes"
	UNION ALL SELECT 'mäßig', * FROM "mäßig" UNION ALL SELECT 'plain', * FROM plain;
-- an event, which says of which table the topic is, and after it a null value for key 1
CREATE FUNCTION after(tab text, topic text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT cdcsync.apply(topic, ARRAY['{"id": 9}', '{"id": 1}'], ARRAY[event('d', tab, '{"id": 9, "body": null}', NULL), NULL])
$$;
CREATE FUNCTION nothing(topic text, id int) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply(topic, format('{"id": %s}', id), NULL)
$$;

-- nothing was seen: a name without underscores and with no dot too many can be of one table alone
SELECT nothing('peer.public.plain', 1);
-- else the row that is there may be another's; where there is none, nothing is lost
SELECT nothing('peer.public.my_notes', 1);
SELECT nothing('peer.public.my_notes', 3);
SELECT nothing('peer.public.m__ig', 1);
SELECT nothing('peer.public.m__ig', 3);
SELECT nothing('peer.public.my.notes', 1);
SELECT nothing('peer.public.unknown', 1);
-- two that are registered share the topic
SELECT cdcsync.add_table('"my notes"');
SELECT nothing('peer.public.my_notes', 3);
-- the events before it say it, whatever the topic's name
SELECT after('my notes', 'peer.public.my_notes');
SELECT after('my.notes', 'peer.public.my.notes');
SELECT after('mäßig', 'peer.public.m__ig');
SELECT * FROM notes WHERE id = 1;
SELECT after('my_notes', 'anywhere');
SELECT * FROM notes ORDER BY tab COLLATE "C", id;
-- events of several tables, or peers, do not
SELECT cdcsync.apply('peer.public.my_notes', ARRAY['{"id": 9}', '{"id": 8}', '{"id": 2}'], ARRAY[event('d', 'my notes', '{"id": 9}', NULL),
	event('d', 'my_notes', '{"id": 8}', NULL), NULL]);
SELECT cdcsync.apply('all', ARRAY['{"id": 9}', '{"id": 8}', '{"id": 2}'], ARRAY[event('d', 'plain', '{"id": 9}', NULL),
	event('d', 'plain', '{"id": 8}', NULL, 'other'), NULL]);
-- but the null value that comes after its delete says nothing
SELECT cdcsync.apply('all', ARRAY['{"id": 9}', '{"id": 2}', '{"id": 9}', '{"id": 2}'], ARRAY[event('d', 'my notes', '{"id": 9}', NULL),
	event('d', 'my_notes', '{"id": 2}', NULL), NULL, NULL]);
SELECT * FROM notes ORDER BY tab COLLATE "C", id;

--
-- The connector is asked for such tables in its own words.
--
CREATE TABLE "a,b" (id int PRIMARY KEY);
CREATE TABLE "what?" (id int PRIMARY KEY);
CREATE TABLE "say ""it""" (id int PRIMARY KEY);
CREATE TABLE "why so?" (id int PRIMARY KEY);
SELECT cdcsync.add_table(t) FROM unnest('{"\"a,b\"","\"what?\"","\"say \"\"it\"\"\"","\"why so?\""}'::regclass[]) AS t;
CREATE FUNCTION signal(t regclass) RETURNS json LANGUAGE sql AS $$
	DELETE FROM cdcsync.signal;
	SELECT cdcsync.resync_table(t);
	SELECT data::json -> 'data-collections' FROM cdcsync.signal
$$;
SELECT t, signal(t) FROM unnest('{plain,my_notes,"\"my notes\"","\"my.notes\"",mäßig,"\"a,b\"","\"what?\"","\"say \"\"it\"\"\""}'::regclass[]) AS t;
SELECT signal('"why so?"');
DELETE FROM cdcsync.signal;
DROP VIEW notes;
DROP TABLE my_notes, "my notes", "my.notes", "mäßig", plain, "a,b", "what?", "say ""it""", "why so?";
