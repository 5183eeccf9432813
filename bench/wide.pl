# Wide rows: 30 000 rows of 50 columns, 2 kB each, created in one source transaction and then updated; against native
# replication and the floor.
use strict;
use warnings;
use lib "$ENV{CDC_ROOT}/bench";
use CdcBench;
use CdcTest;
use Test::More;

my ($source, $sink) = make_servers();
my $rows = size(30_000);
my @columns = grep { $_ ne 'id' } columns_of(wide(1));
my $create = make_events('wide', [ events('c', undef, wide(1), $rows) ]);
my $bare = make_events('wide', [ events('c', undef, wide(1), $rows, schemas => 0) ]);
my $update = make_events('wide', [ events('u', wide(1), wide(2), $rows) ]);
my $there = "EXISTS (SELECT FROM wide WHERE id = $rows)";
my $updated = "(SELECT n1 = $rows + 2 FROM wide WHERE id = $rows)";

$source->safe_psql('native', 'CREATE TABLE wide (' . wide(1)->{ddl} . ')');
$sink->safe_psql('plain', "CREATE UNLOGGED TABLE stage AS SELECT " . wide(1)->{columns} . " FROM generate_series(1::bigint, $rows) AS i");
my $slot = slot_before(wide(1), 'INSERT INTO wide SELECT ' . wide(1)->{columns} . " FROM generate_series(1::bigint, $rows) AS i");
my $rates = in_turn('wide rows, create', $rows,
	'cdcsync' => [ rounds(3), sub { fill($sink, 'app', wide(1), 0); run_cdcsync($create, $there) } ],
	'cdcsync, no schemas' => [ rounds(3), sub { fill($sink, 'app', wide(1), 0); run_cdcsync($bare, $there) } ],
	'native' => [ rounds(3), sub { fill($sink, 'native', wide(1), 0); run_native($slot, $there) } ],
	'floor' => [ rounds(3), sub { fill($sink, 'plain', wide(1), 0); seconds_until($sink, 'plain', 'INSERT INTO wide SELECT * FROM stage', $there) } ],
	'JDBC sink' => [ rounds(1), sub {
		fill($sink, 'jdbc', wide(1), 0);
		run_jdbc($create, wide(1), $rows, 'EXISTS (SELECT FROM wide)', $there, 'SELECT count(*) FROM wide') } ]);
ratio('wide rows, create: JDBC sink', $rates->{cdcsync}, $rates->{'JDBC sink'});
ratio('wide rows, create: native', $rates->{cdcsync}, $rates->{native});
ratio('wide rows, create: floor', $rates->{cdcsync}, $rates->{floor});
ratio('wide rows, create: without schemas, against with', $rates->{'cdcsync, no schemas'}, $rates->{cdcsync});

$slot = slot_before(wide(1), 'UPDATE wide AS t SET ' . join(', ', map { "$_ = n.$_" } @columns)
	  . ' FROM (SELECT ' . wide(2)->{columns} . " FROM generate_series(1::bigint, $rows) AS i) AS n WHERE t.id = n.id");
$rates = in_turn('wide rows, update', $rows,
	'cdcsync' => [ rounds(3), sub { fill($sink, 'app', wide(1), $rows); run_cdcsync($update, $updated) } ],
	'native' => [ rounds(3), sub { fill($sink, 'native', wide(1), $rows); run_native($slot, $updated) } ]);
ratio('wide rows, update: native', $rates->{cdcsync}, $rates->{native});
done_testing();
