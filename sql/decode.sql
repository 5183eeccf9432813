--
-- Message bytes -> change event: what is one, what is none and may be passed by, and what
-- is refused.  The tables are not registered but for one, so values show as they came.
--
CREATE VIEW decoded AS
	SELECT r.*, d.* FROM recorded AS r, cdcsync.decode(r.topic, r.key, r.value) AS d
	(op, peer, source_table, relation, source_time, origin, key_row, before_row, after_row);
CREATE FUNCTION show(key text, value text, OUT op text, OUT key_row jsonb, OUT before_row jsonb, OUT after_row jsonb)
LANGUAGE sql AS $$
	SELECT op, key_row, before_row, after_row FROM cdcsync.decode('peer.public.note', key, value)
$$;

-- every kind of record that a connector writes
SELECT n, op, source_table, key_row, before_row, after_row FROM decoded
WHERE fixture = 'odd' AND topic = 'peer.public.plain' ORDER BY n;
-- those that are no change of a row: begin and end of a transaction, logical messages
SELECT topic, op, key_row, source_table FROM decoded
WHERE fixture = 'odd' AND topic IN ('peer.transaction', 'peer.message') ORDER BY n;
-- with a schema, the same
SELECT n, op, peer, source_table, key_row, after_row ->> 'v' AS v, after_row ->> 't' AS t FROM decoded
WHERE fixture = 'odd-schemas';

-- when, by whom and over whom
SELECT op, peer, source_table, source_time AT TIME ZONE 'UTC' AS source_time, origin
FROM cdcsync.decode('peer.public.note', NULL, event('c', 'note', NULL, '{"id": 1}', 'peer.2', 'cdcsync:5:1:third',
	'2026-01-02 03:04:05.678901+00'));
-- Debezium before 2.6 knows no microseconds, before 3.5 no origin
SELECT op, peer, source_table, source_time AT TIME ZONE 'UTC' AS source_time, origin, key_row, before_row, after_row
FROM cdcsync.decode('peer.public.note', '{"id":1}', '{"before":null,"after":{"id":1,"body":"a"},
	"source":{"version":"2.3.7.Final","connector":"postgresql","name":"peer","ts_ms":1767323045678,
	"snapshot":"false","db":"app","sequence":"[\"24023128\",\"24023424\"]","schema":"public","table":"note",
	"txId":731,"lsn":24023424,"xmin":null},"op":"c","ts_ms":1767323045912,"transaction":null}');

-- key and value have their converters, one may write schemas and the other not
\set key_schema '{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"peer.public.note.Key"}'
\set row_schema '{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"body"}],"optional":true,"name":"peer.public.note.Value","field":'
\set source '{"connector":"postgresql","name":"peer","schema":"public","table":"note","ts_us":1767323045678901}'
\set source_schema '{"type":"struct","fields":[],"optional":false,"field":"source"}'
\set value_schema '{"type":"struct","fields":[' :row_schema '"before"},' :row_schema '"after"},' :source_schema ',{"type":"string","optional":false,"field":"op"}]}'
\set value '{"before":null,"after":{"id":1,"body":"a"},"source":' :source ',"op":"c"}'
\set with_key '{"schema":' :key_schema ',"payload":{"id":1}}'
\set with_value '{"schema":' :value_schema ',"payload":' :value '}'
\set backwards '{"payload":' :value ',"schema":' :value_schema '}'
SELECT * FROM show('{"id":1}', :'value');
SELECT * FROM show(:'with_key', :'value');
SELECT * FROM show('{"id":1}', :'with_value');
SELECT * FROM show(:'with_key', :'with_value');
-- the second time the schema is known by its bytes; any order and white space will do
SELECT * FROM show(:'with_key', :'with_value');
SELECT * FROM show(:'with_key', :'backwards');
SELECT * FROM show('{"id":1}', E' \n{ "op" : "c" ,\t"source" : ' || :'source' || ' , "after" : { "id" : 1 } } ');
-- a schema of null is none; a table may have columns of these names
SELECT * FROM show('{"schema":null,"payload":{"id":1}}', '{"schema":null,"payload":' || :'value' || '}');
SELECT * FROM show('{"schema":"s","payload":"p"}', :'value');

