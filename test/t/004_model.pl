# The rules of src/apply/conflict.c in every interleaving of a few operations: the nearer half of what make model looks at.
use strict;
use warnings;
use Test::More;

open(my $model, '-|', "$ENV{CDC_ROOT}/test/model/run", '-l', '100000') or die "test/model/run: $!";
while (my $line = <$model>)
{
	chomp $line;
	if ($line =~ /^(\S.*?) +\d+ states +[\d.]+ s  (.*)$/)
	{
		ok($2 eq 'ok' || $2 eq 'nothing wrong so far', "$1: $2");
	}
	elsif ($line =~ /^without /)
	{
		ok($line !~ /NOT MISSED/, $line);
	}
	else
	{
		diag($line) if $line !~ /^0 wrong/;
	}
}
close $model;
is($?, 0, 'no rule is wrong, and none superfluous');
done_testing();
