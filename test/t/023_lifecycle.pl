# The extension's life in a server: it comes, works in several databases, is in nobody's way, and goes without a trace.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = CdcTest::Node->make('t023-one', "cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
	"cdcsync.topic_refresh_interval = '200ms'");
my $topic = make_topic('item');
my $id = 0;
my $table = q{CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')};
my $workers = q{SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity
	WHERE backend_type = 'cdcsync apply worker'};

# --- it comes -----------------------------------------------------------------------------------------

produce($topic, item());
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->sql('CREATE EXTENSION cdcsync');
$node->sql($table);
is($node->sql($workers), '', 'nothing to do, no worker');
$node->sql("SELECT cdcsync.subscribe('s', '{$topic}')");
applied('app', 'CREATE EXTENSION and subscribe are enough');
$node->restart;
produce($topic, item());
is(wait_value('app', 'SELECT count(*) FROM item', $id), $id, 'a restart of the server starts the worker again');

# --- two databases --------------------------------------------------------------------------------------

$node->safe_psql('postgres', q{CREATE DATABASE second; ALTER DATABASE second SET cdcsync.node_name = 't023-two'});
on('second', 'CREATE EXTENSION cdcsync');
on('second', $table);
on('second', "SELECT cdcsync.subscribe('s', '{$topic}')");
applied('second', 'another database of the server');
is($node->sql($workers), 'app second', '... has a worker of its own');
is($node->sql("SELECT count(DISTINCT roname) FROM pg_replication_origin WHERE roname ~ '^cdcsync:\\d+:1:t023\$'"),
	2, '... and origins of its own');
$node->sql("SELECT cdcsync.pause('s')");
# the worker hears of it in its next turn
$node->poll_query_until('app', q{SELECT bool_and(state = 'paused') FROM cdcsync.stat_partitions()});
produce($topic, item());
applied('second', 'a pause in one database does not concern the other');
is($node->sql('SELECT count(*) FROM item'), $id - 1, '... but that one');
$node->sql("SELECT cdcsync.resume('s')");
applied('app', '... which goes on later');

# an equal version from elsewhere: the larger text wins, but not if it is an own echo
produce($topic, change(0, 'u', 'item', undef, { id => 1, body => 'zzz', v => 1 }, origin => 'cdcsync:7:1:t023-two'));
applied($_, "an echo of the second comes to $_") foreach qw(app second);
is(on('app', 'SELECT body FROM item WHERE id = 1'), 'zzz', '... for one it is a change');
is(on('second', 'SELECT body FROM item WHERE id = 1'), 'b1', '... for the other its own');

# --- it is in nobody's way --------------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE third');
quick('DROP DATABASE third', 'DROP DATABASE of another database');
my $away = CdcTest::Node->make('t023-away', "cdcsync.bootstrap_servers = 'localhost:1,192.0.2.1:9092'");
$away->safe_psql('postgres', $_) foreach 'CREATE DATABASE app', 'CREATE DATABASE other';
$away->sql('CREATE EXTENSION cdcsync');
$away->sql($table);
$away->sql(q{SELECT cdcsync.subscribe('s', '{away}')});
becomes($away, 'SELECT state FROM cdcsync.stat_subscription', 'waiting', 'without a broker');
quick('DROP DATABASE other', '... DROP DATABASE of another database', $away);
quick('ALTER DATABASE app RENAME TO renamed', '... ALTER DATABASE RENAME', $away);
quick('DROP DATABASE renamed', '... DROP DATABASE of its own', $away);
my $stopping = time;
$away->stop;
cmp_ok(time - $stopping, '<', 10, '... the server stops soon');

quick('ALTER DATABASE second RENAME TO twice', 'ALTER DATABASE RENAME of a database with a worker');
produce($topic, item());
applied('twice', '... which goes on under the new name');
quick('CREATE DATABASE copy TEMPLATE twice', 'CREATE DATABASE with such a template');
produce($topic, item());
applied('twice', '... the original goes on');
like(on('copy', q{SELECT cdcsync.wait_for('s', '10s')}), qr/subscription "s" is paused/, '... the copy is paused');
is(on('copy', 'SELECT state FROM cdcsync.stat_subscription'), 'paused', '... as it says');
is(on('copy', 'SELECT count(*) FROM item'), $id - 1, '... and has what its template had');
on('copy', q{ALTER DATABASE copy SET cdcsync.node_name = 't023-copy'});
on('copy', 'SELECT cdcsync.resume()');
applied('copy', '... until resume');
quick('DROP DATABASE copy', 'DROP DATABASE of a database with a worker');
quick('DROP DATABASE twice', '... and another');
is($node->sql($workers), 'app', '... leave no worker');
is($node->sql("SELECT count(*) FROM pg_replication_origin WHERE roname !~ ('^cdcsync:' || (SELECT oid FROM pg_database WHERE datname = 'app'))"),
	0, '... and no origin');
is($node->sql('SELECT count(*) FROM cdcsync.stat_subscription'), 1, '... the other one is still there');
applied('app', '... and goes on');

# --- subscriptions come and go ------------------------------------------------------------------------------

my $more = make_topic('more');
produce($more, item());
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic,$more}')");
applied('app', 'a topic more');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic}')");
becomes($node, 'SELECT topic FROM cdcsync.stat_subscription', $topic, 'a topic less');
produce($more, item());
produce($topic, item());
is($node->sql("SELECT cdcsync.wait_for('s', '20s')"), 't', '... is not waited for');
is($node->sql('SELECT count(*) FROM item'), $id - 1, '... nor read');
$node->sql("SELECT cdcsync.alter_subscription('s', topics => '{$topic,$more}')");
applied('app', '... and goes on where it was when it comes again');
$node->sql("SELECT cdcsync.unsubscribe('s')");
becomes($node, $workers, '', 'without a subscription there is no worker');
is($node->sql("SELECT cdcsync.wait_for()"), 't', '... and nothing to wait for');
like(error_of($node, "SELECT cdcsync.wait_for('s')"), qr/subscription "s" does not exist/, '... wait_for knows no other');
$node->sql("TRUNCATE item; DELETE FROM cdcsync.tombstone_data; SELECT cdcsync.subscribe('s', '{$topic,$more}')");
applied('app', 'subscribe after unsubscribe begins anew');
$node->sql("BEGIN; TRUNCATE item; DELETE FROM cdcsync.tombstone_data;
	SELECT cdcsync.unsubscribe('s'); SELECT cdcsync.subscribe('s', '{$topic,$more}'); COMMIT");
applied('app', '... in one transaction, too');

# --- pg_dump ------------------------------------------------------------------------------------------------

my $events = $id + 1;    # one was an update
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('app') ], 'pg_dump');
produce($topic, item());
applied('app', 'the original goes on');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], '... restore');
$node->restart;
is(wait_value('restored', 'SELECT enabled FROM cdcsync.subscription', 'f'), 'f', 'in another database the subscription is paused');
is(on('restored', 'SELECT state FROM cdcsync.stat_subscription LIMIT 1'), 'paused', '... as it says');
like(slurp_file($node->logfile), qr/WARNING:  cdcsync subscriptions are paused, for this database is a copy of another one/, '... as the log says');
is(on('restored', 'SELECT count(*) FROM item'), $id - 1, '... nothing is applied');
is(on('restored', 'SELECT sum(next_offset) FROM cdcsync.subscription_offset'),
	$events, '... the positions are those of the dump');
