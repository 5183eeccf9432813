# prove's harness, which also leaves the number of passed and failed assertions for test/run.
package CdcHarness;

use strict;
use warnings;
use parent 'TAP::Harness';

# A file that died, or did not run all it had planned, counts as a failure of its own.
sub summary
{
	my ($self, $aggregate, $interrupted) = @_;
	my ($passed, $failed) = (scalar $aggregate->passed, scalar $aggregate->failed);

	$self->SUPER::summary($aggregate, $interrupted);
	foreach my $parser ($aggregate->parsers($aggregate->descriptions))
	{
		$failed++
		  if $parser->parse_errors || ($parser->exit && !$parser->failed);
	}
	$failed++ if $interrupted;
	open(my $file, '>', "$ENV{CDC_RUN}/summary") or die "summary: $!";
	print $file "$passed $failed\n";
	close $file;
	return;
}

1;
