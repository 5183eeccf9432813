# Conflicts on a hub and its clients: presets, errors, the record of them and resolve_conflict, unique values, clocks.
use strict;
use warnings;
use CdcTest;
use IPC::Run;
use Test::More;

my ($server, @clients) = make_nodes(qw(server client-1 client-2));
my ($client, $other) = @clients;
my @all = ($server, @clients);

make_todos(@all);
$_->sql("CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE, v bigint); SELECT cdcsync.add_table('account', 'v');
	CREATE TABLE memo (id int PRIMARY KEY, body text); SELECT cdcsync.add_table('memo')") foreach @all;
make_connectors(@all);
foreach my $node (@clients)
{
	$node->subscribe($server);
	$server->subscribe($node, origin => "'none'");
}

# offline edits on both sides: the newer wins, is on record everywhere it was met, and the other is brought back
$server->sql("INSERT INTO todos (id, title) VALUES (1, 'first')");
wait_equal(\@all, 'todos', where => '(SELECT count(*) = 1 FROM todos)', name => 'a row');
$client->offline;
$client->sql("UPDATE todos SET title = 'of the client'");
$server->sql("UPDATE todos SET title = 'of the server'");
$client->online;
wait_equal(\@all, 'todos', where => "EXISTS (SELECT FROM todos WHERE title = 'of the server')", name => 'the newer wins');
ok(wait_until('the record', sub { $server->sql('SELECT count(*) = 1 FROM cdcsync.conflict_history') }), 'on record at the server');
my $record = q{SELECT concat_ws(' ', relation, conflict_type, resolution, local_row ->> 'title', remote_row ->> 'title',
	before_row ->> 'title', local_version > remote_version, local_origin, remote_origin, subscription, topic, partition,
	"offset") FROM cdcsync.conflict_history ORDER BY id DESC LIMIT 1};
is($server->sql($record), 'todos update_origin_differs keep_local of the server of the client first t '
	  . join(' ', $server->name, ($client->name) x 2, $client->name . '.public.todos 0 1'), 'what the server has on record');
like($server->log_text, qr/WARNING:  conflict update_origin_differs in table public\.todos: keep_local/, 'and in its log');
is($server->sql("SELECT cdcsync.resolve_conflict(max(id), 'remote') FROM cdcsync.conflict_history"), 'updated', 'take the other');
wait_equal(\@all, 'todos', where => "EXISTS (SELECT FROM todos WHERE title = 'of the client')", name => 'it wins everywhere');

# conflicts that are errors: the partition stops, with one record however often it is tried; the others go on
$client->sql("SELECT cdcsync.alter_table_rule('todos', conflicts => '{\"update_origin_differs\": \"error\"}')");
$client->offline;
$client->sql("UPDATE todos SET title = 'kept'");
$server->sql("UPDATE todos SET title = 'refused'");
$client->online;
my $stopped = sub { $client->sql("SELECT true FROM cdcsync.stat_subscription WHERE state = 'error'
	AND last_error ~ 'conflict update_origin_differs in table public.todos, .*Key .id, client_id.=.1, 0.'") };
ok(wait_until('the error', $stopped), 'the partition stops at a conflict that is an error');
foreach (1, 2)
{
	$client->sql('SELECT cdcsync.resume()');
	wait_until('the error again', $stopped);
}
is($client->sql("SELECT count(*) FROM cdcsync.conflict_history WHERE resolution = 'error'"), 1, 'it is on record once');
$server->sql("INSERT INTO memo VALUES (1, 'goes on')");
wait_equal(\@all, 'memo', where => 'EXISTS (SELECT FROM memo)', name => 'other topics go on');
$client->sql("SELECT cdcsync.alter_table_rule('todos', conflicts => '{}')");
wait_equal(\@all, 'todos', where => "EXISTS (SELECT FROM todos WHERE title = 'refused')", name => 'handled otherwise it goes on');

# unique values that are swapped inside one source transaction; and one that two nodes take at once
$client->sql("INSERT INTO account VALUES (1, 'a', 1), (2, 'b', 1)");
wait_equal(\@all, 'account', where => '(SELECT count(*) = 2 FROM account)', name => 'two rows');
$client->sql("BEGIN; UPDATE account SET email = NULL WHERE id = 1; UPDATE account SET email = 'a' WHERE id = 2;
	UPDATE account SET email = 'b' WHERE id = 1; COMMIT");
wait_equal(\@all, 'account', where => "(SELECT string_agg(email, '' ORDER BY id) = 'ba' FROM account)", name => 'swapped');
$_->offline foreach @clients;
$client->sql("INSERT INTO account VALUES (11, 'same', 1)");
$other->sql("INSERT INTO account VALUES (12, 'same', 2)");
$_->online foreach @clients;
wait_equal(\@all, 'account', where => "(SELECT sum(id) = 12 FROM account WHERE email = 'same')", name => 'the newer keeps the value');

# presets: the server decides, whatever the versions
$client->sql("SELECT cdcsync.alter_subscription('" . $server->name . "', conflicts => 'spoke')");
$server->sql("SELECT cdcsync.alter_subscription('" . $client->name . "', conflicts => 'hub')");
$client->offline;
$client->sql("UPDATE todos SET title = 'later, by the client''s clock', updated_at = now() + interval '1 hour'");
$client->sql("INSERT INTO todos (id, client_id, title, updated_at) VALUES (7, 7, 'of the client', now() + interval '1 hour')");
$server->sql("UPDATE todos SET title = 'decided'; INSERT INTO todos (id, client_id, title) VALUES (7, 7, 'of the server')");
$client->sql("SELECT cdcsync.resume()");
wait_equal([ $client, $server ], 'todos', where => "(SELECT count(*) = 2 FROM todos WHERE title IN ('decided', 'of the server'))",
	name => 'the spoke takes the word of the hub');
$client->online;
ok(wait_settled(2, @all), 'settled');
is($server->sql("SELECT title FROM todos WHERE id = 7"), 'of the server', 'the hub ignores a create of a key it has');

# an event from the future waits until it is due, and is refused when it is too far ahead
my $topic = $server->name . '.public.memo';
my $send = sub {
	my ($id, $ahead) = @_;
	my $ts = $client->sql("SELECT (extract(epoch FROM clock_timestamp() + interval '$ahead') * 1000000)::bigint");
	my $event = qq({"op":"c","before":null,"after":{"id":$id,"body":"ahead"},"source":{"connector":"postgresql","name":")
	  . $server->name . qq(","schema":"public","table":"memo","ts_ms":0,"ts_us":$ts}});
	IPC::Run::run([ 'kcat', '-q', '-P', '-b', $ENV{KAFKA}, '-t', $topic, '-K', "\t" ], '<', \qq({"id":$id}\t$event\n)) or die;
	return $ts;
};
my $ts = $send->(100, '3 s');
ok(wait_until('it waits', sub { $client->sql("SELECT true FROM cdcsync.stat_subscription WHERE topic = '$topic'
	AND state = 'waiting' AND last_error ~ 'clock has not reached yet'") }), 'an event from the future waits');
ok(wait_until('its time', sub { $client->sql('SELECT true FROM memo WHERE id = 100') }), 'until its time');
is($client->sql("SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000 - $ts FROM memo WHERE id = 100"), '0.000000',
	'and keeps it');
$send->(101, '5 min');
ok(wait_until('the refusal', sub { $client->sql("SELECT true FROM cdcsync.stat_subscription WHERE topic = '$topic'
	AND state = 'error' AND last_error ~ 'is of the future.*max_clock_skew'") }), 'what is too far ahead is an error');

# a storm of conflicts floods neither the log nor memory
my $storm = 50000;
$client->sql("SELECT cdcsync.pause()");
$server->sql("CREATE TABLE storm (id int PRIMARY KEY, v bigint); SELECT cdcsync.add_table('storm', 'v')");
$client->sql("CREATE TABLE storm (id int PRIMARY KEY, v bigint); SELECT cdcsync.add_table('storm', 'v');
	INSERT INTO storm SELECT i, 10 FROM generate_series(1, $storm) AS i");
$server->sql("INSERT INTO storm SELECT i, 9 FROM generate_series(1, $storm) AS i");
my $logged = () = $client->log_text =~ /WARNING:  conflict /g;
$client->sql("SELECT cdcsync.alter_subscription('" . $server->name . "', conflicts => 'last_update_wins', topics => '{"
	  . $server->name . ".public.storm}')");
$client->sql('SELECT cdcsync.resume()');
ok(wait_until('the storm', sub { $client->sql("SELECT count(*) = $storm FROM cdcsync.conflict_history WHERE relation = 'storm'::regclass") }),
	"$storm conflicts are on record");
my $warnings = () = $client->log_text =~ /WARNING:  conflict /g;
cmp_ok($warnings - $logged, '<=', 120, 'but not all in the log');
my $pid = $client->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'");
my ($rss) = do { local (@ARGV, $/) = "/proc/$pid/status"; <> =~ /VmHWM:\s+(\d+) kB/ };
note("the worker had $rss kB at most");
cmp_ok($rss, '<', 256 * 1024, 'nor in memory');

done_testing();
