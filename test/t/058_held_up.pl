# Who holds up one thing does not hold up another: a locked row and the other topics; a file of settings that is not there; a
# language that takes the extension along.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;
use Time::HiRes qw(time);

my $node = make_node('node');
my $user = $node->background_psql('app');
my ($held, $free) = (make_topic('held'), make_topic('free'));

# --- a locked row ---------------------------------------------------------------------------------------

$node->sql("CREATE TABLE held (id int PRIMARY KEY, v int); CREATE TABLE free (id int PRIMARY KEY, v int); INSERT INTO held VALUES (1, 1);
	SELECT cdcsync.add_table('held', version_column => 'v'), cdcsync.add_table('free', version_column => 'v');
	SELECT cdcsync.subscribe('peer', '{$held, $free}')");
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE state = 'streaming'", 2, 'two topics are read');
$user->query_safe('BEGIN; UPDATE held SET v = v');
produce($held, change(0, 'u', 'held', undef, { id => 1, v => 5 }));
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$held'", 'waiting', 'whose row is locked waits');
my @times;
foreach my $n (1 .. 15)
{
	my $began = time;

	produce($free, change(0, 'c', 'free', undef, { id => $n, v => 1 }));
	wait_until('the other is applied', sub { $node->sql("SELECT count(*) FROM free WHERE id = $n") });
	push @times, time - $began;
}
my ($slowest) = sort { $b <=> $a } @times;
cmp_ok($slowest, '<', 2, '... the others go on at once');
is($node->sql("SELECT state FROM cdcsync.stat_subscription WHERE topic = '$held'"), 'waiting', '... all the time');
is(log_lines($node, qr/will read topic "$free"/), 0, '... without a pause of their own');
$user->query_safe('COMMIT');
becomes($node, "SELECT v FROM held", 5, '... and then it has its turn');

# --- code that fails as the server does in need --------------------------------------------------------------

$node->sql(<<'END');
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such file' USING ERRCODE = '58P01'; END $$;
CREATE TRIGGER fail BEFORE UPDATE ON held FOR EACH ROW WHEN (NEW.v = 7) EXECUTE FUNCTION fail();
ALTER TABLE held ENABLE ALWAYS TRIGGER fail;
END
# in one batch, as they are there together when the worker has its hands free
$user->query_safe('BEGIN; UPDATE held SET v = v');
produce($held, change(0, 'u', 'held', undef, { id => 1, v => 6 }));
ok(wait_until('it', sub { $node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND wait_event_type = 'Lock'") }),
	'the worker is held up');
produce($held, change(0, 'u', 'held', undef, { id => 1, v => 7 }));
produce($free, change(0, 'c', 'free', undef, { id => 100, v => 1 }));
$user->query_safe('COMMIT');
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$held' AND last_error LIKE '%no such file%'", 'waiting', 'whose code fails waits');
becomes($node, 'SELECT count(*) FROM free WHERE id = 100', 1, '... the other does not');
is(log_lines($node, qr/will read topic "$free"/), 0, '... and has not');
$node->sql('DROP TRIGGER fail ON held');
becomes($node, "SELECT v FROM held", 7, '... and then it has its turn');

# --- a file of settings ---------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "cdcsync.kafka_config_file = '/nonexistent/kafka.conf'");
$node->reload;
ok(wait_until('the log', sub { log_lines($node, 'could not open file "/nonexistent/kafka.conf"') }), 'a file of settings that is not there is said at the reload');
produce($free, change(0, 'c', 'free', undef, { id => 100, v => 1 }));
becomes($node, 'SELECT count(*) FROM free WHERE id = 100', 1, '... and what was in force stays');

# --- the language of some functions ---------------------------------------------------------------------

is($node->sql("SELECT count(*) > 0 FROM pg_replication_origin WHERE roname LIKE 'cdcsync:%'"), 't', 'there is an origin');
$user->quit;
$node->sql('DROP EXTENSION plpgsql CASCADE');
is($node->sql("SELECT count(*) FROM pg_extension WHERE extname = 'cdcsync'"), 0, 'DROP EXTENSION plpgsql CASCADE takes the extension along');
is($node->sql("SELECT count(*) FROM pg_replication_origin WHERE roname LIKE 'cdcsync:%'"), 0, '... and what it leaves elsewhere');
is($node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'"), 0, '... and its worker');
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has failed inside');
done_testing();
