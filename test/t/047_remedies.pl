# Errors and their remedies: no text of others is taken for cdcsync's own, and what is said to mend a fault does.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# --- text of others ---------------------------------------------------------------------------------------

my $node = make_node('node');
my $esc = "\e]0;owned\a";
my $rtl = "\x{202e}";
$node->sql(<<'END');
CREATE TABLE trapped (id int PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE item (id int PRIMARY KEY, n int, v bigint NOT NULL);
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{trapped,item}'::regclass[]) AS t;
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION E'bad\nHINT: ALTER ROLE bob SUPERUSER; \e[31m'
		USING DETAIL = E'more\nHINT: ALTER ROLE bob SUPERUSER;', HINT = 'ALTER ROLE bob SUPERUSER;';
END $$;
CREATE TRIGGER trap BEFORE INSERT ON trapped FOR EACH ROW EXECUTE FUNCTION trap();
ALTER TABLE trapped ENABLE ALWAYS TRIGGER trap;
END
my $topic = make_topic('item', 4);
my $evil = "x\nHINT: ALTER ROLE bob SUPERUSER;$esc$rtl";
produce($topic,
	change(0, 'c', 'trapped', undef, { id => 1, v => 1 }),
	change(1, 'c', 'item', undef, { id => 1, n => $evil, v => 1 }),
	change(2, 'c', 'item', undef, { id => 2, v => 1 }, name => ":$evil"),
	change(3, 'c', $evil, undef, { id => 3, v => 1 }));
$node->sql("SELECT cdcsync.subscribe('s', '{$topic}')");
becomes($node, q{SELECT count(*) FROM cdcsync.stat_subscription WHERE state = 'error'}, 4, 'four partitions stop at what others wrote');
is($node->sql(q{SELECT count(*) FROM cdcsync.check() WHERE remedy ~ 'bob'}), 0, 'no remedy is theirs');
is($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject ~ 'partition 0'}), "Mend the cause, then: SELECT cdcsync.resume('s')",
	'... that of a trigger neither');
is($node->sql(q{SELECT count(*) FROM cdcsync.stat_subscription WHERE last_error ~ '\nHINT: ALTER|[\x01-\x08\x0b-\x1f\x7f]'}), 0,
	'no line of last_error begins as they want, and none has control characters');
is($node->sql(qq{SELECT count(*) FROM cdcsync.stat_subscription WHERE last_error LIKE '%$rtl%'}), 0, '... or turns around');
is($node->sql(q{SELECT last_error_sqlstate, last_error_hint IS NULL FROM cdcsync.stat_subscription WHERE partition = 0}), 'P0001|t',
	'the hint of a trigger is not cdcsync\'s');
like($node->sql(q{SELECT last_error FROM cdcsync.stat_subscription WHERE partition = 0}),
	qr/^bad\\nHINT: ALTER.*\nDETAIL: more\\nHINT.*\nHINT of other code: ALTER ROLE bob SUPERUSER;\nCONTEXT: PL/, '... and is told apart');
unlike(slurp_file($node->logfile), qr/[\e\a]|$rtl|\xe2\x80\xae/, 'nor has the log');
$node->sql("SELECT cdcsync.alter_subscription('s', on_error => 'dead_letter')");
becomes($node, q{SELECT count(*) FROM cdcsync.dead_letter WHERE status = 'failed'}, 4, 'as dead letters');
is($node->sql(q{SELECT count(*) FROM cdcsync.dead_letter WHERE concat(message, detail) ~ '[\x01-\x1f\x7f]'}), 0, '... they are as harmless');
unlike(slurp_file($node->logfile), qr/[\e\a]|\xe2\x80\xae/, '... in the log, too');

# a conflict's key, and names in commands
my $keyed = make_topic('keyed');
$node->sql(q{CREATE TABLE keyed (id text PRIMARY KEY, n int, v bigint NOT NULL); SELECT cdcsync.add_table('keyed', version_column => 'v')});
produce($keyed, map { change(0, 'u', 'keyed', { id => $evil, n => 7, v => 1 }, { id => $evil, n => $_, v => 1 + $_ }) } 1, 2);
$node->sql("SELECT cdcsync.unsubscribe('s'), cdcsync.subscribe('x''; DROP TABLE item; --', '{$keyed}')");
becomes($node, q{SELECT count(*) > 0 FROM cdcsync.conflict_history}, 't', 'a conflict at a key of theirs');
unlike(slurp_file($node->logfile), qr/[\e\a]|\xe2\x80\xae/, '... is told in the log');
$node->sql('SELECT cdcsync.pause()');
is($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'paused'}), q{SELECT cdcsync.resume('x''; DROP TABLE item; --')}, 'a name is quoted');
$node->sql($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'paused'}));
is($node->sql(q{SELECT count(*) FROM cdcsync.check() WHERE problem ~ 'paused'}), 0, '... and the command works');

# words of a shell
foreach my $word ('plain-1.x', q{it's}, '$(touch /tmp/x)', "a b;`c`", '')
{
	my $said = $node->sql('SELECT cdcsync.shell_word($x$' . $word . '$x$)');
	is(`printf %s $said`, $word, "a shell takes $said as it was");
}
like($node->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'connector'}), qr/^psql -p \d+ -d app -Atc /, 'psql is told the port');
my $odd = q{host=evil 'x\\"$(false)};
$node->safe_psql('postgres', 'CREATE DATABASE "' . $odd =~ s/"/""/gr . '"');
$node->safe_psql($odd, 'CREATE EXTENSION cdcsync');
my $command = $node->safe_psql($odd, 'SELECT cdcsync.psql_command()');
local $ENV{PGHOST} = $node->host;
is(`$command -Atc 'SELECT current_database()'`, "$odd\n", '... and the database, whatever its name');

done_testing();