-- records without a value: Kafka's null, and what converters make of it
SELECT * FROM show('{"id":1}', NULL);
SELECT * FROM show('{"id":1}', 'null');
SELECT * FROM show(:'with_key', '{"schema":null,"payload":null}');
SELECT * FROM show(:'with_key', '{"schema":' || :'value_schema' || ',"payload":null}');
-- records without a key, as of a truncate or a table that has none
SELECT * FROM show(NULL, :'value');
SELECT * FROM show('null', :'value');
SELECT * FROM show('{"schema":null,"payload":null}', :'value');

-- Debezium's other records are passed by: heartbeat, transaction, message, notification
SELECT op FROM cdcsync.decode('__debezium-heartbeat.peer', '{"serverName":"peer"}', '{"ts_ms":1767323045912}');
SELECT op FROM cdcsync.decode('__debezium-heartbeat.peer', '{"schema":{"type":"struct","fields":[{"type":"string",
	"optional":false,"field":"serverName"}],"optional":false,"name":"io.debezium.connector.common.ServerNameKey"},
	"payload":{"serverName":"peer"}}', '{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,
	"field":"ts_ms"}],"optional":false,"name":"io.debezium.connector.common.Heartbeat"},
	"payload":{"ts_ms":1767323045912}}');
SELECT op FROM cdcsync.decode('peer.transaction', '{"id":"571:53195829"}',
	'{"status":"BEGIN","id":"571:53195829","event_count":null,"data_collections":null,"ts_ms":1767323045912}');
SELECT op FROM cdcsync.decode('peer.transaction', '{"id":"571:53195832"}',
	'{"status":"END","id":"571:53195832","event_count":2,"data_collections":[{"data_collection":"s.a","event_count":2}]}');
SELECT op FROM cdcsync.decode('peer.message', '{"prefix":"p"}',
	'{"op":"m","source":{"name":"peer","schema":"","table":""},"message":{"prefix":"p","content":"Zm9v"}}');
SELECT op FROM cdcsync.decode('notifications', NULL, '{"id":"c1","type":"COMPLETED",
	"aggregate_type":"Initial Snapshot","additional_data":{"connector_name":"peer"},"timestamp":1767323045912}');
-- but only they: a row that looks much like one is no change event, and no heartbeat
SELECT op FROM cdcsync.decode('peer.public.note', '{"id":1}', '{"ts_ms":1767323045912}');
SELECT op FROM cdcsync.decode('peer.public.note', '{"id":1}',
	'{"status":"BEGIN","id":1,"event_count":0,"data_collections":null,"more":1}');

-- forms that lack what is needed
SELECT op FROM cdcsync.decode('note', '{"id":1}', '{"id":1,"body":"a","__deleted":"false"}');
SELECT op FROM cdcsync.decode('note', '{"id":1}', '{"id":1,"body":"a","__op":"c","__source_ts_us":1767323045912}');
SELECT op FROM cdcsync.decode('note', '{"id":1}', '{"id":1,"body":"a"}');
SELECT op FROM cdcsync.decode('note', '{"id":1}', '{"id":"name:peer;lsn:29274832;txId:565","source":"/debezium/postgresql/peer",
	"specversion":"1.0","type":"io.debezium.connector.postgresql.DataChangeEvent","time":"2026-01-02T03:04:05.678Z",
	"datacontenttype":"application/json","iodebeziumop":"c","data":{"before":null,"after":{"id":1}}}');

