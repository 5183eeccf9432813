# Nobody gets rights from cdcsync that he does not have. A table's owner puts code wherever PostgreSQL evaluates an expression, and
# everything that cdcsync has is driven over his tables, by superusers and by administrators: it must never run as somebody else.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
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
$node->sql(q{SELECT cdcsync.subscribe('peer', '{^t045[.]public[.]}', producer => '{"binary.handling.mode": "bytes"}')});
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
