# The commit clock: a table without a version column on a hub and its clients.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($server, @clients) = make_nodes(qw(server client-1 client-2));
my @all = ($server, @clients);

make_random_table({ clock => 'commit' }, @all);
make_connectors(@all);
foreach my $client (@clients)
{
	$client->subscribe($server);
	$server->subscribe($client, origin => "'none'");
}

# a row keeps the version it was written with, on every node
$clients[0]->sql("INSERT INTO kv (k, t) VALUES (100, 'first')");
wait_equal(\@all, 'kv', where => 'EXISTS (SELECT FROM kv WHERE k = 100)', name => 'create');
my %versions = map { $_->sql('SELECT pg_xact_commit_timestamp(xmin) FROM kv WHERE k = 100') => 1 } @all;
is(scalar keys %versions, 1, 'the same version everywhere');

# two updates of one row by one peer, before the others have heard of the first; insert and update in one transaction
$clients[1]->offline;
$clients[1]->sql("UPDATE kv SET t = 'second' WHERE k = 100");
$clients[1]->sql("UPDATE kv SET t = 'third' WHERE k = 100");
$clients[1]->sql("BEGIN; INSERT INTO kv (k, t) VALUES (101, 'a'); UPDATE kv SET t = 'b' WHERE k = 101; COMMIT");
$clients[1]->sql("BEGIN; INSERT INTO kv (k, t) VALUES (102, 'a'); DELETE FROM kv WHERE k = 102; COMMIT");
$clients[1]->sql("BEGIN; DELETE FROM kv WHERE k = 101; INSERT INTO kv (k, t) VALUES (101, 'c'); COMMIT");
# meanwhile, and later, the server edits the same row: the later one wins
$server->sql("UPDATE kv SET t = 'of the server' WHERE k = 100");
$clients[1]->online;
wait_equal(\@all, 'kv',
	where => "(SELECT string_agg(t, ',' ORDER BY k) = 'of the server,c' FROM kv)", name => 'the later edit wins');
is($server->sql("SELECT conflict_type || ' ' || resolution || ' ' || (local_row ->> 't') || ' ' || (remote_row ->> 't')
		|| ' ' || local_origin || ' ' || remote_origin FROM cdcsync.conflict_history
		WHERE key = '{\"k\": 100}' ORDER BY id LIMIT 1"),
	'update_origin_differs keep_local of the server second ' . $server->name . ' ' . $clients[1]->name,
	'and the conflict is on record');

my $count = write_at_random(6, @all);
note("$count transactions");
ok(wait_settled(3, @all), 'settled after random writes');
is_equal(\@all, 'kv');
is_silent(5, @all);

# commit times that are forgotten: such rows are older than anything
$_->sql('SET session_replication_role = replica; TRUNCATE kv') foreach @all;
$server->sql("INSERT INTO kv (k, t) VALUES (200, 'old')");
wait_equal(\@all, 'kv', where => 'EXISTS (SELECT FROM kv WHERE k = 200)', name => 'before they are forgotten');
my $client = $clients[0];
$client->append_conf('postgresql.conf', 'track_commit_timestamp = off');
$client->restart;
$server->sql("UPDATE kv SET t = 'newer' WHERE k = 200");
ok(wait_until('the worker stops', sub {
	$client->sql("SELECT true FROM cdcsync.stat_subscription WHERE state = 'error' AND last_error ~ 'track_commit_timestamp'") }),
	'without commit times the subscription says which setting it needs');
$client->sql('SELECT cdcsync.pause()');
$client->append_conf('postgresql.conf', 'track_commit_timestamp = on');
$client->restart;
is($client->sql('SELECT pg_xact_commit_timestamp(xmin) IS NULL FROM kv WHERE k = 200'), 't', 'forgotten');
$client->sql('SELECT cdcsync.resume()');
wait_equal(\@all, 'kv', where => "EXISTS (SELECT FROM kv WHERE t = 'newer')", name => 'anything is newer than a forgotten row');

no_errors(@all);
done_testing();
