# doc/troubleshooting.md, conflicts.md and operations.md, typed as they stand (CdcPage) on a hub with a client. Nothing is wrong there: what asks for
# one certain message, conflict or dead letter is refused, and says why. That it mends what it is for is tested elsewhere (021, 026, 036).
use strict;
use warnings;
use CdcPage;
use CdcTest;
use Test::More;

my @names = qw(server client-1);

page_names(@names);
my ($server, $client) = map { page_node($_) } @names;
make_todos($server, $client);
$server->sql(q{INSERT INTO todos (title) VALUES ('one')});
CdcPage::connected('server client-1 todos');
my $positions = sub { wait_until('positions', sub { $client->sql("SELECT count(*) > 0 FROM cdcsync.subscription_offset WHERE topic LIKE '%.todos'") }) };
$positions->();
type_page('doc/troubleshooting.md', @names, { positions => $positions });
no_errors($server, $client);
type_page('doc/conflicts.md', @names, { page => sub {
	$server->sql(q{CREATE TABLE page (id int PRIMARY KEY, hits int, title text, v bigint); SELECT cdcsync.add_table('page', version_column => 'v')});
} });
type_page('doc/operations.md', @names);
no_errors($server);
done_testing();
