# Rows that are older than the connector come as its snapshot; who joins later gets everything from the topics.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, $first) = make_nodes(qw(server client-1));
make_todos($server, $first);

# both have rows already, of some keys both: the newer wins
$server->sql("INSERT INTO todos (id, client_id, title) SELECT i, 0, 'server' FROM generate_series(1, 1000) AS i");
$first->sql("INSERT INTO todos (id, client_id, title) SELECT i, 0, 'client 1' FROM generate_series(901, 1500) AS i");
$server->sql("UPDATE todos SET title = 'server, later' WHERE id BETWEEN 951 AND 1000");
$server->sql('DELETE FROM todos WHERE id <= 10');

make_connectors($server, $first);
$first->subscribe($server);
$server->subscribe($first);
my @two = ($server, $first);
note(sprintf('snapshots: equal after %.1f s', timed('the snapshots', sub {
	$server->sql('SELECT count(*) = 1490 FROM todos') eq 't'
	  && $first->sql('SELECT count(*) = 1490 FROM todos')
}) // -1));
wait_equal(\@two, 'todos', where => q{(SELECT count(*) = 1490 FROM todos)
	AND (SELECT count(*) = 50 FROM todos WHERE title = 'server, later')
	AND (SELECT count(*) = 50 FROM todos WHERE title = 'client 1' AND id <= 950)},
	name => 'rows older than the connectors');
$first->sql("UPDATE todos SET completed = true WHERE id % 2 = 0");
$first->sql('DELETE FROM todos WHERE id > 1400');
wait_equal(\@two, 'todos', where => '(SELECT count(*) = 1390 AND bool_and(completed = (id % 2 = 0)) FROM todos)',
	name => 'and what came after');

# --- a node that joins later ------------------------------------------------------------------------

my ($second) = make_nodes('client-2');
make_todos($second);
$second->sql("INSERT INTO todos (id, client_id, title) VALUES (5000, 2, 'brought along')");
my @all = (@two, $second);
make_connectors($second);
$second->subscribe($server);
$server->subscribe($second);
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 1391 FROM todos)', name => 'a node that joins later');
$second->sql("UPDATE todos SET title = 'client 2' WHERE id = 5000 OR id = 11");
wait_equal(\@all, 'todos', where => q{(SELECT count(*) = 2 FROM todos WHERE title = 'client 2')},
	name => 'and takes part');

# --- the snapshot of what is known ------------------------------------------------------------------

# a connector that has lost its place begins anew: nothing that was deleted comes back, and nothing is written
ok(wait_settled(2, @all), 'settled');
my %before = map { $_->name => $_->digest('todos', 'cdcsync.tombstone') } @all;
my $events = $server->sql("SELECT updated + inserted + deleted FROM cdcsync.stat_table");
my @offsets = grep { !/^t016-client-1/ } end_offsets(@all);
stack('connector-delete', $first->name);
$first->sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
make_connectors($first);
ok(wait_until('the second snapshot', sub {
	$server->sql(q{SELECT next_offset > 2500 AND lag = 0 FROM cdcsync.stat_subscription WHERE subscription = 't016-client-1'})
}), 'a second snapshot');
ok(wait_settled(2, @all), 'settled');
is_deeply({ map { $_->name => $_->digest('todos', 'cdcsync.tombstone') } @all }, \%before,
	'nothing changes');
is($server->sql("SELECT updated + inserted + deleted FROM cdcsync.stat_table"), $events,
	'nothing is written');
is_deeply([ grep { !/^t016-client-1/ } end_offsets(@all) ], \@offsets, 'nothing is forwarded');
no_errors(@all);
done_testing();
