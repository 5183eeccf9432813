# Nothing lost, nothing blocked: random transactions at all nodes while processes of the servers, Kafka and Debezium are killed,
# tables locked and altered, subscriptions paused; then all is there again, and goes on by itself until all nodes hold the same
# rows, every change that was committed is on every node, once, and nothing more happens.
#
#	make chaos rounds=100 seed=1 nodes=3 topology=hub,mesh
#
# The seed decides what is done where and when; what comes of it depends on the machine as well.  first=17 leaves out the rounds
# before.  The transactions and how they are compared are those of 050_converge.pl; what is added is in Chaos::Plan (the
# faults, ledgers that show a lost or doubled change) and Chaos::Nodes (how each is done, what must be true).  It kills the
# broker and Debezium: it has its own, made with CDC_STACK.
use strict;
use warnings;
use Chaos::Nodes;
use Chaos::Plan;
use Converge::Rounds;
use Test::More;
use Time::HiRes qw(time);

my $first = parameter('first', 1);
my $rounds = parameter('rounds', 1);
my $seed = parameter('seed', 3);    # its first round has more than those of others
my $transactions = parameter('transactions', 30);

foreach my $topology (split(/,/, parameter('topology', 'hub')))
{
	last if !chaos($topology, parameter('nodes', 3));
}
done_testing();

sub parameter
{
	my ($name, $default) = @_;

	return $ENV{"CHAOS_\U$name"} // $default;
}

# All rounds in one topology; false after the first that fails
sub chaos
{
	my ($topology, $n) = @_;
	my %config = (
		topology => $topology,
		nodes => $n,
		tables => \@Chaos::Plan::TABLES,
		partitions => 1 + $seed % 2,
		seed => $seed,
		transactions => $transactions);
	my $plan = Chaos::Plan->new(%config);
	my $nodes = Chaos::Nodes->make(%config);
	my $start = time;
	my ($statements) = Converge::Rounds::run(
		$plan, $nodes,
		first => $first,
		rounds => $rounds,
		settled => sub { $nodes->settle && $nodes->wait_for_offsets },
		name => sub { my ($round, $number) = @_; "$topology, round $number" },
		complaints => sub { $nodes->complaints },
		failed => sub { my ($number) = @_; ("seed $seed, round $number: faults, by the seconds of the round", faults($nodes)) },
		passed => sub { note($_) foreach faults($nodes) },
		again => "make chaos topology=$topology nodes=$n seed=$seed transactions=$transactions")
	  or return 0;

	note("$topology: $rounds rounds, $statements statements; " . $nodes->faults_listed . sprintf('; %.0f s, 0 differences', time - $start));
	return 1;
}

sub faults
{
	my ($nodes) = @_;

	return map { sprintf('  %6.3f s  %-20s node %d%s%s', $_->{at}, $_->{do}, $_->{node} + 1, $_->{table} ? " $_->{table}" : '', $_->{missed} ? ', which is away' : '') }
	  @{ $nodes->{struck} };
}
