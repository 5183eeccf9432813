# What an administrator's commands and faults leave: a dump that is restored, a crash after wait_for(), DROP DATABASE while an
# origin is in use, a position that somebody has locked.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', "wal_writer_delay = '10s'", 'fsync = off');
my $user = $node->background_psql('app');

# --- the commit clock, and a dump that is restored -------------------------------------------------------

$node->sql(<<'END');
CREATE TABLE memo (id int PRIMARY KEY, body text);
SELECT cdcsync.add_table('memo'), cdcsync.subscribe('peer', '{t057.public.nothing}'), pg_replication_origin_create('cdcsync:0:1:peer');
INSERT INTO memo VALUES (1, 'when it was dumped'), (2, 'deleted');
DELETE FROM memo WHERE id = 2;
END
my $before = micros() - 3_600_000_000;
my $between = micros();
my $dump = PostgreSQL::Test::Utils::tempdir('dump') . '/app';
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('app'));
$node->safe_psql('postgres', 'CREATE DATABASE restored');
system_or_bail('pg_restore', '-d', $node->connstr('restored'), $dump);
is(take('restored', 'u', 1, 'of before the restore', $between), 'older, local row kept', 'before resume() nothing is known of a dump');
$node->safe_psql('restored', "SELECT cdcsync.prune_tombstones(); SELECT cdcsync.resume(NULL)");
is(take('restored', 'c', 2, 'older than the delete', $before), 'older than the delete', 'a delete keeps its time in a dump');
is(take('restored', 'c', 2, 'newer than the delete', $between), 'newer than the delete, created', '... and what came after it is newer');
is(take('restored', 'u', 1, 'of before the restore', $between), 'newer', 'a change from between dump and restore is newer than what was restored');
is($node->safe_psql('restored', 'SELECT body FROM memo WHERE id = 1'), 'of before the restore', '... and is there');
is(take('restored', 'u', 1, 'older', $between - 1), 'older, local row kept', '... with its own time');
$node->safe_psql('restored', "UPDATE memo SET body = 'local' WHERE id = 1; SELECT cdcsync.resume(NULL)");
is(take('restored', 'u', 1, 'older', $between + 1), 'older, local row kept', 'what is written here has its time, also behind another resume()');

# a copy of the files has the transactions themselves
$user->quit;
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE app');
$node->safe_psql('copied', 'SELECT cdcsync.resume(NULL)');
is(take('copied', 'u', 1, 'older', $before), 'older, local row kept', 'a copy of a database keeps its commit times');

# --- a database that is dropped while one of its origins is in use ---------------------------------------

$user = $node->background_psql('app');
my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'copied'");
$user->query_safe("SELECT pg_replication_origin_create('cdcsync:$oid:1:peer'), pg_replication_origin_session_setup('cdcsync:$oid:1:peer')");
my ($code, $out, $err) = $node->psql('postgres', 'DROP DATABASE copied');
is($code, 0, 'the database is dropped all the same');
like($err, qr/WARNING:  the replication origins of the dropped database stay: /, '... and it is said what stays');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'copied'"), 0, '... the files and the entry are gone together');
$user->query_safe('SELECT pg_replication_origin_session_reset()');
my ($command) = $err =~ /HINT:  Run (.*)\.$/m;
$node->safe_psql('postgres', $command);
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_replication_origin WHERE roname LIKE 'cdcsync:$oid:%'"), 0, '... which goes by the command of the hint');

# --- a position that somebody has locked ----------------------------------------------------------------

