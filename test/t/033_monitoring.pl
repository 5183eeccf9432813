# monitoring/: every query on a node with something of everything, as a role that may only monitor; alerts and dashboard use
# what the queries give; and, where these are installed, the real postgres_exporter, Prometheus and promtool.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use CPAN::Meta::YAML;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = "$ENV{CDC_ROOT}/monitoring";
my $queries = CPAN::Meta::YAML->read_string(slurp_file("$directory/queries.yaml"))->[0];
my @running;

# --- a node with something of everything ----------------------------------------------------------------

my $node = make_node('node', q{cdcsync.kafka_config = 'sasl.password=hunter2'});
my $item = make_topic('item');
my $stopped = make_topic('stopped');
my $letters = make_topic('letters');
$node->sql(qq{
	CREATE ROLE monitor LOGIN;
	GRANT pg_monitor TO monitor;
	CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v');
	INSERT INTO item VALUES (1, 'local', 5);
	SELECT pg_create_logical_replication_slot('cdcsync_node', 'pgoutput');
	SELECT cdcsync.subscribe('peer', '{$item}');
	SELECT cdcsync.subscribe('stops', '{$stopped}');
	SELECT cdcsync.subscribe('keeps', '{$letters}', on_error => 'dead_letter');
	SELECT cdcsync.subscribe('waits', '{t033.public.none}');
	SELECT cdcsync.subscribe('pauses', '{t033.public.later}', enabled => false);
});
produce($item, change(0, 'c', 'item', undef, { id => 2, body => 'new', v => 1 }),
	change(0, 'u', 'item', { id => 1, body => 'before', v => 4 }, { id => 1, body => 'remote', v => 6 }));
produce($stopped, change(0, 'c', 'unknown', undef, { id => 1 }), change(0, 'c', 'unknown', undef, { id => 2 }));
produce($letters, change(0, 'c', 'item', undef, { id => 'private of a row', v => 1 }));
becomes($node, q{SELECT string_agg(subscription || ' ' || state, ' ' ORDER BY 1) FROM cdcsync.stat_subscription},
	qr/^(?=.*keeps streaming)(?=.*peer streaming)(?=.*stops error)(?=.*waits waiting)(?=.*pauses paused)/, 'all is as it is to be');
becomes($node, q{SELECT count(*) FROM cdcsync.dead_letter}, 1, '... a dead letter');
becomes($node, q{SELECT body FROM item WHERE id = 1}, 'remote', '... a conflict');

# --- the queries ------------------------------------------------------------------------------------------

