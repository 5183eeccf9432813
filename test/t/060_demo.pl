# The todo app of demo/ in a browser, on the stack that make run starts: Kafka, Debezium, a server, two clients, the app.
#
# What is done there is in test/demo/browser.py.  CDC_SCREENSHOTS=DIR keeps a picture of each step.
use strict;
use warnings;
use File::Temp 'tempdir';
use IPC::Run;
use Test::More;

my $dir = "$ENV{CDC_RUN}/demo";
my $chromium = '/usr/bin/chromium';
my $base;

# a machine that is to run every test must have the browser
plan skip_all => 'there is no browser: apt-get install chromium' if !-x $chromium && !$ENV{CI};
plan skip_all => 'there is no Python that drives a browser: test/stack/stack browser' if !$ENV{CDC_BROWSER} && !$ENV{CI};
local $SIG{$_} = sub { exit 1 } foreach qw(INT TERM HUP);

END
{
	my $status = $?;
	stack('clean') if -d $dir;
	$? = $status;
}

# A port block that is free now may be taken a moment later.
foreach my $try (1 .. 3)
{
	$base = 12000 + 110 * int(rand 180);
	my ($ok, $said) = stack('run', '--clients', 2, { BASE_PORT => $base });
	last if $ok;
	note($said);
	BAIL_OUT('the stack does not start: ' . $said) if $try == 3 || $said !~ /is taken/;
}
pass('make run');
foreach my $node (0 .. 2)
{
	my (undef, undef, $lines) = stack('psql', $node, '-Atc', q{SELECT level || ' ' || subject || ': ' || problem FROM cdcsync.check()});
	is($lines, '', "nothing to complain of on node $node");
}

my $url = 'http://localhost:' . ($base + 102);
my $home = tempdir(CLEANUP => 1);
my @command = ($ENV{CDC_BROWSER}, "$ENV{CDC_ROOT}/test/demo/browser.py", '--url', $url, '--stack', "'$ENV{CDC_STACK}' --dir '$dir'",
	$ENV{CDC_SCREENSHOTS} ? ('--screenshots', $ENV{CDC_SCREENSHOTS}) : ());
my ($out, $err) = ('', '');
IPC::Run::run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err, init => sub { $ENV{HOME} = $home; stack_environment() });
foreach my $line (split(/\n/, $out))
{
	if ($line =~ /^(not )?ok - (.*)/) { ok(!$1, $2) }
	else { diag($line) }
}
is($err, '', 'the browser has no complaint');

my ($stopped) = stack('stop');
ok($stopped, 'make stop');
done_testing();

sub stack_environment
{
	$ENV{STACK_EXTENSION} = 'installed';
	delete $ENV{STACK_QUIET};
	return;
}

# A command of the stack: whether it did it, and what it said
sub stack
{
	my %environment = ref $_[-1] ? %{ pop @_ } : ();
	my ($out, $err);
	my $ok = IPC::Run::run([ $ENV{CDC_STACK}, '--dir', $dir, @_ ], '<', '/dev/null', '>', \$out, '2>', \$err,
		init => sub { stack_environment(); @ENV{ keys %environment } = values %environment });
	return ($ok, $err // '', $out);
}
