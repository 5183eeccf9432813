# Convergence: random transactions on overlapping keys, at all nodes at once, while links are cut, workers killed and clocks
# shifted; then everything is connected again, and all nodes must come to hold the same rows, and fall silent.
#
#	make converge rounds=200 seed=1 nodes=3 topology=mesh clock=version
#
# topology: hub, mesh, shared, pernode, chain (several: hub,mesh); left out, all of them.  rounds left out: 3 of hub and mesh,
# one of each other.  clock: version, commit, both.  The seed decides what is done where and when; what comes of it depends on the
# machine as well.  first=17 leaves out the rounds before.
use strict;
use warnings;
use CdcTest;
use Converge::Nodes;
use Converge::Plan;
use Converge::Rounds;
use Test::More;
use Time::HiRes qw(time);

my $first = parameter('first', 1);
my $seed = parameter('seed', 1);
my @topologies = split(/,/, parameter('topology', 'hub,mesh,shared,pernode,chain'));
my $clock = parameter('clock', 'both');
my $transactions = parameter('transactions', 40);
my @tables = grep { $clock eq 'both' || ($_->{version} ? 'version' : 'commit') eq $clock } @Converge::Plan::TABLES;

die "clock=$clock: version, commit or both\n" if !@tables;
foreach my $topology (@topologies)
{
	my $shape = $Converge::Nodes::TOPOLOGY{$topology}
	  or die "topology=$topology: " . join(', ', sort keys %Converge::Nodes::TOPOLOGY) . "\n";
	last if !converge($topology, parameter('nodes', $shape->{nodes}), ($shape->{topic} ? 1 : 1 + $seed % 2));
}
done_testing();

sub parameter
{
	my ($name, $default) = @_;

	return $ENV{"CONVERGE_\U$name"} // $default;
}

# All rounds in one topology; false after the first that fails
sub converge
{
	my ($topology, $n, $partitions) = @_;
	my $rounds = parameter('rounds', $topology =~ /^(?:hub|mesh)$/ ? 3 : 1);
	my @here = grep { !$_->{shadow} || !is_hidden($topology) } @tables;
	my %config = (topology => $topology, nodes => $n, tables => \@here, partitions => $partitions, seed => $seed, transactions => $transactions);
	my $plan = Converge::Plan->new(%config);
	my $nodes = Converge::Nodes->make(%config);
	my $start = time;

	note("topology=$topology clock=$clock nodes=$n seed=$seed rounds=$rounds, $partitions partitions");
	my ($statements) = Converge::Rounds::run(
		$plan, $nodes,
		first => $first,
		rounds => $rounds,
		settled => sub { $nodes->settle },
		name => sub { my ($round, $number) = @_; "$topology, $clock clock, round $number, $round->{style}" },
		complaints =>
		  sub { ($nodes->complaints, map({ "unexpected: $_" } $nodes->strange_errors), $nodes->crashes ? 'a process has crashed' : ()) },
		passed => sub { $nodes->count_conflicts },
		again => "make converge topology=$topology clock=$clock nodes=$n seed=$seed transactions=$transactions")
	  or return 0;
	my $counts = $nodes->{counts};
	note(sprintf('%s, %s clock: %d rounds in %.0f s, %d statements, 0 differences',
		$topology, $clock, $rounds, time - $start, $statements));
	note('faults: ' . listed($nodes->{faults}));
	note('events and conflicts: ' . listed($counts));
	ok(scalar(grep { /^confl_/ && $counts->{$_} } keys %$counts), "$topology: there were conflicts");
	return 1;
}

# What a trigger writes in a transaction of tables without a version column has the origin of the change that it fired for: peers
# that read with origin none do not get it (doc/guides.md)
sub is_hidden
{
	my ($topology) = @_;

	return ($Converge::Nodes::TOPOLOGY{$topology}{origin} // 'any') eq 'none' && grep { !$_->{version} } @tables;
}

sub listed
{
	my ($n) = @_;

	return join(', ', map { "$_ $n->{$_}" } grep { $n->{$_} } sort keys %$n);
}
