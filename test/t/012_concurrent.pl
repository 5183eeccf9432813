# Hub and spoke, everybody writes the same few keys at once: all end equal and silent.
use strict;
use warnings;
use CdcTest;
use Test::More;

my @all = make_nodes(qw(server client-1 client-2));
my ($server, @clients) = @all;
make_random_table(@all);
make_connectors(@all);
foreach my $client (@clients)
{
	$client->subscribe($server);
	$server->subscribe($client);
}

foreach my $round (1, 2)
{
	my $count = write_at_random(6, @all);
	cmp_ok($count, '>', 100, "round $round: there was something to do");
	note("$count transactions");
	note(sprintf('settled after %.1f s', timed('the end of it', sub { wait_settled(3, @all) }) // -1));
	is_equal(\@all, 'kv');
	no_errors(@all);
}
is_silent(10, @all);
is_equal(\@all, 'kv');

# while one is away, too
$clients[0]->offline;
write_at_random(5, @all);
ok(wait_settled(2, $server, $clients[1]), 'two settled');
is_equal([ $server, $clients[1] ], 'kv');
$clients[0]->online;
ok(wait_settled(3, @all), 'all settled');
is_equal(\@all, 'kv');
is_silent(5, @all);
no_errors(@all);
done_testing();
