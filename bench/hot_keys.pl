# Hot keys: 400 000 transactions of one row that update the same 1 000 rows over and over; against native replication, which gets
# 200 000 of them.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use Test::More;

my ($source, $sink) = make_servers();
my ($events, $native, $keys) = (size(400_000), size(200_000), 1000);
my $assign = join(', ', map { "$_ = n.$_" } grep { $_ ne 'id' } columns_of(item(1)));
# the i-th event: key (i - 1) % keys + 1, whose version it raises by one
my ($key, $v) = ("((i - 1) % $keys + 1)", "((i - 1) / $keys + 1)::int");
my $topic = make_events('item', [ events('u', item($v, $key), item("($v + 1)", $key), $events, one_row => 1, n => 'i') ]);

fill($source, 'native', item(1), $keys);
my $slot = slot_before(item(1), "
	DO \$\$
	BEGIN
		FOR i IN 1 .. $native LOOP
			UPDATE item AS t SET $assign FROM (SELECT " . item("($v + 1)", $key)->{columns} . ") AS n WHERE t.id = n.id;
			COMMIT;
		END LOOP;
	END \$\$");
my $rates = in_turn('hot keys', $events,
	'cdcsync' => [ rounds(3), sub { fill($sink, 'app', item(1), $keys); run_cdcsync($topic, last_of($events)) } ],
	'native' => [ rounds(3), sub { fill($sink, 'native', item(1), $keys); (run_native($slot, last_of($native)), $native) } ]);
ratio('hot keys: native', $rates->{cdcsync}, $rates->{native}, 4);
done_testing();

# the last event is there
sub last_of
{
	my ($n) = @_;
	my ($id, $version) = (($n - 1) % $keys + 1, int(($n - 1) / $keys) + 2);

	return "(SELECT title LIKE '% $version' FROM item WHERE id = $id)";
}
