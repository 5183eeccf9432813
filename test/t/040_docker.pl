# docker/: its scripts outside of containers, on the tests' own Kafka and Debezium; its versions; and that what it copies is
# there. No container is started: see docker/README.md for what was tried of those.
use strict;
use warnings;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $docker = "$ENV{CDC_ROOT}/docker";
my %pinned = slurp_file("$ENV{CDC_ROOT}/test/stack/versions") =~ /^(\w+)=(.*)$/mg;
my $compose = slurp_file("$docker/compose.yaml");
my $dockerfile = slurp_file("$docker/Dockerfile");
my $user = scalar getpwuid($>);

# --- what the files say -----------------------------------------------------------------------------------

is(($compose =~ /\$\{$_:-([^}]*)\}/)[0], $pinned{$_}, "$_ is that of test/stack/versions") foreach qw(KAFKA_VERSION DEBEZIUM_VERSION);
is(($dockerfile =~ /postgres:(\d+)/)[0], $pinned{POSTGRES_MIN}, 'PostgreSQL is, too');
foreach my $source (map { my @words = split; pop @words; @words } $dockerfile =~ /^COPY (?!--from)(.*)$/mg)
{
	my @found = glob("$ENV{CDC_ROOT}/$source");
	ok(-e ($found[0] // ''), "COPY $source: it is there");
}
# the services with a node_name are those that the other two are told of
my @nodes = $compose =~ /cdcsync\.node_name=([\w-]+)/g;
is($compose =~ /entrypoint: \["register-connectors.sh"\]\s+command: \[(.*?)\]/ ? $1 =~ tr/"//dr : '', join(', ', @nodes), 'connectors for every node');
is(join(' ', $compose =~ /"([\w-]+)=\1:5432"/g), "@nodes", 'the app on every node');
# shells that ask for health, and programs that leave signals to others, want an init; the console is alone
is(() = $compose =~ /^ +init: true$/mg, 5, 'an init in all services but the console');
SKIP:
{
	my ($tool) = grep { my $words = $_; eval { IPC::Run::run([ @$words, 'version' ], '>&', \my $out) } } [qw(docker compose)], ['docker-compose'];
	skip 'there is no docker compose', 1 if !$tool;
	my ($input, $out) = $compose;
	# the first generation does not know the project's name
	$input =~ s/^name: .*\n//m if @$tool == 1;
	ok(IPC::Run::run([ @$tool, '--project-directory', $docker, '-f', '-', 'config' ], '<', \$input, '>&', \$out), "@$tool takes compose.yaml") or diag($out);
}

# --- the scripts ----------------------------------------------------------------------------------------------

my %peers = (server => 't040-client-1 t040-client-2', 'client-1' => 't040-server', 'client-2' => 't040-server');
my @all;
foreach my $name (@nodes)
{
	my $node = CdcTest::Node->make("t040-$name", "cdcsync.bootstrap_servers = '$ENV{KAFKA}'", "cdcsync.topic_refresh_interval = '200ms'");

	$node->safe_psql('postgres', 'CREATE DATABASE app');
	my ($ok, $out) = script('init-node.sh', PGHOST => $node->host, PGPORT => $node->port, NODE_NUMBER => scalar @all,
		PEERS => $peers{$name}, DEBEZIUM_PASSWORD => q{it's}, SCHEMA => "$ENV{CDC_ROOT}/demo/schema.sql");
	ok($ok, "init-node.sh makes $name a node") or diag($out);
	is($out, '', '... and says nothing') if $ok;
	unlike($node->log_text, qr/it's/, '... the password is not in the log');
	push @all, $node;
}
is($all[0]->sql('SELECT string_agg(name, $$ $$ ORDER BY name) FROM cdcsync.subscription'), $peers{server}, 'the server reads its clients');

my $bare = CdcTest::Node->make('t040-bare');
$bare->safe_psql('postgres', 'CREATE DATABASE app');
my ($ok, $out) = script('init-node.sh', PGHOST => $bare->host, PGPORT => $bare->port);
is("$ok$out" . $bare->sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'cdcsync'}), '10', 'without NODE_NUMBER it does nothing');

my @addresses = map { '127.0.0.1:' . $_->port } @all;
($ok, $out) = register(@addresses);
ok($ok, 'register-connectors.sh') or diag($out);
is($out, join('', map { 'register-connectors: connector ' . $_->name . " runs\n" } @all), '... makes a connector for each');
wait_equal(\@all, [ 'todos', 'shared_note' ], where => '(SELECT count(*) FROM todos) = 1 AND (SELECT count(*) FROM shared_note) = 1',
	name => 'the first rows come to all');
$all[1]->sql(q{INSERT INTO todos (title) VALUES ('from a client')});
wait_equal(\@all, 'todos', where => '(SELECT count(*) FROM todos) = 2', name => 'what a client writes comes to all');
no_errors(@all);
($ok, $out) = register(@addresses);
ok($ok, 'the script again') or diag($out);

$ENV{TIMEOUT} = 1;
($ok, $out) = register('127.0.0.1:1');
ok(!$ok, 'a node that does not answer fails it');
like($out, qr/^register-connectors: 127\.0\.0\.1:1: .*Connection refused/, '... and it says which and why');
($ok, $out) = register();
ok(!$ok, 'so does no node at all');

done_testing();

sub register
{
	return script('register-connectors.sh', @_ ? \@_ : [], CONNECT => $ENV{CONNECT}, CONNECTOR_PASSWORD => '');
}

# A script of docker/ in this environment: whether it succeeded, and what it said
sub script
{
	my ($name, @rest) = @_;
	my @arguments = ref $rest[0] ? @{ shift @rest } : ();
	local %ENV = (%ENV, POSTGRES_USER => $user, POSTGRES_DB => 'app', @rest);
	my $said;
	my $succeeded = IPC::Run::run([ "$docker/$name", @arguments ], '<', '/dev/null', '>', \$said, '2>&1');

	return ($succeeded, $said);
}

END
{
	my $status = $?;

	foreach my $node (@all)
	{
		eval { stack('connector-delete', $node->name); 1 } or print $@;
	}
	$? = $status;
}
