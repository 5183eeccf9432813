# What happens between two steps of a worker, or of the launcher: each is held there by a lock or a signal.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('sink', 'cdcsync.apply_workers = 2', 'autovacuum = off');
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND datname = 'app'};
my $id = 0;

$node->sql("CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL); SELECT cdcsync.add_table('item', version_column => 'v')");

# --- wait_for comes before the second worker is known --------------------------------------------------

my $topic = make_topic('item', 4);
produce($topic, map { item($_) } 0 .. 3);
is($node->sql("SELECT cdcsync.subscribe('peer', '{$topic}'); SELECT cdcsync.wait_for('peer', '20s')"), "\nt",
	'who waits before there is a worker has his answer of all of them');
is($node->sql('SELECT count(*) FROM item'), 4, '... when all is applied');

# --- apply_workers changes between the registration of a worker and its start ---------------------------

$node->sql("SELECT cdcsync.unsubscribe('peer')");
becomes($node, $workers, 0, 'without a subscription no worker stays');
my $postmaster = $node->{_pid};
my $user = $node->background_psql('app');
kill('STOP', $postmaster);
$user->query_safe("SELECT cdcsync.subscribe('peer', '{$topic}')");
ok(wait_until('the launcher', sub { has_pending_signal($postmaster, 'USR1') }), 'the launcher has registered a worker');
$user->query_safe('ALTER SYSTEM SET cdcsync.apply_workers = 1');
$user->query_safe('SELECT pg_reload_conf()');
kill('CONT', $postmaster);
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE state = 'streaming'", 4,
	'it starts under another number of workers, and all partitions are read', 15);
is($node->sql($workers), 1, '... by as many as there are to be');
$node->sql('ALTER SYSTEM RESET cdcsync.apply_workers');
$node->sql('SELECT pg_reload_conf()');
becomes($node, $workers, 2, '... and then by two again');

# --- rewind() while the worker is about one -------------------------------------------------------------

synced('all is applied');
lose_rows();
my $other = $node->background_psql('app');
my $rewind = sub { sprintf q{SELECT cdcsync.rewind('peer', %s)}, $_[0] };
$user->query_safe('BEGIN; ' . $rewind->("now() + interval '1 day'"));
$other->query_until(qr/sent/, "BEGIN;\n\\echo sent\n" . $rewind->("'1970-01-02'::timestamptz") . ";\n");
waits_for_lock('client backend', 'a second rewind() waits for the first');
$user->query_safe('COMMIT');
waits_for_lock('cdcsync apply worker', 'the worker carries the first out');
$other->query_safe('COMMIT');
becomes($node, 'SELECT count(*) FROM item', 4, 'the second is not lost', 20);

# --- a subscription is made anew while the worker looks where it begins --------------------------------

lose_rows();
$node->sql("SELECT cdcsync.unsubscribe('peer')");
becomes($node, $workers, 0, 'without a subscription no worker stays');
$user->query_safe("BEGIN; SELECT cdcsync.subscribe('peer', '{$topic}', start_at => 'latest')");
$other->query_until(qr/sent/, "BEGIN;\n\\echo sent\nLOCK TABLE cdcsync.subscription_offset;\n");
waits_for_lock('client backend', 'a lock on the positions');
$user->query_safe('COMMIT');
waits_for_lock('cdcsync apply worker', 'the worker has read the subscription');
$other->query_safe("SELECT cdcsync.unsubscribe('peer'), cdcsync.subscribe('peer', '{$topic}'); COMMIT");
becomes($node, 'SELECT count(*) FROM item', 4, 'the one that is made anew begins where it says', 20);

# --- wait_for while it is not known where a new topic begins --------------------------------------------

$node->sql("SELECT cdcsync.alter_subscription('peer', topics => '{$topic,^t038.public.late.*}')");
synced('with topics to come');
$user->query_safe("BEGIN; SELECT cdcsync.unsubscribe('peer')");
produce(make_topic('late'), item(0));
is($node->sql("SELECT cdcsync.wait_for('peer', '5s')"), 'f', 'a topic that cannot be begun yet is waited for');
$user->query_safe('ROLLBACK');
synced('... until it can');
is($node->sql('SELECT count(*) FROM item'), 5, '... and is applied then');

# --- DDL while a partition in error is tried again --------------------------------------------------------

my $bad = make_topic('bad');
my $stopped = qq{LOG:  subscription "bad" stopped at topic "$bad"};
$node->sql("CREATE TABLE picky (id int PRIMARY KEY, v bigint NOT NULL CHECK (v > 1)); SELECT cdcsync.add_table('picky', version_column => 'v')");
produce($bad, change(0, 'c', 'picky', undef, { id => 1, v => 1 }));
$node->sql("SELECT cdcsync.subscribe('bad', '{$bad}')");
becomes($node, position_of($bad, 0), 'error 0', 'a message that a constraint refuses');
my $stops = log_lines($node, $stopped);
$user->query_safe('BEGIN; LOCK TABLE picky IN SHARE MODE');
$node->sql("SELECT cdcsync.resume('bad')");
waits_for_lock('cdcsync apply worker', 'it is tried again');
$node->sql('CREATE TABLE what_may_mend_it ()');
$user->query_safe('COMMIT');
ok(wait_until('the log', sub { log_lines($node, $stopped) == $stops + 2 }, 20), '... and once more after the DDL');

$_->quit foreach $user, $other;
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
done_testing();

sub item
{
	my ($partition) = @_;

	$id++;
	return change($partition, 'c', 'item', undef, { id => $id, v => 1 });
}

# without a trace
sub lose_rows
{
	$node->sql("ALTER TABLE item DISABLE TRIGGER ALL; DELETE FROM item; ALTER TABLE item ENABLE TRIGGER ALL; SELECT cdcsync.alter_table_rule('item')");
	return;
}

# An assertion
sub synced
{
	my ($name) = @_;

	return is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', $name);
}

# An assertion: a process of this type waits for another's lock.
sub waits_for_lock
{
	my ($type, $name) = @_;

	return becomes($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = '$type' AND wait_event_type = 'Lock'", 't', $name, 20);
}

# Of a process that is stopped
sub has_pending_signal
{
	my ($pid, $signal) = @_;
	my %number = (HUP => 1, USR1 => 10);
	my ($mask) = slurp_file("/proc/$pid/status") =~ /^ShdPnd:\s*([0-9a-f]+)/m;

	return hex($mask) & (1 << $number{$signal} - 1);
}
