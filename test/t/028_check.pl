# check(): faults of servers, of peers as their events show them, and of topics. Those that need no other server are in
# sql/check.sql, those of connectors in 029_check_connectors.pl.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# --- peers, by their events -----------------------------------------------------------------------------

my $topic = make_topic('item', 2);
my $disk = PostgreSQL::Test::Utils::tempdir();
my $node = make_node_on_disk('node', $disk);
my $me = $node->name;
my $id = 0;
$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL, n numeric);
	SELECT cdcsync.add_table('item', version_column => 'v')});
is(lines($node), 'warning connector: no connector has a replication slot in this database: its changes are not captured',
	'a table, and nobody who captures its changes');
# a slot, and somebody who reads it
$node->sql(q{SELECT pg_create_logical_replication_slot('cdcsync_me', 'pgoutput')});
like(lines($node), qr/^warning slot cdcsync_me: nobody reads it, the connector does not run; it keeps \d+ \w+ of WAL$/, 'a slot that nobody reads');
my $reader = IPC::Run::start(
	[ 'pg_recvlogical', '-h', $node->host, '-p', $node->port, '-d', 'app', '-S', 'cdcsync_me', '--start', '-f', '-',
		'-o', 'proto_version=1', '-o', 'publication_names=cdcsync' ], '>', '/dev/null', '2>', '/dev/null');
becomes($node, q{SELECT active FROM pg_replication_slots}, 't', 'it is read');
is(lines($node), '', 'nothing to complain of');

$node->sql("SELECT cdcsync.subscribe('s', '{$topic}', peers => '{t028,t028b,$me}', producer => '{\"decimal.handling.mode\": \"string\"}')");
says($node, qr/warning cdcsync.node_name: Kafka has no topic of node "$me", though a connector reads this database/,
	'no topic of this node');
stack('topic-create', "__debezium-heartbeat.$me");
says($node, '', '... until its connector says something');

send_event('c', { n => 1 }, version => '3.4.2.Final');
says($node, qr/^warning peer t028: its Debezium is 3.4.2.Final, and does not say what the peer has from others/, 'an old Debezium');
$node->sql("SELECT cdcsync.alter_subscription('s', origin => 'none')");
says($node, qr/^error peer t028: its Debezium is 3.4.2.Final/, '... where origins are needed');
$node->sql("SELECT cdcsync.alter_subscription('s', origin => 'any')");
send_event('c', { n => 1 }, version => '3.5.0.Final');
says($node, '', '... updated');
send_event('c', { n => 1 }, version => '99999999999.1');
is(lines($node), '', 'a version that nobody has');

