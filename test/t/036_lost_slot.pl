# The slot of a node that was offline and edited is lost: republish() sends what was changed meanwhile, deletes too, and all
# ends as if the slot had been there; that is how doc/operations.md says to mend it.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, $client) = make_hub(1);
my @both = ($server, $client);
$_->sql("CREATE TABLE stamped (id int PRIMARY KEY, body text NOT NULL); SELECT cdcsync.add_table('stamped')") foreach @both;

$server->sql("INSERT INTO todos (id, title) SELECT i, 'start' FROM generate_series(1, 20) AS i;
	INSERT INTO stamped SELECT i, 'start' FROM generate_series(1, 10) AS i");
wait_equal(\@both, 'todos', where => '(SELECT count(*) = 20 FROM todos)', name => 'online');
wait_equal(\@both, 'stamped', where => '(SELECT count(*) = 10 FROM stamped)');
$client->sql("UPDATE todos SET title = 'the last one that went out' WHERE id = 20; UPDATE stamped SET body = 'likewise' WHERE id = 10");
wait_equal(\@both, 'todos', where => q{(SELECT title <> 'start' FROM todos WHERE id = 20)}, name => 'the client sends');
wait_equal(\@both, 'stamped', where => q{(SELECT body <> 'start' FROM stamped WHERE id = 10)});
my $gone = $client->sql('SELECT clock_timestamp()');

# offline, edited on both sides, and the slot gone
$client->offline;
$client->sql(q{UPDATE todos SET title = 'client' WHERE id IN (1, 2, 3); DELETE FROM todos WHERE id IN (4, 5, 6);
	INSERT INTO todos (id, title) VALUES (31, 'client');
	UPDATE stamped SET body = 'client' WHERE id = 1; DELETE FROM stamped WHERE id = 2; INSERT INTO stamped VALUES (31, 'client')});
$server->sql(q{UPDATE todos SET title = 'server' WHERE id IN (2, 5); DELETE FROM todos WHERE id = 3});
stack('connector-stop', $client->name);
my $slot = $client->sql('SELECT slot_name FROM pg_replication_slots');
$client->sql($_) foreach q{ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'}, 'SELECT pg_reload_conf()';
$client->sql(q{SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)); SELECT pg_switch_wal()}) foreach 1 .. 3;
ok( wait_until(
		'a lost slot',
		sub { $client->sql(q{CHECKPOINT; SELECT wal_status = 'lost' FROM pg_replication_slots}) }),
	'the slot is lost');
my $check = q{SELECT coalesce(string_agg(level || ' ' || problem, E'\n'), '') FROM cdcsync.check() WHERE subject ~ '^(slot|connector)'};
is($client->sql($check), 'error it is lost: the connector cannot go on, and changes since are not sent', 'check() says so');
like($client->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject ~ '^slot'}),
	qr/^Delete the connector and its offsets, drop the slot, make it anew, run cdcsync\.republish\(\) for each table, post the connector again without a snapshot/,
	'... and what to do');
$client->sql($_) foreach 'ALTER SYSTEM RESET max_slot_wal_keep_size', 'SELECT pg_reload_conf()';
stack('connector-delete', $client->name);
$client->sql("SELECT pg_drop_replication_slot('$slot')");
$client->sql(q{UPDATE todos SET title = 'client, later' WHERE id = 7; DELETE FROM todos WHERE id = 8;
	UPDATE stamped SET body = 'client, later' WHERE id = 3});
$server->sql("UPDATE todos SET title = 'server, still later' WHERE id = 1");

# the steps
$client->sql("SELECT pg_create_logical_replication_slot('$slot', 'pgoutput')");
is($client->sql("SELECT rows > 0, deletes FROM cdcsync.republish('todos', '$gone')"), 't|4', 'republish');
is($client->sql("SELECT rows, deletes FROM cdcsync.republish('stamped', '$gone')"), '3|1', '... a table without a version column');
make_connectors($client, [ 'snapshot.mode=no_data', "slot.name=$slot" ]);
$client->sql('SELECT cdcsync.resume(NULL)');

wait_equal(\@both, 'todos', where => q{(SELECT title = 'client, later' FROM todos WHERE id = 7)}, name => 'nothing is lost');
wait_equal(\@both, 'stamped', where => q{(SELECT body = 'client, later' FROM stamped WHERE id = 3)});
wait_settled(1, @both);
is($server->sql(q{SELECT string_agg(id || ' ' || title, ', ' ORDER BY id) FROM todos WHERE title <> 'start'}),
	'1 server, still later, 2 server, 3 client, 5 server, 7 client, later, 20 the last one that went out, 31 client',
	'the later edit wins, as it would have; no delete takes an edit along that it had not seen');
is($server->sql('SELECT count(*) FROM todos WHERE id IN (4, 6, 8)'), 0, '... what was deleted stays so');
is($server->sql(q{SELECT string_agg(id || ' ' || body, ', ' ORDER BY id) FROM stamped WHERE body <> 'start'}),
	'1 client, 3 client, later, 10 likewise, 31 client', '... likewise there');
is($server->sql('SELECT count(*) FROM stamped WHERE id = 2'), 0, '... with its delete');
is($client->sql($check), '', 'check() has nothing against the slot any more');
no_errors(@both);
done_testing();
