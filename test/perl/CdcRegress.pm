# Runs pg_regress or pg_isolation_regress on a node, with an assertion per test.
package CdcRegress;

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

# run(node, program, directory with the tests, name, [tests], options...)
sub run
{
	my ($node, $program, $input, $name, $tests, @options) = @_;
	my $output = "$ENV{CDC_RUN}/$name";
	my (%result, $out);

	mkdir $output;
	IPC::Run::run(
		[
			$program, "--inputdir=$input", "--outputdir=$output",
			'--bindir=' . $node->config_data('--bindir'), '--host=' . $node->host,
			'--port=' . $node->port, '--dbname=regress', '--encoding=UTF8', '--no-locale',
			@options, @$tests
		],
		'>', \$out, '2>&1');
	print $out;

	# "test NAME ... ok" up to 15, "ok 1 - NAME" from 16 on
	while ($out =~ /^(?:test (\S+)\s+\.\.\. (ok|FAILED)|(not ok|ok) \d+\s+[-+] (\S+))/mg)
	{
		$result{ $1 // $4 } = ($2 // $3) eq 'ok';
	}
	ok($result{$_}, "$name $_") foreach @$tests;

	if (-s "$output/regression.diffs")
	{
		diag(slurp_file("$output/regression.diffs"));
	}
	elsif (!%result)
	{
		diag($out);
	}
	return;
}

1;