send_event('c', { n => 1 }, ts_us => int((time + 20) * 1e6));
says($node, qr/^warning peer t028: its clock is ahead of this node's by 00:00:(19|20)[.\d]*$/, 'a clock that is ahead');
send_event('c', { n => 1 }, ts_us => int((time + 20) * 1e6), origin => 'cdcsync:1:1:other', name => 't028b');
unlike(lines($node), qr/t028b/, '... of others only the author is told of');
send_event('c', { n => 1 }, ts_us => int(time * 1e6));
says($node, '', '... set right');

$node->sql("SELECT cdcsync.alter_subscription('s', producer => '{}')");
send_event('c', {});
says($node, qr/^warning peer t028: table public.item: its events come without schemas, and the subscription does not say/,
	'neither schemas nor modes');
$node->sql("SELECT cdcsync.alter_subscription('s', producer => '{\"decimal.handling.mode\": \"string\"}')");
send_event('c', { n => 1 });
says($node, '', '... told');

send_event('c', { n => 1 }, snapshot => 'false');
says($node, qr/^warning peer t028: table public.item: NULL arrives as the default of its column$/, 'a converter that replaces NULL');
send_event('c', { n => 1 }, snapshot => undef);
says($node, '', '... that no longer does');

send_event('u', { n => 1 });
says($node, qr/^error peer t028: table public.item: updates do not show the row that was there$/, 'updates without before');
send_event('u', { n => 1 }, before => 1);
says($node, '', '... with it');

# two logs under one name: they go back and forth; a connector that repeats itself comes by where it was
send_log(100, 200, 150, 200, 300, 250, 300, 400);
says($node, '', 'a connector that repeats itself');
send_log(500, 90, 600, 100);
says($node, '', 'one that was restored');
send_log(700);
says($node, qr/^error peer t028: table public.item: events of two databases take turns under this name$/, 'two databases under one name, by their logs');
mended_by_command($node, qr/two databases/, 'one of them is named anew, and the worker starts anew');
send_event('c', { n => 1 }, db => $_) foreach qw(one two one);
says($node, qr/^error peer t028: table public.item: events of two databases/, '... by their own names');
mended_by_command($node, qr/two databases/, 'likewise');

send_event('c', { n => 1 }, name => $me, lsn => 1);
says($node, qr/^warning node $me: changes under this node's name have come that it did not have/, 'own changes that are news');
send_event('c', { n => 1 }, name => $me, lsn => 1 << 50);
says($node, qr/^error peer $me: table public.item: another database writes under this node's name$/m, 'another log under the own name');
send_event('c', { n => 1 }, name => $me, lsn => 1);
says($node, qr/^warning node $me: changes under this node's name have come that it did not have: [^\n]*$/, '... that is named anew');
mended_by_command($node, qr/that it did not have/, '... and the worker starts anew');
send_event('c', { n => 1 }, origin => "cdcsync:1:1:$me");
says($node, qr/^warning node $me: changes under this node's name have come that it did not have/, 'an own echo that is news');
mended_by_command($node, qr/that it did not have/, 'likewise');
$node->sql("INSERT INTO item VALUES (1000, 5, 1)");
produce($topic, change(0, 'c', 'item', undef, { id => 1000, v => 5, n => '1' }, origin => "cdcsync:1:1:$me"));
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'a true echo');
is(lines($node), '', '... is none');

# --- subscriptions ----------------------------------------------------------------------------------------

produce($topic, change(1, 'c', 'unknown', undef, { id => 1, v => 1 }));
says($node, qr/^error subscription s, topic $topic, partition 1: error: no table is registered for "public.unknown"$/, 'a stopped partition');
like($node->sql("SELECT remedy FROM cdcsync.check()"), qr/^Register it with cdcsync.add_table, or set on_unknown_table => 'skip'/,
	'... with its hint');
$node->sql("SELECT cdcsync.alter_subscription('s', on_unknown_table => 'skip')");
says($node, '', '... that goes on');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic,t028.missing}')");
says($node, qr/^warning subscription s, topic t028.missing: waiting: the topic does not exist \(yet\)$/, 'a topic that is not there');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic}')");
says($node, '', '... and not wanted');
$node->sql('SELECT cdcsync.pause()');
is(lines($node), 'info subscription s: it is paused', 'a pause');
$node->sql($node->sql('SELECT remedy FROM cdcsync.check()'));
says($node, '', '... ended by what is said');

# --- what Kafka keeps -------------------------------------------------------------------------------------

my $short = make_topic('short', 1, 'retention.ms=172800000');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$short}', on_unknown_table => 'pause')");
fall_behind($short);
says($node, qr/^warning subscription s, topic $short, partition 0: the last event applied is 1 day 06:0\d:\d\d old, and Kafka keeps events for 2 days$/m,
	'a topic that is behind, and kept for short');
my $shorter = make_topic('shorter', 1, 'retention.ms=86400000');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$short,$shorter}')");
fall_behind($shorter);
says($node, qr/^error subscription s, topic $shorter, partition 0: the last event applied is 1 day 06:0\d:\d\d old, and Kafka keeps events for 1 day$/m,
	'... further behind than it is kept');
$node->sql('CREATE ROLE steward IN ROLE cdcsync_admin');
is($node->sql(q{SET ROLE steward; SELECT count(*) FROM cdcsync.check() WHERE problem ~ 'Kafka keeps' AND remedy ~ 'HOST:PORT'}), 2,
	'... and said to who may not see where Kafka is');
