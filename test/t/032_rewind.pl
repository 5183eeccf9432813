# rewind(): a subscription's topics are read again from a time, or on from offsets, back and forward; what is known already
# changes nothing.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink');
my $topic = make_topic('item', 2);
$node->sql("CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL); SELECT cdcsync.add_table('item', version_column => 'v');
	SELECT cdcsync.subscribe('peer', '{$topic}')");

# two events in each partition, a moment, and two more
produce($topic, map { item($_, $_ % 2) } 1 .. 4);
comes('1,2,3,4', 'the first events');
my $moment = $node->sql("SELECT clock_timestamp() + interval '10 ms'");
wait_until('the moment is over', sub { $node->sql("SELECT clock_timestamp() > '$moment'::timestamptz + interval '10 ms'") eq 't' });
produce($topic, map { item($_, $_ % 2) } 5 .. 8);
comes('1,2,3,4,5,6,7,8', 'the others');

# rows that are lost without a trace
lose('TRUE');
$node->sql("SELECT cdcsync.rewind('peer', '$moment'::timestamptz)");
comes('5,6,7,8', 'since a time: what is in the topics since then comes again');
is(log_lines($node, qq{LOG:  subscription "peer" reads topic "$topic" partition \\d again from offset 2}), 2, '... and the log says so');
$node->sql(qq(SELECT cdcsync.rewind('peer', '{"$topic": {"0": 1}}'::jsonb)));
comes('4,5,6,7,8', 'from an offset of one partition');
my $unchanged = $node->sql('SELECT unchanged FROM cdcsync.stat_table');
cmp_ok($unchanged, '>=', 2, '... what is known already changes nothing');
$node->sql(qq(SELECT cdcsync.rewind('peer', '{"$topic": {"0": 0, "1": 0}}'::jsonb)));
comes('1,2,3,4,5,6,7,8', 'from the beginning');

# forward, in a paused subscription, and a restart before it goes on
$node->sql("SELECT cdcsync.pause('peer')");
becomes($node, 'SELECT DISTINCT state FROM cdcsync.stat_subscription', 'paused', 'paused');
produce($topic, map { item($_, $_ % 2) } 9 .. 12);
$node->sql(qq(SELECT cdcsync.rewind('peer', '{"$topic": {"0": 5, "1": 6}}'::jsonb)));
$node->restart;
$node->sql("SELECT cdcsync.resume('peer')");
comes('1,2,3,4,5,6,7,8,12', 'forward: what is passed over does not come');
lose('id > 4');
$node->sql("SELECT cdcsync.pause('peer'), cdcsync.rewind('peer', '$moment'::timestamptz)");
$node->restart;
$node->sql("SELECT cdcsync.resume('peer')");
comes('1,2,3,4,5,6,7,8,9,10,11,12', 'a time is kept until it goes on');
$node->sql("SELECT cdcsync.rewind('peer', now() + interval '1 day')");
becomes($node, 'SELECT count(*) FROM cdcsync.subscription_offset WHERE rewind_to IS NOT NULL', 0, 'a time to come');
produce($topic, item(13, 1));
comes('1,2,3,4,5,6,7,8,9,10,11,12,13', '... is the end, as it was then');

# what is refused
my %refused = (
	"'nobody', now()" => qr/ERROR:  subscription "nobody" has no positions\nHINT:  See cdcsync\.stat_subscription/,
	"'peer', 'infinity'::timestamptz" => qr/ERROR:  time out of range: "infinity"/,
	"'peer', '1969-12-31'::timestamptz" => qr/ERROR:  time out of range: /,
	qq('peer', '{"other": {"0": 1}}'::jsonb) => qr/ERROR:  subscription "peer" has no position in topic "other" partition 0/,
	qq('peer', '{"$topic": {"2": 1}}'::jsonb) => qr/ERROR:  subscription "peer" has no position in topic "\Q$topic\E" partition 2/,
	qq('peer', '{"$topic": {"0": -1}}'::jsonb) => qr/ERROR:  offsets must be numbers that are not negative/,
	qq('peer', '{"$topic": {"0": "1"}}'::jsonb) => qr/ERROR:  offsets must be numbers/,
	qq('peer', '{"$topic": 1}'::jsonb) => qr/ERROR:  offsets must be a JSON object of topics and partitions\nHINT:  Write it as/,
	qq('peer', '{"$topic": {"0": {"a": 1}}}'::jsonb) => qr/ERROR:  offsets must be a JSON object/,
	"'peer', '[1]'::jsonb" => qr/ERROR:  offsets must be a JSON object/,
	"'peer', '17'::jsonb" => qr/ERROR:  offsets must be a JSON object/);
foreach my $call (sort keys %refused)
{
	like(error_of($node, "SELECT cdcsync.rewind($call)"), $refused{$call}, "rewind($call)");
}
is($node->sql("SELECT cdcsync.wait_for('peer', '20s')"), 't', 'nothing was moved by that');
log_has_no($node, 'PANIC|TRAP|cdcsync apply worker ERROR', 'nothing has crashed');
done_testing();

sub item { my ($id, $partition) = @_; return change($partition, 'c', 'item', undef, { id => $id, v => 1 }) }

sub comes
{
	my ($ids, $name) = @_;

	becomes($node, "SELECT string_agg(id::text, ',' ORDER BY id) FROM item", $ids, $name);
	is($node->sql("SELECT cdcsync.wait_for('peer', '20s')"), 't', '... and that is all');
	is($node->sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM item"), $ids, '... for good');
	return;
}

sub lose
{
	my ($which) = @_;

	$node->sql("SET session_replication_role = replica; ALTER TABLE item DISABLE TRIGGER ALL; DELETE FROM item WHERE $which;
		ALTER TABLE item ENABLE TRIGGER ALL; SELECT cdcsync.alter_table_rule('item')");
	return;
}
