--
-- Every type in every mode: what arrives of it, value by value, and the page that says so.
--
-- Recorded with the connector told to write null where it cannot convert a value
-- (event.converting.failure.handling.mode=warn), so that such values can be seen here.
--
SELECT count(*) < 5 AS skip FROM pg_available_extensions WHERE name IN ('hstore', 'ltree', 'citext', 'isn', 'cube') \gset
\if :skip
\echo 'skipped: this server lacks the extensions hstore, ltree, citext, isn or cube'
\quit
\endif
SET client_min_messages = error;
\getenv srcdir PG_ABS_SRCDIR
\set path :srcdir '/test/fixtures/every.tables.sql'
\i :path
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{every,many,grids,heap,heaps}'::regclass[]) AS t;
RESET client_min_messages;

-- the settings that each fixture was recorded with
CREATE TABLE mode (fixture text PRIMARY KEY, n int, producer jsonb);
INSERT INTO mode VALUES
	('every-default', 1, '{"time.precision.mode": "adaptive", "decimal.handling.mode": "precise", "binary.handling.mode": "bytes",
		"interval.handling.mode": "numeric", "hstore.handling.mode": "json", "include.unknown.datatypes": false}'),
	('every-micro', 2, '{"time.precision.mode": "microseconds", "decimal.handling.mode": "string", "binary.handling.mode": "bytes"}'),
	('every-iso', 3, '{"time.precision.mode": "isostring", "decimal.handling.mode": "precise", "binary.handling.mode": "base64"}'),
	('every-connect', 4, '{"time.precision.mode": "connect", "decimal.handling.mode": "double", "binary.handling.mode": "base64-url-safe"}'),
	('every-nano', 5, '{"time.precision.mode": "nanoseconds", "decimal.handling.mode": "string", "binary.handling.mode": "hex"}'),
	('every-atm', 6, '{"time.precision.mode": "adaptive_time_microseconds", "decimal.handling.mode": "precise",
		"binary.handling.mode": "hex"}'),
	-- by Debezium 3.7; the page has no column of it
	('every-structured', 7, '{"time.precision.mode": "structured", "decimal.handling.mode": "string", "binary.handling.mode": "bytes"}');

-- a recorded value, alone in an event with its schema and without
CREATE TABLE cell AS
	SELECT r.fixture, split_part(topic, '.', 3) AS tab, (after ->> 'id')::int AS id, col,
		((after ->> 'texts')::jsonb) ->> col AS source, after -> col AS token, schemas.schema,
		NULL::text AS decoded, NULL::text AS error, NULL::text AS decoded_plain, NULL::text AS error_plain
	FROM recorded AS r, json_extract_path(value::json, 'payload', 'after') AS after,
		LATERAL (SELECT attname::text AS col FROM pg_attribute
			WHERE attrelid = split_part(topic, '.', 3)::regclass AND attnum > 0 AND NOT attisdropped
				AND attname NOT IN ('id', 'v', 'texts')) AS cols
		LEFT JOIN LATERAL (SELECT field AS schema
			FROM json_array_elements(value::json -> 'schema' -> 'fields') AS image, json_array_elements(image -> 'fields') AS field
			WHERE image ->> 'field' = 'after' AND field ->> 'field' = col) AS schemas ON true
	WHERE r.fixture LIKE 'every%';
-- values that are null at the source say nothing
DELETE FROM cell WHERE tab IN ('every', 'many') AND source IS NULL;

CREATE FUNCTION event_of(tab text, col text, token json, schema json) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE WHEN schema IS NULL THEN payload ELSE format(
			'{"schema":{"type":"struct","fields":[{"type":"struct","fields":[%s],"field":"after"}]},"payload":%s}', schema, payload) END
	FROM format('{"op":"c","after":{%s:%s},"source":{"name":"peer","schema":"public","table":"%s","ts_us":1}}',
			to_json(col), token, tab) AS payload
$$;
CREATE FUNCTION decoded(tab text, col text, token json, schema json, producer jsonb, OUT value text, OUT error text)
	LANGUAGE plpgsql AS $$
BEGIN
	SELECT after_row ->> col INTO value
	FROM cdcsync.decode('peer.public.' || tab, NULL, event_of(tab, col, token, schema), producer);
EXCEPTION WHEN OTHERS THEN
	error := SQLERRM;
END
$$;
CREATE FUNCTION needs_schema(error text) RETURNS boolean LANGUAGE sql AS $$
	SELECT coalesce(error ~ 'from JSON without a schema$|leading zeros are not in the event$', false)
$$;
UPDATE cell SET (decoded, error) = (SELECT value, d.error FROM decoded(tab, col, token, schema,
		CASE WHEN cell.fixture = 'every-micro' THEN NULL ELSE mode.producer END) AS d)
