# Faults of the server: a standby that applies nothing until it is promoted and then goes on where its own rows end, also if
# the last commits of the primary never came; a restored older backup; a full disk; a user's lock.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $topic = make_topic('item', 2);
my $id = 0;
my $node = make_node('primary');

# each record that is written leaves a line: a version would hide that one is applied twice
$node->sql(<<'END');
CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('item', version_column => 'v');
END
keep_journal($node, 'item', 'id int');
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
produce($topic, items(100));
once($node, 'the primary applies');

# --- a standby ---------------------------------------------------------------------------------------

$node->backup('older');
my $standby = copy_of($node, 'standby', has_streaming => 1);
$standby->start;
produce($topic, items(100));
once($node, 'the primary goes on');
$node->wait_for_catchup($standby);
is($standby->sql('SELECT count(*) FROM item'), 200, 'the standby has what the primary has applied');
is($standby->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'}), 0, '... but no worker');
is($standby->sql(q{SELECT sum(next_offset), count(pid) FROM cdcsync.stat_subscription}), '200|0', '... stat_subscription says where it is');
like(error_of($standby, "SELECT cdcsync.wait_for('peer')"), qr/ERROR:  recovery is in progress\nDETAIL:  Nothing is applied before the end of recovery/,
	'... wait_for refuses');
like(error_of($standby, "SELECT cdcsync.pause('peer')"), qr/ERROR:  cannot execute UPDATE in a read-only transaction/, '... and so do functions that change something');
is($standby->sql(q{SELECT level, problem FROM cdcsync.check() WHERE subject = 'worker'}),
	'info|this server is a standby: nothing is applied before its promotion', '... and check() says why');

# the last commits of the primary do not come
$standby->stop;
produce($topic, items(100));
once($node, 'the primary goes on alone');
$node->stop('immediate');
produce($topic, items(100));
$standby->start;
is($standby->sql('SELECT count(*) FROM item'), 200, 'the primary is gone, with what the standby never heard of');
$standby->sql($standby->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'worker'}));
once($standby, 'the promoted one reads on from its own position');

# --- an older backup -----------------------------------------------------------------------------------

my $restored = copy_of($node, 'restored');
$restored->start;
once($restored, 'an older backup goes on where it was, by itself');
is($restored->sql('SELECT bool_and(enabled) FROM cdcsync.subscription'), 't', '... for it is the same node');
$restored->stop;

# --- a user's lock -------------------------------------------------------------------------------------

my $other = make_topic('other');
$standby->sql(<<"END");
CREATE TABLE other (id int PRIMARY KEY, v bigint NOT NULL);
SELECT cdcsync.add_table('other', version_column => 'v');
SELECT cdcsync.alter_subscription('peer', topics => '{$topic,$other}');
END
my $user = $standby->background_psql('app', on_error_stop => 0);
$user->query_safe('BEGIN; LOCK TABLE item');
produce($topic, items(10));
becomes($standby, "SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$topic' AND state = 'waiting' AND last_error LIKE 'canceling statement due to lock timeout%'",
	2, 'a lock that a user holds: its partitions wait, and say so');
produce($other, change(0, 'c', 'other', undef, { id => 1, v => 1 }));
becomes($standby, 'SELECT count(*) FROM other', 1, '... the others go on');
$user->query_safe('COMMIT');
$user->quit;
once($standby, '... until it is gone');

# --- a full disk ---------------------------------------------------------------------------------------

my $disk = PostgreSQL::Test::Utils::tempdir('disk');
my $big = make_topic('big', 2);
mkdir "$disk/space" or die "$disk/space: $!";
system_or_bail('cc', '-shared', '-fPIC', '-o', "$disk/full_disk.so", "$ENV{CDC_ROOT}/test/faults/full_disk.c", '-ldl');
{
	local @ENV{qw(LD_PRELOAD FULL_DISK)} = ("$disk/full_disk.so", $disk);
	$standby->restart;
}
$standby->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
$standby->sql(<<"END");
CREATE TABLE big (id int PRIMARY KEY, body text, v bigint NOT NULL) TABLESPACE small;
ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
SELECT cdcsync.add_table('big', version_column => 'v');
SELECT cdcsync.alter_subscription('peer', topics => '{$topic,$other,$big}');
END
append_to_file("$disk/full", '');
produce($big, map { change($_ % 2, 'c', 'big', undef, { id => $_, body => 'x' x 10_000, v => 1 }) } 1 .. 400);
becomes($standby, "SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$big' AND state = 'waiting' AND last_error LIKE '%No space left on device%'",
	2, 'a full disk: what does not fit waits, and says so');
produce($topic, items(10));
once($standby, '... the others go on');
unlink("$disk/full") or die "$disk/full: $!";
is($standby->sql("SELECT cdcsync.wait_for('peer', '90s')"), 't', '... until there is room');
is($standby->sql('SELECT count(*) FROM big'), 400, '... with all of it');

log_has_no($_, 'PANIC|TRAP|terminated by signal|cdcsync (?:apply worker|launcher) ERROR', 'nothing has crashed') foreach $node, $standby, $restored;
done_testing();

sub items
{
	my ($n) = @_;

	return map { $id++; change($id % 2, 'c', 'item', undef, { id => $id, body => "b$id", v => 1 }) } 1 .. $n;
}

# An assertion: all events are in the table, and each was written once.
sub once
{
	my ($on, $name) = @_;

	becomes($on, q{SELECT sum(next_offset) FROM cdcsync.subscription_offset WHERE topic = 't035.public.item'}, $id, $name);
	return is($on->sql('SELECT (SELECT count(*) FROM item), count(*), count(DISTINCT id) FROM journal'), "$id|$id|$id", '... each record once');
}

# A physical copy of the node, from its older backup
sub copy_of
{
	my ($of, $name, @how) = @_;
	my $copy = CdcTest::Node->new("t035-$name");

	$copy->init_from_backup($of, 'older', @how);
	return $copy;
}