-- what is not JSON, or no object
SELECT op FROM cdcsync.decode('note', NULL, '');
SELECT op FROM cdcsync.decode('note', NULL, 'Struct{before=null,after=Struct{id=1},op=c}');
SELECT op FROM cdcsync.decode('note', 'Struct{id=1}', :'value');
SELECT op FROM cdcsync.decode('note', NULL, 'hello');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","source":{"name":"pe');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","source":{}}}');
SELECT op FROM cdcsync.decode('note', NULL, '[1,2]');
SELECT op FROM cdcsync.decode('note', NULL, '"a text"');
SELECT op FROM cdcsync.decode('note', NULL, '1');
SELECT op FROM cdcsync.decode('note', '1', :'value');
SELECT op FROM cdcsync.decode('note', '["id"]', :'value');
SELECT op FROM cdcsync.decode('note', '{"schema":{"type":"int32","optional":false},"payload":1}', :'value');
SELECT op FROM cdcsync.decode('note', NULL, repeat('[', 100000));
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","source":' || repeat('{"a":', 100000) || '1' || repeat('}', 100001));
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":' || repeat('{"type":"array","items":', 10000) || '1'
	|| repeat('}', 10000) || ',"payload":' || :'value' || '}');
-- as many fields as a table may have columns, and one more
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"f":1' || repeat(',"f":1', 1599) || '},"source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"f":1' || repeat(',"f":1', 1600) || '},"source":' || :'source' || '}');

-- envelopes that miss something
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"x","source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":1,"source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":"peer"}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"u","after":null,"source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":[1],"source":' || :'source' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"schema":"public","table":"note","ts_us":1}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"name":"","schema":"public","table":"note","ts_us":1}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"name":"peer","table":"note","ts_us":1}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"name":"peer","schema":"public","ts_us":1}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"name":"peer","schema":"public","table":"note"}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},"source":{"name":"peer","schema":"public","table":"note","ts_us":"now"}}');
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"c","after":{"id":1},
	"source":{"connector":"mysql","name":"peer","db":"public","table":"note","ts_us":1}}');
-- the letter of the operation in either case, as Debezium reads it itself
SELECT op FROM cdcsync.decode('note', NULL, '{"op":"C","after":{"id":1},"source":' || :'source' || '}');

-- schemas that are none
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":{"type":"strukt"},"payload":' || :'value' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":{"type":"struct"},"payload":' || :'value' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":{"type":"struct","fields":[{"type":"int32"}]},"payload":' || :'value' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":{"type":"struct","fields":[]},"payload":' || :'value' || '}');
SELECT op FROM cdcsync.decode('note', NULL, '{"schema":' || :'value_schema' || ',"payload":{"op":"c","source":' || :'source'
	|| ',"after":{"id":1,"more":2}}}');

-- escapes, in values and in names; surrogates in pairs only, and no zero
CREATE TABLE note (id int PRIMARY KEY, body text, "Qu""o\te" text, v bigint NOT NULL);
SELECT cdcsync.add_table('note', version_column => 'v');
CREATE FUNCTION body(after text) RETURNS text LANGUAGE sql AS $$
	SELECT after_row ->> 'body' FROM cdcsync.decode('peer.public.note', NULL, '{"op":"c","after":' || after ||
		',"source":{"name":"peer","schema":"public","table":"note","ts_us":1}}')
$$;
SELECT body('{"body":"a\"b\\c\/d\be\ff\ng\rh\ti"}') = E'a"b\\c/d\be\ff\ng\rh\ti' AS same;
SELECT body('{"body":"\u00e9\u20AC\ud834\udd1e"}'), body('{"body":"é€𝄞"}');
SELECT body('{"body":"\\"}'), body('{"body":"\\\""}'), body('{"body":""}');
SELECT body('{"\u0062o\u0064y":"by another name","Qu\"o\\te":"x"}');
SELECT body('{"body":"\u0000"}');
SELECT body('{"body":"\ud834"}');
SELECT body('{"body":"\udd1e\ud834"}');
SELECT body('{"body":"\x"}');
SELECT body(E'{"body":"line\nbreak"}');
SELECT body('{"body":' || repeat('[', 100000));

SELECT cdcsync.remove_table('note');
DROP TABLE note;
DROP FUNCTION body(text), show(text, text);
DROP VIEW decoded;