FROM mode WHERE mode.fixture = cell.fixture AND token IS NOT NULL;
UPDATE cell SET (decoded_plain, error_plain) = (SELECT value, d.error FROM decoded(tab, col, token, NULL, mode.producer) AS d)
FROM mode WHERE mode.fixture = cell.fixture AND token IS NOT NULL;

-- with and without a schema it is the same, but for what the schema alone says: the author's scale, unit, or length
SELECT fixture, string_agg(DISTINCT col, ' ' ORDER BY col) AS "needs a schema" FROM cell WHERE error IS NULL AND needs_schema(error_plain) GROUP BY fixture;
SELECT fixture, tab, id, col, source, token, decoded, error, decoded_plain, error_plain FROM cell
WHERE (decoded, error) IS DISTINCT FROM (decoded_plain, error_plain)
	AND (error IS NULL OR error_plain IS NULL OR left(error, 20) <> left(error_plain, 20))
	AND NOT needs_schema(error_plain)
ORDER BY fixture, tab, col COLLATE "C", id;

-- what happens to each value
CREATE VIEW outcome AS
	SELECT *, CASE
			WHEN token IS NULL THEN 'not sent'
			WHEN error IS NOT NULL THEN 'refused'
			WHEN token::text = 'null' THEN 'null'
			WHEN decoded IS DISTINCT FROM source THEN 'lossy'
			ELSE 'exact' END AS outcome
	FROM cell WHERE tab IN ('every', 'many');

-- and why: the letters of doc/types.md
CREATE FUNCTION reason(tab text, col text, fixture text, source text, outcome text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE
		WHEN outcome = 'exact' THEN ''
		WHEN outcome = 'null' AND fixture = 'every-structured' AND source = '24:00:00' THEN '24'
		WHEN outcome = 'null' AND fixture = 'every-structured' AND tab = 'many' AND col IN ('box', 'circle', 'path', 'polygon') THEN 'n'
		WHEN outcome = 'lossy' AND fixture = 'every-structured' AND col = 'polygon' THEN 'p'
		WHEN outcome = 'refused' AND fixture = 'every-structured' AND tab = 'many' AND col = 'tz' AND source LIKE '%-infinity%' THEN 'y'
		WHEN outcome = 'not sent' AND tab = 'many' AND col IN ('money', 'name', 'interval', 'varbit', 'xml', 'point') THEN 'n'
		WHEN outcome = 'not sent' AND fixture = 'every-default' THEN 'u'
		WHEN outcome = 'null' AND col = 'name' AND fixture = 'every-default' THEN 'u'
		WHEN outcome = 'null' AND tab = 'many' AND col LIKE 'bit%' THEN 'n'
		WHEN outcome = 'null' AND source ~ 'NaN|Infinity' THEN 's'
		WHEN outcome = 'null' AND tab = 'many' AND source LIKE '%NULL%' THEN 'e'
		WHEN outcome = 'null' AND col = 'varbit_1' AND source = '' THEN 'v'
		WHEN outcome = 'null' AND col LIKE 'ts%' AND fixture = 'every-nano' THEN 'y'
		WHEN outcome = 'refused' AND col LIKE 'varbit%' THEN 'v'
		WHEN outcome = 'refused' AND col LIKE 'interval%' AND fixture = 'every-default' THEN 'i'
		WHEN outcome = 'refused' AND tab = 'every' AND col = 'ts' AND source LIKE '294276%' THEN 'y'
		WHEN outcome IN ('refused', 'lossy') AND tab = 'many' AND col IN ('date', 'ts', 'tz') AND source ~ ' BC' THEN 'b'
		WHEN outcome IN ('refused', 'lossy') AND fixture = 'every-connect' AND col IN ('num', 'money') THEN 'd'
		WHEN outcome = 'lossy' AND fixture = 'every-connect' AND col IN ('time', 'ts') THEN 'm'
		WHEN outcome = 'lossy' AND col IN ('num', 'num_8_2') AND fixture IN ('every-default', 'every-iso', 'every-atm') THEN 'z'
		WHEN outcome = 'lossy' AND col = 'date' AND (source LIKE '%BC' OR source = '1582-10-10') THEN 'b'
		WHEN outcome = 'lossy' AND col LIKE 'timetz%' THEN 'o'
		WHEN outcome = 'lossy' AND tab = 'many' AND col LIKE 'time%' THEN 't'
		WHEN outcome = 'lossy' AND source LIKE '%24:00:00%' AND fixture = 'every-iso' THEN '24'
	END
$$;
-- nothing is lost for a reason that is not known
SELECT DISTINCT fixture, tab, col, outcome, source, token::text, coalesce(error, decoded) AS decoded FROM outcome
WHERE reason(tab, col, fixture, source, outcome) IS NULL;

-- in words for each type, mode, and way; what is so in both ways is said once
CREATE FUNCTION words(tab text, col text, fixture text, streamed boolean) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(word, ', ' ORDER BY word), 'exact') FROM (
		SELECT format('%s (%s)', outcome, string_agg(DISTINCT reason(o.tab, o.col, o.fixture, source, outcome), ', ')) AS word
		FROM outcome AS o
		WHERE o.tab = words.tab AND o.col = words.col AND o.fixture = words.fixture AND outcome <> 'exact'
			AND (o.id > 100) = streamed
		GROUP BY outcome) AS w