kafka_configs($_) foreach split(/\n/, $node->sql(q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'Kafka keeps'}));
my $third = make_topic('third', 1);
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$short,$shorter,$third}')");    # new topics are asked at once
becomes($node, q{SELECT count(*) FROM cdcsync.check() WHERE problem ~ 'Kafka keeps'}, 0, '... both mended by what is said');
produce($short, change(0, 'c', 'unknown', undef, { id => 1, v => 1 }));
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic}', on_unknown_table => 'skip')");
says($node, '', '... and left');

# --- the slot ---------------------------------------------------------------------------------------------

$node->sql(q{ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'});
$node->sql('SELECT pg_reload_conf()');
$reader->kill_kill;
becomes($node, q{SELECT active FROM pg_replication_slots}, 'f', 'the connector goes');
write_wal($node) foreach 1 .. 2;
says($node, qr/^warning slot cdcsync_me: it keeps \d+ MB of WAL, and is lost at 32 MB/m, 'WAL near the limit');
mended_by_command($node, qr/is lost at/, 'a higher limit', '1GB');
$node->sql($_) foreach q{ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'}, 'SELECT pg_reload_conf()';
write_wal($node) foreach 1 .. 3;
says($node, qr/^error slot cdcsync_me: the WAL it needs is about to be removed$/m, 'WAL beyond the limit');
mended_by_command($node, qr/about to be removed/, 'no limit');
$node->sql($_) foreach q{ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'}, 'SELECT pg_reload_conf()';
says($node, qr/^error slot cdcsync_me: the WAL it needs is about to be removed$/m, 'the limit again');
$node->sql('CHECKPOINT');
says($node, qr/^error slot cdcsync_me: it is lost: the connector cannot go on/m, 'a slot that is lost');
$node->sql(q{SELECT pg_drop_replication_slot('cdcsync_me'); SELECT pg_create_logical_replication_slot('cdcsync_me', 'pgoutput')});
$node->sql($_) foreach 'ALTER SYSTEM RESET max_slot_wal_keep_size', 'SELECT pg_reload_conf()';
write_wal($node) foreach 1 .. 2;
append_to_file("$disk/room", 'x' x (4 << 20));
says($node, qr/^warning slot cdcsync_me: it keeps \d+ \w+ of WAL, and 4096 kB are free on the disk$/m, 'a disk that fills');
mended_by_command($node, qr/are free on the disk/, 'a limit', '3MB');

# --- the worker -------------------------------------------------------------------------------------------

$node->sql(q{SELECT cdcsync.unsubscribe('s'), cdcsync.subscribe('s', '{t028.none}')});
$node->sql(q{UPDATE cdcsync.subscription SET created_at = now() - interval '1 hour'});
$node->sql('ALTER TABLE cdcsync.subscription RENAME on_unknown_table TO other_name');
$node->sql('SELECT pg_terminate_backend(' . worker_pid($node) . ')');
ok(wait_until('its reason', sub { log_lines($node, 'ERROR:  column .*on_unknown_table.* does not exist') }), 'a worker that does not come up: the log says why');
says($node, qr/^error worker: no worker runs in this database: nothing is applied$/m, '... and check() that it does not');
is($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'worker'}), q{The server's log says why.}, '... and where to look');
$node->sql('ALTER TABLE cdcsync.subscription RENAME other_name TO on_unknown_table');
becomes($node, q{SELECT count(*) FROM cdcsync.check() WHERE subject = 'worker'}, 0, '... and it is mended', 90);

# --- settings -----------------------------------------------------------------------------------------------

my $small = make_node('small', 'max_replication_slots = 3');
$small->sql(q{CREATE TABLE item (id int PRIMARY KEY); SELECT cdcsync.add_table('item')});
$small->sql(q{SELECT pg_create_physical_replication_slot('p' || i) FROM generate_series(1, 3) AS i});
is(lines($small), join("\n",
	'error max_replication_slots: all 3 slots are used, and a connector of this database needs one',
	'warning connector: no connector has a replication slot in this database: its changes are not captured'),
	'no slot left');
mend($small, 'max_replication_slots');
is(lines($small), 'warning connector: no connector has a replication slot in this database: its changes are not captured',
	'... mended by what is said');

faulty($small, { max_replication_slots => 3, max_wal_senders => 2 },
	join("\n", sort('error max_replication_slots: all 3 slots are used, and a connector of this database needs one',
		'error max_wal_senders: it is 2, and 3 replication slots are to be read')),
	"SELECT cdcsync.subscribe('s', '{t028.none}', enabled => false)");
faulty($small, { track_commit_timestamp => 'off' },
	'error track_commit_timestamp: it is off, and table public.item has no version column');
faulty($small, { wal_level => 'replica' },
	'error wal_level: it is "replica": changes of this database cannot be captured');
only_receives($small);
faulty($small, { 'cdcsync.bootstrap_servers' => '' },
	'error cdcsync.bootstrap_servers: no Kafka broker is named', "SELECT cdcsync.resume('s')");
faulty($small, { max_worker_processes => 2 },
	'error max_worker_processes: all 2 are used, and 0 of 1 apply workers run in this database');
faulty($small, { shared_preload_libraries => '' }, 'error shared_preload_libraries: cdcsync is not in it: nothing is applied');
done_testing();

# the last event that can be applied is of 30 hours ago
sub fall_behind
{
	my ($topic) = @_;

	produce($topic, change(0, 'c', 'item', undef, { id => ++$id, v => 1, n => '1' }, ts_us => int((time - 30 * 3600) * 1e6)),
		change(0, 'c', 'unknown', undef, { id => 1, v => 1 }));
	return;
}

# --- ways to look --------------------------------------------------------------------------------------------

# the lines of check, without what mends them
sub lines
{
	my ($on) = @_;

	return $on->sql(q{SELECT level || ' ' || subject || ': ' || problem FROM cdcsync.check()});
}

# An assertion: check comes to say this, or what is like it
sub says
{
	my ($on, $expected, $name) = @_;

	return becomes($on, q{SELECT coalesce(string_agg(level || ' ' || subject || ': ' || problem, E'\n'), '') FROM cdcsync.check()},
		$expected, $name);
}

# An event of the peer in the first partition, applied
sub send_event
{
	my ($op, $row, %source) = @_;
	my $before = delete $source{before} && { id => 1, v => 1, n => '1' };

	$id++;
	produce($topic, change(0, $op, 'item', $before, { id => $id, v => $id, %$row, n => $row->{n} && "$row->{n}" },
		ts_us => 1767225600000000, %source));
	return is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', "event $id");
}

# Events whose source says these positions of the last commit before them
sub send_log
{
	produce($topic, map { $id++; change(0, 'c', 'item', undef, { id => $id, v => 1, n => '1' }, sequence => qq(["$_","99"])) } @_);
	return is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', "log @_");
}

# An assertion: the SQL in the line with this problem takes it away; $value stands where it has '...'.
sub mended_by_command
{
	my ($on, $problem, $name, $value) = @_;
	my ($remedy) = map { (split(/\t/))[1] } grep { (split(/\t/))[0] =~ $problem }
	  split(/\n/, $on->sql(q{SELECT problem || E'\t' || remedy FROM cdcsync.check()}));
	my ($command) = $remedy =~ /((?:ALTER|SELECT) .*)/ or die $remedy;

	$on->sql($command =~ s/\.\.\./$value/r);
	return becomes($on, 'SELECT coalesce(string_agg(problem, E\'\n\'), \'\') FROM cdcsync.check()', qr/^(?!.*$problem)/s, "... mended by what is said: $name");
}

# A node whose disk may be told to be small: by test/faults/full_disk.c
sub make_node_on_disk
{
	my ($name, $dir) = @_;

	system_or_bail('cc', '-shared', '-fPIC', '-o', "$dir/full_disk.so", "$ENV{CDC_ROOT}/test/faults/full_disk.c", '-ldl');
	local @ENV{qw(LD_PRELOAD FULL_DISK)} = ("$dir/full_disk.so", $dir);
	return make_node($name);
}

# The command as it stands, with the java and the classes of the broker that runs
sub kafka_configs
{
	my ($command) = @_;
	my $pid = slurp_file("$CdcTest::STACK/pid/kafka") =~ s/\s.*//sr;
	my ($java) = split(/\0/, slurp_file("/proc/$pid/cmdline"));
	my ($classes) = grep { s/^CLASSPATH=// } split(/\0/, slurp_file("/proc/$pid/environ"));
	my @arguments = split(' ', $command);
	my $out;

	is(shift @arguments, 'kafka-configs.sh', "command $command");
	local $ENV{CLASSPATH} = $classes;
	IPC::Run::run([ $java, 'kafka.admin.ConfigCommand', @arguments ], '>&', \$out) or die $out;
	return;
}

# 16 MB
sub write_wal
{
	my ($on) = @_;

	$on->sql(q{SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)); SELECT pg_switch_wal()});
	return;
}

# With these settings check has these lines (besides those of connectors and partitions); what they say mends them.
sub faulty
{
	my ($on, $settings, $expected, $sql) = @_;
	my @names = sort keys %$settings;

	# an empty list of libraries cannot be set by command
	$on->append_conf('postgresql.conf', "$_ = '$settings->{$_}'") foreach @names;
	$on->sql($settings->{$_} eq '' ? "ALTER SYSTEM RESET $_" : "ALTER SYSTEM SET $_ = '$settings->{$_}'") foreach @names;
	$on->restart;
	$on->sql($sql) if $sql;
	becomes($on, q{SELECT coalesce(string_agg(level || ' ' || subject || ': ' || problem, E'\n'), '') FROM cdcsync.check()
		WHERE subject NOT LIKE 'connector%' AND subject NOT LIKE 'subscription%'}, $expected, "@names");
	foreach my $name (@names)
	{
		mend($on, $name);
		becomes($on, "SELECT count(*) FROM cdcsync.check() WHERE subject = '$name'", 0, "... $name mended by what is said");
	}
	return;
}

# A node that only receives needs neither a connector nor what that needs, and check knows it by its publication.
sub only_receives
{
	my ($on) = @_;
	my $received = make_topic('received');

	$on->sql($_) foreach q{ALTER SYSTEM SET wal_level = 'replica'}, 'DROP PUBLICATION cdcsync',
	  "SELECT cdcsync.alter_subscription('s', topics => '{$received}'), cdcsync.resume('s')";
	$on->restart;
	produce($received, change(0, 'c', 'item', undef, { id => 1 }));
	becomes($on, 'SELECT count(*) FROM item', 1, 'a node that only receives');
	is(lines($on), 'info publication cdcsync: it has no table that is registered: this node only receives', '... check says so, and misses nothing');
	$on->sql($on->sql("SELECT remedy FROM cdcsync.check() WHERE subject = 'publication cdcsync'"));
	is(lines($on), join("\n",
		'error wal_level: it is "replica": changes of this database cannot be captured',
		'warning connector: no connector has a replication slot in this database: its changes are not captured'),
		'... if it is to send after all, there is more to do');
	return mend($on, 'wal_level');
}

sub mend
{
	my ($on, $name) = @_;
	my $remedy = $on->sql("SELECT remedy FROM cdcsync.check() WHERE subject = '$name' AND level = 'error'");

	# the one that is no command, for the list of libraries is the user's
	$remedy = q{ALTER SYSTEM SET shared_preload_libraries = 'cdcsync'; and restart} if $remedy =~ /^Add cdcsync to shared_preload_libraries/;
	my ($command, $then) = $remedy =~ /^(ALTER SYSTEM SET [^;]*); (.*)/;
	$on->sql($command =~ s/host:port/localhost:1/r);
	$then =~ /^SELECT/ ? $on->sql($then) : $on->restart;
	return;
}
