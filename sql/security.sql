--
-- Who may do what, and with whose rights.
--
CREATE ROLE regress_cdcsync_owner;
CREATE ROLE regress_cdcsync_admin IN ROLE cdcsync_admin;
CREATE ROLE regress_cdcsync_other;
GRANT CREATE ON SCHEMA public TO regress_cdcsync_owner;
GRANT EXECUTE ON FUNCTION event(text, text, jsonb, jsonb, text, text, timestamptz), modes() TO PUBLIC;

--
-- A table whose owner puts code wherever apply may come by.
--
SET ROLE regress_cdcsync_owner;
CREATE FUNCTION whoami(what text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% runs as %', what, current_user;
	RETURN true;
END $$;
-- what an attacker would try; the outer role is the one that ran apply
CREATE FUNCTION attack() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	PERFORM public.whoami('default');
	FOREACH command IN ARRAY ARRAY['ALTER ROLE regress_cdcsync_owner SUPERUSER', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION',
		'SET session_replication_role = origin', 'INSERT INTO cdcsync.table_rule SELECT * FROM cdcsync.table_rule',
		'CREATE TEMP TABLE t ()']
	LOOP
		BEGIN
			EXECUTE command;
			RAISE WARNING '%: done', command;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '%: %', command, SQLSTATE;
		END;
	END LOOP;
	SET statement_timeout = 1;
	PERFORM set_config('search_path', 'evil', false);
	RETURN 'default';
END $$;
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.whoami(lower(TG_WHEN || ' ' || TG_OP));
	RETURN COALESCE(NEW, OLD);
END $$;
CREATE DOMAIN spied AS text CHECK (whoami('domain ' || VALUE));
CREATE TABLE trap (
	id int PRIMARY KEY,
	body spied,
	extra text DEFAULT attack(),
	v bigint NOT NULL,
	gen boolean GENERATED ALWAYS AS (whoami('generated column ' || id::text)) STORED,
	CONSTRAINT spied CHECK (whoami('check ' || id::text))
);
CREATE INDEX ON trap (whoami('index ' || body));
RESET ROLE;
SELECT cdcsync.add_table('trap', version_column => 'v', truncate => true);
SET ROLE regress_cdcsync_owner;
CREATE TRIGGER spy BEFORE INSERT OR UPDATE OR DELETE ON trap FOR EACH ROW EXECUTE FUNCTION spy();
CREATE TRIGGER spy_after AFTER INSERT OR UPDATE OR DELETE ON trap FOR EACH ROW EXECUTE FUNCTION spy();
CREATE TRIGGER spy_truncate AFTER TRUNCATE ON trap FOR EACH STATEMENT EXECUTE FUNCTION spy();
RESET ROLE;

-- nothing fires that is not told to fire for replicated changes
SELECT go('c', 'trap', NULL, '{"id": 1, "body": "a", "extra": "given", "v": 1}');
SET ROLE regress_cdcsync_owner;
ALTER TABLE trap ENABLE ALWAYS TRIGGER spy, ENABLE ALWAYS TRIGGER spy_after, ENABLE ALWAYS TRIGGER spy_truncate;
RESET ROLE;
-- the superuser who applies lends nobody his rights
SELECT after_row FROM cdcsync.decode('peer.public.trap', NULL, event('c', 'trap', NULL, '{"id": 2, "body": "b", "v": 1}'));
SELECT go('c', 'trap', NULL, '{"id": 2, "body": "b", "v": 1}');
SELECT go('u', 'trap', NULL, '{"id": 2, "body": "bb", "v": 2}');
SELECT go('d', 'trap', '{"id": 2, "body": "bb", "v": 2}', NULL);
SELECT go('t', 'trap', NULL, NULL);
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_cdcsync_owner';
-- and keeps his settings
SELECT current_user = session_user AS same_user, current_setting('statement_timeout') AS statement_timeout,
	current_setting('search_path') AS search_path, current_setting('session_replication_role') AS replication_role;
-- what would run at commit, when the rights are the caller's again, is not let in
SET ROLE regress_cdcsync_owner;
CREATE CONSTRAINT TRIGGER spy_later AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy();
ALTER TABLE trap ENABLE ALWAYS TRIGGER spy_later;
RESET ROLE;
\set SHOW_CONTEXT never
SELECT go('c', 'trap', NULL, '{"id": 4, "body": "d", "extra": "given", "v": 1}');
DROP TRIGGER spy_later ON trap;
-- after an error, too
ALTER TABLE trap ADD CHECK (v < 100);
SELECT go('c', 'trap', NULL, '{"id": 3, "body": "c", "extra": "given", "v": 100}');
\set SHOW_CONTEXT errors
SELECT current_user = session_user AS same_user, current_setting('session_replication_role') AS replication_role;

-- names that mean something else in the caller's search_path are not asked
CREATE SCHEMA evil;
CREATE FUNCTION evil.no(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.no(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.no(numeric, numeric) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.no(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = numeric, RIGHTARG = numeric);
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR evil.> (FUNCTION = evil.no, LEFTARG = numeric, RIGHTARG = numeric);
CREATE TABLE note (id int PRIMARY KEY, body text, v bigint);
SET search_path = evil, pg_catalog;
SELECT cdcsync.add_table('public.note', version_column => 'v');
SELECT cdcsync.apply('peer.public.note', '{"id": 1}', public.event('c', 'note', NULL, '{"id": 1, "body": "a", "v": 1}'));
SELECT cdcsync.apply('peer.public.note', '{"id": 1}', public.event('u', 'note', NULL, '{"id": 1, "body": "b", "v": 2}'));
SELECT cdcsync.apply('peer.public.note', '{"id": 1}', public.event('d', 'note', '{"id": 1, "body": "b", "v": 2}', NULL));
INSERT INTO public.note VALUES (1, 'local'), (2, 'local');
UPDATE public.note SET body = 'more';
UPDATE public.note SET id = id + 10;
DELETE FROM public.note;
SELECT cdcsync.alter_table_rule('public.note', truncate => true);
SELECT cdcsync.remove_table('public.note');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
RESET client_min_messages;

--
-- Topic text is data.
--
SELECT cdcsync.add_table('note', version_column => 'v');
SELECT go('c', 'note', NULL, '{"id": 1, "body": "''); DROP TABLE note; --", "v": 1}');
SELECT go('c', 'note', NULL, '{"id": 2, "body\" = (SELECT 1), \"v": 1}');
SELECT go('c', 'note', NULL, '{"id": 2, "v) SELECT 1; DROP TABLE note; --": 1, "v": 1}');
SELECT go('c', 'note"; DROP TABLE note; --', NULL, '{"id": 2, "v": 1}');
SELECT cdcsync.apply('peer.public.note; DROP TABLE note', '{"id": 1}', NULL);
SELECT cdcsync.apply('a''b"c', '{"id": 1}', NULL);
SELECT go('c', repeat('n', 100), NULL, '{"id": 2, "v": 1}');
SELECT relation, source_table FROM cdcsync.decode('x', NULL, event('c', 'pg_authid', NULL, '{"rolname": "x"}'));
SELECT cdcsync.apply('x', NULL, replace(event('c', 'pg_authid', NULL, '{"rolname": "x"}'), '"public"', '"pg_catalog"'));
SELECT cdcsync.apply('x', NULL, replace(event('c', 'table_rule', NULL, '{"relation": 1}'), '"public"', '"cdcsync"'));
TABLE note;
-- names of any size, and many of them, are soon forgotten
CREATE FUNCTION remembered() RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN sum(total_bytes) > 10000000 THEN pg_size_pretty(sum(total_bytes)) ELSE 'little' END
	FROM pg_backend_memory_contexts WHERE name LIKE 'cdcsync relation map%'
$$;
CREATE PROCEDURE show_names(n int, key_only boolean) LANGUAGE plpgsql AS $$
DECLARE
	fields jsonb;
BEGIN
	FOR i IN 1..n LOOP
		fields := jsonb_build_object('id', 1, repeat('x', 1000000) || i, 1);
		BEGIN
			PERFORM cdcsync.decode('peer.public.note', CASE WHEN key_only THEN fields::text END,
				event('c', 'note', NULL, CASE WHEN key_only THEN '{"id": 1}' ELSE fields END));
		EXCEPTION WHEN undefined_column THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END $$;
CALL show_names(1, false);
SELECT go('c', 'note', NULL, jsonb_build_object('id', 1, repeat('x', 1000000), 1));
CALL show_names(20, false);
SELECT remembered();
CALL show_names(20, true);
SELECT remembered();
DROP PROCEDURE show_names(int, boolean);
DROP FUNCTION remembered();

--
-- Row security that binds the owner would hide rows from apply.
--
ALTER TABLE note ENABLE ROW LEVEL SECURITY, OWNER TO regress_cdcsync_owner;
CREATE POLICY none ON note USING (false);
SELECT go('u', 'note', NULL, '{"id": 1, "body": "the owner sees all", "v": 2}');
ALTER TABLE note FORCE ROW LEVEL SECURITY;
UPDATE pg_class SET relforcerowsecurity = true WHERE oid = 'note'::regclass;
SELECT go('u', 'note', NULL, '{"id": 1, "body": "the owner sees nothing", "v": 3}');
SELECT cdcsync.remove_table('note');
SELECT cdcsync.add_table('note', version_column => 'v');
ALTER TABLE note NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
SELECT cdcsync.add_table('note', version_column => 'v');
TABLE note;

--
-- The doors are cdcsync_admin's, who needs no rights on the table.
--
SET ROLE regress_cdcsync_other;
SELECT cdcsync.decode('t', NULL, NULL);
SELECT cdcsync.apply('t', NULL, NULL);
SELECT cdcsync.apply('t', NULL::text[], NULL::text[]);
SET ROLE regress_cdcsync_owner;
SELECT cdcsync.apply('t', NULL, NULL);
SET ROLE regress_cdcsync_admin;
SELECT cdcsync.apply('peer.public.note', '{"id": 1}', event('u', 'note', NULL, '{"id": 1, "body": "admin", "v": 4}'));
SELECT op, after_row FROM cdcsync.decode('peer.public.note', '{"id": 1}', event('u', 'note', NULL, '{"id": 1, "v": 4}'));
SELECT * FROM note;
SELECT cdcsync.remove_table('note');
RESET ROLE;
TABLE note;

--
-- What a name without a schema means is nobody's to say who has fewer rights: neither his
-- search_path nor what is temporary in his session is asked for it.
--
CREATE SCHEMA evil AUTHORIZATION regress_cdcsync_admin;
SET ROLE regress_cdcsync_owner;
CREATE FUNCTION public.fine(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% is as %''s', what, current_user;
	RETURN true;
END $$;
CREATE FUNCTION public.looks_up(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN fine(what::text);
EXCEPTION WHEN undefined_function THEN
	RETURN true;
END $$;
CREATE FUNCTION public.looks_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.looks_up('trigger');
	RETURN NEW;
END $$;
CREATE DOMAIN public.looked_up AS text CHECK (public.looks_up('domain'));
CREATE TABLE public.names (id looked_up PRIMARY KEY, body text, v bigint NOT NULL);
CREATE TRIGGER looks_up BEFORE UPDATE ON names FOR EACH ROW EXECUTE FUNCTION looks_up();
GRANT SELECT, INSERT, UPDATE, DELETE ON names TO regress_cdcsync_admin;
RESET ROLE;
SET client_min_messages = warning;
SELECT cdcsync.add_table('public.names', version_column => 'v', source_table => 'public.names');
SET SESSION AUTHORIZATION regress_cdcsync_admin;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.stolen(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> session_user THEN
		RAISE WARNING '% has the rights of %', what, current_user;
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION evil.fine(what text) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.stolen('the search_path') $$;
CREATE TABLE evil.own (id int PRIMARY KEY, v bigint NOT NULL);
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.stolen('the search_path'));
SET search_path = evil, pg_catalog;
-- statements of the extension's owner
SELECT cdcsync.add_table('evil.own', version_column => 'v');
SELECT cdcsync.alter_table_rule('evil.own', truncate => true);
SELECT cdcsync.resync_table('evil.own');
SELECT cdcsync.prune_tombstones(), cdcsync.prune_conflicts();
SELECT cdcsync.remove_table('evil.own');
-- who writes the table: a key that has a tombstone is read again
INSERT INTO public.names VALUES ('1', 'a', 1);
DELETE FROM public.names;
INSERT INTO public.names VALUES ('1', 'a', 1);
-- who resolves a conflict
SELECT cdcsync.apply('peer.public.names', NULL, public.event('u', 'names', '{"id": "1", "body": "b", "v": 1}', '{"id": "1", "body": "c", "v": 5}'));
SELECT cdcsync.resolve_conflict(max(id), 'local') FROM cdcsync.conflict_history WHERE relation = 'public.names'::regclass;
RESET search_path;
-- who applies, in a session that has not yet seen the functions
\c -
SET SESSION AUTHORIZATION regress_cdcsync_admin;
SET client_min_messages = warning;
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (evil.stolen('something temporary'));
SELECT cdcsync.apply('peer.public.names', NULL, event('u', 'names', '{"id": "1", "body": "c", "v": 5}', '{"id": "1", "body": "d", "v": 1000}'));
SELECT cdcsync.resolve_conflict(max(id), 'local') FROM cdcsync.conflict_history WHERE relation = 'public.names'::regclass;
DROP DOMAIN pg_temp.text;
RESET SESSION AUTHORIZATION;
SELECT cdcsync.remove_table('names');
TRUNCATE cdcsync.signal;
ALTER PUBLICATION cdcsync DROP TABLE cdcsync.signal;
DROP TABLE names;
DROP DOMAIN looked_up;
DROP FUNCTION looks_up(), looks_up(text), fine(text);
DROP SCHEMA evil CASCADE;
RESET client_min_messages;

--
-- The triggers' functions as other triggers, by who owns the table or has TRIGGER on it.
--
CREATE TABLE misfired (id int PRIMARY KEY, v bigint NOT NULL);
SELECT cdcsync.add_table('misfired', version_column => 'v');
CREATE TABLE misfired_so (n int, attempt text);
INSERT INTO misfired_so SELECT row_number() OVER (), format('CREATE TRIGGER misfired %s ON misfired FOR EACH %s EXECUTE FUNCTION cdcsync.%s(); '
	'INSERT INTO misfired VALUES (1, 1); UPDATE misfired SET id = 2; DELETE FROM misfired', event, level, function)
FROM unnest('{BEFORE INSERT,BEFORE UPDATE,BEFORE DELETE,AFTER INSERT,AFTER UPDATE,AFTER DELETE}'::text[]) AS event,
	unnest('{ROW,STATEMENT}'::text[]) AS level, unnest('{version_trigger,version_check_trigger,tombstone_trigger}'::text[]) AS function;
DO $$
DECLARE
	tried text;
BEGIN
	FOR tried IN SELECT attempt FROM misfired_so ORDER BY n LOOP
		BEGIN
			EXECUTE tried;
			RAISE NOTICE '%', split_part(tried, ';', 1);
			DROP TRIGGER misfired ON misfired;
		EXCEPTION WHEN trigger_protocol_violated THEN
			NULL;
		END;
	END LOOP;
END $$;
TABLE misfired;
SELECT cdcsync.remove_table('misfired');
DROP TABLE misfired, misfired_so;

--
-- Who may write all data writes rules, too; one of a table that nobody may register is none.
--
CREATE ROLE regress_cdcsync_writer IN ROLE pg_write_all_data, cdcsync_admin;
SET SESSION AUTHORIZATION regress_cdcsync_writer;
INSERT INTO cdcsync.table_rule (relation, source_table, own_name) VALUES ('pg_authid', 'public.roles', false), ('cdcsync.unsent', 'public.unsent', false);
SELECT cdcsync.apply('peer.public.roles', NULL, event('u', 'roles', NULL,
	jsonb_build_object('oid', current_user::regrole::oid, 'rolname', current_user, 'rolsuper', true), at => now()));
SELECT cdcsync.apply('peer.public.unsent', NULL, event('u', 'unsent', NULL, '{"relation": 1, "what": "rows"}', at => now()));
RESET SESSION AUTHORIZATION;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_cdcsync_writer';
TABLE cdcsync.unsent;
DELETE FROM cdcsync.table_rule WHERE NOT own_name;
DROP ROLE regress_cdcsync_writer;

SELECT cdcsync.remove_table('note'), cdcsync.remove_table('trap');
DROP TABLE note, trap;
DROP DOMAIN spied;
DROP FUNCTION attack(), spy(), whoami(text);
REVOKE CREATE ON SCHEMA public FROM regress_cdcsync_owner;
DROP ROLE regress_cdcsync_owner, regress_cdcsync_admin, regress_cdcsync_other;
