--
-- The extension, and a way to write events by hand.
--
CREATE EXTENSION cdcsync;
-- no worker runs to note it: this is the database that the catalogs belong to
SELECT cdcsync.resume();

-- modes of the connector that the events below are written in
CREATE FUNCTION modes() RETURNS jsonb IMMUTABLE LANGUAGE sql AS $$
	SELECT '{"time.precision.mode": "microseconds", "decimal.handling.mode": "string",
			"binary.handling.mode": "hex"}'::jsonb
$$;

-- an event in Debezium's envelope, JSON without schemas
CREATE FUNCTION event(op text, tab text, before jsonb, after jsonb,
	peer text DEFAULT 'peer', origin text DEFAULT NULL,
	at timestamptz DEFAULT '2026-01-01 00:00:00+00') RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_build_object('op', op, 'before', before, 'after', after, 'source',
		jsonb_build_object('version', '3.6.0.Final', 'connector', 'postgresql', 'name', peer,
			'db', 'app', 'schema', 'public', 'table', tab, 'snapshot', 'false', 'txId', 700,
			'lsn', 30000000, 'ts_ms', (extract(epoch FROM at) * 1000)::bigint,
			'ts_us', (extract(epoch FROM at) * 1000000)::bigint,
			'origin', origin))::text
$$;

-- apply one event; the key is that of the row image
CREATE FUNCTION go(op text, tab text, before jsonb, after jsonb,
	peer text DEFAULT 'peer', origin text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT cdcsync.apply(peer || '.public.' || tab,
		jsonb_build_object('id', coalesce(after, before) -> 'id')::text,
		event(op, tab, before, after, peer, origin), producer => modes())
$$;

CREATE PROCEDURE clear(tab regclass) LANGUAGE plpgsql SET client_min_messages = error AS $$
BEGIN
	EXECUTE 'TRUNCATE ' || tab;
	DELETE FROM cdcsync.tombstone_data WHERE relation = tab;
	DELETE FROM cdcsync.tombstone_horizon WHERE relation = tab;
END
$$;
