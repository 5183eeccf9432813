# What local writers pay for the triggers of add_table: statements of 100 000 rows and transactions of one row, with a version
# column, without one (the commit timestamp), and without add_table. A ratio is the time with over the time without.
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
my @statement = (
	[ 'INSERT', 0, "$insert FROM generate_series(1, %d) AS i", $insert ],
	[ 'UPDATE', 1, "UPDATE item SET title = title || '!'", "UPDATE item SET title = title || '!' WHERE id = i" ],
	[ 'DELETE', 1, 'DELETE FROM item', 'DELETE FROM item WHERE id = i' ]);

foreach my $statement (@statement)
{
	my ($name, $filled, $bulk, $one) = @$statement;

	compare("$name of many rows", $rows, $filled, sprintf($bulk, $rows));
	compare("$name, one row a transaction", $single, $filled,
		"DO \$\$ BEGIN FOR i IN 1 .. $single LOOP $one; COMMIT; END LOOP; END \$\$");
}
done_testing();

sub compare
{
	my ($what, $n, $filled, $sql) = @_;
	my $rates = in_turn("local $what", $n, map {
			my $make = $table{$_};
			$_ => [ rounds(3), sub { my $db = $make->($filled ? $n : 0); seconds_until($sink, $db, $sql, 'true') } ]
		} 'without', 'version column', 'commit time');

	ratio("local $what: time with $_, against without", $rates->{without}, $rates->{$_}) foreach 'version column', 'commit time';
	return;
}
