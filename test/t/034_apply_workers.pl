# cdcsync.apply_workers: several workers share a database's partitions; each record takes effect once, also while their number
# changes; wait_for waits for all of them; one that fails or dies does not stop the others.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('sink', 'cdcsync.apply_workers = 2', 'cdcsync.batch_rows = 100');
my $topic = make_topic('item', 4);
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND datname = 'app'};
my $shared = q{SELECT count(DISTINCT pid), count(*), bool_and(pid IS NOT NULL) FROM cdcsync.stat_subscription WHERE partition IS NOT NULL};
my $id = 0;
my $nkeys = 50;

# each record that is written leaves a line: a version would hide that one is applied twice
$node->sql(<<'END');
CREATE TABLE item (id int PRIMARY KEY, part int, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('item', version_column => 'v');
END
keep_journal($node, 'item', 'id int', 'v bigint');

# --- shared ---------------------------------------------------------------------------------------

# what was in the topic before start_at => 'latest' is left out in every partition, whoever reads it
produce($topic, map { item($_, 0) } 0 .. 3);
is($node->sql($workers), 0, 'no worker without a subscription');
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}', start_at => 'latest')");
becomes($node, $shared, '2|4|t', 'two workers have two partitions each');
becomes($node, "SELECT count(DISTINCT pid), count(*) FROM cdcsync.stat_subscription WHERE state = 'streaming'", '2|4', '... and stream');
is($node->sql($workers), 2, '... and there are no more');
is($node->sql(q{SELECT string_agg(partition::text, ',' ORDER BY partition) FROM cdcsync.stat_subscription GROUP BY pid ORDER BY 1}),
	"0,2\n1,3", '... of the same topic');
$id = 0;
produce($topic, map { item($_ % 4, 1) } 0 .. 399);
synced('both apply');
is($node->sql('SELECT count(*), min(v) FROM journal'), '400|1', "... what came after start_at => 'latest', once");
is($node->sql(q{SELECT string_agg(DISTINCT split_part(roname, ':', 3), ',') FROM pg_replication_origin}), '1,2', 'each has its origin');

# --- new partitions and topics: wait_for counts them, whoever reads them ----------------------------

$node->sql("SELECT cdcsync.alter_subscription('peer', topics => '{$topic,^t034.public.more.*}')");
foreach my $i (1 .. 6)
{
	my $more = make_topic("more$i", 1 + $i % 3);

	produce($more, map { item($_ % (1 + $i % 3), 1) } 0 .. 5);
	synced("topic $i that is new");
	is($node->sql("SELECT count(*) FROM item WHERE id > $id - 6"), 6, '... is applied when wait_for says so');
}
foreach my $i (1 .. 20)
{
	produce($topic, map { item($_, 1) } 0 .. 3);
	$node->sql(q{SELECT cdcsync.wait_for('peer', '60s')}) eq 't' && $node->sql("SELECT count(*) FROM item WHERE id > $id - 4") == 4
	  or fail("wait_for, round $i");
}
once('nothing was applied twice');

# --- their number changes while they work -------------------------------------------------------------

foreach my $n (3, 1, 4, 2)
{
	produce($topic, map { item($_ % 4, 1) } 0 .. 7999);
	$node->sql("ALTER SYSTEM SET cdcsync.apply_workers = $n");
	$node->sql('SELECT pg_reload_conf()');
	becomes($node, $workers, $n, "$n workers");
	synced('... go on');
	becomes($node, "SELECT count(DISTINCT pid) FROM cdcsync.stat_subscription WHERE topic = '$topic' AND state = 'streaming'", $n, '... and all of them read');
	once('... each record once');
}

# --- one dies, one stops ------------------------------------------------------------------------------

produce($topic, map { item($_ % 4, 1) } 0 .. 7999);
my $victim = $node->sql("SELECT pid FROM cdcsync.stat_subscription WHERE topic = '$topic' AND partition = 1");
$node->sql("SELECT pg_terminate_backend($victim)");
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$topic' AND partition = 1 AND pid <> $victim", 1, 'one that was ended comes again');
synced('... and goes on');
once('... where it was');
$node->restart;
becomes($node, $workers, 2, 'after a restart there are two');
produce($topic, map { item($_, 1) } 0 .. 3);
synced('... that go on');

