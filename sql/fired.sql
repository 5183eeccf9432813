--
-- Code of users that runs while changes are applied: what it writes is theirs.
--
CREATE TABLE seen (n int GENERATED ALWAYS AS IDENTITY, what text, role text);
CREATE FUNCTION see(what text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note_role(what);
	RETURN true;
END $$;
CREATE FUNCTION note_role(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO public.seen (what, role) SELECT what, setting FROM pg_catalog.pg_settings WHERE name = 'session_replication_role'
$$;

--
-- A trigger that fires on apply writes another registered table: that is a local change.
--
CREATE TABLE cust (id int PRIMARY KEY, orders int DEFAULT 0, v bigint);
CREATE TABLE ord (id int PRIMARY KEY, cust int, v bigint);
SELECT cdcsync.add_table('cust', version_column => 'v'), cdcsync.add_table('ord', version_column => 'v');
INSERT INTO cust VALUES (1), (2), (3);
CREATE FUNCTION ord_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.cust SET orders = orders + 1 WHERE id = NEW.cust;
	DELETE FROM public.cust WHERE id = 2;
	UPDATE public.cust SET id = 30 WHERE id = 3;
	INSERT INTO public.cust VALUES (4, 0, NULL);
	RETURN NULL;
END $$;
CREATE TRIGGER z AFTER INSERT ON ord FOR EACH ROW EXECUTE FUNCTION ord_count();
ALTER TABLE ord ENABLE ALWAYS TRIGGER z;
SELECT go('c', 'ord', NULL, '{"id": 2, "cust": 1, "v": 1}');
SELECT * FROM cust ORDER BY id;
SELECT key, version, peer FROM cdcsync.tombstone WHERE relation = 'cust'::regclass ORDER BY key;
-- a late change does not bring the row back
SELECT go('c', 'cust', NULL, '{"id": 2, "orders": 0, "v": 1}');
-- what was applied has the peer's version, as ever
SELECT * FROM ord;
DROP TRIGGER z ON ord;

--
-- Whoever fires does so under the session's own role.
--
CREATE DOMAIN watched AS text CHECK (see('domain'));
CREATE TABLE spot (
	id int PRIMARY KEY,
	body watched,
	extra boolean DEFAULT see('default'),
	v bigint,
	gen boolean GENERATED ALWAYS AS (see('generated column ' || id)) STORED,
	CHECK (see('check ' || id))
);
CREATE INDEX ON spot (see('index ' || id));
SELECT cdcsync.add_table('spot', version_column => 'v');
CREATE FUNCTION spot_fired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note_role(lower(TG_WHEN || ' ' || TG_OP));
	RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON spot FOR EACH ROW EXECUTE FUNCTION spot_fired();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON spot FOR EACH ROW WHEN (see('when')) EXECUTE FUNCTION spot_fired();
CREATE TRIGGER c AFTER INSERT ON spot FOR EACH STATEMENT EXECUTE FUNCTION spot_fired();
CREATE TRIGGER of_origin BEFORE INSERT ON spot FOR EACH ROW EXECUTE FUNCTION spot_fired();
ALTER TABLE spot ENABLE ALWAYS TRIGGER a, ENABLE REPLICA TRIGGER b, ENABLE ALWAYS TRIGGER c;
TRUNCATE seen RESTART IDENTITY;
SELECT go('c', 'spot', NULL, '{"id": 1, "body": "a", "v": 1}');
SELECT go('u', 'spot', NULL, '{"id": 1, "body": "b", "v": 2}');
SELECT go('d', 'spot', '{"id": 1, "body": "b", "v": 2}', NULL);
SELECT what, role, count(*) FROM seen GROUP BY what, role ORDER BY min(n);
SHOW session_replication_role;
-- a plain table has no triggers, but other code
CREATE TABLE bare (id int PRIMARY KEY, v bigint, CHECK (see('check ' || id)));
CREATE INDEX ON bare (see('index ' || id));
SELECT cdcsync.add_table('bare', version_column => 'v');
TRUNCATE seen RESTART IDENTITY;
SELECT go('c', 'bare', NULL, '{"id": 1, "v": 1}');
SELECT what, role, count(*) FROM seen GROUP BY what, role ORDER BY min(n);
-- what is written once more
TRUNCATE seen RESTART IDENTITY;
SELECT * FROM cdcsync.republish('bare', '-infinity');
SELECT what, role, count(*) FROM seen GROUP BY what, role ORDER BY min(n);
TABLE bare;

-- foreign keys, and triggers of others, hold for what it writes
CREATE TABLE mine (ref int REFERENCES cust);
CREATE FUNCTION spot_orphan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.mine VALUES (NEW.id);
	RETURN NULL;
END $$;
CREATE TRIGGER d AFTER UPDATE ON spot FOR EACH ROW EXECUTE FUNCTION spot_orphan();
ALTER TABLE spot ENABLE ALWAYS TRIGGER d;
SELECT go('c', 'spot', NULL, '{"id": 5, "body": "a", "v": 3}');
\set SHOW_CONTEXT never
SELECT go('u', 'spot', NULL, '{"id": 5, "body": "b", "v": 4}');
-- an error in it, caught or not, leaves the role as it was
SHOW session_replication_role;
CREATE OR REPLACE FUNCTION spot_orphan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO public.mine VALUES (NEW.id);
		SET CONSTRAINTS ALL IMMEDIATE;
	EXCEPTION WHEN foreign_key_violation THEN
		RAISE NOTICE '%', SQLERRM;
	END;
	PERFORM public.note_role('after an error');
	RETURN NULL;
END $$;
TRUNCATE seen RESTART IDENTITY;
SELECT go('u', 'spot', NULL, '{"id": 5, "body": "b", "v": 4}');
SELECT role FROM seen WHERE what = 'after an error';
SELECT id, body, v FROM spot;
\set SHOW_CONTEXT errors
DROP TABLE spot, bare, mine;

--
-- A row whose version turns out too low once it is written gets another: no trigger sees that.
--
CREATE TABLE lifted (id int, body text, ref int, v bigint, twice bigint GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (id, body)) PARTITION BY LIST (body);
CREATE TABLE lifted_a PARTITION OF lifted FOR VALUES IN ('a') WITH (fillfactor = 50);
CREATE TABLE lifted_rest PARTITION OF lifted DEFAULT;
CREATE INDEX ON lifted (v);
CREATE TABLE target (id int PRIMARY KEY);
INSERT INTO target VALUES (1);
ALTER TABLE lifted ADD CONSTRAINT refers FOREIGN KEY (ref) REFERENCES target DEFERRABLE INITIALLY DEFERRED;
SELECT cdcsync.add_table('lifted', version_column => 'v');
INSERT INTO lifted VALUES (1, 'a', 1, 100), (2, 'a', 1, 100), (3, 'b', 1, 100);
DELETE FROM lifted;
-- it comes behind cdcsync's own, as a delete would that is committed meanwhile
CREATE FUNCTION lower_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 1; RETURN NEW; END $$;
CREATE TRIGGER "~z" BEFORE INSERT ON lifted FOR EACH ROW EXECUTE FUNCTION lower_version();
CREATE FUNCTION lifted_fired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % under %', TG_WHEN, TG_OP, current_setting('session_replication_role');
	RETURN NEW;
END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON lifted FOR EACH ROW EXECUTE FUNCTION lifted_fired();
CREATE TRIGGER b AFTER INSERT OR UPDATE ON lifted FOR EACH ROW EXECUTE FUNCTION lifted_fired();
ALTER TABLE lifted ENABLE ALWAYS TRIGGER a, ENABLE ALWAYS TRIGGER b;
CREATE ROLE regress_cdcsync_writer;
GRANT INSERT ON lifted TO regress_cdcsync_writer;
SET ROLE regress_cdcsync_writer;
INSERT INTO lifted VALUES (1, 'a', 1, 200), (4, 'a', 1, 200), (3, 'b', 1, 200);
RESET ROLE;
SELECT tableoid::regclass, * FROM lifted ORDER BY id;
SET enable_seqscan = off;
SELECT id FROM lifted WHERE v = 101 ORDER BY id;
RESET enable_seqscan;
-- a foreign key that is checked later sees the row that there is then
BEGIN;
INSERT INTO lifted VALUES (2, 'a', 7, 200);
SELECT id, ref, v FROM lifted WHERE id = 2;
COMMIT;
-- another trigger may have changed it by then, moved it or deleted it
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE NEW.ref
		WHEN 1 THEN UPDATE public.lifted SET ref = NULL WHERE id = NEW.id AND body = NEW.body;
		WHEN 4 THEN UPDATE public.lifted SET ref = NULL, v = 300 WHERE id = NEW.id AND body = NEW.body;
		WHEN 2 THEN UPDATE public.lifted SET body = 'moved', ref = NULL WHERE id = NEW.id AND body = NEW.body;
		ELSE DELETE FROM public.lifted WHERE id = NEW.id AND body = NEW.body;
	END CASE;
	RETURN NULL;
END $$;
DROP TRIGGER a ON lifted;
DROP TRIGGER b ON lifted;
CREATE TRIGGER meanwhile AFTER INSERT ON lifted FOR EACH ROW WHEN (NEW.body <> 'moved') EXECUTE FUNCTION meanwhile();
DELETE FROM lifted;
INSERT INTO lifted VALUES (1, 'a', 1, 200), (2, 'a', 2, 200), (3, 'b', 3, 200), (4, 'a', 4, 200);
SELECT tableoid::regclass, * FROM lifted ORDER BY id;
DROP TRIGGER meanwhile ON lifted;
-- what is lifted must pass the constraints
ALTER TABLE lifted ADD CONSTRAINT low CHECK (v < 90) NOT VALID;
INSERT INTO lifted VALUES (3, 'b', 1, 200);

SET client_min_messages = warning;
DROP TABLE lifted, target, cust, ord, seen;
DROP FUNCTION see, note_role, ord_count, spot_fired, spot_orphan, lower_version, lifted_fired, meanwhile CASCADE;
DROP ROLE regress_cdcsync_writer;
RESET client_min_messages;
