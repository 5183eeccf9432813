# The stack does not start on a port that somebody has, and says who that is: a program that listens there, or a connection
# whose own end it is. Without BASE_PORT it takes the next block of ports.
use strict;
use warnings;
use IO::Socket::INET;
use IPC::Run;
use Test::More;

my $dir = "$ENV{CDC_RUN}/stack-ports";

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
like(start_kafka($listener->sockport),
	qr/^stack: port \d+, wanted for Kafka, is taken by \S+ \(pid $$\)\n\s+stop that, or choose other ports: make run BASE_PORT=\d+/m,
	'a port that somebody listens on');

my $connection = IO::Socket::INET->new(LocalAddr => '127.0.0.1', PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die $!;
my $accepted = $listener->accept;
my $port = $connection->sockport;
like(start_kafka($port), qr/^stack: port $port, wanted for Kafka, is taken by \S+ \(pid $$\), for a connection of its own/m, 'the end of a connection');

# who ends a connection first has its port for another minute, and it is no server's
close $connection;
close $accepted;
my ($free, $owner) = ask("port_free $port && echo free", "port_owner $port");
is($free, '', 'a port that a connection has left just now is not free');
is($owner, 'a connection that ended less than a minute ago', '... and it is said why');
$listener->close;
my ($again) = ask('port_free ' . free_port() . ' && echo free');
is($again, 'free', 'one that nobody has had is free');
ok(!-e "$dir/pid/kafka", 'nothing was started');

# Three blocks, of which the first two each have a port that is taken
my $base = 25430 - 220;
my @taken = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1, ReuseAddr => 1) } $base + 101, $base + 111;
SKIP:
{
	skip 'somebody has the ports', 2 if grep { !defined } @taken;
	my ($said) = ask("DEFAULT_BASE_PORT=$base CLIENTS=1; set_ports $base; find_free_block 2>&1; echo \"\$BASE_PORT\"");
	like($said, qr/port @{[ $base + 101 ]}, wanted for Debezium.*is taken by \S+ \(pid $$\)\n.*port @{[ $base + 111 ]}, wanted for Postgres of client-1/s,
		'ports that are taken are named');
	like($said, qr/==> taking the ports from (\d+) on instead\n\1\z/, '... and the first free block is taken');
}
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

# What the stack's own functions answer, each by itself
sub ask
{
	return map {
		my ($library) = $ENV{CDC_STACK} =~ m{(.*)/};
		my $script = "HERE='$library' ROOT=. DIR='$dir' CACHE='$dir' STACK_DEMO=no DEFAULT_BASE_PORT=25430 PORTS_OF_BLOCK=110 STACK_QUIET=\n"
		  . ". '$library/versions'\nfor part in common install postgres kafka debezium nodes demo; do . '$library/lib/'\$part.sh; done\n$_\n";
		IPC::Run::run([ 'bash', '-c', $script ], '<', '/dev/null', '>', \my $said, '2>', \my $complaint);
		diag($complaint) if $complaint;
		chomp $said;
		$said;
	} @_;
}

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
	return $socket->sockport;
}
