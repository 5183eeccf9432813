# Names that a topic cannot have, and values that cannot be decoded: null values mean the table that the topic's events are of, also
# after a restart; what "before" alone shows stops nothing; and the connector is asked for such tables by names that it takes.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;
$CdcTest::PATIENCE = 60;

my $node = make_node('sink', 'track_commit_timestamp = on');
$node->sql(<<'END');
CREATE TABLE my_notes (id int PRIMARY KEY, body text);
CREATE TABLE "my notes" (id int PRIMARY KEY, body text);
CREATE TABLE visit (id int PRIMARY KEY, marks int[], v bigint NOT NULL);
SELECT cdcsync.add_table(t) FROM unnest('{my_notes,"\"my notes\""}'::regclass[]) AS t;
SELECT cdcsync.add_table('visit', version_column => 'v');
INSERT INTO my_notes VALUES (1, 'of another table'), (2, 'of another table');
INSERT INTO visit VALUES (1, '{{1,2}}', 1), (2, '{{1,2}}', 1);
END

# --- null values ----------------------------------------------------------------------------------------

my $topic = make_topic('my_notes', 1);
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
produce($topic, [ 0, '{"id":3}', undef ]);
like(error_of($node, "SELECT cdcsync.wait_for('peer', '60s')"), qr/error/, 'a null value in a topic of two tables, before all events');
like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE topic = '$topic'"),
	qr/^null value in topic "$topic" does not say of which table it is/, '... says so');
$node->sql("SELECT cdcsync.skip('peer', '$topic', 0, 0)");
produce($topic, map { change(0, 'c', 'my notes', undef, { id => $_, body => 'there' }) } 1 .. 3);
becomes($node, q(SELECT count(*) FROM "my notes"), 3, 'events tell its table');
is($node->sql("SELECT events_of FROM cdcsync.subscription_offset WHERE topic = '$topic'"), 't054.public."my notes"', '... which is stored');
produce($topic, [ 0, '{"id":1}', undef ]);
becomes($node, q(SELECT string_agg(id::text, ' ' ORDER BY id) FROM "my notes"), '2 3', 'a null value deletes there');
$node->restart;
produce($topic, [ 0, '{"id":2}', undef ]);
becomes($node, q(SELECT string_agg(id::text, ' ' ORDER BY id) FROM "my notes"), '3', '... also after a restart');
is($node->sql('SELECT count(*) FROM my_notes'), 2, '... and nowhere else');
produce($topic, change(0, 'c', 'my_notes', undef, { id => 4, body => 'also' }), [ 0, '{"id":3}', undef ]);
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$topic'", 'error', 'once both have written it says nothing');
is($node->sql('SELECT count(*) FROM my_notes WHERE id = 4'), 1, '... the event before it is applied');
is($node->sql("SELECT events_of FROM cdcsync.subscription_offset WHERE topic = '$topic'"), '', '... and that is stored');
$node->restart;
becomes($node, "SELECT state FROM cdcsync.stat_subscription WHERE topic = '$topic'", 'error', '... and lasts');
$node->sql("SELECT cdcsync.unsubscribe('peer')");

# a batch that fails is repeated in parts: the first knows nothing of what comes after it
$topic = make_topic('mixed', 1);
$node->sql(<<'END');
CREATE TABLE "odd notes" (id int PRIMARY KEY, v bigint NOT NULL);
CREATE TABLE refused (id int PRIMARY KEY CHECK (id > 0), v bigint NOT NULL);
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{"\"odd notes\"",refused}'::regclass[]) AS t;
END
produce($topic, change(0, 'c', 'odd notes', undef, { id => 5, v => 1 }), [ 0, '{"id":9}', undef ], change(0, 'c', 'refused', undef, { id => 0, v => 1 }));
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}')");
becomes($node, "SELECT state || ' ' || next_offset FROM cdcsync.stat_subscription WHERE topic = '$topic'", 'error 2',
	'an event of another table fails, not the null value before it');
is($node->sql("SELECT events_of FROM cdcsync.subscription_offset WHERE topic = '$topic'"), 't054.public."odd notes"', '... what is stored is of those that are applied');
$node->sql("SELECT cdcsync.unsubscribe('peer')");

