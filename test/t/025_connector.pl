# connector_config: what it gives is posted as it comes, and that is the whole set-up of a producer.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'not: for=the log';
my $secrets = "$CdcTest::STACK/secrets";    # the one directory that the stack's Kafka Connect reads
my $file = "$secrets/connector.properties";
my $password = "'\${file:$file:password}'";
my @two = make_nodes(qw(a b));
my ($first, $second) = @two;

mkdir $secrets;
unlink $file;
append_to_file($file, "password=$secret\n");
foreach my $node (@two)
{
	$node->sql(qq{CREATE ROLE debezium LOGIN REPLICATION PASSWORD '$secret';
		CREATE TABLE item (id int PRIMARY KEY, t text, v bigint NOT NULL);
		SELECT cdcsync.add_table('item', version_column => 'v');
		GRANT SELECT ON item TO debezium;
		CREATE TABLE private (id int PRIMARY KEY)});
	ask_password($node);
}

# Whoever reaches Kafka Connect may ask it for the files that its user reads.
append_to_file("$secrets.properties", "password=$secret\n");
like(resolved($file), qr/is invalid: \Q$secret\E /, 'Kafka Connect reads the secrets that it is given');
like(resolved("$secrets.properties"), qr/is invalid: \$\{file:/, '... and no other file');

# --- posted as it comes -----------------------------------------------------------------------------

$first->sql("INSERT INTO item VALUES (1, 'before the connector', 1)");
foreach my $node (@two)
{
	my $answer = decode_json(post_connector($node, "'127.0.0.1', password => $password"));

	is($answer->{name}, $node->name, 'Kafka Connect takes it') or diag(encode_json($answer));
	is($answer->{config}{'database.port'}, $node->port, "... with the server's port");
	is($answer->{config}{'database.password'}, "\${file:$file:password}", '... and keeps the password to itself');
}
ok(streams($_), 'it streams') foreach @two;
$first->sql("INSERT INTO item VALUES (2, 'after it', 1)");
$second->sql("INSERT INTO item VALUES (3, 'of the other', 1)");
$first->subscribe($second);
$second->subscribe($first);
wait_equal(\@two, 'item', where => '(SELECT count(*) = 3 FROM item)', name => 'rows of before and after arrive');

# --- a table that comes later -----------------------------------------------------------------------

my $before = connector($first);
$_->sql('CREATE TABLE later (id int PRIMARY KEY, t text, v bigint); GRANT SELECT ON later TO debezium') foreach @two;
$first->sql("INSERT INTO later VALUES (1, 'before it was registered', 1)");
$_->sql("SELECT cdcsync.add_table('later', version_column => 'v')") foreach @two;
$first->sql("INSERT INTO later VALUES (2, 'after', 1)");
$second->sql("INSERT INTO later VALUES (3, 'of the other', 1)");
ok( wait_until('a later table', sub { $second->sql('SELECT count(*) = 1 FROM later WHERE id = 2') }),
	'a table added later is captured');
is(connector($first), $before, '... without touching the connector');
is($second->sql('SELECT count(*) FROM later WHERE id = 1'), 0, '... but for the rows that it had');
$first->sql('UPDATE later SET t = t');
wait_equal(\@two, 'later', where => '(SELECT count(*) = 3 FROM later)', name => '... which come once they are touched');
unlike(stack('topics'), qr/private/, 'nothing else is captured');

# --- sent again -----------------------------------------------------------------------------------------

$first->sql('GRANT USAGE ON SCHEMA cdcsync TO debezium; GRANT INSERT ON cdcsync.signal TO debezium');
lose($second, 'id <= 2');
$first->sql("SELECT cdcsync.resync_table('item')");
wait_equal(\@two, 'item', where => '(SELECT count(*) = 3 FROM item)', name => 'resync_table: the connector reads the table again');
lose($second, 'id = 1');
$first->sql("INSERT INTO item VALUES (4, 'meanwhile', 1); SELECT cdcsync.resync_table('item')");
wait_equal(\@two, 'item', where => '(SELECT count(*) = 4 FROM item)', name => '... and once more');
is($first->sql(q{SELECT string_agg(problem, '') FROM cdcsync.check() WHERE subject = 'publication cdcsync'}), '', '... check() has nothing against it');
like(error_of($first, "SELECT cdcsync.resync_table('private')"), qr/ERROR:  table "private" is not registered/, 'a table that is not registered');

# --- one topic for all, one per node ------------------------------------------------------------------

my @mesh = make_nodes(qw(m.1 m-2));
foreach my $node (@mesh)
{
	$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, t text, v bigint NOT NULL);
		SELECT cdcsync.add_table('item', version_column => 'v')});
	post_connector($node, qq{'127.0.0.1', "user" => current_user, password => NULL, topology => 'shared',
		extra => '{"transforms.route.topic.replacement": "t025.all"}'});
	$node->sql("SELECT cdcsync.subscribe('all', '{t025.all}', origin => 'none', peers => '{t025-m.1,t025-m-2}')");
}
ok(streams($_), 'it streams') foreach @mesh;
$mesh[0]->sql("INSERT INTO item VALUES (1, 'one', 1), (2, 'goes', 1)");
$mesh[1]->sql("INSERT INTO item VALUES (3, 'two', 1)");
wait_equal(\@mesh, 'item', where => '(SELECT count(*) = 3 FROM item)', name => 'one topic for all');
lose($mesh[1], 'id = 1');
$mesh[0]->sql("SELECT cdcsync.resync_table('item')");
wait_equal(\@mesh, 'item', where => '(SELECT count(*) = 3 FROM item)', name => '... whose signals hold nobody up');
$mesh[0]->sql('DELETE FROM item WHERE id = 2');
wait_equal(\@mesh, 'item', where => '(SELECT count(*) = 2 FROM item)', name => '... with deletes');
ok( wait_until('a heartbeat', sub { stack('topics') =~ /^__debezium-heartbeat\.t025-m\.1 /m }),
	'... but for heartbeats');

