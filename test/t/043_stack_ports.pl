# The stack does not start on a port that somebody has: neither one that listens there, nor a connection whose own end it is,
# which the kernel may put on any port from 32768 on.
use strict;
use warnings;
use IO::Socket::INET;
use IPC::Run;
use Test::More;

my $dir = "$ENV{CDC_RUN}/stack-ports";

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
like(start_kafka($listener->sockport), qr/^stack: port \d+, wanted for Kafka, is taken by another program\n\s+stop that program/,
	'a port that somebody listens on');

my $connection = IO::Socket::INET->new(LocalAddr => '127.0.0.1', PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die $!;
my $port = $connection->sockport;
like(start_kafka($port), qr/^stack: port $port, wanted for Kafka, is the end of a connection .*\n\s+choose ports below that: make run BASE_PORT=\d+/m,
	'the end of a connection');
cmp_ok($port, '>=', 32768, '... on a port of that range');
ok(!-e "$dir/pid/kafka", 'nothing was started');
done_testing();

# What is said when Kafka is to have this port
sub start_kafka
{
	my ($port) = @_;
	my $said;

	IPC::Run::run([ $ENV{CDC_STACK}, '--dir', $dir, 'services', 'start', '--kafka-only', '--base-port', $port - 100 ], '<', '/dev/null', '>&', \$said)
	  and die "it starts: $said";
	return $said;
}
