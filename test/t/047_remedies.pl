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

# --- what mends it ----------------------------------------------------------------------------------------

# a topic that is deleted and made anew while nobody reads it: one command, and no option is lost
my $home = make_node('home');
my $lost = make_topic('lost');
my $options = q{SELECT topics, conflicts, origin, event_time, on_error, on_unknown_table, producer FROM cdcsync.subscription WHERE name = 'it''s'};
$home->sql(q{CREATE TABLE lost (id int PRIMARY KEY, v bigint NOT NULL); SELECT cdcsync.add_table('lost', version_column => 'v')});
$home->sql("SELECT cdcsync.subscribe('it''s', '{$lost}', conflicts => '{\"update_exists\": \"error\"}', on_unknown_table => 'skip', producer => '{}')");
my $had = $home->sql($options);
produce($lost, map { change(0, 'c', 'lost', undef, { id => $_, v => 1 }) } 1 .. 3);
becomes($home, 'SELECT count(*) FROM lost', 3, 'a topic is read');
$home->stop;
stack('topic-delete', $lost);
$home->start;
becomes($home, q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'does not exist'}, qr/restart the connector.*SELECT cdcsync\.reset_subscription\('it''s'\)/, 'it is gone: what to do');
$home->stop;
make_topic('lost');
produce($lost, change(0, 'c', 'lost', undef, { id => 4, v => 1 }));
$home->start;
becomes($home, q{SELECT state FROM cdcsync.stat_subscription}, 'error', 'it is another: the partition stops');
my ($reset) = $home->sql(q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'the topic'}) =~ /(SELECT cdcsync\.reset_subscription.*)\.$/;
$home->sql('SELECT cdcsync.resume()');
becomes($home, q{SELECT state FROM cdcsync.stat_subscription}, 'error', 'resume is no way out');
$home->sql($reset);
becomes($home, 'SELECT count(*) FROM lost', 4, 'what is said is one');
is($home->sql($options), $had, '... with the options it had');
is($home->sql("SELECT cdcsync.wait_for('it''s', '20s')"), 't', '... and all is well');
like(error_of($home, "SELECT cdcsync.reset_subscription('nobody')"), qr/subscription "nobody" does not exist/, '... of one that is not there');
$home->sql("SELECT cdcsync.reset_subscription('it''s', start_at => 'latest')");
is($home->sql("SELECT cdcsync.wait_for('it''s', '20s')"), 't', '... from its end');

# a typo
$home->sql("SELECT cdcsync.subscribe('typo', '{t047.public.lsot}')");
becomes($home, q{SELECT remedy FROM cdcsync.check() WHERE subject ~ 'typo'}, qr/^Perhaps the topic "t047\.public\.lost" is meant/, 'a typo');
$home->sql(q{SELECT cdcsync.unsubscribe('typo')});

# a column that a peer has no more: its type stands in the command
$home->sql(q{ALTER TABLE lost ADD note varchar(7), ADD price numeric(8,2)});
my $row = q{"type": "struct", "optional": true, "fields": [{"field": "id", "type": "int32"}, {"field": "v", "type": "int64"}]};
produce($lost, [ 0, undef, qq({"schema": {"type": "struct", "fields": [{"field": "before", $row}, {"field": "after", $row}]}, "payload": )
	. event('c', 'lost', undef, { id => 5, v => 2 }) . '}' ]);
becomes($home, q{SELECT remedy FROM cdcsync.check() WHERE problem ~ 'no column'},
	'On node t047: ALTER TABLE public.lost ADD COLUMN note character varying(7), if it was forgotten.', 'a column that events do not have');

# a slot nobody reads, for the connector's role may read nothing
$home->sql(q{CREATE ROLE "De bezium" LOGIN REPLICATION; SELECT pg_create_logical_replication_slot('cdcsync_home', 'pgoutput')});
like($home->sql(q{SELECT problem FROM cdcsync.check() WHERE subject = 'role De bezium'}), qr/^it may not SELECT public\.lost:/, 'a role without rights');
my $warning = error_of($home, q{SELECT cdcsync.connector_config('h', "user" => 'De bezium')});
like($warning, qr/WARNING:  role "De bezium" may not read tables/, '... connector_config says so, too');
$home->sql($home->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'role De bezium'}));
is($home->sql(q{SELECT count(*) FROM cdcsync.check() WHERE subject = 'role De bezium'}), 0, '... mended by what is said');
unlike(error_of($home, q{SELECT cdcsync.connector_config('h', "user" => 'De bezium')}), qr/WARNING/, '... in both');

# only UTF8
$home->safe_psql('postgres', q{CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0});
$home->safe_psql('ascii', 'CREATE EXTENSION cdcsync; CREATE TABLE t (id int PRIMARY KEY, v bigint)');
foreach my $call (q{add_table('t', version_column => 'v')}, q{apply('t', NULL, '{}')}, q{decode('t', NULL, '{}')})
{
	my $error;
	$home->psql('ascii', "SELECT cdcsync.$call", stderr => \$error);
	like($error, qr/database encoding SQL_ASCII is not supported/, "$call: refused");
}

# a key that is drawn from a sequence: the hint's commands, as typed, and with the digit of another node
foreach my $digit (1, 4)
{
	$home->sql('CREATE TABLE drawn (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v bigint NOT NULL)');
	my ($commands) = error_of($home, q{SELECT cdcsync.add_table('drawn', version_column => 'v')}) =~ /on each.*?: (ALTER SEQUENCE .*?);  or use/;
	$home->sql('INSERT INTO drawn VALUES (1234, 1)');
	$home->sql($commands =~ s/ 1\)(?= FROM)/ $digit)/r);
	is($home->sql('INSERT INTO drawn (v) VALUES (1), (1) RETURNING id'), "125$digit\n126$digit", "numbers that end in $digit");
	$home->sql(q{SELECT cdcsync.remove_table('drawn')});
	unlike(error_of($home, q{SELECT cdcsync.add_table('drawn', version_column => 'v')}), qr/sequence/, '... of which nothing more is said');
	$home->sql(q{SELECT cdcsync.remove_table('drawn'); DROP TABLE drawn});
}

done_testing();
