# What one may cost the others: code of a table's owner that waits, and what else must have bounds.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink', "cdcsync.apply_timeout = '2s'");
my ($slow, $good) = map { make_topic($_) } qw(slow good);
my $state = "SELECT state FROM cdcsync.stat_subscription WHERE subscription = ";
my $in_sleep = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND wait_event = 'PgSleep'};
$node->sql(<<'END');
CREATE TABLE slow (id int PRIMARY KEY, body text, v bigint NOT NULL);
CREATE TABLE good (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT cdcsync.add_table('slow', version_column => 'v'), cdcsync.add_table('good', version_column => 'v');
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.body = 'wait' THEN PERFORM pg_catalog.pg_sleep(3600); END IF;
	RETURN new;
END $$;
CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait();
ALTER TABLE slow ENABLE ALWAYS TRIGGER wait;
END
$node->sql("SELECT cdcsync.subscribe('slow', '{$slow}'), cdcsync.subscribe('good', '{$good}')");

# --- a trigger that waits ----------------------------------------------------------------------------------

produce($slow, map { change(0, 'c', 'slow', undef, { id => $_, body => $_ == 21 ? 'wait' : 'x', v => 1 }) } 1 .. 40);
produce($good, map { change(0, 'c', 'good', undef, { id => $_, body => 'x', v => 1 }) } 1 .. 40);
becomes($node, position_of($good, 0), 'streaming 40', 'a trigger that waits: other tables go on');
becomes($node, position_of($slow, 0), 'error 20', '... its partition stops at the one event');
is($node->sql('SELECT count(*), max(id) FROM slow'), '20|20', '... what is before it is there');
like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = 'slow'"),
	qr/^applying it took longer than 2000 ms\nHINT: See the context.*cdcsync\.apply_timeout.*\nCONTEXT: .*PL\/pgSQL function public\.wait\(\)/s, '... it is said why');
$node->sql("SELECT cdcsync.alter_subscription('slow', on_error => 'dead_letter')");
becomes($node, position_of($slow, 0), 'streaming 40', '... or is kept as a dead letter');

# --- what interrupts it -------------------------------------------------------------------------------------

$node->sql("ALTER SYSTEM SET cdcsync.apply_timeout = 0");
$node->reload;
# a worker that begins now has the new setting
my $old = worker_pid($node);
$node->sql('SELECT cdcsync.restart_workers()');
becomes($node, "SELECT count(*) FROM cdcsync.stat_subscription WHERE pid <> $old AND state = 'streaming'", 2, 'no limit');
my $id = 100;
sub sleeps
{
	my ($name) = @_;

	produce($slow, change(0, 'c', 'slow', undef, { id => ++$id, body => 'wait', v => 1 }));
	becomes($node, $in_sleep, 1, "$name: the worker waits");
	return;
}

sub go_on
{
	my ($what) = @_;

	$node->sql("SELECT cdcsync.skip('slow', '$slow', 0, next_offset) FROM cdcsync.subscription_offset WHERE subscription = 'slow'");
	$node->sql("SELECT cdcsync.resume('slow')");
	becomes($node, q{SELECT bool_and(next_offset = end_offset) FROM cdcsync.stat_subscription}, 't', "... and goes on behind it $what");
	return;
}

sleeps('pause()');
becomes($node, q{SELECT problem FROM cdcsync.check() WHERE subject = 'worker'}, qr/^it has been applying one transaction for 00:00:/, '... check() says so');
$node->sql("SELECT cdcsync.pause('slow')");
unlike($node->sql("$state 'slow'") . $node->sql($in_sleep), qr/paused1/, '... it is not paused while it waits');
becomes($node, "$state 'slow'", 'paused', '... it is interrupted');
is($node->sql($in_sleep), 0, '... and waits no more');
is($node->sql(q{SELECT count(*) FROM cdcsync.check() WHERE subject = 'worker'}), 0, '... check() has no more to say of it');
go_on('pause()');