foreach my $partition (0, 1)
{
	produce($topic, [ $partition, '{"id":1}', event('c', 'absent', undef, { id => 1 }) ], map { item($_, 1) } 0 .. 3);
	becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$topic' AND partition = $partition", 'error', "partition $partition stops");
	becomes($node, "SELECT count(*) FROM item WHERE id > $id - 4", 3, '... the others go on');
	like(error_of($node, "SELECT cdcsync.wait_for('peer', '20s')"), qr/has stopped at an error in partition $partition of topic/, '... wait_for says so');
	$node->sql("CREATE TABLE absent (id int PRIMARY KEY); SELECT cdcsync.add_table('absent')");
	synced('... until it is mended');
	is($node->sql("SELECT count(*) FROM item WHERE id > $id - 4"), 4, '... nothing is lost');
	$node->sql("SELECT cdcsync.remove_table('absent'); DROP TABLE absent");
}

# --- the same rows over two topics: two workers meet at them ------------------------------------------

my @meet = map { make_topic("meet$_") } 0 .. 5;
$node->sql(<<'END');
CREATE TABLE met (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('met', version_column => 'v');
END
$node->sql(sprintf "SELECT cdcsync.subscribe('meet', '{%s}', enabled => false)", join(',', @meet));
foreach my $t (0 .. $#meet)
{
	produce($meet[$t], map { met($t, $_) } 0 .. 1999);
}
$node->sql("SELECT cdcsync.resume('meet')");
is($node->sql("SELECT cdcsync.wait_for('meet', '120s')"), 't', 'two workers meet at the same rows');
is($node->sql("SELECT count(*), min(v), max(v), bool_and(body = v::text) FROM met"),
	sprintf('%d|%d|%d|t', $nkeys, 1999 * 10 - ($nkeys - 1) * 10 + $#meet, 1999 * 10 + $#meet), '... which have their last versions');
is($node->sql("SELECT count(DISTINCT pid) FROM cdcsync.stat_subscription WHERE subscription = 'meet'"), 2, '... indeed two');

# --- they go -------------------------------------------------------------------------------------------

$node->sql("SELECT cdcsync.pause('peer')");
becomes($node, "SELECT DISTINCT state FROM cdcsync.stat_partitions() WHERE subscription = 'peer'", 'paused', 'pause: all stop');
$node->sql("SELECT cdcsync.unsubscribe('peer'), cdcsync.unsubscribe('meet')");
becomes($node, $workers, 0, 'without a subscription no worker stays');
is($node->sql('SELECT cdcsync.wait_for()'), 't', '... and nothing is waited for');
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
becomes($node, $workers, 2, 'they come again');
$node->sql('DROP EXTENSION cdcsync');
is($node->sql($workers), 0, 'DROP EXTENSION leaves none');
is($node->sql('SELECT count(*) FROM pg_replication_origin'), 0, '... and no origin');

# --- no room for all -----------------------------------------------------------------------------------

my $small = make_node('small', 'cdcsync.apply_workers = 4', 'max_worker_processes = 4', 'max_logical_replication_workers = 0');
$small->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
becomes($small, q{SELECT problem FROM cdcsync.check() WHERE subject = 'max_worker_processes'},
	'all 4 are used, and 3 of 4 apply workers run in this database', 'too few worker processes: check() says so');
becomes($small, "SELECT count(*) FILTER (WHERE state = 'starting' AND pid IS NULL), count(*) FILTER (WHERE state <> 'starting') FROM cdcsync.stat_subscription",
	'1|3', '... the partition of the missing one does not start');
ok(wait_until('the log', sub { log_lines($small, 'WARNING:  out of background worker slots') > 0 }), '... the log says so');
$small->sql('ALTER SYSTEM SET cdcsync.apply_workers = 2');
$small->sql('SELECT pg_reload_conf()');
becomes($small, "SELECT count(*) FROM cdcsync.stat_subscription WHERE pid IS NOT NULL", 4, 'with fewer all are read');

# more partitions than there is room for in the views
my $wide = make_topic('wide', 20);
my $narrow = make_node('narrow', 'cdcsync.max_partitions = 16', 'cdcsync.max_tables = 16');
$narrow->sql("CREATE TABLE met (id int PRIMARY KEY, body text, v bigint NOT NULL); SELECT cdcsync.add_table('met', version_column => 'v')");
produce($wide, map { change($_, 'c', 'met', undef, { id => $_, body => 'b', v => 1 }) } 0 .. 19);
my ($one, $late) = map { make_topic($_) } qw(one late);
$narrow->sql("SELECT cdcsync.subscribe('one', '{$one}')");
becomes($narrow, position_of($one, 0), 'streaming 0', 'one that has its place');
$narrow->sql("SELECT cdcsync.subscribe('wide', '{$wide}')");
becomes($narrow, 'SELECT count(*) FROM met', 20, 'more partitions than cdcsync.max_partitions: all are applied');
like(error_of($narrow, "SELECT cdcsync.wait_for('wide', '20s')"), qr/ERROR:  too many partitions to wait for\nDETAIL:  .*"wide".*\nHINT:  Increase "cdcsync.max_partitions"/, '... wait_for says what it cannot');
is(log_lines($narrow, 'WARNING:  .*cdcsync.max_partitions|HINT:  Increase "cdcsync.max_partitions"') > 0, 1, '... and so does the log');
is($narrow->sql('SELECT count(*) FROM cdcsync.stat_partitions()'), 12, 'one database leaves a quarter of the places to the others');
is($narrow->sql("SELECT cdcsync.wait_for('one', '20s')"), 't', '... a subscription that has its places can be waited for');
$narrow->sql("SELECT cdcsync.subscribe('late', '{$late}')");
like(error_of($narrow, "SELECT cdcsync.wait_for('late', '20s')"), qr/too many partitions to wait for\nDETAIL:  Some of subscription "late"/, '... one that has none cannot');
like($narrow->sql("SELECT problem || remedy FROM cdcsync.check() WHERE subject = 'cdcsync.max_partitions'"),
	qr/^it is 16,.*some partitions of this database are not in stat_subscription.*max_partitions = 32/, '... check() says so');
$narrow->safe_psql('postgres', 'CREATE DATABASE other');
$narrow->safe_psql('other', "CREATE EXTENSION cdcsync; SELECT cdcsync.subscribe('late', '{$late}')");
is($narrow->safe_psql('other', "SELECT cdcsync.wait_for('late', '60s')"), 't', '... another database has room');
is($narrow->safe_psql('other', 'SELECT count(*) FROM cdcsync.stat_subscription'), 1, '... and sees its partition');
is($narrow->safe_psql('other', "SELECT count(*) FROM cdcsync.check() WHERE subject = 'cdcsync.max_partitions'"), 0, '... nothing is short there');
$narrow->sql("SELECT cdcsync.unsubscribe('wide')");
becomes($narrow, position_of($late, 0), 'streaming 0', 'what had no place finds one that is left');
is($narrow->sql("SELECT cdcsync.wait_for('late', '20s')"), 't', '... and can be waited for');
is($narrow->sql("SELECT count(*) FROM cdcsync.check() WHERE subject = 'cdcsync.max_partitions'"), 0, '... check() is silent again');

# more tables
$narrow->sql(<<'END');
DO $$ BEGIN FOR i IN 1 .. 20 LOOP
	EXECUTE format('CREATE TABLE met%s (id int PRIMARY KEY, v bigint NOT NULL)', i);
	PERFORM cdcsync.add_table(format('met%s', i)::regclass, version_column => 'v');
END LOOP; END $$;
END
produce($one, map { change(0, 'c', "met$_", undef, { id => 1, v => 1 }) } 1 .. 20);
is($narrow->sql("SELECT cdcsync.wait_for('one', '60s')"), 't', 'more tables than cdcsync.max_tables: all are applied');
is($narrow->sql('SELECT count(*) FROM cdcsync.stat_tables()'), 12, '... a quarter of the places is left to others');
becomes($narrow, "SELECT problem || remedy FROM cdcsync.check() WHERE subject = 'cdcsync.max_tables'", qr/^it is 16,.*max_tables = 32/, '... check() says so');
$narrow->sql("SELECT cdcsync.remove_table('met1'), cdcsync.remove_table('met')");
becomes($narrow, "SELECT count(*) FROM cdcsync.check() WHERE subject = 'cdcsync.max_tables'", 0, '... and no more, when there is room again');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync (?:apply worker|launcher) ERROR', 'no worker has died of an error');
log_has_no($small, 'PANIC|TRAP|terminated by signal|cdcsync (?:apply worker|launcher) ERROR', 'nor there');
done_testing();

sub item
{
	my ($partition, $v) = @_;

	$id++;
	return change($partition, 'c', 'item', undef, { id => $id, part => $partition, body => "b$id", v => $v });
}

# The i-th event of a topic: an upsert of one of the keys, with a version that only it has
sub met
{
	my ($t, $i) = @_;
	my $v = $i * 10 + $t;

	return change(0, 'c', 'met', undef, { id => $i % $nkeys, body => "$v", v => $v });
}

sub synced
{
	my ($name) = @_;

	return is($node->sql("SELECT cdcsync.wait_for('peer', '120s')"), 't', $name);
}

# An assertion: every record of a version above 0 has been written once.
sub once
{
	my ($name) = @_;

	return is($node->sql('SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE v = 0) FROM journal'), "$id|$id|0", $name);
}
