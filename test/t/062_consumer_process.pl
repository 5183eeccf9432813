# The Kafka client's process: whatever becomes of it, the server and its worker do not notice but for the time that the next one
# takes; it goes with the worker, in every way in which that goes; and it has nothing of the server's.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = 60_000;
my $topic = make_topic('item', 2);
my $node = make_node('sink', 'cdcsync.batch_rows = 200');
$node->sql(<<'END');
CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
SELECT cdcsync.add_table('item', version_column => 'v');
END
keep_journal($node, 'item', 'id int NOT NULL');
my $id = 0;

# --- what it is ------------------------------------------------------------------------------------

my ($library) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($needed) = run_command([ 'readelf', '-d', "$library/cdcsync.so" ]);
is(join(' ', $needed =~ /\(NEEDED\).*\[(.*?)\]/g), 'libc.so.6', 'the library needs nothing but the C library');
is(system("'$library/cdcsync-consumer' 2>/dev/null") >> 8, 2, 'the program cannot be started by hand');

produce($topic, items(10));
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
applied('a worker applies');
my $worker = worker_pid($node);
my $pid = consumer_of($worker);
is(slurp_file("/proc/$pid/cmdline") =~ s/\0$//r, 'cdcsync: consumer of cdcsync apply worker for database app', 'ps says whose it is');
ok(!open(my $environment, '<', "/proc/$pid/environ"), 'its memory and environment are its own');
like(slurp_file("/proc/$pid/oom_score_adj"), qr/^500$/, 'it goes first when memory is short');


# in which case it can be debugged, and looked into
$node->safe_psql('postgres', q{ALTER SYSTEM SET cdcsync.kafka_config = 'debug=plugin'});
$node->reload;
wait_until('another', sub { (consumer_of($worker) // $pid) != $pid });
$pid = consumer_of($worker);
my @open;
wait_until('its start', sub { @open = descriptors($pid); grep { /^socket:/ } @open });
is(join(' ', grep { m{^/} && !m{^/dev/null$} && !m{\.log$} } @open), '', 'it has no file of the server');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET cdcsync.kafka_config');
$node->reload;
wait_until('another', sub { (consumer_of($worker) // $pid) != $pid });
$pid = consumer_of($worker);

# --- it dies -----------------------------------------------------------------------------------------

my $before = identity();
my $killed = 0;
my @running = map { in_background(join('', map { join("\t", $_->[1], $_->[2]) . "\n" } items($events)),
		'kcat', '-q', '-P', '-K', "\t", '-b', $ENV{KAFKA}, '-t', $topic, '-p', $_) } 0, 1;
foreach my $signal (('SEGV', 'KILL', 'ABRT', 'BUS') x 3)
{
	my $old = $pid;
	my $had = rows();

	kill($signal, $pid);
	wait_until('another', sub { $pid = consumer_of($worker); $pid && $pid != $old });
	$killed++ if wait_until('it to go on', sub { rows() > $had || rows() == $id });
}
$_->finish foreach @running;
is($killed, 12, 'killed by signals in the midst of it, another goes on');
applied('all is applied');
is(identity(), $before, '... the server, its sessions and the worker did not notice');
is($node->sql('SELECT count(*) - count(DISTINCT id) FROM journal'), 0, '... nothing is applied twice');
is(log_lines($node, 'LOG:  cdcsync cannot talk to Kafka: the Kafka client has ended: child process was terminated by signal'), 12, '... and the log says so');
log_has_no($node, 'was terminated by signal.*\n.*terminating any other', 'nobody was restarted');

# --- it does not answer --------------------------------------------------------------------------------

kill('STOP', $pid);
produce($topic, items(10));
$node->sql('SELECT cdcsync.pause()');
$node->sql('SELECT cdcsync.resume()');
my $seconds = timed('the worker to leave', sub { $node->sql("SELECT pg_terminate_backend($worker, 20000)") });
cmp_ok($seconds, '<', 10, 'stopped, it does not hold up the worker when that is to leave');
ok(gone($pid), '... and is gone with it');
applied('the next goes on');

$pid = consumer_of(worker_pid($node));
kill('STOP', $pid);
$node->sql('SELECT cdcsync.pause()');
$node->safe_psql('postgres', 'DROP DATABASE app WITH (FORCE)');
ok(gone($pid), 'nor a database that is dropped');
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->sql('CREATE EXTENSION cdcsync');
$node->sql("CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL); SELECT cdcsync.add_table('item', version_column => 'v')");
keep_journal($node, 'item', 'id int NOT NULL');
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
applied('a new database reads from the beginning');

$pid = consumer_of(worker_pid($node));
kill('STOP', $pid);
$node->restart;
ok(gone($pid), 'nor the server when it is stopped');
applied('after the restart it goes on');

# --- it outlives nobody ----------------------------------------------------------------------------------

$worker = worker_pid($node);
$pid = consumer_of($worker);
kill('KILL', $worker);
ok(gone($pid), 'the worker is killed: it goes');
wait_until('the server', sub { $node->try_sql('SELECT 1') eq '1' });
produce($topic, items(10));
applied('... and another comes with the next worker');
$pid = consumer_of(worker_pid($node));
$node->kill_postmaster;
ok(gone($pid), 'the postmaster is killed: it goes');
ok($node->start_after_kill, '... and the server starts again');
applied('... and goes on');

# --- a package that is upgraded, or removed, under the server ---------------------------------------------

$worker = worker_pid($node);
$pid = consumer_of($worker);
rename("$library/cdcsync-consumer", "$library/cdcsync-consumer.away") or die "rename: $!";
kill('KILL', $pid);
produce($topic, items(10));
applied('the program is not there any more: the server has it still');
is(worker_pid($node), $worker, '... by the same worker');
$node->restart;
becomes($node, 'SELECT state, last_error FROM cdcsync.stat_subscription LIMIT 1',
	qr/^waiting\|could not open program ".*cdcsync-consumer": No such file or directory/, 'after a restart it is missed');
like($node->sql("SELECT remedy FROM cdcsync.check() WHERE subject LIKE 'subscription peer%' LIMIT 1"), qr/Install cdcsync again, and restart the server/, '... and check() says what to do');
rename("$library/cdcsync-consumer.away", "$library/cdcsync-consumer") or die "rename: $!";
$node->restart;
produce($topic, items(10));
applied('... which helps');
done_testing();

END
{
	my $status = $?;

	rename("$library/cdcsync-consumer.away", "$library/cdcsync-consumer") if $library && -e "$library/cdcsync-consumer.away";
	$? = $status;
}

# so many more events
sub items
{
	my ($n) = @_;

	return map {
		$id++;
		[ $id % 2, qq({"id":$id}), qq({"op":"c","before":null,"after":{"id":$id,"v":1},)
			  . q("source":{"connector":"postgresql","name":"t062","schema":"public","table":"item","ts_ms":1767225600000,"ts_us":1767225600000000}}) ]
	} 1 .. $n;
}

sub rows
{
	my $n = $node->try_sql('SELECT count(*) FROM item');

	return $n =~ /^\d+$/ ? $n : 0;
}

# An assertion: all events are
sub applied
{
	my ($name) = @_;

	return becomes($node, 'SELECT count(*) FROM item', $id, $name);
}

# Pid of the worker's child; nothing if it has none
sub consumer_of
{
	my ($parent) = @_;
	my ($child) = -r "/proc/$parent/task/$parent/children" ? split(/ /, slurp_file("/proc/$parent/task/$parent/children")) : ();

	return $child;
}

# Where they lead
sub descriptors
{
	my ($of) = @_;

	return map { readlink($_) // () } glob "/proc/$of/fd/*";
}

# The server, the worker, and processes that began before
sub identity
{
	return $node->sql("SELECT pg_postmaster_start_time(), string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity
		WHERE backend_type NOT IN ('client backend', 'autovacuum worker')");
}

sub gone
{
	my ($of) = @_;

	return wait_until("process $of to go", sub { !-e "/proc/$of" || slurp_file("/proc/$of/stat") =~ /\) Z / });
}
