--
-- Commands on registered tables: partitions get what their table has, and what add_table
-- refuses is refused later, too.
--
CREATE VIEW identities AS SELECT relname, relreplident FROM pg_class WHERE relname ~ '^day' AND relkind IN ('r', 'p') ORDER BY 1;
CREATE VIEW triggers AS SELECT tgrelid::regclass AS "table", count(*), string_agg(DISTINCT tgenabled::text, '') AS enabled
	FROM pg_trigger WHERE tgname ~ '^~cdcsync' AND tgrelid::regclass::text ~ '^day' GROUP BY 1 ORDER BY tgrelid::regclass::text;

-- partitions that come later: made, attached, with partitions of their own
CREATE TABLE day (id int, day date, body text, v bigint NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
SELECT cdcsync.add_table('day', version_column => 'v');
CREATE TABLE day_2 PARTITION OF day FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE day_3 (id int NOT NULL, day date NOT NULL, body text, v bigint NOT NULL);
ALTER TABLE day ATTACH PARTITION day_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE day_4 (LIKE day) PARTITION BY LIST (id);
CREATE TABLE day_4a PARTITION OF day_4 DEFAULT;
ALTER TABLE day ATTACH PARTITION day_4 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
DO $$ BEGIN EXECUTE 'CREATE TABLE day_4b PARTITION OF day_4 FOR VALUES IN (1)'; END $$;
TABLE identities;
TABLE triggers;
-- whatever is typed afterwards
ALTER TABLE day_2 REPLICA IDENTITY DEFAULT;
ALTER TABLE day REPLICA IDENTITY NOTHING, ADD note text;
ALTER TABLE day_3 REPLICA IDENTITY USING INDEX day_3_pkey;
TABLE identities;
-- as pg_restore --disable-triggers ends
ALTER TABLE day_2 DISABLE TRIGGER ALL;
ALTER TABLE day_2 ENABLE TRIGGER ALL;
ALTER TABLE day ENABLE TRIGGER USER;
TABLE triggers;
INSERT INTO day VALUES (1, '2026-02-01', 'a', 1), (1, '2026-03-01', 'b', 1), (1, '2026-04-01', 'c', 1);
DELETE FROM day;
SELECT key FROM cdcsync.tombstone WHERE relation = 'day'::regclass ORDER BY key;
-- what is detached is a table of its own
ALTER TABLE day DETACH PARTITION day_3;
ALTER TABLE day_3 REPLICA IDENTITY DEFAULT;
TABLE triggers;
-- it is the owner's business alone
CREATE ROLE regress_cdcsync_ddl;
GRANT CREATE ON SCHEMA public TO regress_cdcsync_ddl;
ALTER TABLE day OWNER TO regress_cdcsync_ddl;
ALTER TABLE day_2 OWNER TO regress_cdcsync_ddl;
GRANT SELECT ON identities TO regress_cdcsync_ddl;
SET ROLE regress_cdcsync_ddl;
CREATE TABLE day_5 PARTITION OF day FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
SELECT * FROM identities WHERE relname = 'day_5';
ALTER TABLE day_2 ADD UNIQUE (v) DEFERRABLE;
RESET ROLE;

-- partitions that cannot take part
CREATE UNLOGGED TABLE day_6 PARTITION OF day FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
CREATE TABLE day_6 (LIKE day, UNIQUE (v) DEFERRABLE);
ALTER TABLE day ATTACH PARTITION day_6 FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
DROP TABLE day_6;
CREATE RULE r AS ON DELETE TO day_2 DO INSTEAD NOTHING;

-- what a table may not become
CREATE TABLE late (id int PRIMARY KEY, u int NOT NULL, v bigint NOT NULL);
SELECT cdcsync.add_table('late', version_column => 'v');
ALTER TABLE late ADD CONSTRAINT late_u UNIQUE (u) DEFERRABLE;
ALTER TABLE late ADD CONSTRAINT late_u EXCLUDE USING btree (u WITH =) DEFERRABLE;
ALTER TABLE late ALTER u ADD GENERATED ALWAYS AS IDENTITY;
ALTER TABLE late ADD n int GENERATED ALWAYS AS IDENTITY;
ALTER TABLE late ADD g int GENERATED ALWAYS AS (id * 2) STORED, DROP CONSTRAINT late_pkey, ADD PRIMARY KEY (g);
ALTER TABLE late FORCE ROW LEVEL SECURITY;
ALTER TABLE late ENABLE ROW LEVEL SECURITY;
ALTER TABLE late NO FORCE ROW LEVEL SECURITY;
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
ALTER TABLE late SET ACCESS METHOD other;
CREATE RULE r AS ON UPDATE TO late DO INSTEAD NOTHING;
CREATE RULE r AS ON INSERT TO late DO ALSO NOTHING;
CREATE TABLE heir () INHERITS (late);
CREATE TABLE parent (LIKE late);
ALTER TABLE late INHERIT parent;
CREATE TABLE root (LIKE late) PARTITION BY LIST (id);
ALTER TABLE root ATTACH PARTITION late DEFAULT;
-- a key may go, for another to come; nothing is written meanwhile
ALTER TABLE late DROP CONSTRAINT late_pkey;
INSERT INTO late VALUES (1, 1, 1);
ALTER TABLE late ADD PRIMARY KEY (id) DEFERRABLE;
ALTER TABLE late ADD PRIMARY KEY (u);
ALTER TABLE late DROP CONSTRAINT late_pkey, ADD PRIMARY KEY (id);

-- what it has become all the same, where the library was not loaded: no change is applied
CREATE FUNCTION apply_late() RETURNS text LANGUAGE sql AS $$
	SELECT go('c', 'late', NULL, '{"id": 1, "u": 7, "v": 1}')
$$;
ALTER TABLE late ADD CONSTRAINT late_u UNIQUE (u), ADD CONSTRAINT late_uv UNIQUE (u, v);
UPDATE pg_index SET indimmediate = false WHERE indexrelid IN ('late_u'::regclass, 'late_uv'::regclass);
SELECT apply_late();
UPDATE pg_class SET relam = (SELECT oid FROM pg_am WHERE amname = 'other') WHERE oid = 'late'::regclass;
SELECT apply_late();
SELECT cdcsync.alter_table_rule('late');
-- it can be mended step by step, and used in between
ALTER TABLE late DROP CONSTRAINT late_u;
ALTER TABLE late ADD note text;
CREATE INDEX ON late (v);
SELECT apply_late();
UPDATE pg_class SET relam = (SELECT oid FROM pg_am WHERE amname = 'heap') WHERE oid = 'late'::regclass;
SELECT apply_late();
ALTER TABLE late DROP CONSTRAINT late_uv;
SELECT apply_late();

-- TRUNCATE does not travel
CREATE TABLE child (id int PRIMARY KEY REFERENCES late, v bigint NOT NULL);
SELECT cdcsync.add_table('child', version_column => 'v');
CREATE VIEW unsent AS SELECT relation, what FROM cdcsync.unsent WHERE at > now() - interval '1 hour' AND relation IN ('day'::regclass, 'late'::regclass, 'child'::regclass) ORDER BY relation::text, what;
DELETE FROM cdcsync.unsent;
TRUNCATE day;
TRUNCATE late CASCADE;
TABLE unsent;
SELECT level, subject, regexp_replace(problem, '\(.*\)', '(...)'), remedy FROM cdcsync.check(false) WHERE problem ~ 'TRUNCATE' ORDER BY subject;
SELECT cdcsync.alter_table_rule('late', truncate => true), cdcsync.alter_table_rule('child');
TRUNCATE late CASCADE;
DO $$ BEGIN EXECUTE 'TRUNCATE day_1'; END $$;
TABLE unsent;
SELECT cdcsync.alter_table_rule('child'), cdcsync.alter_table_rule('day');
ALTER TABLE day DETACH PARTITION day_2;
TABLE unsent;
SELECT cdcsync.alter_table_rule('day');
-- one of whatever level, and one that is dropped, too
ALTER TABLE day_4 DETACH PARTITION day_4b;
TABLE unsent;
SELECT cdcsync.alter_table_rule('day');
DROP TABLE day_4a;
TABLE unsent;
SELECT cdcsync.alter_table_rule('day');
DO $$ BEGIN EXECUTE 'DROP TABLE day_4b, day_4'; END $$;
TABLE unsent;
SELECT level, subject, regexp_replace(problem, '\(.*\)', '(...)'), remedy FROM cdcsync.check(false) WHERE problem ~ 'partition was' ORDER BY subject;
SELECT cdcsync.alter_table_rule('day');
-- a partition of another table, or a whole one, is nobody's loss
CREATE TABLE other_day (LIKE day) PARTITION BY RANGE (day);
CREATE TABLE other_day_1 PARTITION OF other_day DEFAULT;
DROP TABLE other_day_1;
DROP TABLE other_day;
TABLE unsent;
-- a partition may have rows: without a connector, its snapshot will have them
INSERT INTO day_2 VALUES (1, '2026-02-03', 'a', 1);
ALTER TABLE day ATTACH PARTITION day_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
TABLE unsent;

-- another name: rules are of tables, events of names
ALTER TABLE child RENAME TO kid;
SELECT level, subject, problem, remedy FROM cdcsync.check(false) WHERE subject = 'table public.kid';
SELECT go('c', 'child', NULL, '{"id": 7, "v": 1}');
TABLE kid;
-- the old name is free to everybody who may create there: what he makes of it stops nobody
SET ROLE regress_cdcsync_ddl;
CREATE TABLE child (id bigint PRIMARY KEY, v bigint NOT NULL);
RESET ROLE;
SELECT go('c', 'child', NULL, '{"id": 70, "v": 1}');
SELECT level, problem FROM cdcsync.check(false) WHERE subject = 'table public.kid';
DROP TABLE child;
CREATE VIEW child AS TABLE kid;
SELECT go('u', 'child', NULL, '{"id": 70, "v": 2}');
SELECT level FROM cdcsync.check(false) WHERE subject = 'table public.kid';
DROP VIEW child;
TABLE kid;
CREATE TABLE copy (id bigint PRIMARY KEY, v bigint NOT NULL);
ALTER TABLE copy RENAME TO child;
SELECT go('c', 'child', NULL, '{"id": 8, "v": 1}');
SELECT level, subject, problem, remedy FROM cdcsync.check(false) WHERE subject = 'table public.kid';
SELECT remedy FROM cdcsync.check(false) WHERE subject = 'table public.kid' \gset
SELECT split_part(:'remedy', ';', 1) \gexec
SELECT split_part(:'remedy', ';', 2) \gexec
SELECT go('c', 'child', NULL, '{"id": 8, "v": 1}');
TABLE child;
-- both at once, as online schema changes end
CREATE TABLE copy (LIKE child INCLUDING ALL);
BEGIN;
ALTER TABLE child RENAME TO child_old;
ALTER TABLE copy RENAME TO child;
COMMIT;
SELECT go('c', 'child', NULL, '{"id": 9, "v": 1}');
ALTER TABLE child RENAME TO copy;
ALTER TABLE child_old RENAME TO child;
SELECT go('c', 'child', NULL, '{"id": 9, "v": 1}');
-- with another schema; and not of a table that has another name in events
CREATE SCHEMA attic;
ALTER TABLE child SET SCHEMA attic;
CREATE TABLE child (id int);
DROP TABLE child;
SELECT cdcsync.alter_table_rule('attic.child', source_table => 'public.child');
ALTER TABLE attic.child RENAME TO toddler;
SELECT count(*) FROM cdcsync.check(false) WHERE subject ~ 'toddler';
CREATE TABLE child (id int);
SELECT go('c', 'child', NULL, '{"id": 10, "v": 1}');
SELECT cdcsync.remove_table('attic.toddler');
DROP SCHEMA attic CASCADE;
DROP VIEW unsent;
DROP TABLE child, copy, kid;
-- a copy that takes the place of one that is dropped at once
CREATE TABLE swap (id int PRIMARY KEY, v bigint NOT NULL);
SELECT cdcsync.add_table('swap', version_column => 'v');
BEGIN;
CREATE TABLE copy (LIKE swap INCLUDING ALL);
DROP TABLE swap;
ALTER TABLE copy RENAME TO swap;
COMMIT;
SELECT level, subject, problem, remedy FROM cdcsync.check(false) WHERE subject ~ 'swap';
SELECT cdcsync.add_table('swap', version_column => 'v');
SELECT count(*) FROM cdcsync.check(false) WHERE subject ~ 'swap';
DROP TABLE swap;
SELECT count(*) FROM cdcsync.check(false) WHERE subject ~ 'swap';

-- nor may a table be so that is registered
CREATE TABLE ruled (id int PRIMARY KEY, v bigint);
CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD NOTHING;
SELECT cdcsync.add_table('ruled', version_column => 'v');
ALTER TABLE ruled DISABLE RULE r;
SELECT cdcsync.add_table('ruled', version_column => 'v');
DROP RULE r ON ruled;
ALTER TABLE ruled SET ACCESS METHOD other;
SELECT cdcsync.add_table('ruled', version_column => 'v');
ALTER TABLE ruled SET ACCESS METHOD heap;
SELECT cdcsync.add_table('ruled', version_column => 'v');

SELECT cdcsync.remove_table('day'), cdcsync.remove_table('late'), cdcsync.remove_table('ruled');
ALTER TABLE ruled REPLICA IDENTITY DEFAULT;
ALTER TABLE ruled ADD UNIQUE (v) DEFERRABLE;
DROP FUNCTION apply_late();
DROP VIEW identities, triggers;
DROP TABLE day, day_3, late, parent, root, ruled;
DROP ACCESS METHOD other;
REVOKE ALL ON SCHEMA public FROM regress_cdcsync_ddl;
DROP ROLE regress_cdcsync_ddl;
