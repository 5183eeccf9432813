# monitoring/dashboard.png: some minutes of a server and two clients that write, with trouble on the way, as the real exporter
# and Prometheus see them. Not one of the tests: it needs matplotlib besides what 033_monitoring.pl does, and is made anew by
#
#	TESTS=test/dashboard RUN_NAME=dashboard test/run picture	# the picture is then .run/dashboard/dashboard.png
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $PHASE = 40;    # seconds
my $directory = "$ENV{CDC_ROOT}/monitoring";
my $scratch = PostgreSQL::Test::Utils::tempdir('picture');
my @running;

my ($server, @clients) = map {
	CdcTest::Node->make($_, "cdcsync.bootstrap_servers = '$ENV{KAFKA}'", "cdcsync.topic_refresh_interval = '1s'", 'cdcsync.batch_rows = 50')
} qw(server client-1 client-2);
my @nodes = ($server, @clients);
foreach my $node (@nodes)
{
	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->sql('CREATE EXTENSION cdcsync; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor');
}
make_todos(@nodes);
make_connectors(@nodes);
$clients[0]->subscribe($server);
$clients[1]->subscribe($server, on_error => "'dead_letter'");
$server->subscribe($_) foreach @clients;

# of an insert or update of few rows, and a delete
append_to_file("$scratch/write", <<'END');
\set id random(1, 300)
INSERT INTO todos (id, client_id, title) VALUES (:id, 0, 'a todo')
ON CONFLICT (id, client_id) DO UPDATE SET completed = NOT todos.completed, updated_at = clock_timestamp();
END
append_to_file("$scratch/delete", "\\set id random(1, 300)\nDELETE FROM todos WHERE id = :id;\n");

my @exporters = map { start_exporter($_) } @nodes;
my $prometheus = start_prometheus(@exporters);

phase('all is well');

# client-2 has something slow in its way
$clients[1]->sql(q{
	CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.08); RETURN NEW; END $$;
	CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON todos FOR EACH ROW EXECUTE FUNCTION slow();
	ALTER TABLE todos ENABLE REPLICA TRIGGER slow});
phase('client-2 is slow');
$clients[1]->sql('DROP TRIGGER slow ON todos');

# the server has a table that the clients have not: client-1 stops there, client-2 keeps dead letters
stack('topic-create', 'server.public.notes');
produce('server.public.notes', map { change(0, 'c', 'notes', undef, { id => $_ }, name => 'server', ts_ms => time * 1000) } 1 .. 2);
phase('an unknown table');

# client-1 sends nothing for a while, the server waits for a topic that is not there
stack('connector-pause', 'client-1');
$server->sql(q{SELECT cdcsync.subscribe('archive', '{archive.public.todos}')});
phase('a paused connector');
stack('connector-resume', 'client-1');
produce('server.public.notes', map { change(0, 'c', 'notes', undef, { id => $_ }, name => 'server', ts_ms => time * 1000) } 3 .. 5);
phase('it catches up');

my $out;
$ENV{MPLCONFIGDIR} = $scratch;
ok(IPC::Run::run([ 'python3', "$directory/draw.py", '--prometheus', "http://127.0.0.1:$prometheus", '--minutes', 5 * $PHASE / 60,
		'--step', 2, '--output', "$ENV{CDC_RUN}/dashboard.png" ], '<', '/dev/null', '>', \$out, '2>&1'),
	'every query has an answer, and the picture is drawn') or diag($out);
done_testing();

# all nodes write for a while
sub phase
{
	my ($name) = @_;
	my @runs = map {
		IPC::Run::start([ 'pgbench', '-n', '-f', "$scratch/write\@9", '-f', "$scratch/delete\@1", '-T', $PHASE, '-c', 1, '-R', 15,
				'-h', $_->host, '-p', $_->port, 'app' ], '<', '/dev/null', '>', "$scratch/pgbench.log", '2>&1')
	} @nodes;

	diag($name);
	$_->finish foreach @runs;
	return;
}

sub start_exporter
{
	my ($node) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	local $ENV{DATA_SOURCE_NAME} = 'postgresql://monitor@127.0.0.1:' . $node->port . '/app?sslmode=disable';

	start('prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$port", "--extend.query-path=$directory/queries.yaml");
	return $port;
}

sub start_prometheus
{
	my $targets = join(', ', map { qq{"127.0.0.1:$_"} } @_);
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	append_to_file("$scratch/prometheus.yml", <<"END");
global: {scrape_interval: 2s}
scrape_configs:
  - job_name: cdcsync
    static_configs: [{targets: [$targets]}]
END
	start('prometheus', "--config.file=$scratch/prometheus.yml", "--storage.tsdb.path=$scratch/data", "--web.listen-address=127.0.0.1:$port");
	return $port;
}

sub start
{
	my @command = @_;

	push @running, IPC::Run::start(\@command, '<', '/dev/null', '>', "$scratch/$command[0].log", '2>&1');
	return;
}

END
{
	my $status = $?;

	$_->kill_kill(grace => 10) foreach @running;
	$? = $status;
}