# a node's name may be longer than a table's
my $long = 'n' x 70;
$topic = make_topic('long_notes', 1);
produce($topic, change(0, 'c', 'my notes', undef, { id => 7, body => 'there' }, name => $long), change(0, 'c', 'my notes', undef, { id => 8, body => 'there' }, name => $long),
	[ 0, '{"id":7}', undef ]);
$node->sql("SELECT cdcsync.subscribe('long', '{$topic}', peers => '{$long}')");
is($node->sql("SELECT cdcsync.wait_for('long', '60s')"), 't', 'null values of a node with a long name are its own');
is($node->sql(q(SELECT string_agg(id::text, ' ') FROM "my notes" WHERE id > 6)), '8', '... and delete');
$node->sql("SELECT cdcsync.unsubscribe('long')");

# --- values of before, in a batch -----------------------------------------------------------------------

my $visits = make_topic('visit', 1);
produce($visits, change(0, 'c', 'visit', undef, { id => 3, marks => [1], v => 1 }),
	change(0, 'u', 'visit', { id => 1, marks => [ undef, undef ], v => 1 }, { id => 1, marks => [ 1, 2 ], v => 2 }),
	change(0, 'd', 'visit', { id => 2, marks => [ undef, undef ], v => 1 }, undef),
	change(0, 'c', 'visit', undef, { id => 4, marks => [2], v => 1 }));
$node->sql("SELECT cdcsync.subscribe('visits', '{$visits}')");
is($node->sql("SELECT cdcsync.wait_for('visits', '60s')"), 't', 'what only "before" shows stops no batch');
is($node->sql(q{SELECT string_agg(format('%s %s', id, marks), ', ' ORDER BY id) FROM visit}), '1 {1,2}, 3 {1}, 4 {2}', '... all of it is applied');
is($node->sql(q{SELECT string_agg(conflict_type || (before_row ->> 'marks'), ' ' ORDER BY id) FROM cdcsync.conflict_history WHERE relation = 'visit'::regclass}),
	'update_origin_differs{"undecodable": "[null,null]"} delete_origin_differs{"undecodable": "[null,null]"}', '... and on record');

# --- a real connector -----------------------------------------------------------------------------------

# (Kafka takes no two topics of which one has a dot where the other has an underscore)
my @tables = ('my_notes', '"my notes"', '"a.dot"', '"my,notes"', '"Mäßig"');
my ($author, $reader) = make_nodes(qw(author reader));
foreach ($author, $reader)
{
	$_->sql("SET client_min_messages = error; CREATE SCHEMA \"s.1\"; " . join('', map { "CREATE TABLE $_ (id int PRIMARY KEY, t text, v bigint);
		SELECT cdcsync.add_table('$_', version_column => 'v');" } @tables, '"s.1".t'));
}
$author->sql("INSERT INTO $_ VALUES (1, 'before', 1)") foreach @tables, '"s.1".t';
post_connector($author, q{'127.0.0.1', "user" => current_user, password => NULL});
$reader->subscribe($author, topics => q('{^t054-author\\..*}'));
arrive('before', 'the snapshot has them all');
$author->sql("UPDATE $_ SET t = 'later'") foreach @tables, '"s.1".t';
arrive('later', 'and so has the log');
foreach my $table (@tables, '"s.1".t')
{
	$reader->sql("BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE $table DISABLE TRIGGER ALL; TRUNCATE $table; ALTER TABLE $table ENABLE TRIGGER ALL;
		SELECT cdcsync.alter_table_rule('$table'); COMMIT");
	$author->sql("SELECT cdcsync.resync_table('$table')");
	ok(wait_until("$table", sub { $reader->sql("SELECT EXISTS (SELECT FROM $table WHERE t = 'later')") eq 't' }), "resync_table: $table is sent again");
}
done_testing();

sub arrive
{
	my ($text, $name) = @_;
	my $all = join(' AND ', map { "EXISTS (SELECT FROM $_ WHERE t = '$text')" } @tables, '"s.1".t');

	ok(wait_until($name, sub { $reader->sql("SELECT $all") eq 't' }), $name)
	  or diag(join("\n", map { "$_: " . $reader->sql("SELECT coalesce(string_agg(t, ' '), 'nothing') FROM $_") } @tables, '"s.1".t'),
		$reader->sql('SELECT topic, state, last_error FROM cdcsync.stat_subscription'), stack('topics'));
	return;
}
