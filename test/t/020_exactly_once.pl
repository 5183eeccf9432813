# Exactly once: whatever dies while 100 000 events are applied, every record of the log takes effect once, and the stored
# positions are those of the committed rows.
#
# Versions would hide a record that is applied twice.  So a trigger takes them away: the row in the table is older than
# any event, every event that comes writes, and the journal keeps, in the same transaction, what was written.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $partitions = 4;    # 0 and 1: only inserts; 2 and 3: the same rows are written again and again
my $events = 50_000;    # in each
my $keys = 500;    # more than a batch has events: none is left out because a later one is at hand
my $all = $partitions * $events;

my $topic = make_topic('item', $partitions);
my $node = make_node('sink', 'cdcsync.batch_rows = 200');
$node->sql(<<'END');
CREATE TABLE item (id int PRIMARY KEY, part int NOT NULL, off int NOT NULL, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('item', version_column => 'v');
END
keep_journal($node, 'item', 'id int NOT NULL', 'off int NOT NULL');

my @messages;
foreach my $part (0 .. $partitions - 1)
{
	push @messages, map { message($part, $_) } 0 .. $events - 1;
}
produce($topic, @messages);

# In one snapshot: is what the positions say what is in the table?
my $consistent = <<'END';
SELECT bool_and(next_offset = coalesce(last + 1, 0) AND (partition >= 2 OR next_offset = coalesce(n, 0)))
FROM cdcsync.subscription_offset
LEFT JOIN (SELECT part, max(off) AS last, count(*) AS n FROM item GROUP BY part) AS i ON part = partition
END
my $position = 'SELECT coalesce(sum(next_offset), 0) FROM cdcsync.subscription_offset';

# From here on nothing calls a function of cdcsync: the launcher must see by itself that a worker is needed.
$node->sql("SELECT cdcsync.subscribe('once', '{$topic}')");
my @faults = (
	[ 'SIGKILL of the worker' => sub { kill('KILL', $_[0]) } ],
	[ 'SIGKILL of the worker in a transaction' => \&kill_in_transaction ],
	[ 'SIGTERM of the worker' => sub { kill('TERM', $_[0]) } ],
	[ 'SIGKILL of the launcher' => \&kill_launcher ],
	[ 'SIGKILL of the postmaster' => \&kill_postmaster ],
	[ 'restart in mode fast' => sub { $node->restart } ],
	[ 'restart in mode immediate' => sub { $node->stop('immediate'); $node->start } ]);
foreach my $i (0 .. $#faults)
{
	my ($name, $fault) = @{ $faults[$i] };
	strike($name, $fault, ($i + 1) * int($all / (@faults + 3)));
}

ok(wait_until('the end', sub { applied() == $all }), 'all is applied');
is($node->sql(q{SELECT string_agg(next_offset::text, ' ' ORDER BY partition) FROM cdcsync.subscription_offset}),
	join(' ', ($events) x $partitions), 'the positions are the ends of the partitions');
is($node->sql($consistent), 't', '... and those of the rows');
is($node->sql("SELECT cdcsync.wait_for('once', '10s')"), 't', 'wait_for agrees');
is($node->sql(<<"END"), 0, 'every row is as it should be');
WITH event AS (
	SELECT part, off, part * 1000000 + CASE WHEN part < 2 THEN off ELSE off % $keys END AS id
	FROM generate_series(0, $partitions - 1) AS part, generate_series(0, $events - 1) AS off
), expected AS (
	SELECT DISTINCT ON (id) id, part, off, 'b' || off AS body FROM event ORDER BY id, off DESC
)
SELECT count(*) FROM expected FULL JOIN item USING (id, part, off, body)
WHERE expected IS NULL OR item IS NULL
END
is($node->sql('SELECT count(DISTINCT (id, off)) FROM journal'), $all, 'every record was written');
is($node->sql('SELECT count(*) FROM journal'), $all, '... once');
is( $node->sql(q{SELECT count(*) FROM (SELECT off, lag(off) OVER (PARTITION BY id ORDER BY at) AS earlier
		FROM journal) AS j WHERE off <= earlier}),
	0, '... and in order');

# Five crashes of the server by signal 9; nothing else ends badly.
is(log_lines($node, 'was terminated by signal'), 3, 'no process but those that were killed crashed');
log_has_no($node, 'PANIC|TRAP', 'no panic');
log_has_no($node, 'cdcsync apply worker (?:ERROR|WARNING)', 'the worker has nothing to complain of');
done_testing();

sub message
{
	my ($part, $off) = @_;
	my $id = $part * 1_000_000 + ($part < 2 ? $off : $off % $keys);
	my $op = $part < 2 || $off < $keys ? 'c' : 'u';
	my $v = $off + 1;

	return [
		$part,
		qq({"id":$id}),
		qq({"op":"$op","before":null,)
		  . qq("after":{"id":$id,"part":$part,"off":$off,"body":"b$off","v":$v},)
		  . q("source":{"connector":"postgresql","name":"t020","schema":"public","table":"item",)
		  . q("ts_ms":1767225600000,"ts_us":1767225600000000}})
	];
}

# 0 while the server is away
sub applied
{
	my $answer = $node->try_sql($position);

	return $answer =~ /^\d+$/ ? $answer : 0;
}

# One fault in the midst of the work, and what is there after it
sub strike
{
	my ($name, $fault, $from) = @_;
	my ($pid, $at);

	ok(wait_until("$from events", sub { applied() >= $from }), "$name: $from events are applied");
	ok(wait_until('a worker', sub { $pid = worker_pid($node) }), '... by a worker');
	$at = applied();
	cmp_ok($at, '<', $all, '... and more are to come');
	$fault->($pid);
	ok(wait_until('another worker', sub { $node->try_sql(<<"END") eq '1' }), '... the launcher starts another one');
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND pid <> $pid
END
	is($node->sql($consistent), 't', '... the positions are those of the rows');
	note("after $at events");
	return;
}

sub kill_in_transaction
{
	my ($pid) = @_;
	my $blocker = $node->background_psql('app');

	$blocker->query_safe('BEGIN; LOCK journal IN SHARE MODE');
	becomes($node, "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid",
		'Lock', '... it has begun to write');
	kill('KILL', $pid);
	$blocker->{run}->finish;
	return;
}

sub kill_launcher
{
	my $pid = $node->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdcsync launcher'");

	kill('KILL', $pid);
	return;
}

sub kill_postmaster
{
	my $at = applied();

	$node->kill_postmaster;
	ok($node->start_after_kill, '... the worker leaves when its postmaster is gone, and the server starts again');
	cmp_ok(applied(), '<', $all, '... before all was applied');
	note("from $at to " . applied());
	return;
}
