# Mesh: three nodes, each subscribed to both others with origin => 'none'.
use strict;
use warnings;
use CdcTest;
use Test::More;

my @all = make_nodes(qw(a b c));
make_todos(@all);
make_random_table(@all);
make_connectors(@all);
foreach my $node (@all)
{
	$node->subscribe($_, origin => "'none'") foreach grep { $_ != $node } @all;
}

foreach my $author (@all)
{
	my $name = $author->name;

	$author->sql("INSERT INTO todos (id, title) SELECT i, 'of $name' FROM generate_series(1, 100) AS i");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) = 100 FROM todos WHERE title = 'of $name')",
		name => "create on $name");
	$author->sql("UPDATE todos SET title = 'by $name', completed = true WHERE id > 10");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) FROM todos WHERE title = 'by $name') >= 90",
		name => "update on $name");
	$author->sql('DELETE FROM todos WHERE id > 50');
	wait_equal(\@all, 'todos', where => '(SELECT max(id) = 50 FROM todos)', name => "delete on $name");
}

# one is away: both sides edit the same rows
my ($first, $second, $third) = @all;
$first->offline;
$_->sql("UPDATE todos SET title = title || ' and " . $_->name . "' WHERE id <= 20") foreach $first, $second, $third;
$_->sql('DELETE FROM todos WHERE id BETWEEN 15 AND 25') foreach $third, $first;
$second->sql("UPDATE todos SET title = 'saved' WHERE id BETWEEN 20 AND 30");
$_->sql("INSERT INTO todos (id, client_id, title) VALUES (500, 9, '" . $_->name . "')") foreach $second, $first;
$first->online;
ok(wait_settled(3, @all), 'settled after a while offline');
is_equal(\@all, 'todos');

my $count = write_at_random(6, @all);
note("$count transactions");
ok(wait_settled(3, @all), 'settled after random writes');
is_equal(\@all, 'kv', 'todos');
is_silent(10, @all);
no_errors(@all);

done_testing();
