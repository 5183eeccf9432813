# check() on the real stack: nothing to say of connectors as connector_config makes them, and a line for each mode in which
# they lose data. (Faults without connectors: sql/check.sql, 028_check.pl.)
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

# --- all is well ----------------------------------------------------------------------------------------

my ($server, $client) = make_hub(1);
my @two = ($server, $client);
$_->sql("INSERT INTO todos (title) VALUES ('of " . $_->name . "')") foreach @two;
wait_equal(\@two, 'todos', where => '(SELECT count(*) = 2 FROM todos)', name => 'rows of both');
$server->sql("UPDATE todos SET title = 'changed'");
wait_equal(\@two, 'todos', where => "(SELECT bool_and(title = 'changed') FROM todos)", name => '... and the changes of one');
$client->sql("DELETE FROM todos WHERE client_id = 0");
wait_equal(\@two, 'todos', where => '(SELECT count(*) = 1 FROM todos)', name => '... and of the other');
ok(wait_settled(2, @two), 'settled');
is(lines($_), '', 'nothing to say on ' . $_->name) foreach @two;

# --- a connector that does not run ------------------------------------------------------------------------

stack('connector-stop', $client->name);
says($client, qr/^warning slot \S+: nobody reads it, the connector does not run; it keeps \d+ \w+ of WAL$/, 'a connector that was stopped');
run_shell($client, remedy($client));
says($client, '', '... runs again by what is said');

# --- modes that lose data ---------------------------------------------------------------------------------

my ($author, $reader) = make_nodes(qw(author reader));
my $name = $author->name;
my $settings = q{'127.0.0.1', "user" => current_user, password => NULL};
foreach my $node ($author, $reader)
{
	$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, n numeric, at timestamp, b bytea, d text DEFAULT 'x', v bigint);
		SELECT cdcsync.add_table('item', version_column => 'v')});
}
# the utility hook would set it back
$author->sql(q{UPDATE pg_class SET relreplident = 'd' WHERE relname = 'item'});
post_connector($author, qq{$settings, extra => '{"decimal.handling.mode": "double", "time.precision.mode": "connect",
	"binary.handling.mode": "base64", "value.converter.replace.null.with.default": true}'});
$reader->sql(qq{SELECT cdcsync.subscribe('author', '{$name.public.item}', producer => '{"binary.handling.mode": "base64"}')});
stack('connector-wait', $name);
post_by_command($reader, q{, \"user\" => current_user, password => NULL, extra => '{\"topic.prefix\": \"t029-other\"}'});
says($reader, qr/^warning cdcsync.node_name: Kafka has no topic of node "t029-reader", though a connector reads this database: is its topic.prefix another\?$/m,
	'a connector with another topic.prefix');
stack('connector-delete', $reader->name);
says($reader, qr/^warning slot cdcsync_t029_reader: nobody reads it, the connector does not run; it keeps \d+ \w+ of WAL$/m, '... is deleted');
post_connector($reader, $settings);
says($reader, qr/^(?!.*(?:node_name|slot|connector:))/s, '... and made anew by connector_config');
is(lines($author), "error table public.item: it is not REPLICA IDENTITY FULL: events do not show the row that was there",
	'the author knows one of its faults');
$author->sql(q{INSERT INTO item VALUES (1, 1.5, '2026-01-01 00:00:00.123456', '\x00ff', NULL, 1)});
$author->sql(q{UPDATE item SET n = 2.5});
says($reader, <<"END" =~ s/\n\z//r, 'the reader knows the others');
error peer $name: table public.item: updates do not show the row that was there
warning subscription author: its producer has binary.handling.mode=base64: a value that was not sent cannot be told from another
warning peer $name: table public.item: NULL arrives as the default of its column
warning peer $name: table public.item: bytea comes as text, of which a value that was not sent cannot be told
warning peer $name: table public.item: numbers have lost digits
warning peer $name: table public.item: times have lost their microseconds
END

# mended as the lines say
$author->sql($author->sql('SELECT remedy FROM cdcsync.check()'));
my $config = $author->sql("SELECT cdcsync.connector_config($settings) -> 'config'");
IPC::Run::run([ 'curl', '-sS', '--noproxy', '*', '-X', 'PUT', '-H', 'Content-Type: application/json', '-d', '@-',
		"$ENV{CONNECT}/connectors/$name/config" ], '<', \$config, '>', \my $answer) or die;
stack('connector-restart', $name);
$reader->sql(q{SELECT cdcsync.alter_subscription('author', producer => '{}')});
$author->sql(q{UPDATE item SET n = 3.5});
says($reader, '', 'mended: nothing to say any more');
says($author, '', '... of the author either');

# a column that was added here only
$reader->sql('ALTER TABLE item ADD COLUMN note text');
$author->sql(q{UPDATE item SET n = 4.5});
says($reader, "info peer $name: table public.item: its events have no column note, which keeps its value or its default here",
	'a column that the peer does not have');
$author->sql('ALTER TABLE item ADD COLUMN note text');
$author->sql(q{UPDATE item SET n = 5.5});
says($reader, '', '... until it has');
is($reader->digest('item'), $author->digest('item'), '... and the row is the same');
no_errors(@two, $reader);
done_testing();

sub lines
{
	my ($on) = @_;

	return $on->sql(q{SELECT level || ' ' || subject || ': ' || problem FROM cdcsync.check()});
}

sub remedy
{
	my ($on) = @_;

	return $on->sql('SELECT remedy FROM cdcsync.check()');
}

# A command as it stands in a line, typed where psql finds the server
sub run_shell
{
	my ($on, $command) = @_;
	local @ENV{qw(PGHOST PGPORT no_proxy NO_PROXY)} = ($on->host, $on->port, '*', '*');

	my $out;

	# while Kafka Connect hands out its tasks anew it asks to be asked again
	wait_until($command, sub {
		IPC::Run::run([ 'sh', '-c', $command ], '<', '/dev/null', '>&', \$out) or die "$command: $out";
		$out !~ /"error_code":409\b/;
	});
	unlike($out, qr/error/i, $command);
	return;
}

# The command of the line "connector", with further arguments of connector_config
sub post_by_command
{
	my ($on, $arguments) = @_;
	my ($command) = split(/; or/, $on->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'connector'}));

	return run_shell($on, $command =~ s/'HOST'/'127.0.0.1'$arguments/r);
}

sub says
{
	my ($on, $expected, $what) = @_;

	return becomes($on, q{SELECT coalesce(string_agg(level || ' ' || subject || ': ' || problem, E'\n'), '') FROM cdcsync.check()},
		$expected, $what);
}
