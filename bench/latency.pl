# Latency of single changes: from the time of the Kafka record until the row is seen, and from the commit on one node until it is
# seen on another, through a real connector as connector_config() makes it. One change at a time, some 50 ms apart. The writer waits
# for its commits, as is the default: what is not flushed is not decoded.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($source, $sink) = make_servers();
my $changes = $ENV{BENCH_SIZE} && $ENV{BENCH_SIZE} < 1 ? 100 : 1000;

# The rows 1 to n as they come: looks each millisecond, and holds no snapshot meanwhile.
$sink->sql(<<'END');
CREATE TABLE seen (id bigint, at timestamptz);
CREATE PROCEDURE look(n int) LANGUAGE plpgsql AS $$
DECLARE
	had bigint := 0;
	has bigint;
	at timestamptz;
BEGIN
	WHILE had < n LOOP
		has := (SELECT max(id) FROM item);
		at := clock_timestamp();
		IF has > had THEN
			INSERT INTO seen SELECT i, at FROM generate_series(had + 1, has) AS i;
			had := has;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.0005);
	END LOOP;
END $$;
END
fill($sink, 'app', item(1), 0);

# --- from the record ------------------------------------------------------------------------------

my $topic = make_events('item', []);
my @lines = split /\n/, $source->safe_psql('plain', 'SELECT k || E\'\t\' || v FROM (' . events('c', undef, item(1), $changes, one_row => 1) . ') AS e');
$sink->sql("SELECT cdcsync.subscribe('latency', '{$topic}')");
wait_until('the subscription', sub { $sink->sql("SELECT state = 'streaming' FROM cdcsync.stat_subscription") });
my $look = look();
my $input = '';
my $kcat = IPC::Run::start([ 'kcat', '-q', '-P', '-K', "\t", header_options(), '-b', $ENV{KAFKA}, '-t', $topic, '-p', 0, '-X', 'linger.ms=0' ], '<', \$input);
foreach my $line (@lines)
{
	$input .= "$line\n";
	$kcat->pump while length $input;
	sleep 0.03 + rand 0.04;
}
$kcat->finish;
$look->finish;
my ($out);
IPC::Run::run([ 'kcat', '-q', '-C', '-e', '-b', $ENV{KAFKA}, '-t', $topic, '-f', '%T\n' ], '<', '/dev/null', '>', \$out);
report('record to row', map { $_ / 1000 } split /\n/, $out);
$sink->sql("SELECT cdcsync.unsubscribe('latency'); TRUNCATE seen");

# --- from the commit ------------------------------------------------------------------------------

fill($sink, 'app', item(1), 0);
fill($source, 'app', item(1), 0);
stack('topic-create', $source->name . '.public.item');
make_connectors($source);
$sink->subscribe($source);
wait_until('the subscription', sub { $sink->sql("SELECT bool_and(state = 'streaming' AND partition IS NOT NULL) FROM cdcsync.stat_subscription") });
$source->sql('CREATE TABLE written (id bigint, at timestamptz)');
$look = look();
$source->sql("
	SET synchronous_commit = on;
	DO \$\$
	DECLARE
		times timestamptz[];
	BEGIN
		FOR i IN 1 .. $changes LOOP
			INSERT INTO item SELECT " . item(1)->{columns} . ";
			COMMIT;
			times[i] := clock_timestamp();
			PERFORM pg_sleep(0.03 + 0.04 * random());
		END LOOP;
		INSERT INTO written SELECT i, times[i] FROM generate_series(1, $changes) AS i;
	END \$\$");
$look->finish;
report('commit to row', split /\n/, $source->sql('SELECT extract(epoch FROM at) FROM written ORDER BY id'));
done_testing();

sub look
{
	return IPC::Run::start([ 'psql', '-Xq', '-d', $sink->connstr('app'), '-c', 'SET enable_seqscan = off', '-c', "CALL look($changes)" ], '<', '/dev/null');
}

# percentiles of the milliseconds from these times, one for each row, until it was seen
sub report
{
	my ($what, @from) = @_;
	my @at = split /\n/, $sink->sql('SELECT extract(epoch FROM at) FROM seen ORDER BY id');
	my @ms = map { ($at[$_] - $from[$_]) * 1000 } 0 .. $#from;
	my %target = ('record to row 50' => '<= 3', 'record to row 99' => '<= 10', 'commit to row 50' => '<= 25');

	is(scalar @at, scalar @from, "$what: all were seen");
	figure("latency, $what: p$_", percentile($_, @ms), 'ms', $target{"$what $_"} // '', "$changes changes, one at a time") foreach 50, 99;
	return;
}
