# A partition whose leader is away when its subscription is made: when the leader is back it begins where start_at says,
# not at its beginning, and the others do not wait for it.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
$CdcTest::PATIENCE = 60;

my $topic = 't065.public.item';
my $dir = PostgreSQL::Test::Utils::tempdir();
system_or_bail('cc', '-o', "$dir/leaderless", "$ENV{CDC_ROOT}/test/faults/leaderless.c", '-lrdkafka');
my ($in, $out, $log) = ('', '', '');
my $brokers = IPC::Run::start([ "$dir/leaderless", $topic, 2 ], '<', \$in, '>', \$out, '2>', \$log);
$brokers->pump until $out =~ s/^(.+)\n//;
$ENV{KAFKA} = $1;
my $kafka = bless { address => $1 }, 'CdcKafka';
my $node = make_node('sink');
$node->sql(q{CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL);
	SELECT cdcsync.add_table('item', version_column => 'v')});

produce($kafka, $topic, item(0, 1), item(1, 2));
lead(1, -1);
$node->sql("SELECT cdcsync.subscribe('latest', '{$topic}', start_at => 'latest')");
becomes($node, state_of(0), 'streaming', 'the partition that has a leader is read');
becomes($node, state_of(1), 'waiting', '... the other waits');
produce($kafka, $topic, item(0, 3));
becomes($node, 'SELECT count(*) FROM item WHERE id = 3', 1, '... not the first');
$node->restart;
lead(1, 1);
becomes($node, state_of(1), 'streaming', '... until its leader is back, also after a restart');
produce($kafka, $topic, item(1, 4));
becomes($node, 'SELECT count(*) FROM item WHERE id = 4', 1, '... and goes on');
is($node->sql('SELECT count(*) FROM item WHERE id < 3'), 0, '... without what was there before');
$brokers->kill_kill;
done_testing();

sub item
{
	my ($partition, $id) = @_;

	return change($partition, 'c', 'item', undef, { id => $id, v => 1 });
}

sub state_of
{
	my ($partition) = @_;

	return "SELECT state FROM cdcsync.stat_subscription WHERE partition = $partition";
}

sub lead
{
	my ($partition, $broker) = @_;

	$out = '';
	$in .= "$partition $broker\n";
	$brokers->pump until $out =~ /\n/;
	$out eq "Success\n" or die $out;
	return;
}
