# sql/*.sql against expected/*.out: the pipeline through the doors, no network.
use strict;
use warnings;
use CdcNode;
use CdcRegress;
use Test::More;

my $node = CdcNode->make('me', "cdcsync.bootstrap_servers = 'localhost:1'");

CdcRegress::run($node, $ENV{PG_REGRESS}, $ENV{CDC_ROOT}, 'regress', [ split(' ', $ENV{REGRESS}) ]);
done_testing();
