# ALTER EXTENSION UPDATE: a next version comes while the worker syncs, and what stands between two versions says so.
# The server is a copy of the tests' own, so that the versions made up here are nobody else's.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = PostgreSQL::Test::Utils::tempdir('server');
system_or_bail('cp', '-a', "$ENV{CDC_RUN}/server/.", $tree);
my $extension = $tree . directory('--sharedir') . '/extension';
my ($version) = slurp_file("$extension/cdcsync.control") =~ /^default_version = '(.*)'$/m;
my $next = "$version.1";
my $events = 20000;

my $node = CdcTest::Node->make({ install_path => $tree . dirname(directory('--bindir')) },
	't037-node', "cdcsync.bootstrap_servers = '$ENV{KAFKA}'", 'cdcsync.batch_rows = 5', "cdcsync.topic_refresh_interval = '200ms'");
my $topic = make_topic('item');
my $id = 0;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->sql(qq{CREATE EXTENSION cdcsync;
	CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v');
	SELECT cdcsync.subscribe('s', '{$topic}')});
produce($topic, items(1));
applied('the version there is');
is($node->sql(extension_check()), '', '... of which check() has nothing to say');

# --- the next version, while the worker is at work ----------------------------------------------------------

install_version($version, $next, <<'SQL');
CREATE FUNCTION cdcsync.of_the_next_version() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE cdcsync.subscription ADD COLUMN note text;
ALTER TABLE cdcsync.subscription_offset ADD COLUMN note text;
SQL
is($node->sql(extension_check()), "warning it is of version $version here, the files of the server are of version $next",
	'check() sees that the files are newer');
$node->sql("SELECT cdcsync.pause('s')");
produce($topic, items($events));
$node->sql("SELECT cdcsync.resume('s')");
becomes($node, 'SELECT count(*) > 100 FROM item', 't', 'the worker is at work');
my $worker = worker_pid($node);
$node->sql('BEGIN; ALTER EXTENSION cdcsync UPDATE; ROLLBACK');
is($node->sql(installed()), $version, 'an update that is rolled back');
$node->sql('ALTER EXTENSION cdcsync UPDATE');
my $then = $node->sql('SELECT count(*) FROM item');
cmp_ok($then, '<', $id, "the update comes in between, after $then of $id events");
is($node->sql(installed()), $next, '... it is done');
is($node->sql('SELECT cdcsync.of_the_next_version()'), 1, '... and what it brings is there');
applied('... the worker goes on');
is($node->sql('SELECT events FROM cdcsync.stat_table'), $id, '... and has applied every event once');
is(worker_pid($node), $worker, '... it is the same one');
is($node->sql(extension_check()), '', '... check() is content');
$node->restart;
produce($topic, items(10));
applied('... a restart changes nothing');

# --- the files are new, the server still runs with the old library -----------------------------------------

install_version($next, "$next.1", <<'SQL');
ALTER TABLE cdcsync.subscription DROP COLUMN note;
CREATE FUNCTION cdcsync.of_the_next_library() RETURNS int AS 'MODULE_PATHNAME', 'cdcsync_of_the_next_library' LANGUAGE C;
SQL
like(error_of($node, 'ALTER EXTENSION cdcsync UPDATE'), qr/could not find function "cdcsync_of_the_next_library" in file/,
	'an update that the loaded library does not know fails');
is($node->sql(installed()), $next, '... as a whole');
is($node->sql(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'cdcsync.subscription'::regclass AND attname = 'note'}),
	1, '... nothing is done of it');
produce($topic, items(10));
applied('... the worker goes on');

# --- the library is new, the SQL is old: what it looks for is not there yet ----------------------------------

install_version($next, 'old', 'ALTER TABLE cdcsync.subscription DROP COLUMN event_time');
install_version('old', $next, q{ALTER TABLE cdcsync.subscription ADD COLUMN event_time text NOT NULL DEFAULT 'source'});
$node->sql("ALTER EXTENSION cdcsync UPDATE TO 'old'");
my $log = -s $node->logfile;
$node->restart;
produce($topic, items(10));
ok(wait_until('the worker to fail', sub { log_lines($node, 'column "event_time" does not exist in the tables of extension cdcsync', $log) }),
	'a worker that misses a column says so');
is($node->sql('SELECT count(*) FROM item'), $id - 10, '... and applies nothing');
is($node->sql(extension_check()), "warning it is of version old here, the files of the server are of version $next",
	'... check() says why');
$node->sql('ALTER EXTENSION cdcsync UPDATE');
applied('the update lets it go on');
is($node->sql('SELECT sum(next_offset) FROM cdcsync.subscription_offset'), $id, '... with nothing lost');

$node->sql('DROP EXTENSION cdcsync');
is($node->sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'cdcsync'}), 0, 'DROP EXTENSION takes along what the updates made');
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
done_testing();

# a directory of the server, as it is within the tree
sub directory
{
	my ($option) = @_;
	my $path = `pg_config $option`;

	chomp $path;
	return substr($path, length "$ENV{CDC_RUN}/server");
}

# What `make install` of a version leaves: the script that updates to it, and itself as the default
sub install_version
{
	my ($from, $to, $sql) = @_;
	my $control = slurp_file("$extension/cdcsync.control");

	append_to_file("$extension/cdcsync--$from--$to.sql", "\\echo Use ALTER EXTENSION \\quit\n$sql;\n");
	$control =~ s/^default_version = .*$/default_version = '$to'/m;
	unlink "$extension/cdcsync.control";
	append_to_file("$extension/cdcsync.control", $control);
	return;
}

sub installed
{
	return q{SELECT extversion FROM pg_extension WHERE extname = 'cdcsync'};
}

sub extension_check
{
	return q{SELECT level || ' ' || problem FROM cdcsync.check() WHERE subject = 'extension'};
}

sub items
{
	my ($count) = @_;

	return map { change(0, 'c', 'item', undef, { id => ++$id, v => 1 }) } 1 .. $count;
}

# An assertion: all events are in the table.
sub applied
{
	my ($name) = @_;

	is($node->sql(q{SELECT cdcsync.wait_for('s', '60s')}), 't', $name);
	is($node->sql('SELECT count(*) FROM item'), $id, '... all is applied');
	return;
}
