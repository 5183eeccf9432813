# Bulk: 300 000 rows of six columns that one source transaction creates, then updates, then deletes. cdcsync reads them
# with schemas, as connector_config() has them sent, and without; against the JDBC sink (which needs the schemas), native replication, and the floor: one
# statement that does the same from a table. The JDBC sink deletes some 1 000 rows a second: it gets a tenth of the deletes.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use Test::More;

my ($source, $sink) = make_servers();
my $rows = size(300_000);
my $assign = join(', ', map { "$_ = n.$_" } grep { $_ ne 'id' } columns_of(item(1)));
my $set = "UPDATE item AS t SET $assign FROM (SELECT " . item(2)->{columns} . " FROM generate_series(1, $rows) AS i) AS n WHERE t.id = n.id";

# op: its name, before, after, what the source and the floor do, and what shows the first and the last row, and how many are done
my @operation = (
	[ 'c', 'create', undef, item(1), 'INSERT INTO item SELECT ' . item(1)->{columns} . " FROM generate_series(1, $rows) AS i",
		'INSERT INTO item SELECT * FROM stage',
		'EXISTS (SELECT FROM item WHERE id = %d)', 'SELECT count(*) FROM item' ],
	[ 'u', 'update', item(1), item(2), $set,
		"UPDATE item AS t SET $assign FROM stage AS n WHERE t.id = n.id",
		"(SELECT title LIKE '%% 2' FROM item WHERE id = %d)", "SELECT count(*) FROM item WHERE title LIKE '% 2'" ],
	[ 'd', 'delete', item(2), undef, 'DELETE FROM item',
		'DELETE FROM item USING stage AS n WHERE item.id = n.id',
		'NOT EXISTS (SELECT FROM item WHERE id = %d)', 'SELECT ' . size(30_000) . ' - count(*) FROM item' ]);

$source->safe_psql('native', "CREATE TABLE item (" . item(1)->{ddl} . ")");
foreach my $operation (@operation)
{
	my ($op, $name, $before, $after, $write, $floor, $done, $seen) = @$operation;
	my $topic = make_events('item', [ events($op, $before, $after, $rows) ]);
	my $bare = make_events('item', [ events($op, $before, $after, $rows, schemas => 0) ]);
	my $jdbc_rows = $op eq 'd' ? size(30_000) : $rows;
	my $jdbc = $op eq 'd' ? make_events('item', [ events($op, $before, $after, $jdbc_rows) ]) : $topic;
	my $slot = slot_before(item(1), $write);
	my ($first, $last) = map { sprintf($done, $_) } 1, $rows;
	my @had = $before ? ($before, $rows) : (item(1), 0);

	$sink->safe_psql('plain', 'DROP TABLE IF EXISTS stage; CREATE UNLOGGED TABLE stage AS SELECT '
		  . ($after // $before)->{columns} . " FROM generate_series(1, $rows) AS i");
	my $rates = in_turn("bulk $name", $rows,
		'cdcsync' => [ rounds(3), sub { fill($sink, 'app', @had); run_cdcsync($topic, $last) } ],
		'cdcsync, no schemas' => [ rounds(3), sub { fill($sink, 'app', @had); run_cdcsync($bare, $last) } ],
		'native' => [ rounds(3), sub { fill($sink, 'native', @had); run_native($slot, $last) } ],
		'floor' => [ rounds(3), sub { fill($sink, 'plain', @had); seconds_until($sink, 'plain', $floor, $last) } ],
		'JDBC sink' => [ rounds(2), sub {
			fill($sink, 'jdbc', $had[0], $had[1] && $jdbc_rows);
			run_jdbc($jdbc, item(1), $jdbc_rows, $first, sprintf($done, $jdbc_rows), $seen) } ]);
	drop_topic($topic, $bare, $op eq 'd' ? $jdbc : ());
	my %target = (create => [ 15, 1.2 ], update => [ 9, 1.4 ], delete => [ undef, 0.9 ]);
	ratio("bulk $name: JDBC sink", $rates->{cdcsync}, $rates->{'JDBC sink'}, $target{$name}[0]);
	ratio("bulk $name: native", $rates->{cdcsync}, $rates->{native}, $target{$name}[1]);
	ratio("bulk $name: floor", $rates->{cdcsync}, $rates->{floor});
	ratio("bulk $name: without schemas, against with", $rates->{'cdcsync, no schemas'}, $rates->{cdcsync});
}
done_testing();
