# Rounds of random transactions and faults, one after the other, until one does not end with all nodes equal.
package Converge::Rounds;

use strict;
use warnings;
use Converge::Report;
use Test::More;
use Time::HiRes qw(time);

# run(plan, nodes, first => 1, rounds => 3, settled => sub (), name => sub (round, number), complaints => sub (), ...)
#
#	failed	what else is to be told of a round that failed: sub (number)
#	passed	after each round that did not: sub ()
#	again	the command that runs it again, but for the round
#
# Each round is an assertion. Returns the number of statements, or nothing after the first that fails.
sub run
{
	my ($plan, $nodes, %how) = @_;
	my $statements = 0;

	return _failed('the nodes settle at the beginning', 0, %how) if !$how{settled}->();
	my $before = { rows => $nodes->rows, ends => $nodes->ends };
	foreach my $number (1 .. $how{first} + $how{rounds} - 1)
	{
		my $round = $plan->next_round;
		next if $number < $how{first};
		my $name = $how{name}->($round, $number);
		my $start = time;

		$nodes->run($round);
		my $ran = time;
		my $problem = !$nodes->heal ? 'not healed' : !$nodes->settle ? 'not settled' : '';
		my $rows = $nodes->rows;
		my @differences = Converge::Report::differences($rows, $nodes->{nodes});
		my @complaints = ($problem || (), $how{complaints}->());
		if (@differences || @complaints)
		{
			diag($_) foreach $how{failed} ? $how{failed}->($number) : (), @complaints;
			Converge::Report::show($nodes, $round, $rows, $before->{rows}, $before->{ends}, @differences);
			return _failed($name, $number, %how);
		}
		note(sprintf('%s: %d statements, %.1f s and %.1f s', $name, scalar @{ $round->{steps} }, $ran - $start, time - $ran));
		$how{passed}->() if $how{passed};
		pass($name);
		$statements += @{ $round->{steps} };
		$before = { rows => $rows, ends => $nodes->ends };
	}
	return $statements;
}

sub _failed
{
	my ($name, $number, %how) = @_;

	fail($name);
	diag("to run it again: $how{again} rounds=$number");
	return;
}

1;
