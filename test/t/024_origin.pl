# Origins: what is applied is the peer's, with the peer's time, for whoever reads this database in turn.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use JSON::PP;
use Test::More;

my $topic = make_topic('item', 2);
my $node = make_node('sink');
my $id = 0;
$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});
my $prefix = 'cdcsync:' . $node->sql('SELECT oid FROM pg_database WHERE datname = current_database()') . ':1:';
my $origins = q{SELECT string_agg(concat_ws(' ', id, o.roname, c."timestamp" AT TIME ZONE 'UTC'), E'\n' ORDER BY id)
	FROM item AS i CROSS JOIN pg_xact_commit_timestamp_origin(i.xmin) AS c
	LEFT JOIN pg_replication_origin AS o ON o.roident = c.roident};

# --- in this database -----------------------------------------------------------------------------------

# one batch of two peers, as a subscription to a shared topic has them
my @batch = (
	[ 0, 'alpha', '2026-01-01 00:00:00.000001' ],
	[ 0, 'beta', '2025-06-30 23:59:59.999999' ],
	[ 0, 'alpha', '1999-12-31 12:00:00' ],
	[ 0, 'beta', '2000-01-01 00:00:00' ],
	[ 1, 'gamma', '2026-02-02 02:02:02' ]);
produce($topic, map { item(@$_) } @batch);
$node->sql("SELECT pg_create_logical_replication_slot('look', 'test_decoding')");
$node->sql("SELECT cdcsync.subscribe('s', '{$topic}', peers => '{alpha,beta,gamma}')");
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'events of three peers');
is($node->sql($origins), <<"END" =~ s/\n\z//r, '... each commit has its origin and the time of its source');
1 ${prefix}alpha 2026-01-01 00:00:00.000001
2 ${prefix}beta 2025-06-30 23:59:59.999999
3 ${prefix}alpha 1999-12-31 12:00:00
4 ${prefix}beta 2000-01-01 00:00:00.000001
5 ${prefix}gamma 2026-02-02 02:02:02
END
is($node->sql(q{SELECT string_agg(external_id || ' ' || remote_lsn, ', ' ORDER BY 1) FROM pg_replication_origin_status}),
	"${prefix}alpha 0/3, ${prefix}beta 0/4, ${prefix}gamma 0/1", '... and the offset behind it');

# several source times of one peer are one commit, of the latest
produce($topic, map { item(1, 'alpha', "2026-03-03 00:00:0$_") } 1, 3, 2);
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'events of one peer and several times');
is($node->sql(q{SELECT max(c."timestamp") AT TIME ZONE 'UTC' FROM item AS i, pg_xact_commit_timestamp_origin(i.xmin) AS c WHERE id > 5}),
	'2026-03-03 00:00:03', '... the latest one is seen');

$node->sql('INSERT INTO item VALUES (100, 1)');
is($node->sql('SELECT c.roident, c."timestamp" > now() - interval \'1 hour\' FROM item AS i, pg_xact_commit_timestamp_origin(i.xmin) AS c WHERE id = 100'),
	'0|t', 'a local commit has no origin and its own time');
