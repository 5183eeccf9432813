--
-- The recorded events (sql/fixtures.sql), their tables, registered and with rows in them; and the inputs that fuzz.c
-- begins with, as hex.
--
\set QUIET
SET client_min_messages = warning;
\ir ../../sql/setup.sql
\ir ../../sql/fixtures.sql
\ir ../fixtures/every.tables.sql
\ir ../fixtures/types.setup.sql
DROP TRIGGER note_texts ON typed;
\ir ../fixtures/odd.setup.sql
\ir ../fixtures/extensions.tables.sql

CREATE TABLE keyed (n numeric, t text COLLATE "C", at timestamptz, u uuid UNIQUE, v timestamptz, PRIMARY KEY (n, t, at));
SELECT cdcsync.add_table(attrelid::regclass, version_column => 'v') FROM pg_attribute
WHERE attname = 'v' AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relname <> 'plain');
SELECT cdcsync.add_table('plain', truncate => true);

-- the modes of a producer, of which an input names one by its number
CREATE TABLE mode (n int, fixtures text, producer jsonb);
INSERT INTO mode VALUES
	(0, 'every-micro|types-micro|extensions.*', '{}'),
	(1, 'types-micro-plain', '{"time.precision.mode": "microseconds", "decimal.handling.mode": "string", "binary.handling.mode": "hex"}'),
	(2, '.*-default|types-default-plain', '{"time.precision.mode": "adaptive", "decimal.handling.mode": "precise",
		"binary.handling.mode": "bytes", "interval.handling.mode": "numeric", "money.fraction.digits": 2}'),
	(3, '.*-iso', '{"time.precision.mode": "isostring", "decimal.handling.mode": "precise", "binary.handling.mode": "base64"}'),
	(4, '.*-connect', '{"time.precision.mode": "connect", "decimal.handling.mode": "double", "binary.handling.mode": "base64-url-safe"}'),
	(5, '.*-nano', '{"time.precision.mode": "nanoseconds", "decimal.handling.mode": "string", "binary.handling.mode": "hex"}'),
	(6, '.*-atm', '{"time.precision.mode": "adaptive_time_microseconds", "decimal.handling.mode": "precise",
		"binary.handling.mode": "hex"}'),
	(7, '.*-structured', '{"time.precision.mode": "structured", "decimal.handling.mode": "string", "binary.handling.mode": "bytes",
		"unavailable.value.placeholder": "--"}');

CREATE TABLE input AS
	SELECT coalesce(m.n, 1) AS mode, m.producer, r.* FROM recorded AS r LEFT JOIN mode AS m ON fixture ~ ('^(' || fixtures || ')$');

-- so that what comes finds rows
DO $$
DECLARE
	i input;
BEGIN
	FOR i IN SELECT * FROM input ORDER BY fixture, n LOOP
		BEGIN
			PERFORM cdcsync.apply(i.topic, i.key, i.value, i.producer);
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
END $$;

-- What to begin with.  Small inputs: a recorded value each, in an event with its schema and without.  Large ones, which take
-- longer: of each fixture, table and operation one.
CREATE TABLE seed (apply boolean, mode int, key text, value text);
INSERT INTO seed
WITH image AS MATERIALIZED (
	SELECT n, mode, value::json -> 'schema' -> 'fields' AS schema, coalesce(value::json -> 'payload', value::json) AS payload
	FROM input WHERE value IS NOT NULL),
field AS MATERIALIZED (
	SELECT DISTINCT ON (mode, name, field ->> 'field') mode, name, field ->> 'field' AS col, field AS schema
	FROM image, json_array_elements(schema) AS i (field_of), json_array_elements(i.field_of -> 'fields') AS field,
		concat(payload -> 'source' ->> 'table') AS name
	WHERE i.field_of ->> 'field' = 'after'),
event AS (
	SELECT DISTINCT ON (mode, name, col, left(token::text, 3)) mode, name, col,
		format('{"op":"c","after":{"id":1,"v":9,%s:%s},"source":{"name":"peer","schema":%s,"table":%s,"ts_us":1}}',
			to_json(col), token, payload -> 'source' -> 'schema', to_json(name)) AS payload
	FROM image, json_each(CASE json_typeof(payload -> 'after') WHEN 'object' THEN payload -> 'after' END) AS f (col, token),
		concat(payload -> 'source' ->> 'table') AS name
	WHERE token::text <> 'null' AND length(token::text) < 1000 AND col NOT IN ('id', 'v', 'texts'))
SELECT true, mode, '{"id":1}', payload FROM event WHERE mode = 1
UNION ALL
SELECT false, mode, '{"id":1}', payload FROM event
UNION ALL
SELECT false, mode, '{"id":1}', format('{"schema":{"type":"struct","fields":[{"type":"struct","fields":'
	'[{"type":"int32","field":"id"},{"type":"int64","field":"v"},%s],"field":"after"}]},"payload":%s}', schema, payload)
FROM event JOIN field USING (mode, name, col);
INSERT INTO seed
SELECT DISTINCT ON (fixture, topic, left(value, 20) LIKE '{"schema":%', left((value::json -> 'payload') ->> 'op', 1)) true, mode, key, value FROM input;

CREATE VIEW seeds AS
	SELECT encode(convert_to(chr(CASE WHEN apply THEN 104 ELSE 48 END + mode) || coalesce(key, '') || E'\n' || coalesce(value, ''), 'UTF8'), 'hex') FROM seed;
