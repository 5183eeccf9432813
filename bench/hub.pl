# What a hub pays for its clients, 10 and 50 of them: how fast it takes what they bring back from offline, each in a topic of its own or
# all in a shared one; its memory; the processor time of its apply worker and launcher while they are idle, and per change while each
# writes one a second. The clients are producers that write to topics.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use IO::Handle;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my ($source, $sink) = make_servers('max_replication_slots = 80');    # a replication origin for each client
my $seconds = $ENV{BENCH_SIZE} && $ENV{BENCH_SIZE} < 1 ? 5 : 30;

foreach my $clients (10, 50)
{
	my $n = int(size(100_000) / $clients);    # changes that each brings
	my @topics = map { make_events("client$_", [ changes($_, $n) ]) } 1 .. $clients;
	my $shared = make_events('shared', [ events('c', undef, item(1), $n * $clients, peer => "'client' || (1 + i % $clients)") ]);
	my $all = "(SELECT count(*) FROM item) = " . $n * $clients;

	fill($sink, 'app', item(1), 0);
	backlog("hub, $clients clients: backlog, a shared topic", $n * $clients, $shared, $all);
	$sink->sql("SELECT cdcsync.unsubscribe('hub')");
	fill($sink, 'app', item(1), 0);
	backlog("hub, $clients clients: backlog, a topic each", $n * $clients, join(',', @topics), $all);
	my @pids = split /\n/, $sink->sql("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'cdcsync%'");
	figure("hub, $clients clients: memory", private_peak(), 'MB', '<= 256');

	my $idle = during(\@pids, sub { $sink->sql("SELECT pg_sleep($seconds)") });
	figure("hub, $clients clients: idle", $idle * 100, '% of a core', '', "$seconds s");
	my $busy = during(\@pids, sub { write_one_a_second($n, @topics) });
	figure("hub, $clients clients: a change", ($busy - $idle) / $clients * 1000, 'ms of processor time', '', "each client writes one a second, for $seconds s");
	is($sink->sql('SELECT count(*) FROM item'), ($n + $seconds) * $clients, 'all have come');
	$sink->sql("SELECT cdcsync.unsubscribe('hub')");
	drop_topic($shared, @topics);
}
done_testing();

# Rows of this client alone, from the i-th on
sub changes
{
	my ($client, $n, $from) = @_;
	$from //= 1;

	return events('c', undef, item(1, "($client * 1000000 + i)"), $from + $n - 1, peer => "'client$client'", where => "i >= $from");
}

sub backlog
{
	my ($what, $rows, $topics, $all) = @_;

	$sink->sql("SELECT cdcsync.subscribe('hub', '{$topics}', enabled => false, peers => '{^}')");
	my $took = seconds_until($sink, 'app', "SELECT cdcsync.resume('hub')", $all);
	figure($what, $rows / $took, 'rows/s', '', "$rows rows");
	return;
}

sub write_one_a_second
{
	my ($had, @topics) = @_;
	my @changes = map { [ split /\n/, $source->safe_psql('plain', "SELECT k || E'\\t' || v FROM (" . changes($_, $seconds, $had + 1) . ') AS e') ] } 1 .. @topics;
	my @producers = map {
		open(my $kcat, '|-', 'kcat', '-q', '-P', '-K', "\t", '-b', $ENV{KAFKA}, '-t', $_, '-X', 'linger.ms=0') or die "kcat: $!";
		$kcat->autoflush;
		$kcat
	} @topics;
	my $start = Time::HiRes::time();

	foreach my $second (0 .. $seconds - 1)
	{
		foreach my $client (0 .. $#topics)
		{
			my $pause = $start + $second + $client / @topics - Time::HiRes::time();
			Time::HiRes::sleep($pause) if $pause > 0;
			print { $producers[$client] } "$changes[$client][$second]\n";
		}
	}
	close $_ or die 'kcat failed' foreach @producers;
	wait_until('all changes', sub { $sink->sql('SELECT count(*) FROM item') == ($had + $seconds) * @topics });
	return;
}

# Seconds of processor time in a second
sub during
{
	my ($pids, $what) = @_;
	my ($before, $start) = (cpu_seconds(@$pids), Time::HiRes::time());

	$what->();
	return (cpu_seconds(@$pids) - $before) / (Time::HiRes::time() - $start);
}
