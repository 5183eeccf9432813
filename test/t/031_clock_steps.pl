# The wall clock is set back by hours, and forward again: what waits goes on waiting for as long as it was to, not for hours.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Converge::Nodes;
use Test::More;

my $node = Converge::Node->make_with_clock('t031-sink', "cdcsync.bootstrap_servers = '$ENV{KAFKA}'");
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->sql('CREATE EXTENSION cdcsync; CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
	CREATE TABLE stamped (id int PRIMARY KEY, body text);
	SELECT cdcsync.add_table($$item$$, version_column => $$v$$), cdcsync.add_table($$stamped$$);');
my $topic = 't031.public.item';
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
my $state = "SELECT state || ' ' || coalesce(last_error, '') FROM cdcsync.stat_subscription";
my $id = 0;

becomes($node, $state, qr/^waiting the topic does not exist/, 'it looks for a topic, every second');
$node->set_clock(-7200);
make_topic('item');
item('back by two hours: it still looks');

# a fault that passes by itself, while the clock is set back
my $user = $node->background_psql('app');
$user->query_safe('BEGIN; LOCK TABLE item IN SHARE MODE');
produce($topic, change(0, 'c', 'item', undef, { id => ++$id, v => 1 }));
becomes($node, $state, qr/^waiting canceling statement due to lock timeout/, 'a lock: it tries again');
$node->set_clock(-7200 - 86400);
$user->quit;
item('back by another day: it still tries again');

# the worker is started again, however the clock went
my $worker = worker_pid($node);
$node->set_clock(86400);
kill 'KILL', $worker;
$node->poll_query_until('app', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND pid <> $worker")
  or die 'no worker';
$node->set_clock(-86400);
item('forward by a day, killed, back by two: it is there again');

# an event of the future is held by the wall clock, and let go when that is set right
$node->set_clock(-30);
produce($topic, change(0, 'c', 'stamped', undef, { id => 1, body => 'x' }, ts_us => int(time * 1e6)));
becomes($node, $state, qr/^waiting the next event is of .*, which this node's clock has not reached yet/, 'an event half a minute ahead is held');
my $since = time;
$node->set_clock(0);
becomes($node, 'SELECT count(*) FROM stamped', 1, '... until the clock is right');
cmp_ok(time - $since, '<', 20, '... at once');

# further ahead than cdcsync.max_clock_skew, until both clocks are set
my $check = q{SELECT string_agg(level || ' ' || subject || ': ' || problem, E'\n') FROM cdcsync.check() WHERE subject ~ '^(peer|subscription)'};
$node->set_clock(-120);
produce($topic, change(0, 'c', 'stamped', undef, { id => 2, body => 'x' }, ts_us => int(time * 1e6)));
becomes($node, $check, qr/^error subscription peer, topic $topic, partition 0: error: event of table \S+ is of the future: .*\nerror peer t031: its clock is ahead of this node's by 00:0(?:2:00|1:59)/,
	'check(): a clock that is two minutes ahead, and the event that waits for it');
$node->set_clock(0);
$node->sql('SELECT cdcsync.resume()');
becomes($node, 'SELECT count(*) FROM stamped', 2, '... which is applied when the clock is set');
produce($topic, change(0, 'c', 'stamped', undef, { id => 3, body => 'x' }, ts_us => int(time * 1e6)));
becomes($node, "SELECT coalesce(($check), '')", '', '... and there is nothing to say any more');
log_has_no($node, 'PANIC|TRAP|cdcsync apply worker ERROR', 'nothing has crashed');
done_testing();

sub item
{
	my ($name) = @_;

	produce($topic, change(0, 'c', 'item', undef, { id => ++$id, v => 1 }));
	becomes($node, 'SELECT count(*) FROM item', $id, $name);
	return;
}
