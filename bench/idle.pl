# What 20 idle subscriptions cost: the processor time of the apply worker and the launcher over a minute.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use Test::More;

my ($source, $sink) = make_servers();
my ($subscriptions, $seconds) = (20, $ENV{BENCH_SIZE} && $ENV{BENCH_SIZE} < 1 ? 10 : 60);

foreach my $i (1 .. $subscriptions)
{
	my $topic = make_events("idle$i", []);
	$sink->sql("SELECT cdcsync.subscribe('idle$i', '{$topic}')");
}
wait_until('all to stream', sub { $sink->sql("SELECT count(*) = $subscriptions FROM cdcsync.stat_subscription WHERE state = 'streaming'") });
my @pids = split /\n/, $sink->sql("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'cdcsync%'");
my $before = cpu_seconds(@pids);
$sink->sql("SELECT pg_sleep($seconds)");
figure("idle: $subscriptions subscriptions", (cpu_seconds(@pids) - $before) / $seconds * 100, '% of a core', '<= 0.5',
	scalar(@pids) . " processes, $seconds s");
done_testing();
