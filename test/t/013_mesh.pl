# Mesh: three nodes, each subscribed to both others with origin => 'none'. From PostgreSQL 16 on the first one's connector
# leaves out at the source what its node did not write.
use strict;
use warnings;
use CdcTest;
use Test::More;

my @all = make_nodes(qw(a b c));
make_todos(@all);
make_random_table(@all);
my ($first, $second, $third) = @all;
my $at_source = $first->pg_version >= 16;
make_connectors($first, $at_source ? ['slot.stream.params=origin=none'] : ());
make_connectors($second, $third);
foreach my $node (@all)
{
	$node->subscribe($_, origin => "'none'") foreach grep { $_ != $node } @all;
}

write_on($first);
my @own = $at_source && wait_settled(1, @all) ? end_offsets($first) : ();
write_on($_) foreach $second, $third;
SKIP:
{
	skip('before PostgreSQL 16 a server leaves out nothing at the source', 3) if !$at_source;
	my $end = $first->sql('SELECT pg_current_wal_lsn()');
	ok(wait_settled(1, @all), 'settled after writes on each');
	is_deeply([ end_offsets($first) ], \@own, "what others wrote is not in the first one's topics");
	ok( wait_until(
			'the slot',
			sub { $first->sql("SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots") }),
		'its slot moves on all the same');
}

# one is away: both sides edit the same rows
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

sub write_on
{
	my ($author) = @_;
	my $name = $author->name;

	$author->sql("INSERT INTO todos (id, title) SELECT i, 'of $name' FROM generate_series(1, 100) AS i");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) = 100 FROM todos WHERE title = 'of $name')",
		name => "create on $name");
	$author->sql("UPDATE todos SET title = 'by $name', completed = true WHERE id > 10");
	wait_equal(\@all, 'todos', where => "(SELECT count(*) FROM todos WHERE title = 'by $name') >= 90",
		name => "update on $name");
	$author->sql('DELETE FROM todos WHERE id > 50');
	wait_equal(\@all, 'todos', where => '(SELECT max(id) = 50 FROM todos)', name => "delete on $name");
	return;
}
