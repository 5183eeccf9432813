# test/isolation: races between the apply door and local writers.
use strict;
use warnings;
use CdcNode;
use CdcRegress;
use Test::More;

my @specs = split(' ', $ENV{ISOLATION});
plan skip_all => 'there are no specs in test/isolation' if !@specs;

my $node = CdcNode->make('me', "cdcsync.bootstrap_servers = 'localhost:1'");

CdcRegress::run($node, $ENV{PG_ISOLATION_REGRESS}, "$ENV{CDC_ROOT}/test/isolation",
	'isolation', \@specs, '--load-extension=cdcsync');
done_testing();
