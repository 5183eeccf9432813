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
-- A trigger may not change what is applied: the nodes would answer each other for ever.
--
CREATE TABLE stamped (id int PRIMARY KEY, body text, code char(5), price numeric(6,2), at timestamp(0),
	n int DEFAULT 7, here text, v bigint, twice text GENERATED ALWAYS AS (body || body) STORED);
SELECT cdcsync.add_table('stamped', version_column => 'v');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE NEW.body
		WHEN 'version' THEN NEW.v := NEW.v + 1;
		WHEN 'body' THEN NEW.body := 'BODY';
		WHEN 'key' THEN NEW.id := 100;
		WHEN 'null' THEN NEW.code := NULL;
		WHEN 'here' THEN NEW.here := 'of ' || TG_OP;
		WHEN 'same' THEN NEW.body := lower(NEW.body);
		WHEN 'gone' THEN RETURN NULL;
		ELSE NULL;
	END CASE;
	RETURN NEW;
END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
-- it does not fire
SELECT go('c', 'stamped', NULL, '{"id": 1, "body": "version", "v": 1}');
ALTER TABLE stamped ENABLE ALWAYS TRIGGER stamp;
\set SHOW_CONTEXT never
SELECT go('c', 'stamped', NULL, '{"id": 2, "body": "version", "v": 1}');
SELECT go('c', 'stamped', NULL, '{"id": 2, "body": "body", "v": 1}');
SELECT go('c', 'stamped', NULL, '{"id": 2, "body": "key", "v": 1}');
SELECT go('c', 'stamped', NULL, '{"id": 2, "body": "gone", "v": 1}');
SELECT go('u', 'stamped', NULL, '{"id": 1, "body": "version", "v": 2}');
SELECT go('u', 'stamped', NULL, '{"id": 1, "body": "null", "code": "x", "v": 2}');
SELECT go('u', 'stamped', NULL, '{"id": 1, "body": "gone", "v": 2}');
-- a delete that first makes the row what its author saw
SELECT go('d', 'stamped', '{"id": 1, "body": "version", "v": 5}', NULL);
-- what a column's type, default or expression does is none of it; nor a column that is only here, or the same value
SELECT go('c', 'stamped', NULL, '{"id": 3, "body": "same", "code": "ab", "price": "1.5", "at": 1767225600000000, "v": 1}');
SELECT go('u', 'stamped', NULL, '{"id": 3, "body": "same", "code": "abc", "price": "2.5", "at": 1767225600000000, "v": 2}');
SELECT go('c', 'stamped', NULL, '{"id": 4, "body": "here", "v": 1}');
SELECT go('u', 'stamped', NULL, '{"id": 4, "body": "here", "code": "x", "v": 2}');
SELECT * FROM stamped ORDER BY id;
-- several rows at once
SELECT * FROM cdcsync.apply('peer.public.stamped', ARRAY['{"id": 5}', '{"id": 6}', '{"id": 7}'],
	ARRAY[event('c', 'stamped', NULL, '{"id": 5, "body": "a", "v": 1}'), event('c', 'stamped', NULL, '{"id": 6, "body": "body", "v": 1}'),
		event('c', 'stamped', NULL, '{"id": 7, "body": "c", "v": 1}')]);
-- a partition's own trigger, made when the table is known already
CREATE TABLE parted (id int PRIMARY KEY, body text, v bigint) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
SELECT cdcsync.add_table('parted', version_column => 'v');
SELECT go('c', 'parted', NULL, '{"id": 1, "body": "body", "v": 1}');
SELECT go('c', 'parted', NULL, '{"id": 11, "body": "body", "v": 1}');
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON parted_2 FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE parted_2 ENABLE REPLICA TRIGGER stamp;
SELECT go('u', 'parted', NULL, '{"id": 1, "body": "body", "v": 2}');
SELECT go('u', 'parted', NULL, '{"id": 11, "body": "body", "v": 2}');
SELECT go('u', 'parted', NULL, '{"id": 11, "body": "version", "v": 2}');
ALTER TABLE parted_2 ENABLE TRIGGER stamp;
SELECT go('u', 'parted', NULL, '{"id": 11, "body": "version", "v": 2}');
-- in one batch, a trigger that writes a row of the batch before that is written: partitions' rows are addressed by key, and what
-- it wrote would be lost; each event by itself finds it
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.parted SET body = 'counted' WHERE id = 1;
	RETURN NULL;
