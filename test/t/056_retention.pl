# What is kept for a time is forgotten: whoever is at some of it holds up no more than that, nothing ends the worker, a database
# without a subscription has its turn, and autovacuum hears of it.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('node', 'autovacuum = off', 'max_prepared_transactions = 2', "cdcsync.tombstone_retention = '1d'",
	"cdcsync.conflict_retention = '1d'", "cdcsync.dead_letter_retention = '1d'");
my $kept = 'SELECT (SELECT count(*) FROM cdcsync.tombstone_data), (SELECT count(*) FROM cdcsync.conflict_data), (SELECT count(*) FROM cdcsync.dead_letter_data)';
my $user = $node->background_psql('app');

# --- a worker that has its hands free -------------------------------------------------------------------

$node->sql(<<'END');
CREATE TABLE item (id int PRIMARY KEY, v timestamptz);
CREATE TABLE counted (id int PRIMARY KEY, v int);
SELECT cdcsync.add_table('item', version_column => 'v'), cdcsync.add_table('counted', version_column => 'v');
SELECT cdcsync.subscribe('peer', '{^t056[.]public[.].*}');
END
fill(1, 20000);
$node->sql("INSERT INTO counted SELECT generate_series(1, 3); DELETE FROM counted; UPDATE cdcsync.tombstone_data SET written_at = written_at - interval '2 days'");
my $pid = worker_pid($node);

# three that somebody is at: by a lock, in a prepared transaction, and by deleting the key again
$user->query_safe("BEGIN; SELECT FROM cdcsync.tombstone_data WHERE key ->> 'id' = '1' FOR UPDATE");
$node->sql("BEGIN; DELETE FROM cdcsync.tombstone_data WHERE key ->> 'id' = '2'; PREPARE TRANSACTION 'two'");
my $again = $node->background_psql('app');
$again->query_safe('BEGIN; INSERT INTO item SELECT generate_series(3, 4); DELETE FROM item');
$node->append_conf('postgresql.conf', "cdcsync.tombstone_retention = '23h'");
$node->reload;
becomes($node, $kept, '7|0|0', 'all is forgotten but what somebody is at, and versions that do not grow with time');
becomes($node, "SELECT n_tup_del FROM pg_stat_all_tables WHERE relid = 'cdcsync.tombstone_data'::regclass", 20000 - 4, '... and autovacuum may know');
is($node->sql("SELECT version - extract(epoch FROM now()) * 1e6 < 0 FROM cdcsync.tombstone_horizon"), 't', '... what was forgotten left its horizon');
$again->query_safe('COMMIT');
$user->query_safe('COMMIT');
$node->sql("ROLLBACK PREPARED 'two'");
$node->reload;
becomes($node, $kept, '5|0|0', 'what somebody was at goes the next time, what was deleted again stays');
is($node->sql("SELECT string_agg(key ->> 'id', ',' ORDER BY key ->> 'id') FROM cdcsync.tombstone WHERE relation = 'item'::regclass"), '3,4', '... those');

# who has the whole table holds up tombstones alone
$user->query_safe('BEGIN; LOCK TABLE cdcsync.tombstone_data');
record();
$node->reload;
becomes($node, 'SELECT (SELECT count(*) FROM cdcsync.conflict_data), (SELECT count(*) FROM cdcsync.dead_letter_data)', '0|0', 'conflicts and dead letters go while tombstones cannot');
wait_until('... and the log says why', sub { log_lines($node, 'cdcsync could not forget tombstones that are due: canceling statement due to lock timeout') });
$user->query_safe('COMMIT');
is(worker_pid($node), $pid, 'it is the same worker all the time');

# --- a worker that never is -----------------------------------------------------------------------------

my $topic = make_topic('counted');
$node->append_conf('postgresql.conf', 'cdcsync.batch_rows = 1');
$node->reload;
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$topic' AND state = 'streaming'", 1, 'it applies one change at a time');
fill(100_000, 20000);
produce($topic, map { change(0, 'c', 'counted', undef, { id => $_, v => 2 }) } 101 .. 50100);
$node->reload;
becomes($node, $kept, '5|0|0', 'while much is to be applied the same happens');
cmp_ok($node->sql("SELECT lag FROM cdcsync.stat_subscription WHERE topic = '$topic'"), '>', 0, '... before that is done');
$node->append_conf('postgresql.conf', 'cdcsync.batch_rows = 10000');
$node->reload;

# --- a database without a subscription ------------------------------------------------------------------

$node->sql("SELECT cdcsync.unsubscribe('peer')");
wait_until('the worker has gone', sub { $node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'") == 0 });
fill(100_000, 1000);
$node->restart;
becomes($node, $kept, '5|0|0', 'without a subscription somebody comes, too');
wait_until('... and leaves', sub { $node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'") == 0 });

log_has_no($node, 'PANIC|TRAP|terminated by signal|apply worker.*exited with exit code 1', 'nothing has failed inside');
done_testing();

# A conflict, and a dead letter, of two days ago
sub record
{
	$node->sql(<<'END');
INSERT INTO cdcsync.conflict_data (at, relation, key, conflict_type, resolution) VALUES (now() - interval '2 days', 'item', '{}', 'insert_exists', 'skip');
INSERT INTO cdcsync.dead_letter_data (subscription, topic, partition, "offset", record_time, sqlstate, message, status, done_at)
	VALUES ('peer', 'x', 0, 0, 0, 'XX000', 'x', 'skipped', now() - interval '2 days');
END
	return;
}

# The same, and tombstones of so many keys
sub fill
{
	my ($first, $n) = @_;
	my $last = $first + $n - 1;

	record();
	$node->sql(<<"END");
INSERT INTO item SELECT generate_series($first, $last);
DELETE FROM item WHERE id BETWEEN $first AND $last;
UPDATE cdcsync.tombstone_data SET written_at = written_at - interval '2 days' WHERE (key ->> 'id')::int BETWEEN $first AND $last;
END
	return;
}
