# Hub and spoke, client 1 offline for a while: what happened meanwhile on both sides comes together by the rules.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, $here, $other) = make_hub(2);
my @all = ($server, $here, $other);

$server->sql("INSERT INTO todos (id, title) SELECT i, 'start' FROM generate_series(1, 20) AS i");
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 20 FROM todos)', name => 'online');

# --- offline ----------------------------------------------------------------------------------------

$here->offline;
is_paused($here);
my $untouched = $here->digest('todos');

# the later edit is the newer one
edit($here, 1, 'client 1');
edit($server, 1, 'server');
edit($server, 2, 'server');
edit($here, 2, 'client 1');
edit($here, 3, 'client 1');
edit($other, 3, 'client 2');
edit($other, 4, 'client 2');
edit($here, 4, 'client 1');

# a delete removes what its author saw, no concurrent edit, be it before or after
remove($server, 5);
edit($here, 5, 'client 1');
edit($here, 6, 'client 1');
remove($server, 6);
remove($here, 7);
edit($server, 7, 'server');
remove($here, 8);
remove($server, 8);

# nor one that is newer than what it saw; it does remove an older one that it never saw
edit($here, 9, 'client 1');
edit($server, 9, 'server');
edit($server, 10, 'server');
edit($here, 10, 'client 1');
wait_until('client 2 to see the edits',
	sub { $other->sql("SELECT count(*) = 2 FROM todos WHERE id IN (9, 10) AND title = 'server'") });
remove($other, 9);
remove($other, 10);

# the same key made on two nodes
create($here, 51, 'client 1');
create($server, 51, 'server');
create($server, 52, 'server');
create($here, 52, 'client 1');

# deleted and made again
edit($server, 11, 'server');
remove($here, 11);
create($here, 11, 'client 1 again');
remove($here, 12);
create($here, 12, 'client 1 again');
edit($server, 12, 'server');
remove($here, 13);
create($here, 13, 'client 1 again');
remove($server, 13);
remove($server, 14);
create($server, 14, 'server again');
remove($here, 14);

# a key change is a delete and a create
$here->sql("UPDATE todos SET id = 115 WHERE id = 15");
edit($server, 15, 'server');
$here->sql("UPDATE todos SET id = 116, title = 'client 1' WHERE id = 16");
$server->sql("UPDATE todos SET id = 116, title = 'server' WHERE id = 16");

# many edits of one row
edit($here, 17, "client 1, edit $_") foreach 1 .. 5;
edit($server, 17, 'server');
edit($here, 17, 'client 1, the last');

wait_equal([ $server, $other ], 'todos',
	where => q{EXISTS (SELECT FROM todos WHERE id = 17 AND title = 'server')},
	name => 'the others go on');
my $offline = $here->digest('todos');
isnt($offline, $untouched, 'client 1 goes on by itself');

# restarts change nothing of it
$here->restart;
$server->restart;
edit($server, 18, 'after the restart');
wait_equal([ $server, $other ], 'todos',
	where => q{EXISTS (SELECT FROM todos WHERE id = 18 AND title = 'after the restart')},
	name => 'the server goes on after a restart');
is_paused($here);
is($here->digest('todos'), $offline, 'client 1 has received nothing');

# --- online again -----------------------------------------------------------------------------------

$here->online;
note(sprintf('back after %.2f s', timed('client 1 to be back', sub {
	$here->sql("SELECT EXISTS (SELECT FROM todos WHERE id = 18 AND title = 'after the restart')")
}) // -1));
wait_equal(\@all, 'todos', name => 'equal after the return',
	where => q{EXISTS (SELECT FROM todos WHERE id = 18 AND title = 'after the restart')
		AND EXISTS (SELECT FROM todos WHERE id = 17 AND title = 'client 1, the last')});
ok(wait_settled(3, @all), 'settled');
is_equal(\@all, 'todos');

my %expected = (
	1 => 'server', 2 => 'client 1', 3 => 'client 2', 4 => 'client 1',
	5 => 'client 1', 6 => 'client 1', 7 => 'server', 8 => undef,
	9 => undef, 10 => 'client 1',
	11 => 'client 1 again', 12 => 'server', 13 => 'client 1 again', 14 => 'server again',
	15 => 'server', 115 => 'start', 16 => undef, 116 => 'server',
	17 => 'client 1, the last', 51 => 'server', 52 => 'client 1');
foreach my $id (sort { $a <=> $b } keys %expected)
{
	is($here->sql("SELECT title FROM todos WHERE id = $id"),
		$expected{$id} // '', "row $id: " . ($expected{$id} // 'deleted'));
}
is_silent(5, @all);
no_errors(@all);

# no dead ends: whatever became of a key, it can be written anywhere
foreach my $node (@all)
{
	my $name = $node->name;
	$node->sql("INSERT INTO todos (id, client_id, title) SELECT i, 0, 'last $name' FROM generate_series(1, 120) AS i
		ON CONFLICT (id, client_id) DO UPDATE SET title = excluded.title");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) = 120 FROM todos WHERE title = 'last $name')",
		name => "every key can be written on $name");
	$node->sql('DELETE FROM todos');
	wait_equal(\@all, 'todos', where => 'NOT EXISTS (SELECT FROM todos)',
		name => "and deleted on $name");
}
no_errors(@all);
done_testing();

sub edit
{
	my ($node, $id, $title) = @_;
	return $node->sql("UPDATE todos SET title = '$title' WHERE id = $id");
}

sub remove
{
	my ($node, $id) = @_;
	return $node->sql("DELETE FROM todos WHERE id = $id");
}

sub create
{
	my ($node, $id, $title) = @_;
	return $node->sql("INSERT INTO todos (id, client_id, title) VALUES ($id, 0, '$title')");
}

sub is_paused
{
	my ($node) = @_;
	return is($node->sql('SELECT DISTINCT state FROM cdcsync.stat_subscription'), 'paused',
		$node->name . ' is paused');
}
