# Debezium sends at least once: when Connect is killed it sends again what it has sent before, which must change nothing.
# And a broker that is killed under all of them costs nothing either.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $kafka = CdcKafka->new(base_port());
$ENV{KAFKA} = $kafka->{address};
$kafka->stack('services', 'start', '--base-port', $kafka->{base});

my ($source, $sink) = map { make_node($_) } qw(source sink);
my $topic = $source->name . '.public.item';
foreach my $node ($source, $sink)
{
	$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, body text, v timestamptz);
		SELECT cdcsync.add_table('item', version_column => 'v')});
}
# What is written on the sink, with the version of the row
$sink->sql(<<'END');
CREATE TABLE journal (op text, id int, v timestamptz);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.journal SELECT TG_OP, (coalesce(NEW, OLD)).id, (coalesce(NEW, OLD)).v;
	RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE item ENABLE ALWAYS TRIGGER note;
END
make_topic_of($source);
$kafka->stack('connector-create', '--node', $source->name, '--port', $source->port, '--dbname', 'app',
	'--user', scalar getpwuid($>));
$sink->subscribe($source, topics => "'{$topic}'");

# --- Connect is killed ------------------------------------------------------------------------------------

# Its offsets are written now and then: mostly there is something that was sent since, but not always.
my ($round, $changes, $again) = (0, 0, 0);
while ($again == 0 && $round < 3)
{
	my $before = sent();
	my $writing = writer(++$round);

	ok(wait_until('events', sub { sent() >= $before + 200 }), 'events come');
	$kafka->stack('debezium', 'kill');
	is($sink->sql(q{SELECT cdcsync.wait_for(timeout => '30s')}), 't', 'without Connect all that is in the topic is applied');
	$writing->finish or die 'psql failed';
	$kafka->stack('debezium', 'start');
	wait_equal([ $source, $sink ], 'item', name => 'Connect is killed and comes again: all is here');
	is($sink->sql(q{SELECT cdcsync.wait_for(timeout => '30s')}), 't', '... and applied');
	$changes += changes($round);
	$again = sent() - $changes;
	note("$changes changes, $again events sent again");
}
cmp_ok($again, '>', 0, 'events were sent again');
written_once();

# --- the broker is killed -----------------------------------------------------------------------------------

my $before = sent();
my $writing = writer(++$round);
ok(wait_until('events', sub { sent() >= $before + 200 }), 'events come');
$kafka->stack('kafka', 'kill');
$writing->finish or die 'psql failed';
$kafka->stack('kafka', 'start');
wait_equal([ $source, $sink ], 'item', name => 'the broker is killed and comes again: all is here');
is($sink->sql(q{SELECT cdcsync.wait_for(timeout => '30s')}), 't', '... and applied');
written_once();
no_errors($sink);
foreach my $node ($source, $sink)
{
	is(log_lines($node, 'PANIC|TRAP|terminated by signal'), 0, 'nothing has crashed');
	is(log_lines($node, 'cdcsync (?:apply worker|launcher) ERROR'), 0, 'no worker has died of an error');
}
done_testing();

# A psql that writes for a while: 1500 changes of 500 new rows in 500 transactions, of which 450 rows stay
sub writer
{
	my ($n) = @_;
	my $sql = join(
		'',
		map {
			my $id = $n * 1000 + $_;
			"BEGIN; INSERT INTO item VALUES ($id, 'first'); UPDATE item SET body = 'second' WHERE id = $id; "
			  . ($_ % 10 ? "UPDATE item SET body = 'third' WHERE id = $id; " : "DELETE FROM item WHERE id = $id; ")
			  . "COMMIT; SELECT pg_sleep(0.004);\n"
		} 1 .. 500);

	return in_background($sql, 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $source->connstr('app'));
}

# What a writer makes of records: an event for each change, and a null for each of 50 deletes
sub changes
{
	return 1550;
}

sub sent
{
	return ($kafka->ends($topic))[0];
}

sub make_topic_of
{
	my ($node) = @_;

	$kafka->stack('topic-create', $node->name . '.public.item');
	return;
}

# An assertion: no version of a row was written twice on the sink.
sub written_once
{
	return is(
		$sink->sql(q{SELECT count(*) FROM (SELECT FROM journal GROUP BY op, id, v HAVING count(*) > 1) AS twice}),
		0, '... and nothing was written twice');
}
