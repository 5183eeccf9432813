--
-- Events that a real connector wrote (test/fixtures/README.md), for the tests after this.
--
\getenv srcdir PG_ABS_SRCDIR
CREATE TABLE recorded (fixture text, n int, topic text, key text, value text);
CREATE PROCEDURE load(fixture text, content text) LANGUAGE sql AS $$
	WITH line AS (
		SELECT n, l::json ->> 'begin' AS begin, l::json ->> 'topic' AS topic, l::json ->> 'key' AS key,
			l::json ->> 'value' AS value
		FROM string_to_table(content, E'\n') WITH ORDINALITY AS t (l, n)
		WHERE l <> '')
	INSERT INTO recorded
	SELECT fixture, row_number() OVER (ORDER BY l.n), l.topic, begin.key || l.key, begin.value || l.value
	FROM line AS begin, line AS l WHERE begin.begin = l.topic
$$;

\set path :srcdir '/test/fixtures/types-default.jsonl'
\set content `cat :'path'`
CALL load('types-default', :'content');
\set path :srcdir '/test/fixtures/types-default-plain.jsonl'
\set content `cat :'path'`
CALL load('types-default-plain', :'content');
\set path :srcdir '/test/fixtures/types-micro.jsonl'
\set content `cat :'path'`
CALL load('types-micro', :'content');
\set path :srcdir '/test/fixtures/types-micro-plain.jsonl'
\set content `cat :'path'`
CALL load('types-micro-plain', :'content');
\set path :srcdir '/test/fixtures/types-iso.jsonl'
\set content `cat :'path'`
CALL load('types-iso', :'content');
\set path :srcdir '/test/fixtures/types-connect.jsonl'
\set content `cat :'path'`
CALL load('types-connect', :'content');
\set path :srcdir '/test/fixtures/odd.jsonl'
\set content `cat :'path'`
CALL load('odd', :'content');
\set path :srcdir '/test/fixtures/odd-schemas.jsonl'
\set content `cat :'path'`
CALL load('odd-schemas', :'content');
\set path :srcdir '/test/fixtures/every-default.jsonl'
\set content `cat :'path'`
CALL load('every-default', :'content');
\set path :srcdir '/test/fixtures/every-micro.jsonl'
\set content `cat :'path'`
CALL load('every-micro', :'content');
\set path :srcdir '/test/fixtures/every-iso.jsonl'
\set content `cat :'path'`
CALL load('every-iso', :'content');
\set path :srcdir '/test/fixtures/every-connect.jsonl'
\set content `cat :'path'`
CALL load('every-connect', :'content');
\set path :srcdir '/test/fixtures/every-nano.jsonl'
\set content `cat :'path'`
CALL load('every-nano', :'content');
\set path :srcdir '/test/fixtures/every-atm.jsonl'
\set content `cat :'path'`
CALL load('every-atm', :'content');
\set path :srcdir '/test/fixtures/every-structured.jsonl'
\set content `cat :'path'`
CALL load('every-structured', :'content');
\set path :srcdir '/test/fixtures/types-structured.jsonl'
\set content `cat :'path'`
CALL load('types-structured', :'content');
\set path :srcdir '/test/fixtures/extensions.jsonl'
\set content `cat :'path'`
CALL load('extensions', :'content');
\set path :srcdir '/test/fixtures/extensions-plain.jsonl'
\set content `cat :'path'`
CALL load('extensions-plain', :'content');

SELECT fixture, topic, count(*), count(value) AS "values", bool_or(value LIKE '{"schema":%') AS schemas
FROM recorded GROUP BY fixture, topic ORDER BY fixture COLLATE "C", topic COLLATE "C";