on('restored', q{ALTER DATABASE restored SET cdcsync.node_name = 't023-restored'});
on('restored', q{SELECT cdcsync.resume('s')});
applied('restored', '... until resume, which goes on from there');
is(on('restored', $_->[0]), on('app', $_->[0]), "$_->[1] are those of the original")
  foreach [ q{SELECT string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'item'::regclass}, 'triggers' ],
  [ q{SELECT string_agg(pubname || tablename, ' ') FROM pg_publication_tables}, 'publications' ],
  [ q{SELECT relation, version_column, source_table FROM cdcsync.table_rule}, 'rules' ],
  [ q{SELECT relreplident FROM pg_class WHERE oid = 'item'::regclass}, 'replica identities' ];
on('restored', 'DROP EXTENSION cdcsync');
is(on('restored', leftovers()), '', 'DROP EXTENSION there leaves nothing');
quick('DROP DATABASE restored', '... and DROP DATABASE goes');

# --- it goes ------------------------------------------------------------------------------------------------

$node->sql(q{CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1); SELECT cdcsync.add_version_column('plain');
	SELECT cdcsync.add_table('plain', version_column => 'cdcsync_version'); DELETE FROM item WHERE id = 2});
becomes($node, $workers, 'app', 'a worker runs');
$node->sql('BEGIN; DROP EXTENSION cdcsync; ROLLBACK');
produce($topic, item());
is($node->sql("SELECT cdcsync.wait_for('s', '20s')"), 't', 'DROP EXTENSION that is rolled back: the worker comes again');
my $user = $node->background_psql('app');
$user->query_safe('SELECT count(*) FROM item');
my $dropping = time;
$node->sql('DROP EXTENSION cdcsync');
cmp_ok(time - $dropping, '<', 10, 'DROP EXTENSION is quick');
is($node->sql($workers), '', '... leaves no worker');
is($node->sql(leftovers()), '', '... nor anything else');
is($node->sql('SELECT count(*) FROM pg_replication_origin'), 0, '... and no origin');
is($node->sql("SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid <> pg_backend_pid()"), 0, '... and no lock');
is($node->sql("SELECT rolname FROM pg_roles WHERE rolname = 'cdcsync_admin'"), 'cdcsync_admin', '... but the role');
is($node->sql("SELECT string_agg(relname || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class WHERE relname IN ('item', 'plain')"),
	'item f, plain f', '... REPLICA IDENTITY');
