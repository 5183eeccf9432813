# test/pgtap/*.sql: the SQL surface; every assertion of pgTAP is one here.
use strict;
use warnings;
use CdcNode;
use Test::More;

my $node = CdcNode->make('me', "cdcsync.bootstrap_servers = 'localhost:1'");

foreach my $file (sort glob("$ENV{CDC_ROOT}/test/pgtap/*.sql"))
{
	my ($name) = $file =~ m{([^/]+)\.sql$};

	$node->safe_psql('postgres', "CREATE DATABASE \"$name\" TEMPLATE template0 LOCALE 'C'");
	my ($rc, $out, $err) =
	  $node->psql($name, "\\i $file", on_error_stop => 0, extra_params => ['-qAt']);
	relay($name, $out);
	is($rc, 0, "$name: ran to its end") or diag($err);
}
done_testing();

# Every line of TAP, with the diagnostics that follow it
sub relay
{
	my ($name, $tap) = @_;
	my ($count, $planned) = (0, 0);

	foreach my $line (split(/\n/, $tap))
	{
		if ($line =~ /^(not )?ok \d+(?: - (.*))?/)
		{
			$count++;
			local $TODO = $2 if defined $2 && $2 =~ /# TODO/;
			ok(!$1, "$name: " . ($2 // 'test ' . $count));
		}
		elsif ($line =~ /^1\.\.(\d+)/)
		{
			$planned = $1;
		}
		elsif ($line =~ /^#/)
		{
			diag($line);
		}
	}
	is($count, $planned, "$name: as many assertions as planned");
	return;
}
