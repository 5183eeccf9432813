# pg_upgrade into a new cluster: what doc/operations.md says of it ("A newer PostgreSQL"), and that nothing is lost or guessed on the way.
#
# With one major on the machine it goes from that to itself: another system identifier, no slots, no origins and no commit times
# are what a newer one has, too. CDC_OLD_BINDIR=/usr/lib/postgresql/15/bin: from there (cdcsync is installed there).
use strict;
use warnings;
use CdcNode;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my @settings = ("cdcsync.bootstrap_servers = '127.0.0.1:1'", "cdcsync.node_name = 'n059'");
my $old = cluster('old', $ENV{CDC_OLD_BINDIR});
my $new = cluster('new');
my $node = $old;

$old->start;
$old->safe_psql('postgres', 'CREATE DATABASE app TEMPLATE template0');
on(q{CREATE EXTENSION cdcsync;
	CREATE TABLE item (id int PRIMARY KEY, body text, v timestamptz NOT NULL, size int GENERATED ALWAYS AS (length(body)) STORED);
	CREATE TABLE stamped (id int PRIMARY KEY, body text);
	SELECT cdcsync.add_table('item', version_column => 'v'), cdcsync.add_table('stamped');
	SELECT cdcsync.subscribe('s', '{peer.public.item,peer.public.stamped}')});
on(q{INSERT INTO item (id, body, v) SELECT i, 'here', '2026-01-01 10:00Z' FROM generate_series(1, 3) AS i; INSERT INTO stamped VALUES (1, 'here')});
on('DELETE FROM item WHERE id = 3');
is(message('item', 'c', '{"id": 4, "body": "there", "v": "2026-01-01T10:00:00Z"}'), 'created', 'a row of a peer, under its origin');
on(q{INSERT INTO cdcsync.subscription_offset (subscription, topic, partition, next_offset) VALUES ('s', 'peer.public.item', 0, 42)});
my $kept = q{SELECT string_agg(t, E'\n' ORDER BY t) FROM (SELECT item::text FROM item UNION ALL SELECT stamped::text FROM stamped
	UNION ALL SELECT (topic, partition, next_offset)::text FROM cdcsync.subscription_offset
	UNION ALL SELECT (relation, key, version, peer)::text FROM cdcsync.tombstone
	UNION ALL SELECT r::text FROM cdcsync.table_rule AS r) AS t (t)};
my $before = on($kept);

$old->stop;
chdir $new->basedir;
my $bindir = $new->config_data('--bindir');
my $said;
ok( IPC::Run::run(
		[ 'pg_upgrade', '-b', $ENV{CDC_OLD_BINDIR} || $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir,
			'-p', $old->port, '-P', $new->port, '-s', $new->basedir ], '<', '/dev/null', '>&', \$said),
	'pg_upgrade, with cdcsync preloaded in both') or BAIL_OUT("pg_upgrade fails: $said");

$node = $new;
$new->start;
ok($new->poll_query_until('app', 'SELECT NOT enabled FROM cdcsync.subscription'), 'the subscription is paused');
like($new->log_text, qr/subscriptions are paused, for this database is a copy of another one.*HINT:  In place of the other, as after pg_upgrade: run cdcsync\.resume\(\)\./s,
	'the log says what to do after pg_upgrade');
is(on($kept), $before, 'rows, positions, tombstones and rules are there');
is(on(q{SELECT string_agg(level || ' ' || subject || ' ' || remedy, E'\n' ORDER BY subject) FROM cdcsync.check()
		WHERE subject ~ '^subscription|^table .*stamped'}),
	"warning subscription s In place of the other: SELECT cdcsync.resume('s'). Beside it, first: ALTER DATABASE app SET cdcsync.node_name = '...'; and connect again\n"
	  . q{warning table public.stamped cdcsync.resume() once no change from before is on its way, see "A newer PostgreSQL" in doc/operations.md},
	'check() says so too, and what is not known any more');

# from before 18 into 18: publication and all updates of the table
my $unpublished = q{SELECT count(*) FROM cdcsync.check() WHERE problem ~ 'generated columns are not published'};
is(on($unpublished), on(q{SELECT count(*) FROM pg_publication AS p WHERE to_jsonb(p) ->> 'pubgencols' = 'n'}), 'check() knows whether generated columns are published');
on('SELECT cdcsync.alter_table_rule(relation) FROM cdcsync.table_rule');
is(on($unpublished), 0, '... and alter_table_rule() has them published');

on('UPDATE item SET body = body || 2; DELETE FROM item WHERE id = 2');
is(on(q{SELECT count(*) FROM item WHERE v > '2026-01-01 10:00Z' AND size = length(body)}), 2, 'versions grow on, generated columns too');
is(on(q{SELECT count(*) FROM cdcsync.tombstone}), 2, 'deletes are remembered, old and new');
like(message('item', 'u', '{"id": 1, "body": "older", "v": "2026-01-01T09:00:00Z"}'), qr/kept/, 'an older event loses');
like(message('item', 'c', '{"id": 3, "body": "older", "v": "2026-01-01T10:00:00Z"}'), qr/^(?!created)/, '... also against the tombstone');
is(message('item', 'u', '{"id": 1, "body": "newer", "v": "2036-01-01T09:00:00Z"}'), 'newer', 'a newer one wins, under an origin made anew');

on(q{SELECT cdcsync.resume('s')});
is(on(q{SELECT string_agg(level || ' ' || problem, E'\n') FROM cdcsync.check() WHERE problem ~ 'paused|not known any more'}), '', 'resume() is all it takes');
$new->restart;
is(on('SELECT enabled FROM cdcsync.subscription'), 't', '... for good');
$new->stop;
done_testing();

# Both without checksums of pages, which 18 has by default and those of before had not
sub cluster
{
	my ($name, $bindir) = @_;
	my $cluster = CdcNode->new($name, $bindir ? (install_path => $bindir =~ s{/bin$}{}r) : ());
	my $version = $cluster->{_pg_version};

	bless $cluster, 'CdcNode';
	system_or_bail(($bindir ? "$bindir/initdb" : 'initdb'), '-D', $cluster->data_dir, '-A', 'trust', '-N', '--encoding=UTF8', '--locale=C.UTF-8',
		$version ge '18' ? '--no-data-checksums' : ());
	$cluster->append_conf('postgresql.conf', join("\n", $cluster->_settings, @settings, ''));
	return $cluster;
}

sub on
{
	my ($sql) = @_;

	return $node->safe_psql('app', $sql);
}

# What becomes of an event of a peer
sub message
{
	my ($table, $op, $after) = @_;
	my ($id) = $after =~ /("id": \d+)/;
	my $source = qq("source":{"name":"peer","schema":"public","table":"$table","ts_us":1767261600000000});

	return on(qq{SELECT cdcsync.apply('peer.public.$table', '{$id}', '{"op":"$op","before":null,"after":$after,$source}', '{"time.precision.mode": "isostring", "decimal.handling.mode": "string"}')});
}
