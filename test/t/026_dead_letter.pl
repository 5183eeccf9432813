# on_error => 'dead_letter': what cannot be applied is kept whole, the partition goes on, and the worker applies it when
# asked; skip(): one message is left out by hand.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('sink');
$node->sql(<<'END');
CREATE TABLE good (id int PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE item (id int PRIMARY KEY, body text CHECK (body <> 'bad'), at timestamptz, v bigint NOT NULL);
CREATE TABLE stamped (id int PRIMARY KEY, body text CHECK (body <> 'bad'));
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{good,item}'::regclass[]) AS t;
SELECT cdcsync.add_table('stamped');
END

my $id = 0;
my $topic = make_topic('letters', 3);
my $garbage = "\xff\xfeno \x01JSON";
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}', on_error => 'dead_letter')");

# --- kept, and on --------------------------------------------------------------------------------------

produce($topic, good(0), [ 0, "k\xff", $garbage ], good(0), change(0, 'c', 'item', undef, { id => 1, body => 'bad', v => 5 }));
IPC::Run::run([ 'kcat', '-q', '-P', '-b', $ENV{KAFKA}, '-t', $topic, '-p', 0, '-H', 'trace=a"b', '-H', 'empty=', '-k', '{"id":2}' ],
	'<', \event('c', 'later', undef, { id => 2, v => 1 })) or die 'kcat failed';
produce($topic, good(0));
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'the partition goes on');
is($node->sql('SELECT count(*) FROM good'), 3, '... with all that is good');
is($node->sql(position_of($topic, 0)), 'streaming 6', '... and streams');
like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE topic = '$topic' AND partition = 0"),
	qr/^no table is registered for "public\.later"/, '... and tells of the last one');
is($node->sql("SELECT count(*), bool_and(at > now() - interval '5 min') FROM cdcsync.dead_letter"), '3|t', 'three are kept');
my @kept = (
	[ 1, '22P02', qr/^invalid JSON in message value$|^invalid byte sequence/, unpack('H*', "k\xff"), unpack('H*', $garbage), '' ],
	[ 3, '23514', qr/^new row for relation "item" violates check constraint "item_body_check"$/, unpack('H*', '{"id":1}'),
		unpack('H*', event('c', 'item', undef, { id => 1, body => 'bad', v => 5 })), '' ],
	[ 4, '42P01', qr/^no table is registered for "public\.later"$/, unpack('H*', '{"id":2}'),
		unpack('H*', event('c', 'later', undef, { id => 2, v => 1 })), unpack('H*', '[["trace", "\\\\x612262"], ["empty", "\\\\x"]]') ]);
