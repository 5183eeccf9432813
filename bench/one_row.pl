# 100 000 transactions of one row, an update each, which cdcsync applies under a version column (many in one local transaction)
# and under the commit timestamp (one local transaction each, for each has its time); against native replication.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use Test::More;

my ($source, $sink) = make_servers();
my $rows = size(100_000);
my $assign = join(', ', map { "$_ = n.$_" } grep { $_ ne 'id' } columns_of(item(1)));
my $last = "(SELECT title LIKE '% 2' FROM item WHERE id = $rows)";
my $topic = make_events('item', [ events('u', item(1), item(2), $rows, one_row => 1) ]);

fill($source, 'native', item(1), $rows);
my $slot = slot_before(item(1), "
	DO \$\$
	BEGIN
		FOR i IN 1 .. $rows LOOP
			UPDATE item AS t SET $assign FROM (SELECT " . item(2)->{columns} . ") AS n WHERE t.id = i;
			COMMIT;
		END LOOP;
	END \$\$");
my $rates = in_turn('one-row transactions', $rows,
	'cdcsync, version column' => [ rounds(3), sub { fill($sink, 'app', item(1), $rows); run_cdcsync($topic, $last) } ],
	'cdcsync, commit time' =>
	  [ rounds(3), sub { fill($sink, 'app', item(1), $rows, clock => 'commit'); run_cdcsync($topic, $last) } ],
	'native' => [ rounds(3), sub { fill($sink, 'native', item(1), $rows); run_native($slot, $last) } ]);
ratio('one-row transactions, version column: native', $rates->{'cdcsync, version column'}, $rates->{native}, 2.5);
ratio('one-row transactions, commit time: native', $rates->{'cdcsync, commit time'}, $rates->{native}, 1.1);
done_testing();
