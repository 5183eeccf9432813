# What Kafka does to its readers: away, killed, topics that come, grow, vanish, and are made anew, retention, transactions.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use IO::Handle;
use Test::More;
use Time::HiRes qw(time);

my $kafka = CdcKafka->new(base_port());
$ENV{KAFKA} = $kafka->{address};
my $node = make_node('sink');
my $id = 0;
$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});

# --- no broker ----------------------------------------------------------------------------------------

my $early = 't022.public.early';
$node->sql("SELECT cdcsync.subscribe('early', '{$early}')");
becomes($node, state_of('early'), qr/^waiting .*(?:refused|Broker transport failure|brokers? (?:are|is)? ?down)/i,
	'no broker: the subscription waits and says why');
my $worker = worker_pid($node);
my ($start, $cpu) = (time, cpu_seconds($worker));
is($node->sql("SELECT cdcsync.wait_for('early', '1s')"), 'f', '... wait_for has to wait');
$kafka->stack('services', 'start', '--base-port', $kafka->{base}, '--kafka-only');
idle('... meanwhile');
becomes($node, state_of('early'), qr/^waiting the topic does not exist \(yet\)\nHINT: Debezium makes a topic/, 'with the broker it goes on by itself: no topic');
is($node->sql("SELECT cdcsync.wait_for('early', '10s')"), 't', '... in which there is nothing to wait for');
make_topic($kafka, 'early', 1);
produce($kafka, $early, item(0), item(0));
becomes($node, position_of($early, 0), 'streaming 2', 'the topic appears and is read from its beginning');
is($node->sql('SELECT count(*) FROM cdcsync.stat_subscription'), 1, '... and nothing else is shown');
is(worker_pid($node), $worker, '... by the same worker');

# --- the broker is killed -----------------------------------------------------------------------------

$kafka->stack('kafka', 'kill');
($start, $cpu) = (time, cpu_seconds($worker));
my $lines = log_lines($node, 'cdcsync apply worker');
becomes($node, state_of('early'), qr/^waiting ./, 'the broker is killed: the subscription waits');
is($node->sql("SELECT cdcsync.wait_for('early', '1s')"), 'f', '... wait_for has to wait');
$kafka->stack('kafka', 'start');
cmp_ok(log_lines($node, 'cdcsync apply worker') - $lines, '<', 15, '... the log is not filled');
idle('... meanwhile');
produce($kafka, $early, item(0));
becomes($node, position_of($early, 0), 'streaming 3', '... and goes on by itself when it is back');
is(worker_pid($node), $worker, '... with the same worker');

# --- topics and partitions that come later --------------------------------------------------------------

my $grown = make_topic($kafka, 'grown', 1);
produce($kafka, $grown, item(0));
$node->sql(q{SELECT cdcsync.subscribe('all', '{^t022\.public\.(grown|new)}', start_at => 'latest')});
becomes($node, position_of($grown, 0), 'streaming 1', 'start_at latest');
$kafka->stack('topic-grow', $grown, 3);
produce($kafka, $grown, item(0), item(1), item(2), item(2));
becomes($node, "SELECT string_agg(state || ' ' || next_offset, ', ' ORDER BY partition) FROM cdcsync.stat_subscription WHERE topic = '$grown'",
	'streaming 2, streaming 1, streaming 2', 'new partitions are read from their beginning');
my $new = make_topic($kafka, 'new_one', 2);
produce($kafka, $new, item(0), item(1));
becomes($node, position_of($new, 1), 'streaming 1', 'a new topic that matches, likewise');
is($node->sql("SELECT cdcsync.wait_for('all', '20s')"), 't', '... to its end');
is(rows(), $id - 1, '... all but what was there before "latest"');
make_topic($kafka, 'unasked', 1);

# --- where to begin --------------------------------------------------------------------------------------

my $dated = make_topic($kafka, 'dated', 3);
produce($kafka, $dated, item(0), item(0), item(1));
my $noon = $node->sql('SELECT clock_timestamp()');
produce($kafka, $dated, item(0), item(0), item(0));
$node->sql("SELECT cdcsync.subscribe('dated', '{$dated}', start_at => '$noon', enabled => true)");
is($node->sql("SELECT cdcsync.wait_for('dated', '20s')"), 't', 'start_at a time');
is($node->sql("SELECT string_agg(next_offset::text, ' ' ORDER BY partition) FROM cdcsync.stat_subscription WHERE topic = '$dated'"),
	'5 1 0', '... each partition is at its end');