foreach my $i (0 .. $#kept)
{
	my ($offset, $sqlstate, $message, $key, $value, $headers) = @{ $kept[$i] };
	my $where = "FROM cdcsync.dead_letter WHERE topic = '$topic' AND partition = 0 AND \"offset\" = $offset";

	is($node->sql("SELECT id, subscription, status, encode(key, 'hex'), encode(value, 'hex'), encode(headers, 'hex') $where"),
		($i + 1) . "|peer|failed|$key|$value|$headers", "letter $i: its bytes");
	like($node->sql("SELECT message $where"), $message, '... what was wrong');
	isnt($node->sql("SELECT sqlstate $where"), '', '... by SQLSTATE');
	is($node->sql("SELECT sqlstate $where"), $sqlstate, '... the right one') if $i > 0;
	like($node->sql("SELECT context $where"), qr/message of topic "$topic" partition 0 offset $offset$/, '... and where');
}
is($node->sql("SELECT convert_from(headers, 'UTF8')::jsonb FROM cdcsync.dead_letter WHERE id = 3"),
	'[["trace", "\\\\x612262"], ["empty", "\\\\x"]]', 'headers are JSON');
is(log_lines($node, 'WARNING:  subscription "peer" keeps a dead letter: '), 3, 'a line in the log for each');
is($node->sql("SET ROLE pg_monitor; SELECT level, problem FROM cdcsync.check() WHERE subject = 'subscription peer'"),
	'warning|3 of its messages could not be applied, and are dead letters', '... and one of check()');

# --- applied when mended -------------------------------------------------------------------------------

$node->sql('SELECT cdcsync.retry_dead_letter(2)');
becomes($node, status(2), 'failed', 'not mended: it fails again');
is($node->sql(position_of($topic, 0)), 'streaming 6', '... and hinders nobody');
$node->sql('ALTER TABLE item DROP CONSTRAINT item_body_check; CREATE TABLE later (id int PRIMARY KEY, v bigint);
	SELECT cdcsync.add_table($$later$$, version_column => $$v$$)');
$node->sql("SELECT cdcsync.retry_dead_letter(id) FROM cdcsync.dead_letter WHERE status = 'failed' AND id > 1");
becomes($node, status($_), 'applied', "letter $_: mended, it is applied") foreach 2, 3;
is($node->sql('SELECT id, body, v FROM item'), '1|bad|5', '... with its row');
is($node->sql('SELECT * FROM later'), '2|1', '... and its table');
is($node->sql(position_of($topic, 0)), 'streaming 6', '... and the position stays');
is($node->sql("SELECT inserted FROM cdcsync.stat_table WHERE relation = 'item'::regclass"), 1, '... and it is counted');
is($node->sql("SELECT pg_replication_origin_progress(roname, true) IS NOT NULL FROM pg_replication_origin WHERE roname LIKE '%:t026'"),
	't', '... under the origin of its peer');

# versions decide, as if it came late
$node->sql("ALTER TABLE item ADD CHECK (body <> 'bad') NOT VALID");
foreach my $row ({ id => 1, body => 'bad', v => 6 }, { id => 1, body => 'newer', v => 7 })
{
	produce($topic, change(1, 'u', 'item', undef, $row));
	is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', "version $row->{v} comes");
}
$node->sql('ALTER TABLE item DROP CONSTRAINT item_body_check');
$node->sql('SELECT cdcsync.retry_dead_letter(4)');
becomes($node, status(4), 'applied', 'a letter older than the row');
is($node->sql('SELECT body, v FROM item'), 'newer|7', '... loses to it');

# under the commit clock its version is the time of its event
produce($topic, change(1, 'c', 'stamped', undef, { id => 1, body => 'bad' }));
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'a letter of a table without a version column');
$node->sql('ALTER TABLE stamped DROP CONSTRAINT stamped_body_check');
$node->sql($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'subscription peer'}));
becomes($node, status(5), 'applied', '... is applied by what check() says');
is($node->sql('SELECT pg_xact_commit_timestamp(xmin) FROM stamped'), $node->sql("SELECT '2026-01-01 00:00:00+00'::timestamptz"),
	'... with the time of its event');

# a fault that may pass by itself
produce($topic, change(1, 'c', 'item', undef, { id => 2, body => 'x', at => 'never', v => 1 }));
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'another letter');
$node->sql('ALTER TABLE item ALTER at TYPE text');
my $user = $node->background_psql('app');
$user->query_safe('BEGIN; LOCK TABLE item IN SHARE MODE');
$node->sql('SELECT cdcsync.retry_dead_letter(6)');
becomes($node, "SELECT count(*) FROM pg_locks WHERE relation = 'item'::regclass AND NOT granted", 1, 'the table is locked: it waits');
$user->quit;
becomes($node, status(6), 'applied', '... and is applied after that');

# --- skipped ------------------------------------------------------------------------------------------

$node->sql('SELECT cdcsync.skip_dead_letter(1)');
is($node->sql(status(1)), 'skipped', 'a letter that is not wanted');
$node->sql('SELECT cdcsync.retry_dead_letter(1)');
becomes($node, status(1), 'failed', '... wanted after all');
$node->sql('SELECT cdcsync.skip_dead_letter(1)');
foreach my $function (qw(retry_dead_letter skip_dead_letter))
{
	like(error_of($node, "SELECT cdcsync.$function(2)"), qr/ERROR:  dead letter 2 has been applied/, "$function: one that is applied");
	like(error_of($node, "SELECT cdcsync.$function(99)"), qr/ERROR:  dead letter 99 does not exist\nHINT:  See cdcsync\.dead_letter/,
		'... one that does not exist');
}

# the last record applied is read again when the worker starts: also one that was a letter
produce($topic, [ 1, '{"id":1}', $garbage ]);
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'the last record is a letter');
$node->restart;
produce($topic, good(1));
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', '... a restart goes on behind it');
is($node->sql('SELECT count(*) FROM cdcsync.dead_letter'), 7, '... and keeps it once');

# --- one message left out by hand ---------------------------------------------------------------------

$node->sql("SELECT cdcsync.alter_subscription('peer', on_error => 'pause')");
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'the worker has taken it over');
produce($topic, good(2), [ 2, '{"id":1}', $garbage ], good(2));
becomes($node, position_of($topic, 2), 'error 1', 'a partition that stops');
my $position = "'peer', '$topic', 2";
like(error_of($node, "SELECT cdcsync.skip($position, 0)"),
	qr/ERROR:  cannot skip offset 0\nDETAIL:  The next one to apply is 1\.\nHINT:  .*next_offset/, 'one that is done cannot be skipped');
