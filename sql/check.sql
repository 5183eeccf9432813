--
-- check(): each fault has its line, and what the line says mends it.  Faults that need
-- another server, Kafka or a peer: test/t/028_check.pl.
--
SET cdcsync.node_name = 'clinic';
CREATE SCHEMA clinic;
SET search_path = clinic, public;
-- the lines of this file's tables; other files leave theirs
CREATE FUNCTION faults() RETURNS TABLE (level text, subject text, problem text, remedy text) LANGUAGE sql AS $$
	SELECT * FROM cdcsync.check()
	WHERE concat(subject, problem, remedy) ~ 'clinic|ward|publication cdcsync' AND subject !~ '^(slot|connector)'
$$;
CREATE TABLE ward (id int PRIMARY KEY, name text, v bigint);
CREATE TABLE patient (id int PRIMARY KEY, ward int REFERENCES ward, at timestamptz, v bigint) PARTITION BY LIST (id);
CREATE TABLE patient_1 PARTITION OF patient FOR VALUES IN (1);
SET client_min_messages = error;
DO $$ BEGIN PERFORM cdcsync.remove_table(relation) FROM cdcsync.table_rule WHERE relation IN (SELECT oid FROM pg_class); END $$;
RESET client_min_messages;
SELECT cdcsync.add_table('ward', version_column => 'v');
SELECT cdcsync.add_table('patient', version_column => 'v', column_map => '{"admitted": "at"}');

-- all is well
SELECT * FROM faults();

-- identity, of the partitions too
ALTER TABLE ward REPLICA IDENTITY DEFAULT;
ALTER TABLE patient_1 REPLICA IDENTITY NOTHING;
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
SELECT * FROM faults();
CREATE TABLE patient_2 PARTITION OF patient FOR VALUES IN (2);
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec

-- triggers
ALTER TABLE ward ENABLE TRIGGER "~cdcsync_version", DISABLE TRIGGER "~cdcsync_tombstone";
DROP TRIGGER "~cdcsync_tombstone_key" ON ward;
ALTER TABLE patient_2 DISABLE TRIGGER "~cdcsync_tombstone";
SELECT * FROM faults();
SELECT DISTINCT remedy FROM faults() \gexec
SELECT * FROM faults();

-- key, row security, what else add_table refuses
BEGIN;
ALTER TABLE patient DROP CONSTRAINT patient_ward_fkey;
ALTER TABLE ward DROP CONSTRAINT ward_pkey, FORCE ROW LEVEL SECURITY;
SELECT * FROM faults();
ALTER TABLE ward ADD PRIMARY KEY (id), ENABLE ROW LEVEL SECURITY;
SELECT * FROM faults();
ALTER TABLE ward NO FORCE ROW LEVEL SECURITY;
SELECT * FROM faults();
ROLLBACK;

-- version column, column map
ALTER TABLE ward RENAME v TO w;
ALTER TABLE patient RENAME at TO admitted_at;
SELECT * FROM faults();
SELECT cdcsync.alter_table_rule('ward', version_column => 'w');
SELECT cdcsync.alter_table_rule('patient', column_map => '{"admitted": "admitted_at"}');
SELECT * FROM faults();
ALTER TABLE patient RENAME admitted_at TO at;
SELECT cdcsync.alter_table_rule('patient', column_map => '{"admitted": "at"}');
ALTER TABLE ward RENAME w TO v;
SELECT cdcsync.alter_table_rule('ward', version_column => 'v');
BEGIN;
ALTER TABLE ward ALTER v TYPE float8;
SELECT * FROM faults();
ALTER TABLE ward ALTER v TYPE timestamptz(3) USING now();
SELECT * FROM faults();
ALTER TABLE ward ALTER v TYPE timestamptz;
SELECT * FROM faults();
ROLLBACK;

-- the publication
ALTER PUBLICATION cdcsync DROP TABLE ward;
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
ALTER PUBLICATION cdcsync SET (publish = 'insert, truncate', publish_via_partition_root = false);
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
SELECT * FROM faults();
ALTER PUBLICATION cdcsync SET TABLE patient, ward (id, v) WHERE (id > 0);
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
ALTER PUBLICATION cdcsync SET (publish = 'insert, update, delete');
SELECT * FROM faults();
SELECT cdcsync.alter_table_rule('ward', truncate => true);
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
ALTER PUBLICATION cdcsync ADD TABLE cdcsync.tombstone_data;
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
ALTER PUBLICATION cdcsync ADD TABLES IN SCHEMA cdcsync;
SELECT DISTINCT level, remedy FROM faults();
SELECT DISTINCT remedy FROM faults() \gexec
DROP PUBLICATION cdcsync;
SELECT * FROM faults();
SELECT remedy FROM faults() \gexec
SELECT * FROM faults();
BEGIN;
DROP PUBLICATION cdcsync;
CREATE PUBLICATION cdcsync FOR ALL TABLES WITH (publish_via_partition_root = true);
SELECT DISTINCT level, remedy FROM faults();
SELECT DISTINCT remedy FROM faults() \gexec
SELECT * FROM faults();
ROLLBACK;