my ($lone) = make_nodes('lone');
$lone->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	CREATE TABLE other (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v'), cdcsync.add_table('other', version_column => 'v')});
post_connector($lone, q{'127.0.0.1', "user" => current_user, password => NULL, topology => 'pernode', schemas => false});
ok(streams($lone), 'it streams');
$lone->sql('INSERT INTO item VALUES (1, 1)');
$lone->sql('INSERT INTO other VALUES (1, 1)');
my @events;
ok( wait_until(
		'two events',
		sub {
			@events = map { decode_json($_) } `kcat -q -C -e -o beginning -b $ENV{KAFKA} -t t025-lone.changes 2>/dev/null`;
			return @events >= 2;
		}),
	'one topic for a node');
is_deeply([ map { $_->{source}{table} } @events ], [qw(item other)], '... with all its tables, in order, without schemas');

# --- what is missing ----------------------------------------------------------------------------------

my ($deaf) = make_nodes('deaf');
$deaf->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});
$deaf->append_conf('postgresql.conf', 'wal_level = replica');
$deaf->restart;
like(($deaf->psql('app', "SELECT cdcsync.connector_config('h')"))[2],
	qr/changes of this server cannot be captured\nDETAIL:  "wal_level" is "replica"\.\nHINT:  Set "wal_level" to "logical" and restart/,
	'wal_level is asked for');
no_errors(@two, @mesh);
done_testing();

# Debezium comes with a password, as everywhere but in tests.
sub ask_password
{
	my ($node) = @_;
	my $hba = $node->data_dir . '/pg_hba.conf';
	my $rest = slurp_file($hba);

	unlink $hba;
	append_to_file($hba, "host all,replication debezium 127.0.0.1/32 scram-sha-256\n$rest");
	$node->reload;
	return;
}

sub streams
{
	my ($node) = @_;

	return wait_until('the connector of ' . $node->name,
		sub { $node->sql(q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'}) });
}

# What Kafka Connect makes of a reference to a file: its complaint of a prefix that cannot be one has it
sub resolved
{
	my ($path) = @_;
	my %config = ('connector.class' => 'io.debezium.connector.postgresql.PostgresConnector', name => 'resolved',
		'database.hostname' => '127.0.0.1', 'database.port' => 1, 'topic.prefix' => "\${file:$path:password}");
	my $request = encode_json(\%config);
	my $answer;

	IPC::Run::run([ 'curl', '-sS', '--noproxy', '*', '-X', 'PUT', '-H', 'Content-Type: application/json', '-d', '@-',
			"$ENV{CONNECT}/connector-plugins/PostgresConnector/config/validate" ], '<', \$request, '>', \$answer);
	my ($prefix) = grep { $_->{name} eq 'topic.prefix' } map { $_->{value} } @{ decode_json($answer)->{configs} };
	return join "\n", @{ $prefix->{errors} };
}

sub connector
{
	my ($node) = @_;

	return scalar `curl -sS --noproxy '*' $ENV{CONNECT}/connectors/@{[ $node->name ]}`;
}

# rows that are lost without a trace, in the log neither
sub lose
{
	my ($node, $which) = @_;

	$node->sql("BEGIN; ALTER PUBLICATION cdcsync DROP TABLE item; ALTER TABLE item DISABLE TRIGGER ALL; DELETE FROM item WHERE $which;
		ALTER TABLE item ENABLE TRIGGER ALL; SELECT cdcsync.alter_table_rule('item'); COMMIT");
	return;
}