sleeps('DDL');
$node->sql('ALTER TABLE slow DISABLE TRIGGER wait');
pass('... it gives way to a command that waits for the table');
becomes($node, "SELECT body FROM slow WHERE id = $id", 'wait', '... after which it applies');
$node->sql('ALTER TABLE slow ENABLE ALWAYS TRIGGER wait');

sleeps('unsubscribe()');
$node->sql("SELECT cdcsync.unsubscribe('slow')");
becomes($node, $in_sleep, 0, '... it is interrupted');
$node->sql("SELECT cdcsync.subscribe('slow', '{$slow}', start_at => 'latest')");
becomes($node, "$state 'slow'", 'streaming', '... and there again');

sleeps('restart_workers()');
$node->sql('CREATE ROLE clerk IN ROLE cdcsync_admin');
my $pid = worker_pid($node);
is($node->sql('SET ROLE clerk; SELECT cdcsync.restart_workers()'), "1", '... cdcsync_admin may end it');
becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", 0, '... it ends');
becomes($node, $in_sleep, 1, '... another begins');
$node->sql("SELECT cdcsync.pause('slow')");
becomes($node, "$state 'slow'", 'paused', '... and is interrupted');
go_on('restart_workers()');

# --- code that will not be cancelled ---------------------------------------------------------------------------

$node->sql("ALTER SYSTEM SET cdcsync.apply_timeout = '1s'");
$node->reload;
$node->sql(<<'END');
CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WHILE new.body = 'wait' LOOP
		BEGIN PERFORM pg_catalog.pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END;
	END LOOP;
	RETURN new;
END $$;
END
$pid = worker_pid($node);
sleeps('who catches the cancellation');
becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", 0, '... is ended');
$node->sql("SELECT cdcsync.pause('slow')");
becomes($node, "$state 'slow'", 'paused', '... does not keep anybody from pausing', 60);
$node->sql('ALTER TABLE slow DISABLE TRIGGER wait');
go_on('it');

# --- DDL of somebody, which mends nothing ---------------------------------------------------------------------------

my $stopped = qq{LOG:  subscription "slow" stopped at topic "$slow"};
$node->sql('ALTER TABLE slow ADD CONSTRAINT small CHECK (id < 5000); CREATE ROLE plain');
produce($slow, change(0, 'c', 'slow', undef, { id => 5000, body => 'x', v => 1 }));
becomes($node, "$state 'slow'", 'error', 'a partition stops at a constraint');
my $stops = log_lines($node, $stopped);
$node->sql(join "\n", 'SET ROLE plain;', ('CREATE TEMP TABLE mine (); DROP TABLE mine;') x 1500);
ok(wait_until('a try', sub { log_lines($node, $stopped) > $stops }), '... DDL of anybody lets it try again');
# the pauses are 0.1 s, 0.2 s, 0.4 s ...
cmp_ok(log_lines($node, $stopped) - $stops, '<=', 8, '... 3000 commands do not let it try all the time');
$node->sql('ALTER TABLE slow DROP CONSTRAINT small');
is($node->sql("SELECT cdcsync.wait_for('slow', '60s')"), 't', '... DDL of its table does, at once');
is($node->sql('SELECT count(*) FROM slow WHERE id = 5000'), 1, '... and mends it');

# --- a handler that waits ---------------------------------------------------------------------------------------

$node->sql(<<'END');
CREATE FUNCTION think(c cdcsync.conflict) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF c.remote_row ->> 'body' = 'wait' THEN PERFORM pg_catalog.pg_sleep(3600); END IF;
	RETURN '{"resolution": "apply_remote"}';
END $$;
SELECT cdcsync.alter_table_rule('good', conflicts => '{"insert_exists": "public.think"}');
END
$node->sql("UPDATE good SET body = 'here', v = 2");
produce($good, map { change(0, 'c', 'good', undef, { id => $_, body => $_ == 5 ? 'wait' : 'again', v => 3 }) } 1 .. 10);
becomes($node, position_of($good, 0), 'error 44', 'a handler that waits: its partition stops at the one event');
like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = 'good'"), qr/^applying it took longer than 1000 ms.*function public\.think/s, '... it is said why');
produce($slow, change(0, 'c', 'slow', undef, { id => 1000, body => 'x', v => 1 }));
becomes($node, 'SELECT count(*) FROM slow WHERE id = 1000', 1, '... the others go on');

