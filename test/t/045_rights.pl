# Nobody gets rights from cdcsync that he does not have. A table's owner puts code wherever PostgreSQL evaluates an expression, and
# everything that cdcsync has is driven over his tables, by superusers and by administrators: it must never run as somebody else.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('sink');

# --- roles and baits ------------------------------------------------------------------------------

# mallory owns the tables; dave writes some of them; carol administers cdcsync and may read and write them
$node->sql(<<'END');
CREATE ROLE mallory LOGIN;
CREATE ROLE dave LOGIN;
CREATE ROLE carol LOGIN IN ROLE cdcsync_admin;
CREATE ROLE mona LOGIN IN ROLE pg_monitor;
GRANT CREATE ON SCHEMA public TO mallory;
END

# Each place says so when its code runs, and as whom. evil() is what the server may run at any time: it is IMMUTABLE, with constant
# arguments. What it calls is not, and tries the rest.
my @baits = (
	[ '', <<'END' ],
CREATE FUNCTION gain() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'ALTER ROLE mallory SUPERUSER';
EXCEPTION WHEN OTHERS THEN
	NULL;
END $$;
CREATE FUNCTION evil(place text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE LOG 'bait: % ran as %', place, current_user;
	PERFORM public.gain();
	RETURN 0;
END $$;
CREATE TABLE side (n int);
CREATE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.evil('trigger ' || TG_WHEN || ' ' || TG_LEVEL);
	RETURN COALESCE(NEW, OLD);
END $$;
END
	[ 'bait_index', <<'END' ],
CREATE TABLE bait_index (id int PRIMARY KEY, a int, v bigint);
CREATE UNIQUE INDEX ON bait_index (id, (a + evil('unique index')));
CREATE UNIQUE INDEX ON bait_index (a, id) WHERE a >= evil('unique index predicate');
CREATE INDEX ON bait_index ((a + evil('index')));
CREATE INDEX ON bait_index (a) WHERE a >= evil('index predicate');
ALTER TABLE bait_index ADD EXCLUDE USING gist (int4range(id, id + 1 + evil('exclusion')) WITH &&) WHERE (a >= evil('exclusion predicate'));
END
	[ 'bait_no_pkey', <<'END' ],
CREATE TABLE bait_no_pkey (id int NOT NULL, a int, v bigint NOT NULL);
CREATE UNIQUE INDEX ON bait_no_pkey ((a + evil('unique index before the key')));
CREATE UNIQUE INDEX bait_no_pkey_z ON bait_no_pkey (id);
END
	[ 'bait_statistics', <<'END' ],
CREATE TABLE bait_statistics (id int PRIMARY KEY, a int, v bigint);
CREATE STATISTICS bait_statistics_a ON (a + evil('statistics')), v FROM bait_statistics;
END
	[ 'bait_column', <<'END' ],
CREATE TABLE bait_column (id int PRIMARY KEY, a int DEFAULT evil('default'), b int DEFAULT 1 + evil('default of a column that is not sent'),
	v bigint NOT NULL, g int GENERATED ALWAYS AS (a + evil('generated column')) STORED, CHECK (a >= evil('check')));
END
	[ 'bait_partitioned', <<'END' ],
CREATE TABLE bait_partitioned (id int PRIMARY KEY, a int, v bigint NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE bait_partition PARTITION OF bait_partitioned (CHECK (a >= evil('check of a partition')))
	FOR VALUES FROM (evil('bound of a partition')) TO (1000);
CREATE INDEX ON bait_partition ((a + evil('index of a partition')));
CREATE INDEX ON bait_partitioned ((a + evil('index of a partitioned table')));
CREATE STATISTICS bait_partition_a ON (a + evil('statistics of a partition')), v FROM bait_partition;
END
	[ 'bait_domain', <<'END' ],
CREATE DOMAIN poison AS int CHECK (VALUE >= evil('domain'));
CREATE TYPE poisoned AS (x poison);
CREATE TABLE bait_domain (id poison PRIMARY KEY, a poison DEFAULT 1, many poison[], row poisoned, v bigint NOT NULL);
END
	[ 'bait_cast', <<'END' ],
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_text(pair) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil('cast to text'); RETURN 'x'; END $$;
CREATE CAST (pair AS text) WITH FUNCTION pair_text(pair) AS IMPLICIT;
CREATE FUNCTION pair_int(pair) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil('cast to int'); RETURN 1; END $$;
CREATE CAST (pair AS int) WITH FUNCTION pair_int(pair) AS IMPLICIT;
CREATE FUNCTION pair_eq(pair, pair) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil('operator'); RETURN true; END $$;
CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_eq);
CREATE TABLE bait_cast (id int PRIMARY KEY, a int, p pair, v bigint NOT NULL);
END
	[ 'bait_range', <<'END' ],
CREATE FUNCTION evil_difference(real, real) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE LOG 'bait: difference of a range ran as %', current_user; RETURN $1 - $2; END $$;
CREATE TYPE evil_range AS RANGE (SUBTYPE = real, SUBTYPE_DIFF = evil_difference);
CREATE TABLE bait_range (id int PRIMARY KEY, a int, r evil_range, v bigint NOT NULL);
CREATE INDEX ON bait_range USING gist (r);
END
	[ 'bait_policy', <<'END' ],
CREATE TABLE bait_policy (id int PRIMARY KEY, a int, v bigint NOT NULL);
CREATE POLICY everybody ON bait_policy USING (a >= evil('policy')) WITH CHECK (a >= evil('policy'));
ALTER TABLE bait_policy ENABLE ROW LEVEL SECURITY;
END
	[ 'bait_trigger', <<'END' ],
CREATE TABLE bait_trigger (id int PRIMARY KEY, a int, v bigint NOT NULL);
CREATE TRIGGER one BEFORE INSERT OR UPDATE OR DELETE ON bait_trigger FOR EACH ROW EXECUTE FUNCTION evil_trigger();
CREATE TRIGGER two AFTER INSERT OR UPDATE OR DELETE ON bait_trigger FOR EACH ROW EXECUTE FUNCTION evil_trigger();
CREATE TRIGGER three AFTER UPDATE ON bait_trigger FOR EACH ROW WHEN (NEW.a >= evil('condition of a trigger')) EXECUTE FUNCTION evil_trigger();
CREATE TRIGGER four BEFORE TRUNCATE ON bait_trigger EXECUTE FUNCTION evil_trigger();
ALTER TABLE bait_trigger ENABLE ALWAYS TRIGGER one, ENABLE ALWAYS TRIGGER two, ENABLE ALWAYS TRIGGER three, ENABLE ALWAYS TRIGGER four;
END
	[ 'bait_child', <<'END' ],
CREATE TABLE bait_parent (id int PRIMARY KEY, a int);
CREATE INDEX ON bait_parent ((a + evil('index of a parent')));
CREATE STATISTICS bait_parent_a ON (a + evil('statistics of a parent')), id FROM bait_parent;
CREATE TABLE bait_child (id int PRIMARY KEY, a int REFERENCES bait_parent, v bigint NOT NULL);
CREATE INDEX ON bait_child ((a + evil('index of a child')));
INSERT INTO bait_parent VALUES (1);
END
	[ 'bait_handler', <<'END' ],
CREATE TABLE bait_handler (id int PRIMARY KEY, a int, v bigint NOT NULL);
END
	[ 'bait_key', <<'END' ],
CREATE TABLE bait_key (id poison PRIMARY KEY, other poison, a int, v bigint NOT NULL);
END
);

# not to be registered, but to be asked about
my $others = <<'END';
CREATE TABLE bait_refused (id int, a int, v bigint NOT NULL) PARTITION BY RANGE ((a + evil('key of a partitioned table')));
CREATE TABLE bait_refused_1 PARTITION OF bait_refused FOR VALUES FROM (0) TO (10);
CREATE TABLE bait_rule (id int PRIMARY KEY, a int, v bigint NOT NULL);
CREATE RULE too AS ON DELETE TO bait_rule DO ALSO INSERT INTO side VALUES (evil('rule'));
CREATE VIEW bait_view AS SELECT id, a + evil('view') AS a FROM bait_index;
CREATE DOMAIN poisoned_name AS text CHECK (evil('domain of a digest') = 0);
CREATE TABLE bait_digests (node poisoned_name, source_table poisoned_name, bucket poison, rows bigint, digest pair, taken_at timestamptz,
	PRIMARY KEY (node, source_table, bucket));
CREATE INDEX ON bait_digests ((rows + evil('index of digests')));
INSERT INTO bait_digests VALUES ('peer', 'public.bait_index', 0, 1, '(1,2)', now());
CREATE VIEW bait_digests_view AS SELECT node, source_table, bucket, rows, 'x' AS digest, taken_at FROM bait_digests WHERE evil('view of digests') = 0;
END

as_owner($_->[1]) foreach @baits;
as_owner($others);
my @tables = map { $_->[0] || () } @baits;
as_owner(join('', map { "GRANT SELECT, INSERT, UPDATE, DELETE ON $_ TO carol, mona;" } @tables, 'bait_parent', 'bait_refused', 'bait_view',
		'bait_digests', 'bait_digests_view'));
as_owner('GRANT SELECT, INSERT, UPDATE, DELETE ON bait_key TO dave');

# --- driven by a superuser ------------------------------------------------------------------------

# a superuser registers them; each call in a session of its own, which has nothing in its caches
foreach my $table (@tables)
{
	$node->sql("SELECT cdcsync.add_table('$table', version_column => 'v')");
}
$node->sql(<<'END');
CREATE FUNCTION handler(cdcsync.conflict) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil('handler'); RETURN NULL; END $$;
ALTER FUNCTION handler OWNER TO mallory;
END
$node->sql("SELECT cdcsync.alter_table_rule('bait_handler', conflicts => '{\"update_origin_differs\": \"public.handler\", \"update_deleted\": \"public.handler\"}')");
like(error_of($node, "SELECT cdcsync.add_table('$_', version_column => 'v')"), qr/cannot register|is not a table/, "$_ is refused")
  foreach qw(bait_refused bait_rule bait_view);

# by the worker: a row, newer and older changes, a delete, a key with a tombstone, unique values
my %topic = map { $_ => make_topic($_) } @tables;
my %extra = (bait_domain => { many => [ bytes('1') ], row => bytes('(1)') }, bait_cast => { p => bytes('(1,2)') }, bait_range => { r => bytes('[1,2)') });
foreach my $table (@tables)
{
	produce($topic{$table},
		change(0, 'c', $table, undef, bait_row($table, 1, 1)),
		change(0, 'c', $table, undef, bait_row($table, 2, 1)),
		change(0, 'u', $table, bait_row($table, 1, 1), bait_row($table, 1, 3)),
		change(0, 'u', $table, bait_row($table, 1, 1), bait_row($table, 1, 2)),
		change(0, 'd', $table, bait_row($table, 2, 1), undef),
		change(0, 'u', $table, bait_row($table, 2, 0), bait_row($table, 2, 0)),
		change(0, 'c', $table, undef, bait_row($table, 3, 1)));
}
my $topics = join(',', map { $topic{$_} } @tables);
$node->sql(qq{SELECT cdcsync.subscribe('peer', '{$topics}', producer => '{"binary.handling.mode": "bytes"}')});
is($node->try_sql("SELECT cdcsync.wait_for('peer', '2 minutes')"), 't', 'the worker has taken all baits')
  || diag($node->sql('SELECT topic, state, last_error FROM cdcsync.stat_subscription'));
nothing_ran('by the worker');

# and one by one by hand
my @by_hand = (
	"SELECT cdcsync.apply('t045.public.TABLE', '{\"id\": 4}', EVENT, '{\"binary.handling.mode\": \"bytes\"}')",
	"SELECT cdcsync.apply('t045.public.TABLE', '{\"id\": 4}', EVENT, '{\"binary.handling.mode\": \"bytes\"}')",
	"SELECT cdcsync.apply('t045.public.TABLE', ARRAY['{\"id\": 5}'], ARRAY[EVENT], '{\"binary.handling.mode\": \"bytes\"}')",
	"SELECT cdcsync.decode('t045.public.TABLE', '{\"id\": 4}', EVENT, '{\"binary.handling.mode\": \"bytes\"}')",
	"SELECT cdcsync.table_objection('TABLE')",
	"SELECT cdcsync.alter_table_rule('TABLE', truncate => true)",
	"SELECT cdcsync.table_digest('TABLE', 3)",
	"SELECT cdcsync.republish('TABLE', '-infinity')",
	"SELECT cdcsync.resync_table('TABLE')",
	"SELECT cdcsync.resolve_conflict(id, 'remote') FROM cdcsync.conflict_history WHERE relation = 'TABLE'::regclass ORDER BY id LIMIT 1",
	"SELECT cdcsync.resolve_conflict(id, 'local') FROM cdcsync.conflict_history WHERE relation = 'TABLE'::regclass ORDER BY id DESC LIMIT 1",
	"SELECT cdcsync.resolve_conflict(id, '{\"a\": 1}') FROM cdcsync.conflict_history WHERE relation = 'TABLE'::regclass ORDER BY id DESC LIMIT 1",
	"SELECT cdcsync.add_version_column('TABLE')",
);
my @at_all = (
	'SELECT * FROM cdcsync.check(false)',
	'SELECT * FROM cdcsync.check()',
	'SELECT * FROM cdcsync.check_orphans()',
	"SELECT * FROM cdcsync.compare('peer', 'bait_digests')",
	"SELECT * FROM cdcsync.compare('peer', 'bait_digests_view')",
	"SELECT * FROM cdcsync.table_digest('bait_view')",
	"SELECT * FROM cdcsync.table_digest('bait_refused')",
	"SELECT * FROM cdcsync.table_objection('bait_refused')",
	'SELECT * FROM cdcsync.conflict_history',
	'SELECT * FROM cdcsync.tombstone',
	'SELECT * FROM cdcsync.dead_letter',
	'SELECT * FROM cdcsync.stat_table',
	'SELECT * FROM cdcsync.stat_subscription',
	'SELECT cdcsync.prune_tombstones(), cdcsync.prune_conflicts()',
	"SELECT cdcsync.connector_config('localhost')",
);
foreach my $user ('carol', 'mona', undef)
{
	my $who = $user // 'a superuser';

	foreach my $call ($who eq 'mona' ? () : @by_hand)
	{
		foreach my $table (@tables)
		{
			my $event = "'" . event('u', $table, bait_row($table, 4, 1), bait_row($table, 4, int(rand(1000)))) . "'";

			run_as($user, $call =~ s/TABLE/$table/gr =~ s/EVENT/$event/gr);
		}
	}
	run_as($user, $_) foreach @at_all;
	nothing_ran("by hand of $who");
}

# the triggers, in sessions of others: values of the domain go from column to column, which the server does not check
as_owner('INSERT INTO bait_key VALUES (100, 101, 1, 1), (101, 101, 1, 1)');
run_as('dave', 'DELETE FROM bait_key WHERE id = 101');
run_as('dave', 'UPDATE bait_key SET id = other WHERE other = 101');
is($node->sql('SELECT count(*) FROM bait_key WHERE id = 101'), 1, 'a key with a tombstone is used again');
nothing_ran('in the session of who writes the table');

# --- who may what ---------------------------------------------------------------------------------

# A table of mallory's with something in it that nobody else may see, in its rows, conflicts, tombstones and dead letters
as_owner("CREATE TABLE secret (id int PRIMARY KEY, body text, v bigint NOT NULL); GRANT INSERT, UPDATE, DELETE ON secret TO dave");
$node->sql("SELECT cdcsync.add_table('secret', version_column => 'v')");
$topic{secret} = make_topic('secret');
produce($topic{secret},
	change(0, 'c', 'secret', undef, secret_row(1, 2)),
	change(0, 'u', 'secret', secret_row(6, 0), secret_row(6, 1)),
	change(0, 'c', 'secret', undef, secret_row(2, 1)),
	change(0, 'd', 'secret', secret_row(2, 1), undef),
	change(0, 'c', 'secret', undef, secret_row(3, 'classified')));

# ... and what who may write to its topic would like to write besides
produce($topic{secret},
	[ 0, '{"rolname": "dave"}', event('u', 'pg_authid', undef, { rolname => 'dave', rolsuper => JSON::PP::true }, schema => 'pg_catalog') ],
	[ 0, '{"relation": 1}', event('c', 'table_rule', undef, { relation => 1, source_table => 'x' }, schema => 'cdcsync') ],
	change(0, 'c', 'side', undef, { id => 1, n => 1 }),
	change(0, 'c', 'secret', undef, { id => 4, v => 1, 'body") VALUES (1); ALTER ROLE dave SUPERUSER; --' => 'x' }),
	change(0, 'c', "secret; ALTER ROLE dave SUPERUSER; --", undef, secret_row(5, 1)));
$node->sql(qq{SELECT cdcsync.subscribe('secrets', '{$topic{secret}}', on_error => 'dead_letter')});
is($node->try_sql("SELECT cdcsync.wait_for('secrets', '2 minutes')"), 't', 'the worker has taken the secrets');
is($node->sql('SELECT count(*) FROM cdcsync.dead_letter'), 6, 'a topic\'s writer writes registered tables alone');
is($node->sql(q{SELECT (SELECT count(*) FROM side), (SELECT rolsuper FROM pg_roles WHERE rolname = 'dave')}), '0|f', '... and nothing else');

$node->safe_psql('postgres', 'CREATE ROLE erin LOGIN CREATEDB; CREATE DATABASE other OWNER erin');
my %role = (mallory => 'owner', dave => 'writer', carol => 'admin', mona => 'monitor', erin => 'owner of another database');

# Every function: who may call it, which right on the table he must have besides, what he learns, what it can stop (nothing, where it
# is empty), and arguments that would hurt.
my %function = (
	'add_table(regclass,name,text,text,jsonb,boolean)' => [ 'admin', 'own', '', 'apply to his own tables', "'secret'" ],
	'add_tables(regnamespace,name,text,boolean)' => [ 'admin', 'each', 'names of tables', 'apply to his own tables', "'public'" ],
	'add_version_column(regclass,name)' => [ 'admin', 'own', '', 'his own table, locked', "'secret'" ],
	'alter_subscription(text,text[],text,text,text,text,text,jsonb,text[])' => [ 'admin', '', '', 'the subscription', "'peer', origin => 'none'" ],
	'alter_table_rule(regclass,name,text,text,jsonb,boolean)' => [ 'admin', 'own', '', 'apply to his own tables', "'secret'" ],
	'apply(text,text,text,jsonb,text)' => [ 'admin', '', 'what was decided', 'what a change does', "'t045.public.secret', '{\"id\": 1}', EVENT" ],
	'apply(text,text[],text[],jsonb,text)' => [ 'admin', '', 'what was decided', 'what a change does', "'t045.public.secret', ARRAY['{\"id\": 1}'], ARRAY[EVENT]" ],
	'check(boolean)' => [ 'admin monitor', '', 'how it is set up', '', '' ],
	'check_facts()' => [ 'admin monitor', '', 'how it is set up', '', '' ],
	'check_orphans()' => [ 'admin monitor', '', 'numbers, of tables that he may read', '', '' ],
	'check_peers()' => [ 'admin monitor', '', 'names of peers and tables', '', '' ],
	'check_server()' => [ 'admin monitor', '', 'settings', '', '' ],
	'check_subscriptions()' => [ 'admin monitor', '', 'errors without values', '', '' ],
	'check_tables()' => [ 'admin monitor', '', 'catalogs', '', '' ],
	'check_triggers()' => [ 'admin monitor', '', 'catalogs', '', '' ],
	'check_versions()' => [ 'admin monitor', '', 'numbers, of tables that he may read', '', '' ],
	'compare(text,regclass)' => [ 'admin', 'read', 'digests', '', "'peer', 'secret'" ],
	'connector_config(text,integer,text,text,text,text,boolean,jsonb)' => [ 'admin', '', 'names of published tables', '', "'localhost'" ],
	'count_unversioned(regclass)' => [ 'admin monitor', '', 'a number, of a table that he may read', '', "'secret'" ],
	'decode(text,text,text,jsonb)' => [ 'admin', '', 'what he gives', '', "'t045.public.secret', '{\"id\": 1}', EVENT" ],
	'drop_origin(text)' => [ 'admin', '', '', 'nobody who is at work', "'nobody'" ],
	'find_orphans(oid)' => [ 'admin monitor', '', 'a number, of tables that he may read', '', '0' ],
	'may_read_rows(regclass)' => [ 'public', '', 'his own rights', '', "'secret'" ],
	'only_receives()' => [ 'admin monitor', '', 'how it is set up', '', '' ],
	'pause(text)' => [ 'admin', '', '', 'all subscriptions', '' ],
	'peer_digests(text,regclass)' => [ 'admin', 'read', 'digests', '', "'peer', 'secret'" ],
	'printable(text)' => [ 'admin monitor', '', '', '', "'x'" ],
	'prune_conflicts()' => [ 'admin', '', 'a number', '', '' ],
	'prune_tombstones()' => [ 'admin', '', 'a number', '', '' ],
	'psql_command()' => [ 'admin monitor', '', 'port and name of the database', '', '' ],
	'remove_table(regclass)' => [ 'admin', 'own', '', 'apply to his own tables', "'secret'" ],
	'republish(regclass,timestamp with time zone)' => [ 'admin', 'own', 'numbers', 'writers of his own tables', "'secret', '-infinity'" ],
	'reset_subscription(text,text)' => [ 'admin', '', '', 'the subscription', "'secrets'" ],
	'resolve_conflict(bigint,jsonb)' => [ 'admin', 'write', '', '', "(SELECT max(id) FROM ids), '{\"body\": \"x\"}'::jsonb" ],
	'resolve_conflict(bigint,text)' => [ 'admin', 'write', '', '', "(SELECT max(id) FROM ids), 'remote'" ],
	'restart_workers()' => [ 'admin', '', '', 'all workers, which start anew', '' ],
	'resume(text)' => [ 'admin', '', '', 'what somebody paused goes on', '' ],
	'resync_table(regclass)' => [ 'admin', 'own', '', '', "'secret'" ],
	'retry_dead_letter(bigint)' => [ 'admin', '', '', 'a dead letter', '1' ],
	'rewind(text,jsonb)' => [ 'admin', '', '', 'the subscription', "'secrets', '{\"t045.public.secret\": {\"0\": 0}}'::jsonb" ],
	'rewind(text,timestamp with time zone)' => [ 'admin', '', '', 'the subscription', "'secrets', '2020-01-01'::timestamptz" ],
	'role_may_select(oid,name,name)' => [ 'admin monitor', '', 'rights of others, as the catalogs say', '', "0::oid, 'public', 'secret'" ],
	'shell_word(text)' => [ 'admin monitor', '', '', '', "'x'" ],
	'skip(text,text,integer,bigint)' => [ 'admin', '', '', 'a message', "'secrets', 't045.public.secret', 0, 0" ],
	'skip_dead_letter(bigint)' => [ 'admin', '', '', 'a dead letter', '1' ],
	'stat_origins()' => [ 'admin monitor', '', 'names of peers', '', '' ],
	'stat_partitions()' => [ 'admin monitor', '', 'errors without values', '', '' ],
	'stat_peers()' => [ 'admin monitor', '', 'names of peers and tables', '', '' ],
	'stat_tables()' => [ 'admin monitor', '', 'numbers', '', '' ],
	'subscribe(text,text[],text,text,text,text,text,text,jsonb,boolean,text[])' => [ 'admin', '', '', 'nobody else', "'more', '{more}'" ],
	'table_digest(regclass,integer)' => [ 'admin', 'read', 'a digest', '', "'secret'" ],
	'table_objection(regclass)' => [ 'admin monitor', '', 'catalogs', '', "'secret'" ],
	'tombstone_trigger()' => [ 'public', 'trigger', '', '', '' ],
	'unsubscribe(text)' => [ 'admin', '', '', 'the subscription', "'secrets'" ],
	'version_check_trigger()' => [ 'public', 'trigger', '', '', '' ],
	'version_trigger()' => [ 'public', 'trigger', '', '', '' ],
	'wait_for(text,interval)' => [ 'admin monitor', '', 'whether all is applied', '', "'secrets', '10 s'" ],
);

# Every relation: who may read it, and what he learns. Nobody writes one.
my %relation = (
	conflict_data => [ '', 'id, time and table, for admin and monitor' ],
	conflict_data_id_seq => [ '', '' ],
	conflict_history => [ 'admin', 'rows, of tables that he may read' ],
	dead_letter => [ 'admin', 'messages, of tables that he may read' ],
	dead_letter_data => [ '', 'number, subscription and status, for admin and monitor' ],
	dead_letter_data_id_seq => [ '', '' ],
	local_identity => [ '', 'which database it is, for admin and monitor' ],
	signal => [ '', '' ],
	stat_origin => [ 'admin monitor', 'names of peers' ],
	stat_subscription => [ 'admin monitor', 'errors without values' ],
	stat_table => [ 'admin monitor', 'numbers' ],
	subscription => [ 'admin monitor', 'names of topics' ],
	subscription_offset => [ '', '' ],
	table_rule => [ 'admin monitor', 'names of tables and columns' ],
	tombstone => [ 'admin', 'keys, of tables that he may read' ],
	tombstone_data => [ '', '' ],
	tombstone_horizon => [ '', '' ],
	unsent => [ 'admin monitor', 'names of tables' ],
);

# Every setting: its context, and whether everybody sees it. Superusers alone set one.
my %setting = (
	(map { ("cdcsync.$_" => [ 'sighup', 1 ]) }
		qw(apply_timeout apply_workers batch_rows batch_size conflict_log_limit conflict_retention dead_letter_retention max_clock_skew max_conflicts max_dead_letters
		tombstone_retention topic_refresh_interval)),
	(map { ("cdcsync.$_" => [ 'postmaster', 1 ]) } qw(max_partitions max_tables)),
	(map { ("cdcsync.$_" => [ 'superuser', 1 ]) } qw(max_origins node_name)),
	(map { ("cdcsync.$_" => [ 'sighup', 0 ]) } qw(bootstrap_servers kafka_config_file)),
);
my %unlisted = ('cdcsync.kafka_config' => 'it may hold passwords');

# Every hook, with what a plain role or the owner of another database could try to stop by it
my %hook = (
	ProcessUtility_hook => [
		'DROP EXTENSION cdcsync', 'DROP SCHEMA cdcsync CASCADE', 'DROP DATABASE app', 'ALTER DATABASE app RENAME TO mine',
		'CREATE DATABASE copy TEMPLATE app', 'DROP OWNED BY postgres', "ALTER DATABASE app SET cdcsync.node_name = 'x'",
		'ALTER DATABASE app SET TABLESPACE pg_default', 'CREATE TEMP TABLE t ()' ],
	needs_fmgr_hook => [],    # what runs under it: the baits above
	fmgr_hook => [],
	shmem_request_hook => [],
	shmem_startup_hook => [],
);

# what is new has no line yet
my $members = q{SELECT %s FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
	AND e.extname = 'cdcsync' AND d.deptype = 'e' };
lines_of('functions', \%function, sprintf($members, q{translate(replace(d.objid::regprocedure::text, 'cdcsync.', ''), '"', '')}) . "WHERE d.classid = 'pg_proc'::regclass");
lines_of('relations', \%relation, sprintf($members, 'c.relname') . "JOIN pg_class AS c ON c.oid = d.objid WHERE d.classid = 'pg_class'::regclass AND c.relkind <> 'c'");
lines_of('other members', { 'schema cdcsync' => 1, 'type cdcsync.conflict' => 1 },
	sprintf($members, 'pg_describe_object(d.classid, d.objid, 0)') . "WHERE d.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass)");
lines_of('settings', \%setting, q{SELECT name FROM pg_settings WHERE name LIKE 'cdcsync.%'});
lines_of('settings that pg_settings leaves out', \%unlisted,
	q{SELECT x FROM unnest(ARRAY['} . join("','", map { /DefineCustom\w+Variable\("([^"]+)"/g } slurp_file("$ENV{CDC_ROOT}/src/base/guc.c")) .
	q{']) AS x WHERE x NOT IN (SELECT name FROM pg_settings)});
lines_of('hooks', \%hook, q{SELECT x FROM unnest(ARRAY['} .
	join("','", map { slurp_file($_) =~ /^\t(\w+_hook) = /mg } glob("$ENV{CDC_ROOT}/src/*/*.c")) . q{']) AS x WHERE x NOT LIKE 'prev%'});

# functions, tried by everybody
$node->sql('CREATE VIEW ids AS SELECT id FROM cdcsync.conflict_data WHERE relation = \'secret\'::regclass; GRANT SELECT ON ids TO PUBLIC');
my $state = state();
my $event = "'" . event('u', 'secret', { id => 1, body => 'y', v => 1 }, { id => 1, body => 'x', v => 2 }) . "'";
foreach my $function (sort keys %function)
{
	my ($may, $wants, $learns, $stops, $arguments) = @{ $function{$function} };
	my ($name) = $function =~ /^(\w+)/;
	my $call = "SELECT * FROM cdcsync.$name(" . ($arguments =~ s/EVENT/$event/r) . ')';

	# what stops something is tried only by those who may not, or undone
	$call = "BEGIN; $call; ROLLBACK" if $stops ne '';
	foreach my $user (sort keys %role)
	{
		my $granted = $may =~ /\b\Q$role{$user}\E\b/ || ($may eq 'public' && $role{$user} =~ /^(?:admin|monitor)$/);
		my $refusal =
		    !$granted ? qr/permission denied for (?:schema|function)/
		  : $wants eq 'trigger' ? qr/trigger/
		  : $wants eq 'own' ? qr/must be owner of table secret/
		  : $wants eq 'each' ? qr/refused\|must be owner of table/
		  : $wants eq 'read' ? qr/permission denied for table secret/
		  : $wants eq 'write' ? qr/conflict \d+ does not exist/
		  : undef;

		next if $granted && $name eq 'restart_workers';    # at once, and not to be undone
		my $answer = run_as($user, $call);

		ok(($refusal ? $answer =~ $refusal : $answer !~ /permission denied|must be owner/) && $answer !~ /classified/, "$name by $role{$user}")
		  || diag($answer);
	}
}
is(state(), $state, 'none of them has stopped anything');

# relations
foreach my $relation (sort keys %relation)
{
	my ($may) = @{ $relation{$relation} };

	foreach my $user (sort keys %role)
	{
		my $answer = run_as($user, "SELECT * FROM cdcsync.$relation");
		my $granted = $may =~ /\b\Q$role{$user}\E\b/;

		ok(($granted ? $answer !~ /^error/ : $answer =~ /permission denied/) && $answer !~ /classified/, "$relation by $role{$user}")
		  || diag($answer);
	}
}
is( $node->sql(
		q{SELECT count(*) FROM pg_class AS c, unnest('{mallory,dave,carol,mona,erin}'::regrole[]) AS r, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
		WHERE c.relnamespace = 'cdcsync'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege(r, c.oid, p)}),
	0, 'nobody writes a relation');
is(run_as('mallory', 'SELECT DISTINCT body FROM secret'), 'classified', 'the owner reads his own');
as_owner('GRANT SELECT, INSERT, UPDATE, DELETE ON secret TO carol');
ok(run_as('carol', "SELECT * FROM cdcsync.$_") =~ /classified/, "who may read the table reads its rows in $_") foreach qw(conflict_history dead_letter);
like(run_as('carol', 'SELECT key FROM cdcsync.tombstone'), qr/"id": "2"/, '... and in tombstone');
is(run_as('carol', "SELECT cdcsync.resolve_conflict((SELECT max(id) FROM ids), 'remote')"), 'updated', '... and resolves its conflicts');
as_owner("CREATE POLICY nobody ON secret USING (false); ALTER TABLE secret ENABLE ROW LEVEL SECURITY");
ok(run_as('carol', "SELECT * FROM cdcsync.$_") !~ /classified/, "... but not where row security binds him: $_") foreach qw(conflict_history dead_letter tombstone);
like(run_as('carol', "SELECT cdcsync.table_digest('secret')"), qr/row security of table "secret" applies to you/, '... nor a digest');

# what could still be done: who has TRIGGER has his code run by whoever writes, and that is the owner; what is left for later is refused
as_owner('ALTER TABLE secret DISABLE ROW LEVEL SECURITY; GRANT TRIGGER ON secret TO dave');
$node->sql('GRANT CREATE ON SCHEMA public TO dave');
run_as('dave', q{CREATE FUNCTION lend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'lend ran as %', current_user; RETURN NEW; END $$;
	CREATE TRIGGER lend BEFORE UPDATE ON secret FOR EACH ROW EXECUTE FUNCTION lend()});
is(run_as('carol', "SELECT cdcsync.resolve_conflict((SELECT max(id) FROM ids), 'remote')"), 'updated', 'a conflict is resolved by an administrator');
ok($node->log_text =~ /lend ran as mallory$/m, '... which runs triggers as the owner');
as_owner('CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON secret DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil_trigger()');
like(run_as('carol', "SELECT cdcsync.resolve_conflict((SELECT max(id) FROM ids), 'remote')"), qr/cannot fire deferred trigger/, '... but for what would run later');
as_owner('DROP TRIGGER later ON secret');

# settings
foreach my $setting (sort keys %setting, sort keys %unlisted)
{
	my ($context, $public) = @{ $setting{$setting} // [ 'sighup', 0 ] };

	is($node->sql("SELECT context FROM pg_settings WHERE name = '$setting'"), $context, "$setting is of its context") if $setting{$setting};
	foreach my $user (sort keys %role)
	{
		like(run_as($user, "SET $setting = DEFAULT"), qr/permission denied|cannot be changed/, "$setting set by $role{$user}");
		next if $public || $role{$user} eq 'monitor';
		like(run_as($user, "SHOW $setting"), qr/permission denied|must be superuser|\*{8}/, "$setting shown to $role{$user}");
	}
}

# the role may have been made by somebody who then keeps a hand on it
$node->sql('ALTER ROLE cdcsync_admin LOGIN; GRANT cdcsync_admin TO dave WITH ADMIN OPTION');
my (undef, undef, $warnings) = $node->psql('other', 'CREATE EXTENSION cdcsync');
like($warnings, qr/may grant it\nDETAIL:  Who may: dave\.\nHINT:  .*REVOKE cdcsync_admin FROM dave\./, 'CREATE EXTENSION says who else has the role to give');
like($warnings, qr/may log in\nHINT:  .*ALTER ROLE cdcsync_admin NOLOGIN PASSWORD NULL\./, '... and that it may log in');
$node->sql('REVOKE cdcsync_admin FROM dave; ALTER ROLE cdcsync_admin NOLOGIN PASSWORD NULL');
(undef, undef, $warnings) = $node->psql('other', 'DROP EXTENSION cdcsync; CREATE EXTENSION cdcsync; DROP EXTENSION cdcsync');
unlike($warnings, qr/exists already/, '... which its remedies end');

# hooks
$state = state();
foreach my $command (map { @{ $hook{$_} } } sort keys %hook)
{
	foreach my $user (sort grep { $_ ne 'mallory' } keys %role)
	{
		my $answer = run_as($user, $command);

		like($answer, qr/must be owner|permission denied|must be member/, "$command by $role{$user}") if $command !~ /TEMP/;
	}
}
is(state(), $state, 'no command of theirs has stopped anything');

# --- what Debezium's role may: without a right on a table it has what is published of it ---------------------------

$node->sql(q{CREATE ROLE reader REPLICATION LOGIN; SELECT pg_create_logical_replication_slot('leak', 'pgoutput')});
$node->sql(q{INSERT INTO secret (id, body) VALUES (4711, 'for nobody')});
like(run_as('reader', 'SELECT * FROM secret'), qr/permission denied for table secret/, 'a role with REPLICATION may not SELECT');
like(run_as('reader', q{SELECT count(*) > 0 FROM pg_logical_slot_peek_binary_changes('leak', NULL, NULL, 'proto_version', '1', 'publication_names', 'cdcsync')
	AS c WHERE position('for nobody'::bytea IN c.data) > 0}), qr/^t$/, '... and reads it in the log');
$node->sql(q{SELECT pg_drop_replication_slot('leak')});

$node->sql("SELECT cdcsync.remove_table('$_')") foreach @tables;
nothing_ran('at the end');

# every bait is alive: where cdcsync does not come by, its owner or a reader does
as_owner("INSERT INTO bait_range SELECT i, i, evil_range(i::real, (i + 1)::real), 1 FROM generate_series(1000, 2000) AS i");
as_owner('DELETE FROM bait_rule');
as_owner('SELECT p::text, p::int, p = p, (SELECT sum(a) FROM bait_view), (SELECT count(*) FROM bait_digests_view) FROM bait_cast');
run_as('mona', 'SELECT * FROM bait_policy');
my $log = $node->log_text;
foreach my $place (map { my $sql = $_; $sql =~ /evil\('([^']+)'\)/g } (map { $_->[1] } @baits), $others, "evil('handler') evil('difference of a range')")
{
	ok($log =~ /bait: \Q$place\E ran as/, "alive: $place");
}

$node->stop;
done_testing();

# --- helpers --------------------------------------------------------------------------------------

sub bait_row
{
	my ($table, $id, $v) = @_;

	return { id => $id, a => $id, v => $v, %{ $extra{$table} // {} } };
}

# as Debezium sends the text of a type that it does not know
sub bytes
{
	return encode_base64($_[0], '');
}

sub secret_row
{
	my ($id, $v) = @_;

	return { id => $id, body => 'classified', v => $v };
}

# An assertion: the table has a line for each name that the query gives, and no other
sub lines_of
{
	my ($what, $table, $sql) = @_;

	is(join("\n", sort split(/\n/, $node->sql($sql))), join("\n", sort keys %$table), "every one has its line: $what");
	return;
}

# what nobody is to change or to stop
sub state
{
	return $node->sql(q{
		SELECT s.* FROM cdcsync.subscription AS s ORDER BY 1;
		SELECT r.* FROM cdcsync.table_rule AS r ORDER BY 1;
		SELECT count(*) FROM cdcsync.dead_letter_data WHERE status = 'failed';
		SELECT tablename FROM pg_publication_tables WHERE pubname = 'cdcsync' AND schemaname <> 'cdcsync' ORDER BY 1;
		SELECT roname FROM pg_replication_origin ORDER BY 1;
		SELECT datname, pid FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'});
}

sub as_owner
{
	my ($sql) = @_;

	return $node->safe_psql('app', "SET SESSION AUTHORIZATION mallory; $sql");
}

# whatever comes of it
sub run_as
{
	my ($user, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('app', $sql, $user ? (extra_params => [ '-U', $user ]) : ());

	return $rc == 0 ? $out : "error: $err";
}

# as anybody but the owner
sub nothing_ran
{
	my ($when) = @_;
	my %found = map { $_ => 1 } grep { !/ as mallory$/ } $node->log_text =~ /(bait: .* ran as \w+)$/mg;

	is(join("\n", sort keys %found), '', "nothing ran as another than its owner: $when");
	is($node->sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"), 'f', '... and he is no superuser');
	return;
}