$node->sql("CREATE TABLE item (id int PRIMARY KEY, v int); SELECT cdcsync.add_table('item', version_column => 'v')");
my $gaps = make_topic('item');
$node->sql("SELECT cdcsync.subscribe('gaps', '{$gaps}')");
produce($gaps, change(0, 'c', 'item', undef, { id => 1, v => 1 }));
becomes($node, position_of($gaps, 0), 'streaming 1', 'a partition is read');
my $pid = worker_pid($node);
$user->query_safe("BEGIN; SELECT FROM cdcsync.subscription_offset WHERE topic = '$gaps' FOR UPDATE");
IPC::Run::run([ $ENV{CDC_STACK}, '--dir', "$ENV{CDC_RUN}/stack", 'transaction', $gaps, 0, 'abort' ], '<', \"one\ntwo\n", '>', '/dev/null') or die;
produce($gaps, [ 0, '{"id":1}', 'no JSON' ]);
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$gaps' AND last_error LIKE '%lock timeout%'", 'waiting', 'whose position is locked waits, also at its error');
$user->query_safe('COMMIT');
becomes($node, position_of($gaps, 0), 'error 4', '... and then stops there');
is(worker_pid($node), $pid, '... the worker stays');
# likewise where the broker has said where a time is
$node->sql("SELECT cdcsync.pause('gaps'); SELECT cdcsync.rewind('gaps', '2000-01-01'::timestamptz)");
$user->query_safe("BEGIN; SELECT FROM cdcsync.subscription_offset WHERE topic = '$gaps' FOR UPDATE");
$node->sql("SELECT cdcsync.resume('gaps')");
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$gaps' AND last_error LIKE '%locked%'", 'waiting', 'whose position is locked waits, also to be rewound');
$user->query_safe('COMMIT');
becomes($node, position_of($gaps, 0), 'error 4', '... and then is, to stop there again');
is(worker_pid($node), $pid, '... the worker stays');
$node->sql("SELECT cdcsync.unsubscribe('gaps')");

# --- what wait_for() has said survives a crash ----------------------------------------------------------

# The worker is held up before it has nothing more to do, where it would flush: by a row, then by another behind the change that is
# waited for. It comes in between.
my ($busy, $quiet) = (make_topic('busy', 2), make_topic('quiet'));
$node->append_conf('postgresql.conf', 'cdcsync.batch_rows = 1');
$node->reload;
$node->sql("CREATE TABLE busy (id int PRIMARY KEY, v int); CREATE TABLE quiet (id int PRIMARY KEY, v int); INSERT INTO busy VALUES (0, 1), (1, 1);
	SELECT cdcsync.add_table('busy', version_column => 'v'), cdcsync.add_table('quiet', version_column => 'v');
	SELECT cdcsync.subscribe('busy', '{$busy}'), cdcsync.subscribe('quiet', '{$quiet}')");
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE state = 'streaming' AND topic IN ('$busy', '$quiet')", 3, 'two topics are read');
$node->sql('CHECKPOINT');
$user->query_safe('BEGIN; UPDATE busy SET v = v');
produce($busy, change(0, 'u', 'busy', undef, { id => 0, v => 5 }));
wait_until('the worker is held up', sub { $node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND wait_event_type = 'Lock'") });
produce($quiet, change(0, 'c', 'quiet', undef, { id => 1, v => 1 }));
produce($busy, change(1, 'u', 'busy', undef, { id => 1, v => 5 }));
is($node->sql("SELECT cdcsync.wait_for('quiet', '60s')"), 't', 'it is applied');
$node->stop('immediate');
$node->start;
is($node->sql('SELECT count(*) FROM quiet'), 1, '... and is there after a crash');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has failed inside');
done_testing();

sub micros { return $node->sql('SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint') }

# What apply() says of an event of this time, in a transaction that is stamped with it, as the worker's are
sub take
{
	my ($database, $op, $id, $body, $time) = @_;
	my $event = event($op, 'memo', undef, { id => $id, body => $body }, ts_us => $time + 0, ts_ms => int($time / 1000), name => 'peer');

	return $node->safe_psql($database, <<"END");
\\o /dev/null
BEGIN;
SELECT pg_replication_origin_session_setup('cdcsync:0:1:peer');
SELECT pg_replication_origin_xact_setup('0/1', 'epoch'::timestamptz + $time * interval '1 microsecond');
\\o
SELECT cdcsync.apply('peer.public.memo', '{"id": $id}', \$\$$event\$\$);
COMMIT;
END
}