is(rows(), $id - 4, '... without what was written before');
$node->sql("SELECT cdcsync.unsubscribe('dated'); SELECT cdcsync.subscribe('dated', '{$dated}')");
is($node->sql("SELECT cdcsync.wait_for('dated', '20s')"), 't', 'start_at earliest');
is(rows(), $id - 1, '... brings the rest');

# --- records that are gone -------------------------------------------------------------------------------

my $short = make_topic($kafka, 'short', 1);
produce($kafka, $short, map { item(0) } 1 .. 4);
$node->sql("SELECT cdcsync.subscribe('short', '{$short}')");
becomes($node, position_of($short, 0), 'streaming 4', 'a topic is read');
$node->sql("SELECT cdcsync.pause('short')");
$kafka->stack('records-delete', $short, 0, 4);
$node->sql("SELECT cdcsync.resume('short')");
produce($kafka, $short, item(0));
becomes($node, position_of($short, 0), 'streaming 5', 'all that was applied is gone: it goes on');
$node->sql("SELECT cdcsync.pause('short')");
produce($kafka, $short, map { item(0) } 1 .. 5);
$kafka->stack('records-delete', $short, 0, 8);
$node->sql("SELECT cdcsync.resume('short')");
becomes($node, state_of('short'), qr/^error 3 events are gone: the topic begins at offset 8, the next one to apply is 5\nHINT: /,
	'three events that were not applied are gone: an error says so');
is($node->sql(position_of($short, 0)), 'error 5', '... and where it stands');
like(error_of($node, "SELECT cdcsync.wait_for('short')"), qr/DETAIL:  3 events are gone/, '... wait_for says so too');
my $had = rows();
$node->sql("SELECT cdcsync.reset_subscription('short')");
is($node->sql("SELECT cdcsync.wait_for('short', '20s')"), 't', '... the way out is to begin anew');
is(rows(), $had + 2, '... with those that are left');

# --- topics that are made anew ---------------------------------------------------------------------------

my $shorter = qr/^error the topic ends at offset \d, before the next one to apply, 5\nHINT: If the topic was deleted/;
my $another = qr/^error the topic is not the one that was read before.*\nHINT: If the topic was deleted/;
foreach my $n (2, 4, 5, 8)
{
	my $anew = read_topic("anew_$n");
	$node->sql("SELECT cdcsync.pause('anew')");
	$kafka->stack('topic-delete', $anew);
	fill_anew($anew, "anew_$n", $n);
	$node->sql("SELECT cdcsync.resume('anew')");
	becomes($node, state_of('anew'), $n < 5 ? $shorter : $another,
		"... is made anew while it is not read, with $n events: an error says so");
	begin_anew($anew, $n);
}
foreach my $n (2, 8)
{
	my $anew = read_topic("live_$n");
	$kafka->stack('topic-delete', $anew);
	becomes($node, position_of($anew, 0), 'waiting 5', '... is deleted: the partition waits');
	fill_anew($anew, "live_$n", $n);
	becomes($node, state_of('anew'), qr/$shorter|$another/,
		"... is made anew while it is read, with $n events: an error says so");
	begin_anew($anew, $n);
}

# --- transactions of producers ------------------------------------------------------------------------------

