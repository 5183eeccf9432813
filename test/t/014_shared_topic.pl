# One topic for all nodes and all tables: each reads all of it, its own events too, with origin => 'none'.
use strict;
use warnings;
use CdcTest;
use Test::More;

my @all = make_nodes(qw(a b c));
make_todos(@all);
make_random_table(@all);
make_connectors(
	@all,
	[
		'transforms=route',
		'transforms.route.type=io.debezium.transforms.ByLogicalTableRouter',
		'transforms.route.topic.regex=.*[.]public[.].*',
		'transforms.route.topic.replacement=t014-a.shared.topic',
		'transforms.route.key.enforce.uniqueness=false'
	]);
$_->sql("SELECT cdcsync.subscribe('all', topics => '{t014-a.shared.topic}', origin => 'none', peers => '{t014-a,t014-b,t014-c}')") foreach @all;

foreach my $author (@all)
{
	my $name = $author->name;

	$author->sql("INSERT INTO todos (id, title) SELECT i, 'of $name' FROM generate_series(1, 100) AS i;
		INSERT INTO kv (k, t) VALUES (100, '$name')");
	wait_equal(\@all, [ 'todos', 'kv' ], where => "(SELECT count(*) = 100 FROM todos WHERE title = 'of $name')
			AND EXISTS (SELECT FROM kv WHERE t = '$name')",
		name => "create on $name");
	$author->sql("UPDATE todos SET title = 'by $name', completed = true WHERE id > 10");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) FROM todos WHERE title = 'by $name') >= 90",
		name => "update on $name");
	$author->sql('DELETE FROM todos WHERE id > 50; DELETE FROM kv');
	wait_equal(\@all, [ 'todos', 'kv' ], where => '(SELECT max(id) = 50 FROM todos) AND NOT EXISTS (SELECT FROM kv)',
		name => "delete on $name");
}

my ($first, $second, $third) = @all;
$first->offline;
$_->sql("UPDATE todos SET title = title || ' and " . $_->name . "' WHERE id <= 20") foreach $first, $second, $third;
$_->sql('DELETE FROM todos WHERE id BETWEEN 15 AND 25') foreach $third, $first;
$second->sql("UPDATE todos SET title = 'saved' WHERE id BETWEEN 20 AND 30");
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