my $changes = q{SELECT count(*) FROM pg_logical_slot_peek_changes('look', NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1', 'only-local', '%d') WHERE data LIKE 'table public.item: INSERT%%'};
is($node->sql(sprintf $changes, 0), 9, 'logical decoding sees all');
is($node->sql(sprintf $changes, 1), 1, '... only the local one is local');
$node->sql("SELECT pg_drop_replication_slot('look')");

my $known = 'SELECT count(*) FROM pg_replication_origin';
is($node->sql($known), 3, 'an origin for each peer');
$node->restart;
produce($topic, item(0, 'beta', '2026-04-04 00:00:00'));
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'after a restart');
is($node->sql($known), 3, '... they are the same');
$node->sql("SELECT cdcsync.unsubscribe('s'); SELECT cdcsync.subscribe('s', '{$topic}', start_at => 'latest', peers => '{alpha,beta,gamma}')");
is($node->sql($known), 3, '... and after unsubscribe');

# --- the time of the record ------------------------------------------------------------------------------

# Under the commit clock a change that the peer wrote itself counts from when its record was written, a forwarded one from
# its author's time; a subscription without event_time takes the author's time of both.
my %memo = map { $_ => make_topic("memo_$_") } qw(source record);
foreach my $time (qw(source record))
{
	$node->sql("CREATE TABLE memo_$time (id int PRIMARY KEY, body text); SELECT cdcsync.add_table('memo_$time');
		INSERT INTO memo_$time VALUES (1, 'local'), (2, 'local')");
	produce($memo{$time}, memo($time, 1), memo($time, 2, origin => 'cdcsync:5:1:author'), memo($time, 3));
	$node->sql("SELECT cdcsync.subscribe('$time', '{$memo{$time}}', event_time => '$time', peers => '{alpha}')");
	becomes($node, position_of($memo{$time}, 0), 'streaming 3', "event_time => '$time'");
}
my $memos = q{SELECT string_agg(id || ' ' || body, ', ' ORDER BY id) FROM memo_};
is($node->sql($memos . 'source'), '1 local, 2 local, 3 remote', '... what is older at its source loses');
is($node->sql($memos . 'record'), '1 remote, 2 local, 3 remote', '... or what was written before its record, unless it is forwarded');
my $version = q{SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::bigint FROM memo_%s WHERE id = 3};
is($node->sql(sprintf $version, 'source'), 1767225600000, '... the version is the source time');
is($node->sql(sprintf $version, 'record'), (record_times($memo{record}))[2], '... or the record\'s');

# --- for Debezium ----------------------------------------------------------------------------------------

make_connectors($node);
is($node->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', 'the topic is read');
produce($topic, item(0, 'alpha', '2026-01-01 00:00:00.123456'), item(1, 'beta', '2026-01-02 00:00:00'));
$node->sql("SELECT cdcsync.wait_for('s', '30s')");
$node->sql('INSERT INTO item VALUES (101, 1)');
my %source;
wait_until(
	'the events of this node',
	sub {
		%source = map { $_->{after}{id} => $_->{source} } grep { $_->{op} eq 'c' } events($node->name . '.public.item');
		return keys %source >= 3;
	});
my ($of_beta, $of_alpha) = ($id, $id - 1);
is($source{$of_alpha}{origin}, "${prefix}alpha", 'Debezium tells the origin');
is($source{$of_alpha}{ts_us}, 1767225600123456, '... and the time of the source, to the microsecond');
is($source{$of_alpha}{name}, $node->name, '... in an event of this node');
is($source{$of_beta}{origin}, "${prefix}beta", '... likewise of another peer');
is($source{$of_beta}{ts_us}, 1767312000000000, '... with its time');
is($source{101}{origin}, undef, '... and none of a local change');
cmp_ok(abs($source{101}{ts_us} / 1e6 - time), '<', 600, '... which has its own time');

# --- no room for an origin ---------------------------------------------------------------------------------

my $full = make_topic('full', 2);
my $limit = $node->pg_version >= 18 ? 'max_active_replication_origins' : 'max_replication_slots';
my $small = make_node('small', "$limit = 1");
$small->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});
produce($full, item(0, 'alpha', '2026-01-01'));
$small->sql("SELECT cdcsync.subscribe('s', '{$full}', peers => '{^}')");
becomes($small, position_of($full, 0), 'streaming 1', 'the only origin slot');
produce($full, item(1, 'beta', '2026-01-01'));
becomes($small, "SELECT state || ' ' || last_error FROM cdcsync.stat_subscription WHERE partition = 1",
	qr/^waiting this database has all of the replication origins that it may have: 1\n.*\nHINT: .*cdcsync\.drop_origin/,
	'... is taken: another peer waits, and it is said why');
produce($full, item(0, 'alpha', '2026-01-01'));
becomes($small, position_of($full, 0), 'streaming 2', '... the first one goes on');
is($small->sql("SELECT cdcsync.wait_for('s', '0s')"), 'f', '... wait_for has to wait');
$small->append_conf('postgresql.conf', "$limit = 10");
$small->restart;
is($small->sql("SELECT cdcsync.wait_for('s', '30s')"), 't', '... until there is room');
is($small->sql('SELECT count(*) FROM item'), 3, '... with all of it');

foreach my $on ($node, $small)
{
	log_has_no($on, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
	log_has_no($on, 'cdcsync (?:apply worker|launcher) ERROR', 'no worker has died of an error');
}
done_testing();

sub item
{
	my ($partition, $peer, $time) = @_;
	my $us = $node->safe_psql('postgres', "SELECT (extract(epoch FROM timestamptz '$time+00') * 1000000)::bigint");

	return change($partition, 'c', 'item', undef, { id => ++$id, v => 1 }, name => $peer, ts_us => 0 + $us);
}

sub memo
{
	my ($time, $key, %source) = @_;

	return change(0, 'c', "memo_$time", undef, { id => $key, body => 'remote' }, name => 'alpha', %source);
}

# of a topic's records, in milliseconds
sub record_times
{
	my ($topic) = @_;

	return split(/\n/, `kcat -q -C -e -o beginning -f '%T\n' -b $ENV{KAFKA} -t $topic`);
}

# The events in a topic of a real connector
sub events
{
	my ($topic) = @_;
	my @events = `kcat -q -C -e -o beginning -b $ENV{KAFKA} -t $topic 2>/dev/null`;

	return map { $_->{payload} // $_ } map { decode_json($_) } grep { /\S/ } @events;
}