my $deal = make_topic($kafka, 'deal', 1);
$node->sql("SELECT cdcsync.subscribe('deal', '{$deal}')");
$had = rows();
transaction('commit', 2);
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', 'a transaction');
is(rows(), $had + 2, '... is applied');
transaction('abort', 3);
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', 'an aborted transaction');
is(rows(), $had + 2, '... is not applied');
becomes($node, position_of($deal, 0), 'streaming ' . ($kafka->ends($deal))[0], '... the position passes it');
is($node->sql("SELECT lag FROM cdcsync.stat_subscription WHERE topic = '$deal'"), 0, '... and leaves no lag');
transaction('abort', 2);
transaction('commit', 1);
transaction('abort', 1);
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', 'aborted and committed ones');
is(rows(), $had + 3, '... only the committed ones are applied');
open(my $open, '|-', $ENV{CDC_STACK}, '--dir', $kafka->{dir}, 'transaction', $deal, 0, 'commit') or die $!;
$open->autoflush(1);
print $open item(0)->[2], "\n";
ok(wait_until('the record', sub { records($deal) > ($kafka->ends($deal))[0] }), 'a transaction is open');
produce($kafka, $deal, item(0));
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', '... wait_for does not wait for its end');
is(rows(), $had + 3, '... nothing of it, nor behind it, is applied');
my ($stable) = $kafka->ends($deal);
close $open or die 'the transaction failed';
wait_until('its end', sub { ($kafka->ends($deal))[0] > $stable });
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', '... until it is committed');
is(rows(), $had + 5, '... then both are');
transaction('abort', 1);
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', 'an aborted one at the end');
$node->restart;
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', '... from behind which the worker starts again');
produce($kafka, $deal, item(0));
is($node->sql("SELECT cdcsync.wait_for('deal', '20s')"), 't', '... and what comes after it');
is(rows(), $had + 6, '... is applied');

is($node->sql("SELECT count(*) FROM cdcsync.stat_subscription WHERE topic ~ 'unasked'"), 0, 'nothing else was read');
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
is(log_lines($node, 'cdcsync apply worker (?:ERROR|FATAL)'), 1, 'the worker ended at the restart only');
done_testing();

sub item
{
	my ($partition) = @_;

	return change($partition, 'c', 'item', undef, { id => ++$id, v => 1 });
}

sub read_topic
{
	my ($name) = @_;
	my $topic = make_topic($kafka, $name, 1);

	produce($kafka, $topic, map { item(0) } 1 .. 5);
	$node->sql("SELECT cdcsync.subscribe('anew', '{$topic}')");
	becomes($node, position_of($topic, 0), 'streaming 5', 'a topic is read');
	return $topic;
}

sub fill_anew
{
	my ($topic, $name, $n) = @_;

	wait_until('a new topic', sub { eval { make_topic($kafka, $name, 1); 1 } });
	produce($kafka, $topic, map { item(0) } 1 .. $n);
	return;
}

sub begin_anew
{
	my ($topic, $n) = @_;
	my $before = rows();

	$node->sql("SELECT cdcsync.unsubscribe('anew'); SELECT cdcsync.subscribe('anew', '{$topic}')");
	is($node->sql("SELECT cdcsync.wait_for('anew', '20s')"), 't', '... the way out is to begin anew');
	is(rows(), $before + $n, '... with all of them');
	$node->sql("SELECT cdcsync.unsubscribe('anew')");
	return;
}

# Of so many events; its last record, which ends it, comes after the answer.
sub transaction
{
	my ($end, $n) = @_;
	my $values = join('', map { item(0)->[2] . "\n" } 1 .. $n);
	my ($before) = $kafka->ends($deal);

	$kafka->stack('transaction', $deal, 0, $end, \$values);
	wait_until('its end', sub { ($kafka->ends($deal))[0] == $before + $n + 1 });
	return;
}

# a topic's records, those of open transactions too
sub records
{
	my ($topic) = @_;
	my @records = `kcat -q -C -e -o beginning -X isolation.level=read_uncommitted -b $kafka->{address} -t $topic -f '%o\n'`;

	return 1 + ($records[-1] // -1);
}

sub rows
{
	return $node->sql('SELECT count(*) FROM item');
}

# "state error" of a subscription with a single row
sub state_of
{
	my ($subscription) = @_;

	return "SELECT state || ' ' || last_error FROM cdcsync.stat_subscription WHERE subscription = '$subscription'";
}

# The worker uses little of the processor: a fortieth of the time since $start
sub idle
{
	my ($name) = @_;
	my ($seconds, $used) = (time - $start, cpu_seconds($worker) - $cpu);

	note(sprintf('%.2f s of %.1f s', $used, $seconds));
	cmp_ok($used, '<=', 0.1 + $seconds / 40, "$name the worker has little to do");
	return;
}