my (%value, %label_of, $text);    # series => value; metric => its labels
foreach my $namespace (sort keys %$queries)
{
	my @columns = map { [ %$_ ] } @{ $queries->{$namespace}{metrics} };
	my %usage = map { $_->[0] => $_->[1]{usage} } @columns;
	my @labels = grep { $usage{$_} eq 'LABEL' } sort keys %usage;
	my ($rc, $out, $err) =
	  $node->psql('app', "SET ROLE monitor; SELECT coalesce(json_agg(q), '[]') FROM ($queries->{$namespace}{query}) AS q");

	is($err, '', "$namespace runs for pg_monitor") or next;
	my $rows = decode_json($out);
	isnt(scalar @$rows, 0, '... and gives something');
	is(join(' ', sort keys %{ $rows->[0] }), join(' ', sort keys %usage), '... the columns that are described');
	is(join(' ', grep { !length($_->[1]{description} // '') } @columns), '', '... each with a description');
	is(scalar(grep { $_->{datname} eq 'app' && $_->{node} eq 't033-node' } @$rows), scalar @$rows, '... with database and node');
	foreach my $metric (grep { $usage{$_} ne 'LABEL' } keys %usage)
	{
		$label_of{"${namespace}_$metric"} = { map { $_ => 1 } @labels };
		foreach my $row (@$rows)
		{
			my $series = series("${namespace}_$metric", map { $_ => $row->{$_} } @labels);
			fail("... $series is there twice") if exists $value{$series};
			$value{$series} = $row->{$metric};
		}
	}
	$text .= $out;
}
unlike($text, qr/hunter2|private of a row|remote|sasl/, 'no secret and no value of a row is in it');
unlike(join(' ', map { $_->{query} } values %$queries), qr/last_error|kafka_config|conflict_history|dead_letter\b[^_]*\.(?:key|value|headers)/,
	'... nor asked for');

my %here = (datname => 'app', node => 't033-node');
my %at_item = (%here, subscription => 'peer', topic => $item, partition => 0);
my %expected = (
	series('cdcsync_worker_running', %here) => 1,
	series('cdcsync_worker_subscriptions', %here) => 4,
	series('cdcsync_worker_standby', %here) => 0,
	series('cdcsync_partition_state_info', %at_item, state => 'streaming') => 1,
	series('cdcsync_partition_state_info', %here, subscription => 'stops', topic => $stopped, partition => 0, state => 'error') => 1,
	series('cdcsync_position_next_offset', %at_item) => 2,
	series('cdcsync_position_lag', %at_item) => 0,
	series('cdcsync_position_last_event_time_seconds', %at_item) => 1767225600,
	series('cdcsync_table_events', %here, relation => 'item') => 2,
	series('cdcsync_table_inserted', %here, relation => 'item') => 1,
	series('cdcsync_table_updated', %here, relation => 'item') => 1,
	series('cdcsync_conflict_total', %here, relation => 'item', conflict_type => 'update_origin_differs') => 1,
	series('cdcsync_conflict_total', %here, relation => 'item', conflict_type => 'delete_missing') => 0,
	series('cdcsync_dead_letter_count', %here, subscription => 'keeps', status => 'failed') => 1,
	series('cdcsync_dead_letter_count', %here, subscription => 'keeps', status => 'applied') => 0,
	series('cdcsync_slot_active', %here, slot_name => 'cdcsync_node') => 0,
	series('cdcsync_slot_lost', %here, slot_name => 'cdcsync_node') => 0);
is($value{$_}, $expected{$_}, $_) foreach sort keys %expected;
is($value{ series('cdcsync_check_lines', %here, level => $_) }, $node->sql("SELECT count(*) FROM cdcsync.check(false) WHERE level = '$_'"),
	"check() has as many lines of $_")
  foreach qw(error warning info);

# --- alerts and dashboard ask for what there is -------------------------------------------------------------

my $alerts = slurp_file("$directory/alerts.yaml");
my $dashboard = decode_json(slurp_file("$directory/dashboard.json"));
my @expressions = map { map { $_->{expr} } @{ $_->{targets} } } @{ $dashboard->{panels} };
my @rules = $alerts =~ /^\s*expr: (.*)$/mg;
cmp_ok(scalar @rules, '>', 5, 'there are alerts');
cmp_ok(scalar @expressions, '>', 10, 'there are panels');
foreach my $expression (@rules, @expressions, map { $_->{definition} // () } @{ $dashboard->{templating}{list} })
{
	my @metrics = $expression =~ /\b(cdcsync_\w+)/g;
	my %known = (map({ %{ $label_of{$_} // {} } } @metrics), job => 1);
	my @labels = ($expression =~ /[{,]\s*(\w+)\s*[=!]/g, map { split /,\s*/ } $expression =~ /\bby \(([^)]*)\)/g);

	is(join(' ', grep { !$label_of{$_} } @metrics), '', "metrics of $expression");
	is(join(' ', grep { !$known{$_} } @labels), '', '... its labels');
}
is(join(' ', sort { $a <=> $b } map { $_->{id} } @{ $dashboard->{panels} }), join(' ', 1 .. @{ $dashboard->{panels} }), 'panels have ids of their own');

# --- the real programs --------------------------------------------------------------------------------------

SKIP:
{
	skip 'there is no promtool', 2 if !program('promtool');
	is(output_of('promtool', 'check', 'rules', "$directory/alerts.yaml") =~ /SUCCESS/, 1, 'promtool checks the alerts');
	like(output_of('promtool', 'test', 'rules', "$directory/alerts_test.yaml"), qr/SUCCESS/, '... and tests them');
}
SKIP:
{
	my $exporter = program('prometheus-postgres-exporter') || program('postgres_exporter');
	skip 'there is no postgres_exporter', 1 if !$exporter;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	local $ENV{DATA_SOURCE_NAME} = 'postgresql://monitor@127.0.0.1:' . $node->port . '/app?sslmode=disable';
	my $log = start($exporter, "--web.listen-address=127.0.0.1:$port", "--extend.query-path=$directory/queries.yaml");
	my $metrics = '';

	ok(wait_until('the exporter', sub { $metrics = fetch("http://127.0.0.1:$port/metrics"); $metrics =~ /^cdcsync_worker_running/m }),
		'postgres_exporter gives metrics');
	my %exported = map { s/,?server="[^"]*"//r =~ /^(\S+?)\{(.*)\} / ? (join_series($1, $2) => 1) : () } $metrics =~ /^(cdcsync_.*)$/mg;
	is(join("\n", grep { !$exported{$_} } sort keys %value), '', '... every one of the queries');
	is(join("\n", grep { !exists $value{$_} } sort keys %exported), '', '... and no other');
	like($metrics, qr/^pg_exporter_last_scrape_error 0$/m, '... without an error');
	like($metrics, qr/^pg_exporter_user_queries_load_error\{.*\} 0$/m, '... nor one in the file');
	unlike($metrics, qr/hunter2|private of a row/, '... and no secret');
	unlike(slurp_file($log), qr/level=(?:error|warn)/, '... and nothing to complain of in its log');

	skip 'there is no Prometheus', 1 if !program('prometheus');
	ask_prometheus($port);
}
done_testing();

# Every expression of alerts and dashboard, and the alerts that must be there
sub ask_prometheus
{
	my ($exporter) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $data = PostgreSQL::Test::Utils::tempdir('prometheus');

	append_to_file("$data/prometheus.yml", <<"END");
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["$directory/alerts.yaml"]
scrape_configs:
  - job_name: cdcsync
    static_configs: [{targets: ["127.0.0.1:$exporter"]}]
END
	start('prometheus', "--config.file=$data/prometheus.yml", "--storage.tsdb.path=$data/data", "--web.listen-address=127.0.0.1:$port");
	my $api = "http://127.0.0.1:$port/api/v1";
	my $alerts;
	my @wanted = qw(CdcsyncDeadLetters CdcsyncPartitionStopped CdcsyncPartitionWaiting CdcsyncSetUpWrongly CdcsyncSlotUnread);
	ok(wait_until('the alerts', sub {
			$alerts = answer("$api/alerts");
			my %is = map { $_->{labels}{alertname} => 1 } @{ $alerts->{data}{alerts} // [] };
			!grep { !$is{$_} } @wanted;
		}), 'Prometheus raises the alerts that are due');
	my %is = map { $_->{labels}{alertname} => 1 } @{ $alerts->{data}{alerts} };
	is(join(' ', sort keys %is), "@wanted", '... and no other');
	# a rate needs two samples
	ok(wait_until('rates', sub { result("$api", 'rate(cdcsync_table_events[1m])') }), 'Prometheus has samples');
	foreach my $expression (@expressions)
	{
		my $asked = $expression =~ s/\$node/.*/gr =~ s/\$__rate_interval/1m/gr;
		isnt(result($api, $asked), 0, "it answers $expression");
	}
	return;
}

# how many series an expression gives
sub result
{
	my ($api, $expression) = @_;
	my $answer = answer("$api/query", '--data-urlencode', "query=$expression");

	diag(encode_json($answer)) if ($answer->{status} // '') eq 'error';
	return scalar @{ $answer->{data}{result} // [] };
}

sub answer
{
	my $text = fetch(@_);

	return $text =~ /^\{/ ? decode_json($text) : {};
}

sub fetch
{
	return output_of('curl', '-sS', '--noproxy', '*', '--max-time', '10', @_);
}

sub output_of
{
	my $out;

	IPC::Run::run([@_], '<', '/dev/null', '>', \$out, '2>&1');
	return $out;
}

# Runs until the test ends; returns the name of its log.
sub start
{
	my ($program, @arguments) = @_;
	my $log = PostgreSQL::Test::Utils::tempdir('log') . '/log';

	push @running, IPC::Run::start([ $program, @arguments ], '<', '/dev/null', '>', $log, '2>&1');
	return $log;
}

END
{
	my $status = $?;

	$_->kill_kill(grace => 10) foreach @running;
	$? = $status;
}

sub program
{
	my ($name) = @_;

	return (grep { -x $_ } map { "$_/$name" } split(/:/, $ENV{PATH}))[0];
}

# A series' name, its labels in order
sub series
{
	my ($metric, %labels) = @_;

	return "$metric {" . join(', ', map { "$_=$labels{$_}" } sort keys %labels) . '}';
}

sub join_series
{
	my ($metric, $labels) = @_;

	return series($metric, $labels =~ /(\w+)="([^"]*)"/g);
}
