# Who may speak in a topic: names that nobody has named make no origin and hold nobody up, a database has its share of the
# server's origins, and those of peers that are gone are given back.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink');
my $oid = $node->sql('SELECT oid FROM pg_database WHERE datname = current_database()');
my $topic = make_topic('item', 3);
my $id = 0;
my $known = "SELECT string_agg(split_part(roname, ':', 4), ' ' ORDER BY roident) FROM pg_replication_origin WHERE roname LIKE 'cdcsync:$oid:%'";
my $lines = "SELECT string_agg(concat_ws(' ', level, subject) || ': ' || problem, E'\\n') FROM cdcsync.check() WHERE subject LIKE 'replication origin%'";
$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});

# --- nobody is named ---------------------------------------------------------------------------------------

produce($topic, item(0, 't048'), (map { item(1, "invented-$_") } 1 .. 12), item(2, 't048'), item(2, $node->name), item(2, 't048'));
$node->sql("SELECT cdcsync.subscribe('s', '{$topic}')");
becomes($node, position_of($topic, 0), 'streaming 1', 'by default the node that the topic is of may speak');
becomes($node, position_of($topic, 1), 'error 0', '... another may not');
becomes($node, position_of($topic, 2), 'error 1', '... and not under the name of this node');
is($node->sql($known), 't048', '... and none has got an origin');
my $error = $node->sql('SELECT last_error FROM cdcsync.stat_subscription WHERE partition = 1');
like($error, qr/^node "invented-1" is not a peer of subscription "s" in this topic\nDETAIL: Without peers, /, '... it is said who');
my ($command) = $error =~ /HINT: .*?: (SELECT .*)/;
$node->sql($command);
becomes($node, position_of($topic, 1), 'error 1', '... the command that it names lets it in');
$error = $node->sql('SELECT last_error FROM cdcsync.stat_subscription WHERE partition = 1');
like($error, qr/DETAIL: The subscription's peers are others.*ARRAY\['invented-1', 'invented-2'\]/s, '... the next one beside it');

$node->sql("SELECT cdcsync.alter_subscription('s', peers => '{}', on_error => 'dead_letter')");
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'with dead letters all goes on');
is($node->sql(q{SELECT count(*), count(*) FILTER (WHERE message LIKE 'node "%" is not a peer %') FROM cdcsync.dead_letter}), '12|12',
	'... and they are kept');
is($node->sql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM item'), '1,2,14,16', '... what is of the peer is applied');
is($node->sql($known), 't048 invented-1', '... no further origin');
produce($topic, item(0, 'not a name'), item(0, "'); DROP TABLE item; --"), item(0, "a\nHINT: run me"), item(0, 'x' x 100000), item(0, 't048'));
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'names that no node can have');
is($node->sql(q{SELECT count(*), max(length(message)) < 200 FROM cdcsync.dead_letter WHERE message LIKE 'invalid name of a peer%'}), '4|t', '... are refused');

# --- a null value whose topic is not of a peer -----------------------------------------------------------------

my $nulls = make_topic('nulls');
$node->sql("SELECT cdcsync.subscribe('nulls', '{$nulls}', peers => '{alpha}')");
produce($nulls, [ 0, '{"id":1}', undef ]);
becomes($node, "SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = 'nulls'", qr/^no table is registered for "public\.nulls"\n.*tombstones\.on\.delete/s,
	'a null value of nobody');
$node->sql("SELECT cdcsync.alter_subscription('nulls', on_unknown_table => 'skip')");
becomes($node, position_of($nulls, 0), 'streaming 1', '... is skipped where such are');
$node->sql("SELECT cdcsync.unsubscribe('nulls')");

# --- a database's share ----------------------------------------------------------------------------------------

is($node->sql($lines), 'warning replication origin of "invented-1": no subscription takes events of this peer', 'check() lists who is unknown');
$node->sql('ALTER SYSTEM SET cdcsync.max_origins = 3');
$node->reload;
my $shared = make_topic('shared', 2);
$node->sql("SELECT cdcsync.subscribe('shared', '{$shared}', peers => '{^^[a-z]+\$}', enabled => false)");
produce($shared, map { item(@$_) } [ 0, 'alpha' ], [ 0, 'alpha' ], [ 1, 'beta' ], [ 0, 'alpha' ]);
$node->sql("SELECT cdcsync.resume('shared')");
becomes($node, position_of($shared, 0), 'streaming 3', 'one peer gets the last origin');
becomes($node, "SELECT state || ' ' || last_error FROM cdcsync.stat_subscription WHERE topic = '$shared' AND partition = 1",
	qr/^waiting this database has all of the replication origins that it may have: 3\nDETAIL: .*\nHINT: cdcsync\.stat_origin lists them/, '... another waits');
produce($shared, item(0, 'alpha'));
produce($topic, item(0, 't048'));
becomes($node, position_of($shared, 0), 'streaming 4', '... and nobody else');
becomes($node, position_of($topic, 0), 'streaming 7', '... in no topic');
like($node->sql($lines), qr/^warning replication origins: this database has all of the 3 that it may have/m, '... check() says so');
is($node->sql("SELECT string_agg(concat_ws(' ', peer, worker, admitted), ', ' ORDER BY peer) FROM cdcsync.stat_origin"),
	'alpha 1 t, invented-1 1 f, t048 1 t', '... stat_origin who has them');
$node->sql($node->sql("SELECT remedy FROM cdcsync.check() WHERE subject LIKE 'replication origin of%'"));
becomes($node, position_of($shared, 1), 'streaming 1', 'drop_origin, which it names, gives one back');
is($node->sql("SELECT string_agg(peer, ', ' ORDER BY peer) FROM cdcsync.stat_origin"), 'alpha, beta, t048', '... to whom it was short of');
is($node->sql($known), 't048 invented-1 alpha beta', '... and the number is not given to another');
produce($topic, change(2, 'u', 'item', { id => 2, body => 'other', v => 1 }, { id => 2, body => 'after', v => 10 }, name => 't048'));
becomes($node, "SELECT local_origin FROM cdcsync.conflict_history WHERE key ->> 'id' = '2'", 'invented-1', '... so that old rows still say whose they are');
like(error_of($node, "SELECT cdcsync.drop_origin('nobody')"), qr/peer "nobody" has no replication origin in this database/, 'none of that name');

$node->sql('ALTER SYSTEM RESET cdcsync.max_origins');
$node->reload;
$node->sql("SELECT cdcsync.alter_subscription('s', peers => '{invented-1,t048}')");
produce($topic, item(1, 'invented-1'));
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'who comes back');
is($node->sql("SELECT count(*) FROM cdcsync.stat_origin WHERE peer = 'invented-1' AND admitted"), 1, '... has one again');
is($node->sql($known), 't048 invented-1 alpha beta', '... the one it had');
$node->sql('DROP EXTENSION cdcsync');
is($node->sql($known), '', 'DROP EXTENSION leaves none');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync apply worker ERROR', 'no worker has died of an error');
done_testing();

sub item
{
	my ($partition, $peer) = @_;

	return change($partition, 'c', 'item', undef, { id => ++$id, body => 'before', v => 1 }, name => $peer);
}
