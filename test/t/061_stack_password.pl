# The local stack on a machine with other users: make run auth=scram. Its servers ask for a password that only this user can read,
# and everything of the stack has it.
use strict;
use warnings;
use IPC::Run;
use Test::More;

my $dir = "$ENV{CDC_RUN}/stack-password";
my $file = "$dir/secrets/postgres.properties";
my $base;

END
{
	my $status = $?;
	stack('clean') if -d $dir;
	$? = $status;
}
local $SIG{$_} = sub { exit 1 } foreach qw(INT TERM HUP);

# A port block that is free now may be taken a moment later.
foreach my $try (1 .. 3)
{
	$base = 12000 + 110 * int(rand 180);
	my ($ok, $said) = stack('run', '--clients', 1, { BASE_PORT => $base, STACK_AUTH => 'scram', STACK_DEMO => 'no' });
	last if $ok;
	note($said);
	BAIL_OUT('the stack does not start: ' . $said) if $try == 3 || $said !~ /is taken/;
	stack('clean');
}
pass('make run auth=scram: the nodes are in sync');

is(sprintf('%04o', (stat $file)[2] & 07777), '0600', 'the password is for this user alone');
is(sprintf('%04o', (stat "$dir/secrets")[2] & 07777), '0700', '... and its directory');
foreach my $node (0, 1)
{
	my ($ok, $said) = psql($node, '');
	ok(!$ok, "node $node lets nobody in without it") or diag($said);
	($ok, $said) = psql($node, 'guessed');
	like($said, qr/password authentication failed/, '... nor with another');
	my (undef, undef, $answer) = stack('psql', $node, '-Atc', q{SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'});
	is($answer, "0\n", '... and make psql has it');
}
my ($ok, $said) = stack('run', { STACK_DEMO => 'no' });
ok($ok, 'the next make run takes it by itself') or diag($said);
($ok) = stack('stop');
ok($ok, 'make stop');
done_testing();

sub psql
{
	my ($node, $password) = @_;
	my $said;

	my $ok = IPC::Run::run([ 'psql', '-XAtw', '-h', '127.0.0.1', '-p', $base + $node, '-U', 'postgres', '-c', 'SELECT 1', 'app' ],
		'<', '/dev/null', '>&', \$said, init => sub { $ENV{PGPASSWORD} = $password });
	return ($ok, $said);
}

# A command of the stack: whether it did it, and what it said
sub stack
{
	my %environment = ref $_[-1] ? %{ pop @_ } : ();
	my ($out, $err);

	my $ok = IPC::Run::run([ $ENV{CDC_STACK}, '--dir', $dir, @_ ], '<', '/dev/null', '>', \$out, '2>', \$err,
		init => sub { $ENV{STACK_EXTENSION} = 'installed'; delete $ENV{STACK_QUIET}; @ENV{ keys %environment } = values %environment });
	return ($ok, $err // '', $out);
}
