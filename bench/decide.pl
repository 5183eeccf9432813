# What deciding costs: batches of updates of existing rows by read-decide-write, and the same batches decoded and written
# by INSERT ... ON CONFLICT DO UPDATE from the ephemeral relation. Both in one run, in turn; medians, also of the pairs' ratio,
# for which there is a bar: it fails beyond that.
use strict;
use warnings;
use CdcNode;
use Test::More;

my ($rows, $batch, $rounds) = (100000, 10000, 30);
my $bar = 1.4;
my $node = CdcNode->make('me', 'shared_buffers = 256MB', 'max_wal_size = 4GB', 'synchronous_commit = off', 'autovacuum = off');
my $library = "$ENV{CDC_RUN}/bench_apply.so";

system("cc -O2 -fPIC -shared -I$ENV{CDC_ROOT}/src -I$ENV{CDC_INCLUDE} -D_GNU_SOURCE -o $library $ENV{CDC_ROOT}/bench/bench_apply.c") == 0
  or die 'bench_apply.c does not compile';
$node->safe_psql('postgres', "
	CREATE EXTENSION cdcsync;
	CREATE FUNCTION decide(text, text[], text[], jsonb) RETURNS float8 AS '$library', 'bench_decide' LANGUAGE C STRICT;
	CREATE FUNCTION upsert(text, text[], text[], jsonb) RETURNS float8 AS '$library', 'bench_upsert' LANGUAGE C STRICT;
	CREATE TABLE item (id int, owner_id int, title text, done bool, updated_at bigint, PRIMARY KEY (id, owner_id));
	INSERT INTO item SELECT i, i % 10, 'title of ' || i, false, 1 FROM generate_series(1, $rows) AS i;
	VACUUM ANALYZE item;
	SELECT cdcsync.add_table('item', version_column => 'updated_at');");
my $ratio = measure('version column', '(SELECT max(updated_at) FROM item)');
cmp_ok($ratio, '<', $bar, "deciding costs less than $bar of writing blindly");
done_testing();

# The ratio. One session, so that plans and maps are warm after the first round, which is left out
sub measure
{
	my ($what, $version) = @_;
	my %took;
	my $sql = '';

	foreach my $round (0 .. $rounds)
	{
		foreach my $way ($round % 2 ? qw(decide upsert) : qw(upsert decide))
		{
			$sql .= "WITH b AS MATERIALIZED (
				SELECT array_agg(json_build_object('id', i.id, 'owner_id', i.owner_id)::text ORDER BY i.id) AS keys,
					array_agg(json_build_object('op', 'u',
						'before', json_build_object('id', i.id, 'owner_id', i.owner_id, 'title', i.title, 'done', i.done,
							'updated_at', i.updated_at),
						'after', json_build_object('id', i.id, 'owner_id', i.owner_id, 'title', 'round $round $way ' || i.id,
							'done', NOT i.done, 'updated_at', $version + 1),
						'source', json_build_object('connector', 'postgresql', 'name', 'peer', 'schema', 'public', 'table', 'item',
							'ts_ms', 1767225600000, 'ts_us', 1767225600000000))::text ORDER BY i.id) AS vals
				FROM item AS i WHERE i.id % (" . ($rows / $batch) . ") = " . ($round % ($rows / $batch)) . ")
				SELECT '$way ' || $way('peer.public.item', keys, vals, '{}') FROM b;\n";
		}
		$sql .= "VACUUM item;\n";
	}
	foreach my $line (split /\n/, $node->safe_psql('postgres', $sql))
	{
		my ($way, $ms) = split / /, $line;
		push @{ $took{$way} }, $ms;
	}
	shift @$_ foreach values %took;
	my @ratios = map { $took{decide}[$_] / $took{upsert}[$_] } 0 .. $#{ $took{decide} };
	is($node->safe_psql('postgres', 'SELECT count(*) FROM item WHERE updated_at > 1'), $rows, 'every batch was applied')
	  if $rounds >= $rows / $batch;
	diag(sprintf('%s: batch of %d updates: read-decide-write %.1f ms, upsert %.1f ms, ratio %.2f',
		$what, $batch, median(@{ $took{decide} }), median(@{ $took{upsert} }), median(@ratios)));
	return median(@ratios);
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return $sorted[ $#sorted / 2 ];
}
