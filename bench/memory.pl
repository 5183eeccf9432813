# Memory of the apply worker: its peak (VmHWM) less the shared memory it has mapped, during a bulk load, and while it applies a
# source transaction of 2 000 000 rows, of a table without a version column: all of it has one commit time.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use Test::More;

my ($source, $sink) = make_servers();

foreach my $case ([ 'bulk', 'column', size(300_000) ], [ 'one source transaction', 'commit', size(2_000_000) ])
{
	my ($what, $clock, $rows) = @$case;
	my $topic = make_events('item', [ events('c', undef, item(1), $rows) ]);
	my $peak;

	fill($sink, 'app', item(1), 0, clock => $clock);
	my $seconds = run_cdcsync($topic, "EXISTS (SELECT FROM item WHERE id = $rows)", sub { $peak = private_peak() });
	figure("memory: $what", $peak, 'MB', '<= 256', sprintf('%d rows in %.1f s', $rows, $seconds));
	drop_topic($topic);
	$sink->restart;
}
done_testing();