END $$;
CREATE TRIGGER count_up AFTER DELETE ON parted FOR EACH ROW EXECUTE FUNCTION count_up();
ALTER TABLE parted ENABLE ALWAYS TRIGGER count_up;
SELECT cdcsync.apply('peer.public.parted', ARRAY['{"id": 11}', '{"id": 1}'], ARRAY[
	event('d', 'parted', '{"id": 11, "body": "version", "v": 2}', NULL),
	event('u', 'parted', '{"id": 1, "body": "body", "v": 2}', '{"id": 1, "body": "edited", "v": 3}')], modes());
TABLE parted;
SELECT go('d', 'parted', '{"id": 11, "body": "version", "v": 2}', NULL);
SELECT go('u', 'parted', '{"id": 1, "body": "body", "v": 2}', '{"id": 1, "body": "edited", "v": 3}');
TABLE parted;
DROP TRIGGER count_up ON parted;

-- add_table says so, and check()
CREATE TABLE later (id int PRIMARY KEY, v bigint);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON later FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER tell AFTER INSERT ON later FOR EACH STATEMENT EXECUTE FUNCTION stamp();
CREATE TRIGGER of_origin BEFORE INSERT ON later FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE later ENABLE ALWAYS TRIGGER stamp, ENABLE REPLICA TRIGGER tell;
SELECT cdcsync.add_table('later', version_column => 'v');
SELECT cdcsync.alter_table_rule('later', truncate => true);
SELECT * FROM cdcsync.check_triggers() ORDER BY subject;
SELECT subject, problem FROM cdcsync.check() WHERE problem LIKE 'trigger stamp %' ORDER BY subject;
-- a table without a version column has no version for what they write
CREATE TABLE committed (id int PRIMARY KEY);
SELECT cdcsync.add_table('committed');
SELECT DISTINCT level, problem FROM cdcsync.check_triggers() WHERE level = 'info' ORDER BY problem;
DROP TABLE later, committed;

--
-- A function that leans on search_path, which is pg_catalog alone.
--
CREATE FUNCTION norm(x text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT lower(x) $$;
CREATE FUNCTION slug(x text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN norm(x); END $$;
CREATE TABLE page (id int PRIMARY KEY, title text, v bigint);
CREATE INDEX ON page (slug(title));
SELECT cdcsync.add_table('page', version_column => 'v');
\set SHOW_CONTEXT errors
SELECT go('c', 'page', NULL, '{"id": 1, "title": "X", "v": 1}');
ALTER FUNCTION slug(text) SET search_path = public;
SELECT go('c', 'page', NULL, '{"id": 1, "title": "X", "v": 1}');
-- cdcsync's own errors of that kind say what they say
SELECT go('c', 'nowhere', NULL, '{"id": 1}');
\set SHOW_CONTEXT never
DROP TABLE page;

--
-- A trigger that writes other rows of the table.
--
CREATE TABLE tree (id int PRIMARY KEY, parent int, children int DEFAULT 0, v bigint);
SELECT cdcsync.add_table('tree', version_column => 'v');
CREATE FUNCTION count_child() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.tree SET children = children + 1 WHERE id = NEW.parent;
	RETURN NULL;
END $$;
CREATE TRIGGER count_child AFTER INSERT ON tree FOR EACH ROW EXECUTE FUNCTION count_child();
ALTER TABLE tree ENABLE ALWAYS TRIGGER count_child;
SELECT go('c', 'tree', NULL, '{"id": 1, "parent": null, "children": 0, "v": 1}');
SELECT go('c', 'tree', NULL, '{"id": 2, "parent": 1, "children": 0, "v": 1}');
SELECT * FROM cdcsync.apply('peer.public.tree', ARRAY['{"id": 3}', '{"id": 4}'],
	ARRAY[event('c', 'tree', NULL, '{"id": 3, "parent": 2, "children": 0, "v": 1}'), event('c', 'tree', NULL, '{"id": 4, "parent": 2, "children": 0, "v": 1}')]);
SELECT * FROM tree ORDER BY id;
\set SHOW_CONTEXT errors
DROP TABLE stamped, parted, tree;

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
DROP FUNCTION see, note_role, ord_count, spot_fired, spot_orphan, lower_version, lifted_fired, meanwhile, stamp, count_child, norm, slug CASCADE;
DROP ROLE regress_cdcsync_writer;
RESET client_min_messages;
