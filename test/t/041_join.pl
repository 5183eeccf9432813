# A new node joins from the topics alone, while its peer is down: it ends as the peer was, deletes and all; rows that it had
# before compete by their versions, and are sent once its connector is there and the peer is back.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, $old) = make_hub(1);
$server->sql("INSERT INTO todos (id, title) SELECT i, 'start' FROM generate_series(1, 200) AS i");
$old->sql("INSERT INTO todos (id, title) SELECT i, 'of client 1' FROM generate_series(1, 50) AS i");
wait_equal([ $server, $old ], 'todos', where => '(SELECT count(*) = 250 FROM todos)', name => 'two nodes at work');
$server->sql("UPDATE todos SET title = 'edited ' || id WHERE id % 3 = 0; DELETE FROM todos WHERE id % 5 = 0");
wait_equal([ $server, $old ], 'todos', where => '(SELECT count(*) = 200 FROM todos)', name => '... that edit and delete');
wait_settled(1, $server, $old);
my $digest = $server->digest('todos');

# the peer is down
$server->stop;
my ($new) = make_nodes('client-2');
$new->sql(qq{
	\\set node 2
	\\i '$ENV{CDC_ROOT}/demo/todos.sql'
	SELECT cdcsync.add_table('todos', version_column => 'updated_at')});
stack('topic-create', $new->name . '.public.todos');
$new->subscribe($server);
is($new->sql(sprintf q{SELECT cdcsync.wait_for('%s', '60s')}, $server->name), 't', 'a new node reads the topics');
is($new->digest('todos'), $digest, '... and is what its peer was');

# what it writes goes out when there is a connector, also what it wrote before
$new->sql("INSERT INTO todos (id, title) VALUES (1, 'of client 2'); UPDATE todos SET title = 'by client 2' WHERE id = 1 AND client_id = 0");
make_connectors($new);
$server->start;
$server->subscribe($new);
wait_equal([ $server, $old, $new ], 'todos', where => q{(SELECT count(*) = 2 FROM todos WHERE title LIKE '%client 2')}, name => 'all three, when the peer is back');
no_errors($server, $old, $new);
done_testing();