is($node->sql('SELECT cdcsync_version IS NOT NULL FROM plain'), 't', '... and version columns');
$user->query_safe('INSERT INTO item VALUES (1000, $$mine$$, 1); INSERT INTO plain VALUES (2); UPDATE plain SET id = 3 WHERE id = 2; DELETE FROM item WHERE id = 1000');
$user->quit;
$node->sql('CREATE EXTENSION cdcsync; TRUNCATE item');
$node->sql("SELECT cdcsync.add_table('item', version_column => 'v'); SELECT cdcsync.subscribe('s', '{$topic,$more}')");
applied('app', 'CREATE EXTENSION and subscribe again');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync (?:apply worker|launcher) ERROR', 'no worker has died of an error');
done_testing();

sub item
{
	$id++;
	return change(0, 'c', 'item', undef, { id => $id, body => "b$id", v => 1 });
}

# in any database
sub on
{
	my ($db, $sql) = @_;

	return $node->try_sql($sql, $db);
}

sub wait_value
{
	my ($db, $sql, $expected) = @_;
	my $value;

	wait_until($sql, sub { $value = on($db, $sql); $value eq $expected });
	return $value;
}

# An assertion: all events are in the table.
sub applied
{
	my ($db, $name) = @_;

	is(on($db, q{SELECT cdcsync.wait_for('s', '30s')}), 't', $name);
	is(on($db, 'SELECT count(*) FROM item'), $id, '... all is applied');
	return;
}

# An assertion: the command succeeds, and soon: it neither waits for a worker nor for Kafka.
sub quick
{
	my ($sql, $name, $on) = @_;
	my $start = time;
	my $answer = ($on // $node)->try_sql($sql, 'postgres');

	is($answer, '', "$name succeeds");
	cmp_ok(time - $start, '<', 10, '... soon');
	note(sprintf('%.2f s', time - $start));
	return;
}

# What the extension might leave in a database, by name
sub leftovers
{
	return q{
		SELECT string_agg(what, ', ') FROM (
			SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname ~ 'cdcsync'
			UNION ALL SELECT 'publication ' || pubname FROM pg_publication
			UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
			UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
			UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE probin ~ 'cdcsync'
			UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
				WHERE roname ~ ('^cdcsync:' || (SELECT oid FROM pg_database WHERE datname = current_database()))
			UNION ALL SELECT 'dependency on ' || refclassid::regclass || ' ' || refobjid FROM pg_depend AS d
				WHERE refclassid = 'pg_extension'::regclass AND refobjid NOT IN (SELECT oid FROM pg_extension)
			UNION ALL SELECT 'dependency of ' || classid::regclass || ' ' || objid FROM pg_depend AS d
				WHERE classid = 'pg_publication'::regclass OR classid = 'pg_publication_rel'::regclass
		) AS left_over (what)};
}
