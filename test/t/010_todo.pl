# Hub and spoke, a server and two clients: what is written on one of them comes to the others.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, @clients) = make_hub(2);
my @all = ($server, @clients);

# the first event through each path also makes the worker look for topics: not timed
$_->sql("INSERT INTO todos (title) VALUES ('first of " . $_->name . "')") foreach @all;
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 3 FROM todos)', name => 'the first rows');

foreach my $author (@all)
{
	my $name = $author->name;

	travels($author, "INSERT INTO todos (id, title) VALUES (100, 'created')",
		q{EXISTS (SELECT FROM todos WHERE id = 100 AND title = 'created')}, 'create');
	travels($author, "UPDATE todos SET completed = true, title = 'updated' WHERE id = 100",
		q{EXISTS (SELECT FROM todos WHERE id = 100 AND completed AND title = 'updated')}, 'update');
	travels($author, 'DELETE FROM todos WHERE id = 100',
		'NOT EXISTS (SELECT FROM todos WHERE id = 100)', 'delete');
}
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 3 FROM todos)');

# text of all kinds
$clients[0]->sql(<<'END');
INSERT INTO todos (id, title, description) VALUES
	(200, 'it''s "quoted" \ and {"json": [1]}', E'tab\t, new line\n, return\r, bell\b, \\u0041'),
	(201, 'Grüße, Ελλάδα, 日本語, עברית, e' || U&'\0301', U&'\+01F600 \+01F468\200D\+01F469'),
	(202, '', NULL),
	(203, 'null', 'NULL'),
	(204, U&'\0001\001F\007F\FFFD\FFFE', repeat('x', 100000));
END
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 8 FROM todos)',
	name => 'quotes, unicode, NULL, large text');
$server->sql("UPDATE todos SET description = NULL WHERE id IN (200, 204)");
$clients[1]->sql("UPDATE todos SET description = 'no longer null' WHERE id = 202");
wait_equal(\@all, 'todos',
	where => q{(SELECT count(*) = 3 FROM todos WHERE id IN (200, 204) AND description IS NULL
		OR id = 202 AND description = 'no longer null')},
	name => 'to and from NULL');

# a transaction of many rows and kinds
$clients[1]->sql(q{
	BEGIN;
	INSERT INTO todos (id, title) SELECT i, 'row ' || i FROM generate_series(1001, 2000) AS i;
	UPDATE todos SET completed = true WHERE id BETWEEN 1001 AND 1500;
	DELETE FROM todos WHERE id BETWEEN 1401 AND 1600;
	INSERT INTO todos (id, title) VALUES (1500, 'again');
	COMMIT});
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 801 FROM todos WHERE id > 1000)',
	name => 'a transaction of many rows');

# what is rolled back does not travel
$clients[0]->sql("BEGIN; UPDATE todos SET title = 'never'; ROLLBACK");
$clients[0]->sql("BEGIN; SAVEPOINT a; DELETE FROM todos; ROLLBACK TO a;
	INSERT INTO todos (id, title) VALUES (300, 'after a savepoint'); COMMIT");
wait_equal(\@all, 'todos', where => 'EXISTS (SELECT FROM todos WHERE id = 300)',
	name => 'what is rolled back does not travel');

# a key change is a delete and a create; over a key that was deleted too
$server->sql('UPDATE todos SET id = 301 WHERE id = 300');
wait_equal(\@all, 'todos',
	where => 'EXISTS (SELECT FROM todos WHERE id = 301) AND NOT EXISTS (SELECT FROM todos WHERE id = 300)',
	name => 'a key change');
$clients[0]->sql('UPDATE todos SET id = 300 WHERE id = 301');
wait_equal(\@all, 'todos',
	where => 'EXISTS (SELECT FROM todos WHERE id = 300) AND NOT EXISTS (SELECT FROM todos WHERE id = 301)',
	name => 'and back');
$clients[0]->sql('UPDATE todos SET client_id = 7 WHERE id IN (1001, 1002)');
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 2 FROM todos WHERE client_id = 7)',
	name => 'the other column of the key');

ok(wait_settled(2, @all), 'settled');
is_silent(5, @all);
no_errors(@all);
is($server->sql("SELECT count(*) FROM cdcsync.stat_table WHERE relation = 'todos'::regclass AND events > 0"),
	1, 'counted');
done_testing();

# An assertion: what the author does is true everywhere within 2 s; on a machine that has much else to do, within 10 s
sub travels
{
	my ($author, $sql, $condition, $what) = @_;
	my @others = grep { $_ != $author } @all;
	my @seconds;

	$author->sql($sql);
	my $all = timed(
		"$what on " . $author->name,
		sub {
			foreach my $node (@others)
			{
				return 0 if $node->sql("SELECT $condition") ne 't';
			}
			return 1;
		});
	ok(defined $all && $all < 10, "$what on " . $author->name . ' is everywhere in time');
	note(sprintf('%s on %s: everywhere after %.2f s', $what, $author->name, $all)) if defined $all;
	return;
}
