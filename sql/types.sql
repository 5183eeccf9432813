--
-- Values: what the connector makes of a value, and back again.
--
-- The recorded table; of every row the column texts has what the source itself shows.
--
CREATE TABLE typed (
	id int PRIMARY KEY,
	v bigint NOT NULL DEFAULT 1,
	i2 smallint, i4 integer, i8 bigint,
	n numeric, n82 numeric(8,2), n5 numeric(5),
	f4 real, f8 double precision,
	b boolean,
	t text, vc varchar(20), c char(5),
	d date, tm time, ts timestamp, ts3 timestamp(3), tz timestamptz, tz0 timestamptz(0),
	u uuid, j json, jb jsonb, by bytea,
	ai2 smallint[], ai4 integer[], ai8 bigint[], at text[], avc varchar(10)[],
	texts text
);
SELECT cdcsync.add_table('typed', version_column => 'v');

-- how many rows are decoded, and which values are not what they were
CREATE FUNCTION compare(fixture text, producer jsonb DEFAULT NULL)
RETURNS TABLE (rows bigint, columns bigint, id int, col text, source text, decoded text) LANGUAGE sql AS $$
	WITH decoded AS MATERIALIZED (
		SELECT after_row AS row, (after_row ->> 'texts')::jsonb AS source
		FROM (SELECT * FROM recorded AS r WHERE r.fixture = compare.fixture ORDER BY r.n) AS r,
			cdcsync.decode(r.topic, r.key, r.value, producer)), fields AS (
		SELECT (row ->> 'id')::int AS id, k AS col, source ->> k AS source, row ->> k AS decoded
		FROM decoded, jsonb_object_keys(row - 'texts') AS k)
	SELECT count(DISTINCT f.id), count(DISTINCT f.col), NULL::int, NULL, NULL, NULL FROM fields AS f
	UNION ALL
	SELECT NULL, NULL, f.* FROM fields AS f WHERE f.source IS DISTINCT FROM f.decoded
	ORDER BY 3 NULLS FIRST, 4
$$;

-- what a connector does if it is told nothing: of a numeric without scale trailing zeros
-- are lost; and without schemas neither the scale nor the unit is said, whatever the columns here are
SELECT * FROM compare('types-default');
SELECT * FROM compare('types-default-plain', '{"time.precision.mode": "adaptive", "decimal.handling.mode": "precise",
	"binary.handling.mode": "bytes"}');
-- the modes that are advised: nothing is lost
SELECT * FROM compare('types-micro', '{"binary.handling.mode": "hex"}');
SELECT * FROM compare('types-micro-plain', modes());
-- 24:00 is not to be had with isostring
SELECT * FROM compare('types-iso', '{"binary.handling.mode": "base64"}');
-- the mode connect has milliseconds, the mode double 16 digits
SELECT * FROM compare('types-connect', '{"binary.handling.mode": "base64-url-safe"}');

-- dates and times as structs of their parts, by Debezium 3.7; its connector cannot convert 24:00
SELECT * FROM compare('types-structured');

-- without schemas the producer's modes must be told, and it is said which
SELECT * FROM compare('types-micro-plain');
SELECT * FROM compare('types-micro-plain', '{"binary.handling.mode": "hex", "time.precision.mode": "microseconds"}');
SELECT * FROM compare('types-micro-plain', '{"binary.handling.mode": "hex", "decimal.handling.mode": "string"}');
SELECT * FROM compare('types-micro-plain', '{"time.precision.mode": "microseconds", "decimal.handling.mode": "string"}');
-- with schemas only bytes that come as a text are in doubt
SELECT * FROM compare('types-micro');
-- a mode that cannot be the producer's
SELECT * FROM compare('types-micro-plain', modes() || '{"binary.handling.mode": "bytes"}');
SELECT * FROM compare('types-micro-plain', modes() || '{"decimal.handling.mode": "precise"}');
SELECT * FROM compare('types-micro-plain', modes() || '{"time.precision.mode": "isostring"}');
SELECT * FROM compare('types-micro-plain', '{"decimal.handling.mode": "String"}');
SELECT * FROM compare('types-micro-plain', '{"decimal.handling.mode": "text"}');
SELECT * FROM compare('types-micro-plain', '{"decimal.handling": "string"}');

--
-- Single values: of one column of typed, in JSON without or with a schema.
--
CREATE FUNCTION plain(col text, token text, producer jsonb DEFAULT modes()) RETURNS text LANGUAGE sql AS $$
	SELECT after_row ->> col FROM cdcsync.decode('peer.public.typed', NULL, format(
		'{"op":"c","after":{"%s":%s},"source":{"name":"peer","schema":"public","table":"typed","ts_us":1}}',
		col, token), producer)