-- a node that only receives
SELECT cdcsync.subscribe('clinic', '{clinic}', enabled => false);
DROP PUBLICATION cdcsync;
SELECT * FROM faults();
SELECT level, subject, problem FROM cdcsync.check_server() WHERE subject = 'connector';
SELECT remedy FROM faults() WHERE subject ~ 'publication' \gexec
SELECT * FROM faults();
SELECT level, subject, problem FROM cdcsync.check_server() WHERE subject = 'connector';
ALTER PUBLICATION cdcsync DROP TABLE patient;
SELECT * FROM faults();
ALTER PUBLICATION cdcsync DROP TABLE ward;
SELECT * FROM faults();
SELECT remedy FROM faults() WHERE subject ~ 'publication' \gexec
SELECT cdcsync.unsubscribe('clinic');

-- orphans, of the tables that one may read
SET session_replication_role = replica;
INSERT INTO patient VALUES (1, 7, now(), 1), (2, NULL, now(), 1);
RESET session_replication_role;
SELECT * FROM faults();
SELECT * FROM faults() WHERE subject IN (SELECT subject FROM cdcsync.check(orphans => false));
CREATE ROLE regress_cdcsync_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA clinic TO regress_cdcsync_monitor;
SET ROLE regress_cdcsync_monitor;
SELECT * FROM faults();
RESET ROLE;
GRANT SELECT ON ward, patient TO regress_cdcsync_monitor;
SET ROLE regress_cdcsync_monitor;
SELECT level, subject FROM faults();
RESET ROLE;
CREATE FUNCTION policy() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'runs as %', current_user; END$$;
CREATE POLICY policy ON patient USING (policy());
ALTER TABLE patient ENABLE ROW LEVEL SECURITY;
SET ROLE regress_cdcsync_monitor;
SELECT level, subject FROM faults();
RESET ROLE;
ALTER TABLE patient DISABLE ROW LEVEL SECURITY;
DROP POLICY policy ON patient;
DROP FUNCTION policy();
INSERT INTO ward VALUES (7, 'seven', 1);
SELECT * FROM faults();

-- names
SET cdcsync.node_name = '';
SELECT * FROM cdcsync.check() WHERE subject = 'cdcsync.node_name';
SET cdcsync.node_name = 'clinic';
ALTER DATABASE postgres SET cdcsync.node_name = 'clinic';
SELECT * FROM cdcsync.check() WHERE subject = 'cdcsync.node_name';
ALTER DATABASE postgres SET cdcsync.node_name = 'other';
SELECT * FROM cdcsync.check() WHERE subject = 'cdcsync.node_name';
ALTER DATABASE postgres RESET cdcsync.node_name;

-- subscriptions: what they say
CREATE TABLE clocked (id int PRIMARY KEY);
SELECT cdcsync.add_table('clocked');
SELECT cdcsync.subscribe('clinic_a', '{a}', enabled => false, producer => '{"decimal.handling.mode": "double",
	"time.precision.mode": "connect", "binary.handling.mode": "base64"}');
SELECT * FROM faults();
SELECT cdcsync.alter_subscription('clinic_a', producer => '{"binary.handling.mode": "base64-url-safe"}');
SELECT * FROM faults();
SELECT cdcsync.alter_subscription('clinic_a', producer => '{}');
SELECT * FROM faults();
SELECT cdcsync.subscribe('clinic_b', '{b}', enabled => false);
SELECT * FROM faults() WHERE problem ~ 'path';
SELECT cdcsync.alter_subscription('clinic_b', origin => 'none');
SELECT * FROM faults() WHERE problem ~ 'path';
SELECT cdcsync.unsubscribe('clinic_a'), cdcsync.unsubscribe('clinic_b');
SELECT * FROM faults();

-- nobody's objects come before the system's
CREATE VIEW public.pg_publication AS SELECT 'other'::name AS pubname;
SET search_path = public, clinic, pg_catalog;
SELECT * FROM faults();
DROP VIEW public.pg_publication;

SELECT cdcsync.remove_table('ward'), cdcsync.remove_table('patient'), cdcsync.remove_table('clocked');
DROP SCHEMA clinic CASCADE;
DROP ROLE regress_cdcsync_monitor;

-- a name takes effect when one connects again
SET cdcsync.node_name = '';
SELECT replace(remedy, '...', 'clinic-2') AS remedy FROM cdcsync.check() WHERE subject = 'cdcsync.node_name' \gset
SELECT split_part(:'remedy', ';', 1) \gexec
\c
SHOW cdcsync.node_name;
SELECT * FROM cdcsync.check() WHERE subject = 'cdcsync.node_name';
SELECT format('ALTER DATABASE %I RESET cdcsync.node_name', current_database()) \gexec
