# Catching up: after 1 000 000 events it goes as fast as after 100 000, also beside a session that holds an old snapshot all the
# while; two apply workers that share two partitions against one. Half of the events create rows, the other half updates them.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use IPC::Run;
use Test::More;

my ($source, $sink) = make_servers();
my ($few, $many) = (size(100_000), size(1_000_000));
my $short = make_events('item', work($few));
my $long = make_events('item', work($many));

my $rates = in_turn('catch-up', $many,
	'short' => [ rounds(3), sub { (catch_up($short, $few), $few) } ],
	'long' => [ rounds(3), sub { catch_up($long, $many) } ],
	'long, old snapshot' => [ rounds(3), sub { catch_up($long, $many, old_snapshot => 1) } ]);
ratio('catch-up: 1 000 000 events, against 100 000', $rates->{long}, $rates->{short}, 0.9);
ratio('catch-up: beside an old snapshot, against without', $rates->{'long, old snapshot'}, $rates->{long}, 0.8);
drop_topic($short, $long);

my $half = size(300_000);
my $two = make_events('item', work($half, 'i % 2 = 0'), work($half, 'i % 2 = 1'));
$rates = in_turn('two partitions', $half,
	'one worker' => [ rounds(3), sub { workers(1); both($two, $half) } ],
	'two workers' => [ rounds(3), sub { workers(2); both($two, $half) } ]);
ratio('two apply workers, against one', $rates->{'two workers'}, $rates->{'one worker'}, 1.7);
done_testing();

# the events of a partition
sub work
{
	my ($events, $where) = @_;
	my $rows = $events / 2;

	return [ events('c', undef, item(1), $rows, where => $where), events('u', item(1), item(2), $rows, where => $where, n => "($rows + i)") ];
}

sub done
{
	my ($id) = @_;

	return "EXISTS (SELECT FROM item WHERE id = $id AND title LIKE '% 2')";
}

sub catch_up
{
	my ($topic, $events, %option) = @_;
	my $session;

	fill($sink, 'app', item(1), 0);
	$session = old_snapshot() if $option{old_snapshot};
	my $seconds = run_cdcsync($topic, done($events / 2));
	$sink->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'old snapshot'");
	$session->finish if $session;
	return $seconds;
}

# a session that sees the database as it is now
sub old_snapshot
{
	my $session = IPC::Run::start([ 'psql', '-Xq', '-d', $sink->connstr('app') . " application_name='old snapshot'", '-c',
			'BEGIN ISOLATION LEVEL REPEATABLE READ', '-c', 'SELECT count(*) FROM item', '-c', 'SELECT pg_sleep(3600)' ],
		'<', '/dev/null', '>&', '/dev/null');

	$sink->poll_query_until('app', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'old snapshot' AND query LIKE '%pg_sleep%' AND backend_xmin IS NOT NULL");
	return $session;
}

sub workers
{
	my ($n) = @_;

	$sink->safe_psql('postgres', "ALTER SYSTEM SET cdcsync.apply_workers = $n");
	$sink->safe_psql('postgres', 'SELECT pg_reload_conf()');
	return;
}

# the last row of either partition
sub both
{
	my ($topic, $events) = @_;

	fill($sink, 'app', item(1), 0);
	return run_cdcsync($topic, done($events / 2) . ' AND ' . done($events / 2 - 1));
}
