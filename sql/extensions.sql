--
-- PostGIS's and pgvector's types.  Here types of the same names stand in for them, and keep the text that they are given:
-- it is what the source shows, but for Java's way to write a float, and for the delimiter of arrays of geometry.
--
CREATE PROCEDURE stand_in(name text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TYPE %I', name);
	EXECUTE format('CREATE FUNCTION %s(cstring) RETURNS %I LANGUAGE internal STRICT IMMUTABLE AS ''textin''', name || '_in', name);
	EXECUTE format('CREATE FUNCTION %s(%I) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS ''textout''', name || '_out', name);
	EXECUTE format('CREATE TYPE %I (INPUT = %s, OUTPUT = %s, LIKE = text)', name, name || '_in', name || '_out');
END $$;
SET client_min_messages = warning;
CALL stand_in('vector');
CALL stand_in('halfvec');
CALL stand_in('sparsevec');
CALL stand_in('geometry');
CALL stand_in('geography');
RESET client_min_messages;
CREATE TABLE extensions (
	id int PRIMARY KEY, v bigint,
	vec vector, vec3 vector, half halfvec, sparse sparsevec, vecs vector[],
	geom geometry, point geometry, geog geography, geoms geometry[],
	texts jsonb
);
SELECT cdcsync.add_table('extensions', version_column => 'v');
CREATE FUNCTION differing() RETURNS TABLE (compared bigint, id int, col text, source text, here text) LANGUAGE sql AS $$
	WITH cells AS (SELECT id, k, texts ->> k AS source FROM extensions AS e, jsonb_object_keys(texts) AS k),
	shown AS (SELECT c.id, c.k, c.source, CASE k WHEN 'vec' THEN vec::text WHEN 'vec3' THEN vec3::text WHEN 'half' THEN half::text
			WHEN 'sparse' THEN sparse::text WHEN 'vecs' THEN vecs::text WHEN 'geom' THEN geom::text WHEN 'point' THEN point::text
			WHEN 'geog' THEN geog::text WHEN 'geoms' THEN geoms::text END AS here
		FROM cells AS c JOIN extensions USING (id))
	SELECT (SELECT count(*) FROM shown), s.* FROM (VALUES (1)) AS one LEFT JOIN shown AS s ON source IS DISTINCT FROM here
	ORDER BY 2, 3
$$;

SELECT cdcsync.apply(topic, key, value) FROM recorded WHERE fixture = 'extensions' ORDER BY n;
SELECT * FROM differing();
CALL clear('extensions');
SELECT cdcsync.apply(topic, key, value, modes()) FROM recorded WHERE fixture = 'extensions-plain' ORDER BY n;
SELECT * FROM differing();

DROP FUNCTION differing;
SELECT cdcsync.remove_table('extensions');
SET client_min_messages = warning;
DROP TABLE extensions;
DROP TYPE vector, halfvec, sparsevec, geometry, geography CASCADE;
DROP PROCEDURE stand_in;
