--
-- PostGIS's and pgvector's types.  Here types of the same names stand in for them, and keep the text that they are given:
-- it is what the source shows, but for Java's way to write a float, and for the delimiter of arrays of geometry.
--
SET client_min_messages = warning;
\getenv srcdir PG_ABS_SRCDIR
\set path :srcdir '/test/fixtures/extensions.tables.sql'
\i :path
RESET client_min_messages;
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