like(error_of($node, "SELECT cdcsync.skip($position, 2)"), qr/ERROR:  cannot skip offset 2\n/, '... nor one that is to come');
like(error_of($node, "SELECT cdcsync.skip('peer', '$topic', 7, 1)"),
	qr/ERROR:  subscription "peer" has no position in topic "$topic" partition 7/, '... nor one of no partition');
$node->sql("SELECT cdcsync.skip($position, 1)");
becomes($node, position_of($topic, 2), 'streaming 3', '... the one it is stopped at can');
is($node->sql('SELECT count(*) FROM good'), 6, '... and what follows is applied');
like(error_of($node, "SELECT cdcsync.skip($position, 1)"), qr/ERROR:  cannot skip offset 1\n/, '... and not twice');
is(log_lines($node, qq{LOG:  subscription "peer" skips topic "$topic" partition 2 offset 1}), 1, '... the log says so');
$node->restart;
produce($topic, good(2));
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', '... it holds after a restart');

# records may be missing before it: what an aborted transaction left, for one
my $gaps = make_topic('gaps');
$node->sql("SELECT cdcsync.subscribe('gaps', '{$gaps}')");
produce($gaps, good(0));
IPC::Run::run([ $ENV{CDC_STACK}, '--dir', "$ENV{CDC_RUN}/stack", 'transaction', $gaps, 0, 'abort' ], '<', \"one\ntwo\n", '>', '/dev/null')
  or die 'no transaction';
ok(wait_until('the abort', sub { stack('topic-offsets', $gaps) =~ / 4$/m }), 'a transaction that is aborted leaves a gap');
produce($gaps, [ 0, '{"id":1}', $garbage ], good(0));
becomes($node, position_of($gaps, 0), 'error 4', 'behind a gap: the partition stops at the record itself');
$node->sql("SELECT cdcsync.skip('gaps', '$gaps', 0, 4)");
becomes($node, position_of($gaps, 0), 'streaming 6', '... which can be skipped');

# the null value behind a delete goes with it, also when the delete is left out
produce($gaps, [ 0, '{"id":1}', event('d', 'absent', { id => 1 }, undef) ], [ 0, '{"id":1}', undef ], good(0));
becomes($node, position_of($gaps, 0), 'error 6', 'a delete that cannot be applied');
$node->sql("SELECT cdcsync.skip('gaps', '$gaps', 0, 6)");
becomes($node, position_of($gaps, 0), 'streaming 9', '... is left out with the null value behind it');
$node->sql("SELECT cdcsync.unsubscribe('gaps')");

# a partition that is at work moves only by its worker
$node->sql("SELECT cdcsync.pause('peer')");
becomes($node, position_of($topic, 2), 'paused 4', 'paused');
produce($topic, good(2), good(2));
$node->sql("SELECT cdcsync.skip($position, 4); SELECT cdcsync.resume('peer')");
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'one of a paused subscription');
is($node->sql('SELECT count(*) FROM good'), 11, '... is left out as well');

# --- the rest -----------------------------------------------------------------------------------------

is($node->sql('SHOW cdcsync.dead_letter_retention'), '30d', 'what is done is forgotten some time');
like(error_of($node, 'SET ROLE pg_monitor; SELECT * FROM cdcsync.dead_letter'), qr/permission denied/, 'who may monitor does not see rows');
is($node->sql('SET ROLE cdcsync_admin; SELECT count(*) FROM cdcsync.dead_letter'), 7, '... who administers does');

$node->sql("SELECT cdcsync.unsubscribe('peer')");
like(error_of($node, 'SELECT cdcsync.retry_dead_letter(7)'),
	qr/ERROR:  subscription "peer" does not exist\nDETAIL:  It brought dead letter 7\.\nHINT:  Apply it by hand/,
	'letters outlive their subscription');
$node->sql('SELECT cdcsync.skip_dead_letter(7)');
is($node->sql(status(7)), 'skipped', '... and can be skipped');
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync apply worker ERROR', 'no worker has died of an error');
done_testing();

# A message that goes well
sub good
{
	my ($partition) = @_;

	return change($partition, 'c', 'good', undef, { id => ++$id, v => 1 });
}

sub status
{
	my ($letter) = @_;

	return "SELECT status FROM cdcsync.dead_letter WHERE id = $letter";
}
