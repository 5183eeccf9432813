# Bad input: each kind stops its partition, says why and what to do, and spins nowhere; the others go on; nothing is
# lost; and what mends the cause makes it go on.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('sink');
$node->sql(<<'END');
CREATE TABLE good (id int PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE item (id int PRIMARY KEY, body varchar(5) NOT NULL CHECK (body <> 'bad'), code int,
	EXCLUDE (code WITH =),
	place point, v bigint NOT NULL);
CREATE TABLE busy (id int PRIMARY KEY, v bigint NOT NULL);
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{good,item,busy}'::regclass[]) AS t;
INSERT INTO item VALUES (50, 'local', 9, NULL, 1);
END

# A partition each: an event that goes well, a bad one, one that goes well.
my @cases = (
	{   name => 'no JSON',
		message => 'this is no JSON',
		error => qr/^invalid JSON in message value\nDETAIL: Token "this" is invalid\.\nHINT: Set key\.converter/,
	},
	{   name => 'no change event',
		message => '{"id": 1, "v": 1}',
		error => qr/^message value is not a Debezium change event\nDETAIL: .*\nHINT: /,
	},
	{   name => 'a table that is not registered',
		message => event('c', 'later', undef, { id => 1, v => 1 }),
		error => qr/^no table is registered for "public\.later"\nHINT: Register it with cdcsync\.add_table, or set on_unknown_table/,
		mend => q{CREATE TABLE later (id int PRIMARY KEY, v bigint NOT NULL);
			SELECT cdcsync.add_table('later', version_column => 'v')},
		after => [ 'SELECT * FROM later', '1|1' ],
	},
	{   name => 'a column that does not exist',
		message => event('c', 'item', undef, { id => 3, body => 'x', extra => 'e', v => 1 }),
		error => qr/^column "extra" of the event does not exist in table public\.item\nHINT: Add the column, or map it/,
		mend => 'ALTER TABLE item ADD extra text',
		after => [ 'SELECT extra FROM item WHERE id = 3', 'e' ],
	},
	{   name => 'NOT NULL',
		message => event('c', 'item', undef, { id => 4, body => undef, v => 1 }),
		error => qr/^null value in column "body" of relation "item" violates not-null constraint\nDETAIL: .*\nHINT: Mend the cause, then run cdcsync\.resume/,
		mend => 'ALTER TABLE item ALTER body DROP NOT NULL',
		after => [ 'SELECT body IS NULL FROM item WHERE id = 4', 't' ],
	},
	{   name => 'CHECK',
		message => event('c', 'item', undef, { id => 5, body => 'bad', v => 1 }),
		error => qr/^new row for relation "item" violates check constraint "item_body_check"\nDETAIL: .*\nHINT: Mend the cause/,
		mend => 'ALTER TABLE item DROP CONSTRAINT item_body_check',
		after => [ 'SELECT body FROM item WHERE id = 5', 'bad' ],
	},
	{   name => 'a value that is too long',
		message => event('c', 'item', undef, { id => 6, body => 'too long', v => 1 }),
		error => qr/^value does not fit into column "body" of type character varying\(5\)\nDETAIL: .*\nHINT: Give the column a type/,
		mend => 'ALTER TABLE item ALTER body TYPE text',
		after => [ 'SELECT body FROM item WHERE id = 6', 'too long' ],
	},
	{   name => 'a form that the type never has',
		message => event('c', 'item', undef, { id => 7, body => 'x', place => '(1,2)', v => 1 }),
		error => qr/^invalid value for column "place" of type point\nDETAIL: It is the string "\(1,2\)"/,
		mend => 'ALTER TABLE item ALTER place TYPE text USING place::text',
		after => [ 'SELECT place FROM item WHERE id = 7', '(1,2)' ],
	},
	{   name => 'an exclusion constraint',
		message => event('c', 'item', undef, { id => 9, body => 'x', code => 9, v => 1 }),
		error => qr/^conflicting key value violates exclusion constraint "item_code_excl"\nDETAIL: Key \(code\)=\(9\) conflicts with existing key \(code\)=\(9\)\.\nHINT: Mend the cause/,
		mend => q{UPDATE item SET code = NULL WHERE id = 50; SELECT cdcsync.resume('bad')},
		after => [ 'SELECT code FROM item WHERE id = 9', '9' ],
	},
	{   name => 'a value of another type',
		message => event('c', 'item', undef, { id => 8, body => 'x', code => 'eight', v => 1 }),
		error => qr/^invalid value for column "code" of type integer\nDETAIL: It is the string "eight"/,
		mend => 'ALTER TABLE item ALTER code TYPE text',
		after => [ 'SELECT code FROM item WHERE id = 8', 'eight' ],
	},
	{   name => 'a delete without a version',
		key => '{"id":50}',
		message => event('d', 'item', { id => 50 }, undef),
		error => qr/^delete event does not say the version of the row it deleted\n.*\nHINT: At its author, run SELECT cdcsync\.alter_table_rule/,
	},
	{   name => 'a name of a peer that could pass for another node',
		message => event('c', 'good', undef, { id => 1000, v => 1 }, name => 'x:t021-sink'),
		error => qr/^invalid name of a peer: "x:t021-sink"\n.*\nHINT: Give the peer's connector another topic\.prefix/,
	},
	{   name => 'a node that is not named as a peer',
		message => event('c', 'good', undef, { id => 1000, v => 1 }, name => 't021-sink'),
		error => qr/^node "t021-sink" is not a peer of subscription "\w+" in this topic\nDETAIL: Without peers.*\nHINT: If it may write there, name all who may: SELECT cdcsync\.alter_subscription\('\w+', peers => ARRAY\['t021-sink'\]\)/,
	},
	{   name => "cdcsync's own catalog",
		message => event('c', 'subscription', undef, { name => 'evil', v => 1 }, schema => 'cdcsync'),
		error => qr/^no table is registered for "cdcsync\.subscription"/,
	},
	{   name => "the server's catalog",
		message => event('d', 'pg_proc', { oid => 1, v => 1 }, undef, schema => 'pg_catalog'),
		error => qr/^no table is registered for "pg_catalog\.pg_proc"/,
	});
my $bad = make_topic('bad', @cases + 1);    # the last partition is all well
my $well = @cases;
my $other = make_topic('other');
my $locked = make_topic('locked', 2);
my $id = 0;
produce($bad, good($well), map { (good($_), [ $_, $cases[$_]{key} // '{"id":1}', $cases[$_]{message} ], good($_)) } 0 .. $#cases);
$node->sql(
	qq{SELECT cdcsync.subscribe(name, ARRAY[topic])
	FROM (VALUES ('bad', '$bad'), ('other', '$other'), ('locked', '$locked')) AS s (name, topic)});

becomes($node, position_of($bad, $well), 'streaming 1', 'a partition that is all well goes on');
foreach my $i (0 .. $#cases)
{
	becomes($node, position_of($bad, $i), 'error 1', "$cases[$i]{name}: the partition stops there");
	like(last_error($i), $cases[$i]{error}, '... and says why');
	like(last_error($i), qr/message of topic "$bad" partition $i offset 1$/, '... and where');
}
is($node->sql('SELECT count(*) FROM good'), @cases + 1, 'what came before is applied');
like(
	error_of($node, "SELECT cdcsync.wait_for('bad', '20s')"),
	qr/ERROR:  subscription "bad" has stopped at an error in partition 0 of topic "$bad"
DETAIL:  invalid JSON.*HINT:  Mend the cause, then run SELECT cdcsync\.resume\('bad'\)/s,
	'wait_for says that it would wait for ever');

like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE last_error LIKE '%item_body_check%'"), qr/DETAIL: Failing row contains/,
	'cdcsync_admin sees the row that was refused');
is($node->sql(q{SET ROLE pg_monitor; SELECT count(*) FILTER (WHERE last_error LIKE '%DETAIL%'), count(*) FILTER (WHERE last_error LIKE '%HINT: Mend%') > 0
	FROM cdcsync.stat_subscription}), '0|t', '... who may monitor does not');
is($node->sql(q{SET ROLE pg_monitor; SELECT count(*) FROM cdcsync.stat_subscription WHERE last_error ~ 'eight|too long|1,2|CONTEXT'}), 0, '... nor values');
is($node->sql(q{SET ROLE cdcsync_admin; SELECT count(*) FROM cdcsync.stat_subscription WHERE last_error ~ 'eight|too long|1,2|CONTEXT|DETAIL'}), 0,
	'... nor an administrator who may not read the table');

# --- others, while they are in error ----------------------------------------------------------------

my $stops = qr/subscription "bad" stopped at topic "$bad" partition \d+ offset 1/;
my $worker = worker_pid($node);
my ($start, $cpu, $stopped) = (time, cpu_seconds($worker), log_lines($node, $stops));
cmp_ok($stopped, '>=', @cases, 'all are in the log');

produce($other, good(0));
is($node->sql("SELECT cdcsync.wait_for('other', '20s')"), 't', 'another subscription goes on');
produce($bad, good($well));
becomes($node, position_of($bad, $well), 'streaming 2', 'so does the partition that is all well');
is($node->sql('SELECT count(*) FROM good'), @cases + 3, '... and both events are here');

# a lock for longer than the worker waits for one
my $user = $node->background_psql('app');
$user->query_safe('BEGIN; LOCK TABLE busy IN SHARE MODE');
produce($locked, change(0, 'c', 'busy', undef, { id => 1, v => 1 }));
becomes(
	$node,
	"SELECT state || ' ' || next_offset || ' ' || last_error FROM cdcsync.stat_subscription
		WHERE topic = '$locked' AND partition = 0",
	qr/^waiting 0 canceling statement due to lock timeout/,
	'a table is locked: the partition waits');
produce($locked, good(1));
becomes($node, position_of($locked, 1), 'streaming 1', '... the other one goes on');
is($node->sql("SELECT cdcsync.wait_for('locked', '0s')"), 'f', '... wait_for has to wait');
is(log_lines($node, 'subscription "locked" will read topic "\S+" partition 0 again from offset 0'),
	1, '... the log says so once');
$user->quit;
is($node->sql("SELECT cdcsync.wait_for('locked', '60s')"), 't', '... it goes on');
is($node->sql('SELECT * FROM busy'), '1|1', '... with what had waited');

cmp_ok(time - $start, '>=', 3, 'in all this time');
cmp_ok(cpu_seconds($worker) - $cpu, '<', 1, '... the worker had little to do');
is(log_lines($node, $stops), $stopped, '... and nothing to say of the errors');
is(worker_pid($node), $worker, '... and it is the same worker');

# --- mending ------------------------------------------------------------------------------------------

$node->sql("SELECT cdcsync.pause('bad')");
becomes($node, "SELECT string_agg(DISTINCT state, ',') FROM cdcsync.stat_subscription WHERE subscription = 'bad'",
	'paused', 'pause is stronger than an error');
like(
	error_of($node, "SELECT cdcsync.wait_for('bad')"),
	qr/ERROR:  subscription "bad" is paused\nHINT:  Run SELECT cdcsync\.resume\('bad'\)/,
	'... wait_for says so');
$node->sql('ALTER TABLE item ADD unrelated text');
is($node->sql("SELECT string_agg(DISTINCT state, ',') FROM cdcsync.stat_subscription WHERE subscription = 'bad'"),
	'paused', '... no DDL ends it');
$node->sql("SELECT cdcsync.resume('bad')");
becomes(
	$node,
	"SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$bad' AND state = 'error'",
	scalar @cases,
	'... resume comes to the errors again');

foreach my $i (grep { $cases[$_]{mend} } 0 .. $#cases)
{
	my ($sql, $expected) = @{ $cases[$i]{after} };

	$node->sql($cases[$i]{mend});
	becomes($node, position_of($bad, $i), 'streaming 3', "$cases[$i]{name}: mended, it goes on by itself");
	is($node->sql($sql), $expected, '... with the event');
}

my $catalogs = 'SELECT (SELECT count(*) FROM cdcsync.subscription), (SELECT count(*) FROM pg_proc)';
my $before = $node->sql($catalogs);
$node->sql("SELECT cdcsync.alter_subscription('bad', on_unknown_table => 'skip')");
foreach my $i (grep { $cases[$_]{name} =~ /catalog/ } 0 .. $#cases)
{
	becomes($node, position_of($bad, $i), 'streaming 3', "$cases[$i]{name}: is skipped");
}
is($node->sql($catalogs), $before, '... and not written');
is($node->sql('SELECT events, skipped FROM cdcsync.stat_tables() WHERE relation = 0'), '2|2', '... and counted');

foreach my $i (grep { !$cases[$_]{mend} && $cases[$_]{name} !~ /catalog/ } 0 .. $#cases)
{
	becomes($node, position_of($bad, $i), 'error 1', "$cases[$i]{name}: stands where it stood");
}
$node->sql("SELECT cdcsync.unsubscribe('bad'); SELECT cdcsync.subscribe('bad', '{$bad}', start_at => 'latest')");
is($node->sql("SELECT cdcsync.wait_for('bad', '20s')"), 't', 'to begin anew is a way out of all of them');
my $had = $node->sql('SELECT count(*) FROM good');
produce($bad, map { good($_) } 0 .. $#cases);
is($node->sql("SELECT cdcsync.wait_for('bad', '20s')"), 't', '... for what comes later');
is($node->sql('SELECT count(*) FROM good'), $had + @cases, '... and is applied');

# --- what cannot be registered ------------------------------------------------------------------------

$node->sql('CREATE TABLE keyless (v bigint NOT NULL); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v bigint)');
foreach (
	[ 'keyless' => qr/cannot register table "keyless"\nDETAIL:  .*\nHINT:  Add a primary key/ ],
	[ 'unlogged' => qr/cannot register table "unlogged"\nDETAIL:  / ],
	[ 'cdcsync.subscription' => qr/cannot register table "subscription"\nDETAIL:  It belongs to the system or to cdcsync/ ],
	[ 'pg_catalog.pg_proc' => qr/cannot register table "pg_proc"\nDETAIL:  It belongs to the system or to cdcsync/ ])
{
	my ($table, $error) = @$_;
	like(error_of($node, "SELECT cdcsync.add_table('$table', version_column => 'v')"), $error, "$table is refused");
}

# --- settings that the Kafka client refuses -----------------------------------------------------------

my $state = "SELECT DISTINCT state || ' ' || last_error FROM cdcsync.stat_subscription WHERE topic = '$other'";
my $refused = qr/^waiting invalid value for parameter "cdcsync\.kafka_config"\nDETAIL: .*"no\.such\.property"/;
$node->append_conf('postgresql.conf', "cdcsync.kafka_config = 'no.such.property=1,sasl.password=geheim'");
$node->reload;
becomes($node, $state, $refused, 'a property that does not exist: the worker waits and says why');
produce($other, good(0));
$node->restart;
becomes($node, $state, $refused, '... likewise one that starts with it');
$worker = worker_pid($node);
$cpu = cpu_seconds($worker);
is($node->sql("SELECT cdcsync.wait_for('other', '2s')"), 'f', '... wait_for has to wait');
is(worker_pid($node), $worker, '... the same worker waits');
cmp_ok(cpu_seconds($worker) - $cpu, '<', 0.5, '... and has nothing to do meanwhile');
$node->append_conf('postgresql.conf', "cdcsync.kafka_config = ''");
$node->reload;
is($node->sql("SELECT cdcsync.wait_for('other', '20s')"), 't', '... until the setting is mended');
is($node->sql('SELECT count(*) FROM good'), $had + @cases + 1, '... and has lost nothing');

log_has_no($node, 'geheim', 'the log has no password');
log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync apply worker ERROR', 'no worker has died of an error');
done_testing();

# A message that goes well
sub good
{
	my ($partition) = @_;

	return change($partition, 'c', 'good', undef, { id => ++$id, v => 1 });
}

sub last_error
{
	my ($partition) = @_;

	return $node->sql(
		"SELECT last_error FROM cdcsync.stat_subscription WHERE topic = '$bad' AND partition = $partition");
}
