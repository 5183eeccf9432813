# What local writers pay for the triggers of add_table: statements of 100 000 rows and transactions of one row, with a version
# column, without one (the commit timestamp), and without add_table; and deletes of keys that were deleted before, as a queue has
# them. A ratio is the time with over the time without.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use Test::More;

my ($source, $sink) = make_servers();
my ($rows, $single) = (size(100_000), size(20_000));
my %table = (
	'without' => sub { fill($sink, 'plain', item(1), $_[0]); 'plain' },
	'version column' => sub { fill($sink, 'app', item(1), $_[0]); 'app' },
	'commit time' => sub { fill($sink, 'app', item(1), $_[0], clock => 'commit'); 'app' });
my $insert = 'INSERT INTO item SELECT ' . item(1)->{columns};
# name, rows there are, one statement for all, one for row i, what came before, target for the former with a version column
my @statement = (
	[ 'INSERT', 0, "$insert FROM generate_series(1, %d) AS i", $insert, undef, '<= 1.4' ],
	[ 'UPDATE', 1, "UPDATE item SET title = title || '!'", "UPDATE item SET title = title || '!' WHERE id = i" ],
	[ 'DELETE', 1, 'DELETE FROM item', 'DELETE FROM item WHERE id = i', undef, '<= 2.5' ],
	[ 'DELETE again', 1, 'DELETE FROM item', 'DELETE FROM item WHERE id = i',
		"DELETE FROM item; $insert FROM generate_series(1, %d) AS i", '<= 3.5' ]);

foreach my $statement (@statement)
{
	my ($name, $filled, $bulk, $one, $before, $target) = @$statement;

	compare("$name of many rows", $rows, $filled, $before, sprintf($bulk, $rows), $target);
	compare("$name, one row a transaction", $single, $filled, $before,
		"DO \$\$ BEGIN FOR i IN 1 .. $single LOOP $one; COMMIT; END LOOP; END \$\$");
}
done_testing();

sub compare
{
	my ($what, $n, $filled, $before, $sql, $target) = @_;
	my $rates = in_turn("local $what", $n, map {
			my $make = $table{$_};
			$_ => [ rounds(3), sub {
				my $db = $make->($filled ? $n : 0);
				$sink->safe_psql($db, sprintf($before, $n) . '; VACUUM ANALYZE item') if $before;
				seconds_until($sink, $db, $sql, 'true') } ]
		} 'without', 'version column', 'commit time');

	slowdown("local $what: time with version column, against without", $rates->{'version column'}, $rates->{without}, $target);
	slowdown("local $what: time with commit time, against without", $rates->{'commit time'}, $rates->{without});
	return;
}