$$;
CREATE FUNCTION typed(col text, schema text, token text, producer jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT after_row ->> col FROM cdcsync.decode('peer.public.typed', NULL, format(
		'{"schema":{"type":"struct","fields":[{"type":"struct","field":"after","fields":[{"field":"%s",%s}]}]},'
		'"payload":{"op":"c","after":{"%1$s":%3$s},"source":{"name":"peer","schema":"public","table":"typed","ts_us":1}}}',
		col, schema, token), producer)
$$;

-- out of range
SELECT plain('i2', '32767'), plain('i2', '-32768');
SELECT plain('i2', '32768');
SELECT plain('i4', '-2147483649');
SELECT plain('i8', '9223372036854775808');
SELECT plain('n82', '"1234567.89"');
SELECT plain('f4', '1e39');
SELECT plain('f8', '1e309');
SELECT plain('vc', '"123456789012345678901"');
SELECT plain('c', '"123456"');
SELECT plain('d', '2147483647');
SELECT plain('tm', '86400000001');
SELECT plain('ts', '9223372036854775807');
SELECT plain('tz', '"+300000-01-01T00:00:00Z"');
-- spaces are added, but never cut
SELECT '<' || plain('vc', '"123456789012345678  "') || '>', '<' || plain('c', '"12"') || '>', '<' || plain('c', '"12   "') || '>';
SELECT plain('vc', '"12345678901234567890  "');
SELECT plain('c', '"12345  "');

-- not of the type
SELECT plain('i4', '1.5');
SELECT plain('i4', '"1"');
SELECT plain('i4', 'true');
SELECT plain('b', '"true"');
SELECT plain('b', '1');
SELECT plain('n', '"abc"');
SELECT plain('n', '" 1"');
SELECT plain('n', '"0x10"');
SELECT plain('n', '""');
SELECT plain('f8', '"1.0"');
SELECT plain('t', '5');
SELECT plain('t', '{"a": 1}');
SELECT plain('u', '"7d444840"');
SELECT plain('j', '"{bad"');
SELECT plain('jb', '{"a": 1}');
SELECT plain('by', '"0g"');
SELECT plain('by', '"012"');
SELECT plain('ai4', '[1, "2"]');
SELECT plain('ai4', '"{1,2}"');
SELECT plain('at', '["a", 1]');

-- dates and times are read strictly: nothing that means another thing tomorrow
SELECT plain('d', '20512'), plain('d', '-1'), plain('d', '"2026-02-28Z"'), plain('d', '"2026-02-28"'), plain('d', '"-0043-03-15Z"');
SELECT plain('d', '"now"');
SELECT plain('d', '"2026-02-30"');
SELECT plain('d', '"02/28/2026"');
SELECT plain('d', '1.5');
SELECT plain('ts', '"2026-02-28T04:05:06.789012Z"'), plain('ts', '-1'), plain('ts', '"0000-02-29T00:00:00Z"');
SELECT plain('ts', '"2026-02-28 04:05:06"');
SELECT plain('ts', '"2026-02-28T25:00:00Z"');
SELECT plain('tz', '"2026-02-28T04:05:06.789012Z"'), plain('tz', '"2026-02-28T04:05:06+02:00"'),
	plain('tz', '"2026-02-28T04:05:06.7890125Z"');
SELECT plain('tz', '"2026-02-28T04:05:06"');
SELECT plain('tz', '1772251506789012');
SELECT plain('tz', '"tomorrow"');
-- the other modes
SELECT plain('ts', '1772251506789', '{"time.precision.mode": "connect"}'),
	plain('ts', '1772251506789012000', '{"time.precision.mode": "nanoseconds"}'),
	plain('tm', '14706789012', '{"time.precision.mode": "adaptive_time_microseconds"}'),
	plain('tm', '14706789', '{"time.precision.mode": "connect"}');
-- the unit, the scale and the length are the author's: the column here may have others
SELECT plain('ts3', '1772251506789', '{"time.precision.mode": "adaptive"}');
SELECT plain('ts', '1772251506789012', '{"time.precision.mode": "adaptive"}');
SELECT plain('ts', '1772251506789012', '{"time.precision.mode": "adaptive_time_microseconds"}');
SELECT plain('tm', '14706789', '{"time.precision.mode": "adaptive"}');
SELECT plain('n', '"AeJA"', '{"decimal.handling.mode": "precise"}');
SELECT plain('n82', '"AeJA"', '{"decimal.handling.mode": "precise"}');
SELECT plain('n5', '"AeJA"', '{"decimal.handling.mode": "precise"}');
SELECT plain('n82', '123456', '{"decimal.handling.mode": "precise"}'), plain('n82', '1234.5', '{"decimal.handling.mode": "double"}'),
	plain('n', '{"scale": 3, "value": "AeJA"}', '{"decimal.handling.mode": "precise"}'),
	plain('n', '"NaN"', '{"decimal.handling.mode": "double"}');

-- with a schema its type must be one that is known to mean what the column takes
SELECT typed('i4', '"type":"int16"', '5'), typed('i8', '"type":"int32"', '5'), typed('n', '"type":"int64"', '5'),
	typed('i2', '"type":"int64"', '5'), typed('f8', '"type":"float"', '0.1');
SELECT typed('i4', '"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}', '"MDk="');
SELECT typed('i4', '"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}', '"ZA=="');
SELECT typed('n', '"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}', '123.40');
-- schemas are known again by all their bytes, not by their length and their end
SELECT typed('n', '"parameters":{"scale":"2"},"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal"', '"ZA=="'),
	typed('n', '"parameters":{"scale":"3"},"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal"', '"ZA=="'),
	typed('n', '"parameters":{"scale":"2"},"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal"', '"ZA=="');
SELECT typed('n', '"type":"bytes","name":"org.apache.kafka.connect.data.Decimal"', '"ZA=="');
SELECT typed('n', '"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}', '"Z"');
SELECT typed('t', '"type":"int64"', '5');
SELECT typed('i4', '"type":"string"', '"5"');
SELECT typed('d', '"type":"int32"', '5');
SELECT typed('d', '"type":"int64","name":"io.debezium.time.MicroTimestamp"', '5');
SELECT typed('ts', '"type":"int32","name":"io.debezium.time.Date"', '5');
SELECT typed('t', '"type":"string","name":"io.debezium.time.ZonedTimestamp"', '"2026-02-28T04:05:06Z"');
SELECT typed('b', '"type":"int8"', '1');
SELECT typed('i4', '"type":"int32"', '"5"');
SELECT typed('ai4', '"type":"array","items":{"type":"int32"}', '[1,2]'), typed('ai8', '"type":"array","items":{"type":"int32"}', '[1,2]');
SELECT typed('ai4', '"type":"array","items":{"type":"string"}', '["1"]');

-- other types; and what Debezium's form of them does not say is refused
CREATE TYPE mood AS ENUM ('happy');
CREATE TABLE others (id int PRIMARY KEY, v bigint, inet inet, point point, interval interval, timetz timetz, money money,
	bits bit(3), xml xml, mood mood, range int4range, dates date[], numerics numeric[], pair cdcsync.subscription, vb varbit, n numeric);
SELECT cdcsync.add_table('others', version_column => 'v');
CREATE FUNCTION other(col text, token text) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply('peer.public.others', '{"id": 1}', format(
		'{"op":"c","after":{"id":1,"v":1,"%s":%s},"source":{"name":"peer","schema":"public","table":"others","ts_us":1}}',
		col, token), modes())
$$;
SELECT other('inet', '"10.0.0.1"');
SELECT other('inet', 'null');
SELECT other('point', '{"x":1.0,"y":2.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null}');
SELECT other('interval', '"P1D"');
SELECT other('timetz', '"04:05:06Z"');
SELECT other('money', '"1.00"');
SELECT other('bits', '"BQ=="');
SELECT other('bits', 'null');
SELECT other('xml', '"<a/>"');
SELECT other('mood', '"happy"');
SELECT other('range', '"[1,2)"');
SELECT other('dates', '[1]');
SELECT other('numerics', '["1"]');
SELECT other('pair', '"(a,b)"');
SELECT other('interval', '86400000000');
SELECT other('vb', '"BQ=="');
SELECT other('vb', '"101"');
SELECT other('range', '"[2,1)"');
SELECT other('mood', '"sad"');
SELECT other('inet', '5');
SELECT other('n', '{"scale":40000,"value":"AQ=="}');
-- with a schema the length is the author's
CREATE FUNCTION bits(col text, length int, token text) RETURNS text LANGUAGE sql AS $$
	SELECT after_row ->> col FROM cdcsync.decode('peer.public.others', NULL, format(
		'{"schema":{"type":"struct","fields":[{"type":"struct","field":"after","fields":['
		'{"field":"%s","type":"bytes","name":"io.debezium.data.Bits","parameters":{"length":"%s"}}]}]},'
		'"payload":{"op":"c","after":{"%1$s":%3$s},"source":{"name":"peer","schema":"public","table":"others","ts_us":1}}}', col, length, token))
$$;
SELECT bits('bits', 3, '"AQ=="'), bits('vb', 3, '"BQ=="');
SELECT bits('bits', 4, '"BQ=="');
SELECT bits('vb', 4, '"BQ=="');
-- a column that the source does not have does no harm
SELECT cdcsync.apply('peer.public.others', '{"id": 1}', event('c', 'others', NULL, '{"id": 1, "v": 1}'));
SELECT cdcsync.remove_table('others');
DROP TABLE others;
DROP TYPE mood;

--
-- What is narrower here: a value that fits exactly is taken, one that would be rounded or cut is an error.
--
CREATE DOMAIN amount AS numeric(4,1);
CREATE TABLE narrow (id int PRIMARY KEY, v bigint, n numeric(10,2), hundreds numeric(3,-2), small numeric(3,5), na numeric(5,1)[], amount amount,
	ts timestamp(0), ts3 timestamp(3), tz timestamptz(3), tsa timestamp(0)[], tm time(0), tt timetz(0), iv interval(0), ivd interval day,
	ivm interval year to month, f4 real, vc varchar(5), vca varchar(5)[], c char(5), name name, ch "char", money money);
SELECT cdcsync.add_table('narrow', version_column => 'v');
CREATE FUNCTION narrow(col text, token text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN '<' || (SELECT after_row ->> col FROM cdcsync.decode('peer.public.narrow', NULL, format(
		'{"op":"c","after":{"%s":%s},"source":{"name":"peer","schema":"public","table":"narrow","ts_us":1}}', col, token), modes() || more)) || '>';
EXCEPTION WHEN data_exception THEN
	RETURN SQLERRM;
END
$$;
SELECT token, narrow(col, token) FROM (VALUES
	('n', '"1.00"'), ('n', '"1.0050"'), ('n', '"1.0100"'), ('n', '"-0.000"'), ('n', '"7"'), ('n', '"NaN"'), ('n', '"1e-3"'), ('n', '"1e2"'),
	('n', '"1.5E-1"'), ('n', '1.010'), ('n', '1.015'), ('n', '"123456789.00"'),
	('hundreds', '"1200"'), ('hundreds', '"1250"'), ('hundreds', '"1200.0"'), ('small', '"0.00123"'), ('small', '"0.001234"'),
	('na', '["1.20", null]'), ('na', '["1.2", "1.25"]'), ('amount', '"1.10"'), ('amount', '"1.15"'),
	('ts', '1767225600000000'), ('ts', '1767225600600000'), ('ts3', '1767225600600000'), ('ts3', '1767225600600001'), ('ts', '9223372036825200000'),
	('tz', '"2026-01-01T00:00:00.123Z"'), ('tz', '"2026-01-01T00:00:00.123456Z"'), ('tsa', '[1767225600000000]'), ('tsa', '[1767225600600000]'),
	('tm', '1000000'), ('tm', '1600000'), ('tt', '"04:05:06Z"'), ('tt', '"04:05:06.7Z"'),
	('iv', '"P0Y0M0DT0H0M1S"'), ('iv', '"P0Y0M0DT0H0M1.6S"'), ('ivd', '"P0Y0M1DT0H0M0S"'), ('ivd', '"P0Y0M1DT5H0M0S"'),
	('ivm', '"P1Y2M0DT0H0M0S"'), ('ivm', '"P1Y2M3DT0H0M0S"'),
	('f4', '0.1'), ('f4', '1.17549435E-38'), ('f4', '0.1234567890123'), ('f4', '16777217.25'), ('f4', '1.6777216E7'),
	('f4', '16777216'), ('f4', '16777217'), ('f4', '-123456789'), ('f4', '100000000'),
	('vc', '"12345"'), ('vc', '"ääääé"'), ('vc', '"12345 "'), ('vca', '["12345", "1 "]'), ('vca', '["12345 "]'), ('c', '"1 "'), ('c', '"ääääé"'), ('c', '"12345 "'),
	('name', '"n"'), ('name', to_json(repeat('n', 64))::text), ('ch', '"a"'), ('ch', '"\\101"'), ('ch', '"ab"'),
	('money', '"1.5"'), ('money', '"1.005"')) AS t (col, token);
-- in other forms
SELECT token, narrow('ts', token, '{"time.precision.mode": "nanoseconds"}') FROM (VALUES ('1767225600000000000'), ('1767225600600000000')) AS t (token);
SELECT narrow('n', '{"scale": 4, "value": "J0I="}'), narrow('n', '{"scale": 4, "value": "J3Q="}');
SELECT cdcsync.apply('peer.public.narrow', '{"id": 1}', event('c', 'narrow', NULL, '{"id": 1, "v": 1, "n": "1.0050"}'), producer => modes());
SELECT cdcsync.remove_table('narrow');
DROP TABLE narrow;
DROP DOMAIN amount;

--
-- Arrays of two dimensions: Debezium writes the outer one, and not what is in it.
--
CREATE TABLE squares (id int PRIMARY KEY, v bigint, ai2 smallint[], ai4 int[], ai8 bigint[], at text[], avc varchar[]);
SELECT cdcsync.add_table('squares', version_column => 'v');
CREATE FUNCTION square(i int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(after_row) FROM recorded, cdcsync.decode(topic, key, value, modes())
	WHERE fixture = 'odd' AND key = format('{"id":%s}', i) AND topic = 'peer.public.squares'
$$;
SELECT square(1);
SELECT square(2);
SELECT square(3);
SELECT square(4);
SELECT square(5);
-- a lower bound is not written either
SELECT square(6);
-- texts of which all are null can be told from such an array, numbers cannot
SELECT plain('at', '[null, null]'), plain('at', '["[not Java]"]'), plain('at', '["[Ljava.lang.String;"]');
SELECT plain('ai4', '[null]');
SELECT plain('ai4', '[[1, 2], [3, 4]]');
SELECT cdcsync.remove_table('squares');
DROP TABLE squares;

--
-- A large value that did not change is not sent: the placeholder keeps what is here.
--
CREATE TABLE toasted (id int PRIMARY KEY, v bigint, t text, vc varchar, c char(5), j json, jb jsonb, by bytea,
	n numeric, ai4 int[], ai8 bigint[], at text[], avc varchar[]);
SELECT cdcsync.add_table('toasted', version_column => 'v');
CREATE FUNCTION toasted(fixture text, producer jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply(r.topic, r.key, r.value, producer) FROM recorded AS r
	WHERE r.fixture = toasted.fixture AND topic = 'peer.public.toasted'
$$;
-- there is nothing to keep: the row cannot be made
SELECT toasted('odd', modes());
INSERT INTO toasted VALUES (1, 1, 't', 'vc', 'c', '"j"', '"jb"', '\x01', 1.50, '{4}', '{8}', '{t}', '{vc}');
SELECT toasted('odd', modes());
TABLE toasted;
-- its bytes in base64
UPDATE toasted SET v = 1;
CALL clear('toasted');
INSERT INTO toasted VALUES (1, 1, 't', 'vc', 'c', '"j"', '"jb"', '\x01', 1.50, '{4}', '{8}', '{t}', '{vc}');
SELECT toasted('odd-schemas', NULL);
TABLE toasted;
-- a placeholder of the producer's own, also one that JSON must escape
SELECT plain('t', '"__debezium_unavailable_value"'), plain('t', '"__debezium_unavailable_value "'), plain('t', '"\u005f_debezium_unavailable_value"');
SELECT plain('t', '"--\"--"', '{"unavailable.value.placeholder": "--\"--"}'),
	plain('t', '"__debezium_unavailable_value"', '{"unavailable.value.placeholder": "--\"--"}'),
	plain('by', '"LS0iLS0="', '{"unavailable.value.placeholder": "--\"--", "binary.handling.mode": "bytes"}'),
	plain('ai4', '[45,45,34,45,45]', '{"unavailable.value.placeholder": "--\"--"}'),
	plain('at', '["--\"--"]', '{"unavailable.value.placeholder": "--\"--"}'),
	plain('at', '["--\"--", "x"]', '{"unavailable.value.placeholder": "--\"--"}');
SELECT plain('t', '""', '{"unavailable.value.placeholder": ""}');
-- a row that changes its key comes as a create, which leaves its large values out
SELECT cdcsync.apply('peer.public.toasted', ARRAY['{"id": 1}', '{"id": 2}'], ARRAY[
	event('d', 'toasted', '{"id": 1, "v": 2}', NULL),
	event('c', 'toasted', NULL, '{"id": 2, "v": 3, "t": "__debezium_unavailable_value"}')]);
TABLE toasted;

SELECT cdcsync.remove_table('toasted'), cdcsync.remove_table('typed');
DROP TABLE toasted, typed;
DROP FUNCTION compare(text, jsonb), plain(text, text, jsonb), typed(text, text, text, jsonb), other(text, text),
	square(int), toasted(text, jsonb);
