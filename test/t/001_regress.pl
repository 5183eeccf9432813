# sql/*.sql against expected/*.out: the pipeline through the doors, no network.
use strict;
use warnings;
use CdcNode;
use CdcRegress;
use Test::More;

# no slot for a worker (core's launcher and this one's have theirs): retention in the background would meet what the files do by hand
my $node = CdcNode->make('me', "cdcsync.bootstrap_servers = 'localhost:1'", 'max_worker_processes = 2');

CdcRegress::run($node, $ENV{PG_REGRESS}, $ENV{CDC_ROOT}, 'regress', [ split(' ', $ENV{REGRESS}) ]);
done_testing();