$$;
CREATE FUNCTION label(tab text, col text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(CASE rtrim(name, '[]') WHEN 'mood' THEN replace(name, 'mood', 'enum') WHEN 'small' THEN replace(name, 'small', 'domain')
		WHEN 'word' THEN replace(name, 'word', 'domain over text') WHEN 'smaller' THEN 'domain over a domain'
		WHEN 'pair' THEN replace(name, 'pair', 'composite type') WHEN 'floats' THEN replace(name, 'floats', 'another range type')
		ELSE '`' || name || '`' END, '`?\[\]`?$', CASE WHEN name IN ('mood[]', 'small[]', 'word[]', 'pair[]', 'floats[]') THEN ', array' ELSE '[]`' END)
	FROM pg_attribute, format_type(atttypid, atttypmod) AS name
	WHERE attrelid = tab::regclass AND attname = col
$$;
CREATE TABLE page AS
	SELECT format('| %s | %s |', label(tab, col), string_agg(CASE WHEN streamed = snapshot THEN streamed
		WHEN streamed = 'exact' THEN 'exact; snapshot: ' || snapshot ELSE streamed || '; snapshot: ' || snapshot END, ' | ' ORDER BY n)) AS line
	FROM (SELECT DISTINCT tab, col, c.fixture, n FROM cell AS c JOIN mode USING (fixture) WHERE tab IN ('every', 'many') AND n <= 6) AS cells,
		words(tab, col, fixture, true) AS streamed, words(tab, col, fixture, false) AS snapshot
	GROUP BY tab, col;
\set path :srcdir '/doc/types.md'
\set content `cat :'path'`
CREATE TABLE written AS SELECT line FROM string_to_table(:'content', E'\n') AS line WHERE line ~ '^\| .* (exact|lossy|null|refused|not sent)';
-- the page says what is so: lines that it lacks, lines that it has too many
SELECT line AS "missing in doc/types.md" FROM page EXCEPT SELECT line FROM written ORDER BY 1;
SELECT line AS "wrong in doc/types.md" FROM written EXCEPT SELECT line FROM page ORDER BY 1;

-- every loss, as the event has it
SELECT string_agg(DISTINCT substr(fixture, 7), ' ') AS fixtures, reason(tab, col, fixture, source, outcome) AS reason,
	label(tab, col) AS type, outcome, left(source, 60) AS source, left(token::text, 60) AS event, left(coalesce(error, decoded), 100) AS here
FROM outcome WHERE outcome <> 'exact'
GROUP BY 2, 3, 4, 5, 6, 7 ORDER BY 2, 3, 4, 5, 6, 7;

-- arrays of two dimensions, and of nothing but nulls: refused where it cannot be told what they were
SELECT id, coalesce(regexp_replace(error, 'column .*', 'column …'), decoded) AS here,
	CASE WHEN token::text LIKE '%[L%' THEN '[Java array]' ELSE token::text END AS event, string_agg(DISTINCT col, ' ') AS columns
FROM cell WHERE tab = 'grids' AND token IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- values that did not change and are not in the log: kept, or null, which the connector does not tell from NULL
SELECT tab, fixture, coalesce(error, CASE WHEN decoded = '(unchanged)' THEN 'kept' WHEN decoded IS NULL THEN 'null' ELSE 'sent' END) AS here,
	string_agg(col, ' ' ORDER BY col COLLATE "C") AS columns
FROM cell WHERE tab IN ('heap', 'heaps') AND token IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

SET client_min_messages = error;
SELECT cdcsync.remove_table(t) FROM unnest('{every,many,grids,heap,heaps}'::regclass[]) AS t;
DROP TABLE every, many, grids, heap, heaps, cell, page, written, mode CASCADE;
DROP FUNCTION event_of, decoded, reason, words, label;
DROP TYPE pair, mood, floats;
DROP DOMAIN smaller, small, word;
DROP EXTENSION hstore, ltree, citext, isn, cube;
