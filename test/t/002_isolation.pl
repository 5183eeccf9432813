# test/isolation: races between the apply door and local writers.
use strict;
use warnings;
use CdcNode;
use CdcRegress;
use Test::More;

my @specs = split(' ', $ENV{ISOLATION});
plan skip_all => 'there are no specs in test/isolation' if !@specs;

# no slot for a worker, as in 001: retention in the background may be at a tombstone, and then there are two of its key
my $node = CdcNode->make('me', "cdcsync.bootstrap_servers = 'localhost:1'", 'max_worker_processes = 2');

CdcRegress::run($node, $ENV{PG_ISOLATION_REGRESS}, "$ENV{CDC_ROOT}/test/isolation",
	'isolation', \@specs, '--load-extension=cdcsync');
done_testing();
