--
-- Who may read rows where cdcsync shows them: who may SELECT the whole table, and where
-- policies bind him, nobody but its owner.
--
CREATE ROLE regress_cdcsync_owner;
CREATE ROLE regress_cdcsync_admin IN ROLE cdcsync_admin;
CREATE ROLE regress_cdcsync_reader IN ROLE cdcsync_admin;
CREATE ROLE regress_cdcsync_column IN ROLE cdcsync_admin;
CREATE ROLE regress_cdcsync_all IN ROLE cdcsync_admin, pg_read_all_data;
CREATE ROLE regress_cdcsync_bypass BYPASSRLS IN ROLE cdcsync_admin, pg_read_all_data;
CREATE ROLE regress_cdcsync_auditor;
GRANT CREATE ON SCHEMA public TO regress_cdcsync_owner;
CREATE SCHEMA ward;
GRANT ALL ON SCHEMA ward TO PUBLIC;
SET ROLE regress_cdcsync_owner;
CREATE TABLE ward.log (entry text CHECK (entry <> 'refused: a secret'));
CREATE TABLE patient (id int PRIMARY KEY, name text UNIQUE, age int CHECK (age < 150), v bigint NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.name = 'raise' THEN
		RAISE 'row %', NEW USING HINT = 'hint ' || NEW;
	ELSIF NEW.name = 'cast' THEN
		PERFORM (SELECT name FROM public.patient WHERE id = 1)::int;
	ELSIF NEW.name = 'log' THEN
		INSERT INTO ward.log VALUES ('refused: a secret');
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON patient FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE patient ENABLE ALWAYS TRIGGER note;
GRANT SELECT ON patient TO regress_cdcsync_reader, regress_cdcsync_auditor;
GRANT SELECT (id) ON patient TO regress_cdcsync_column;
RESET ROLE;
SELECT cdcsync.add_table('patient', version_column => 'v', source_table => 'public.patient');
SELECT go('c', 'patient', NULL, '{"id": 1, "name": "Anna", "age": 40, "v": 1}');
SELECT go('u', 'patient', '{"id": 1, "name": "Anne", "age": 40, "v": 1}', '{"id": 1, "name": "Anna B.", "age": 41, "v": 2}');
SELECT go('c', 'patient', NULL, '{"id": 2, "name": "Berta", "age": 40, "v": 1}');
SELECT go('d', 'patient', '{"id": 2, "name": "Berta", "age": 40, "v": 1}', NULL);
-- as the worker would keep them
INSERT INTO cdcsync.dead_letter_data (subscription, topic, partition, "offset", key, value, record_time, sqlstate, message, message_public, detail, context, source_table)
SELECT 's', 't', 0, i, 'secret', 'secret', 0, '22P02', 'message', public, 'secret', 'secret', source
FROM (VALUES (1, false, 'public.patient'), (2, true, 'public.patient'), (3, true, NULL), (4, false, 'public.gone'))
	AS l(i, public, source);

-- what everybody sees of it
CREATE FUNCTION errors(key_id int, fields jsonb) RETURNS TABLE (field text, said text) LANGUAGE plpgsql AS $$
DECLARE
	m text; d text; h text; c text;
BEGIN
	PERFORM cdcsync.apply('peer.public.patient', jsonb_build_object('id', key_id)::text, event('c', 'patient', NULL, fields), modes());
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, c = PG_EXCEPTION_CONTEXT;
	RETURN QUERY VALUES (SQLSTATE, m), ('detail', d), ('hint', h),
		('context has it', (c ~ 'secret|Anna|note')::text);
END $$;
CREATE FUNCTION sees() RETURNS TABLE (what text, seen text) LANGUAGE sql AS $$
	SELECT 'may_read_rows', cdcsync.may_read_rows('patient') || ' ' || cdcsync.may_read_rows(NULL)
	UNION ALL SELECT 'conflict_history', count(*)::text FROM cdcsync.conflict_history WHERE relation = 'patient'::regclass
	UNION ALL SELECT 'tombstone', count(*)::text FROM cdcsync.tombstone WHERE relation = 'patient'::regclass
	UNION ALL (SELECT 'dead_letter ' || "offset", concat_ws(' ', message, convert_from(key, 'UTF8'), convert_from(value, 'UTF8'), detail, context)
		FROM cdcsync.dead_letter WHERE topic = 't' ORDER BY "offset")
$$;
CREATE FUNCTION hears() RETURNS TABLE (try text, field text, said text) LANGUAGE sql AS $$
	SELECT 'CHECK', e.* FROM errors(1, '{"id": 1, "name": "Anna", "age": 200, "v": 3}') AS e
	UNION ALL SELECT 'value', e.* FROM errors(3, '{"id": 3, "age": "secret", "v": 3}') AS e
	UNION ALL SELECT 'raise', e.* FROM errors(3, '{"id": 3, "name": "raise", "v": 3}') AS e
	UNION ALL SELECT 'cast', e.* FROM errors(3, '{"id": 3, "name": "cast", "v": 3}') AS e
	UNION ALL SELECT 'log', e.* FROM errors(3, '{"id": 3, "name": "log", "v": 3}') AS e
$$;
GRANT EXECUTE ON FUNCTION event(text, text, jsonb, jsonb, text, text, timestamptz), modes() TO PUBLIC;
SET ROLE regress_cdcsync_admin;
SELECT * FROM sees();
SELECT * FROM hears();
SELECT cdcsync.resolve_conflict((SELECT max(id) FROM cdcsync.conflict_history), 'local');
SET ROLE regress_cdcsync_column;
SELECT * FROM sees();
SET ROLE regress_cdcsync_reader;
SELECT * FROM sees();
-- of another table that a trigger writes he hears as little as before
SELECT * FROM hears();
SET ROLE regress_cdcsync_all;
SELECT * FROM sees();
RESET ROLE;
SELECT * FROM sees();
SELECT * FROM hears() WHERE try = 'log';

-- row security: a text of a row cannot be asked whether a policy would show it
ALTER TABLE patient ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON patient USING (true);
SET ROLE regress_cdcsync_reader;
SELECT * FROM sees();
SELECT * FROM hears() WHERE try = 'CHECK';
RESET ROLE;
SELECT max(id) AS id FROM cdcsync.conflict_history WHERE relation = 'patient'::regclass \gset
SET ROLE regress_cdcsync_reader;
\set VERBOSITY sqlstate
SELECT cdcsync.resolve_conflict(:id, 'local');
\set VERBOSITY default
SET ROLE regress_cdcsync_all;
SELECT * FROM sees();
SET ROLE regress_cdcsync_bypass;
SELECT * FROM sees();
RESET ROLE;
GRANT cdcsync_admin TO regress_cdcsync_owner;
SET ROLE regress_cdcsync_owner;
SELECT * FROM sees();
RESET ROLE;
ALTER TABLE patient DISABLE ROW LEVEL SECURITY;

-- who is granted a view needs no more
GRANT USAGE ON SCHEMA cdcsync TO regress_cdcsync_auditor;
GRANT SELECT ON cdcsync.conflict_history, cdcsync.tombstone, cdcsync.dead_letter TO regress_cdcsync_auditor;
SET ROLE regress_cdcsync_auditor;
SELECT * FROM sees();
-- nor does a cheap function of his see rows before the view does
CREATE FUNCTION pg_temp.leak(jsonb) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
RESET ROLE;
REVOKE SELECT ON patient FROM regress_cdcsync_auditor;
SET ROLE regress_cdcsync_auditor;
SELECT count(*) FROM cdcsync.conflict_history WHERE pg_temp.leak(key);
SELECT count(*) FROM cdcsync.tombstone WHERE pg_temp.leak(key);
RESET ROLE;

-- a table that is gone is any table
SELECT cdcsync.remove_table('patient');
DROP TABLE patient;
SET ROLE regress_cdcsync_reader;
SELECT "offset", message, detail FROM cdcsync.dead_letter WHERE topic = 't' ORDER BY "offset";
RESET ROLE;
DELETE FROM cdcsync.dead_letter_data WHERE topic = 't';
DROP FUNCTION note, errors, sees, hears;
DROP SCHEMA ward CASCADE;
REVOKE CREATE ON SCHEMA public FROM regress_cdcsync_owner;
DROP OWNED BY regress_cdcsync_auditor;
DROP ROLE regress_cdcsync_owner, regress_cdcsync_admin, regress_cdcsync_reader, regress_cdcsync_column, regress_cdcsync_all,
	regress_cdcsync_bypass, regress_cdcsync_auditor;