# --- records ------------------------------------------------------------------------------------------------------

sub set
{
	$node->sql("ALTER SYSTEM SET $_[0]");
	$node->reload;
	return;
}

set('cdcsync.max_conflicts = 20');
$node->sql('ALTER TABLE good ADD note text; SELECT cdcsync.skip(subscription, topic, partition, next_offset) FROM cdcsync.stat_subscription WHERE state = $$error$$');
$node->sql(q{SELECT cdcsync.alter_table_rule('good', conflicts => '{"insert_exists": "keep_local"}'); UPDATE good SET v = 1000; SELECT cdcsync.resume(NULL)});
is($node->sql("SELECT cdcsync.wait_for('good', '60s')"), 't', 'a table without a handler');
produce($good, map { change(0, 'c', 'good', undef, { id => 1, body => "n$_", v => 10 + $_ }) } 1 .. 200);
is($node->sql("SELECT cdcsync.wait_for('good', '60s')"), 't', '200 conflicts');
my $history = q{FROM cdcsync.conflict_history WHERE relation = 'good'::regclass};
cmp_ok($node->sql("SELECT count(*) $history"), '<=', 20, '... are not all kept');
is($node->sql("SELECT max(remote_row ->> 'v') $history"), 210, '... the newest are');
cmp_ok($node->sql("SELECT count(*) $history"), '>=', 18, '... as many as may be');
like($node->sql("SELECT problem FROM cdcsync.check() WHERE subject = 'table public.good' AND problem ~ 'max_conflicts'"), qr/as many conflicts of it as are kept \(cdcsync\.max_conflicts\)/, '... check() says so');
set('cdcsync.max_conflicts = 10');
$node->sql('SELECT cdcsync.restart_workers()');
produce($good, change(0, 'c', 'good', undef, { id => 1, body => 'one more', v => 500 }));
is($node->sql("SELECT cdcsync.wait_for('good', '60s')"), 't', 'the limit is lowered');
is($node->sql("SELECT count(*), max((remote_row ->> 'v')::int) $history"), '9|500', '... what is too much goes with the next');

# one is there
set('cdcsync.max_dead_letters = 4');
$node->sql('SELECT cdcsync.restart_workers(); DELETE FROM good');
$node->sql("ALTER TABLE good ADD CONSTRAINT bad CHECK (body <> 'bad'); SELECT cdcsync.alter_subscription('good', on_error => 'dead_letter')");
my ($next) = $node->sql(position_of($good, 0)) =~ / (\d+)$/;
produce($good, map { change(0, 'c', 'good', undef, { id => $_, body => 'bad', v => 2000 }) } 1 .. 5);
becomes($node, position_of($good, 0), 'error ' . ($next + 3), 'dead letters up to the limit: then the partition stops');
is($node->sql("SELECT count(*) FROM cdcsync.dead_letter WHERE status = 'failed'"), 4, '... they are kept');
like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = 'good'"),
	qr/^there are as many dead letters as this database may keep\nDETAIL: This message cannot be applied: new row.*violates check constraint "bad"\nHINT: .*cdcsync\.max_dead_letters/s, '... it is said why');
is($node->sql("SELECT level FROM cdcsync.check() WHERE subject = 'cdcsync.max_dead_letters'"), 'error', '... and by check()');
$node->sql("SELECT cdcsync.skip_dead_letter(min(id)) FROM cdcsync.dead_letter WHERE status = 'failed'");
becomes($node, position_of($good, 0), 'error ' . ($next + 4), 'one that is skipped makes room for one');
set('cdcsync.max_dead_letters = -1');
$node->sql("SELECT cdcsync.resume('good')");
becomes($node, position_of($good, 0), 'streaming ' . ($next + 5), 'without a limit all are kept');
is($node->sql("SELECT count(*) FROM cdcsync.check() WHERE subject = 'cdcsync.max_dead_letters'"), 0, '... and check() is silent');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync apply worker ERROR', 'no worker has died of an error');
done_testing();
