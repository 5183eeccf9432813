# Messages that libFuzzer makes up, in a backend, under AddressSanitizer and UndefinedBehaviorSanitizer (test/fuzz/fuzz.c):
# whatever they are, they are applied or refused.
#
#	make test T=005                     for a few seconds
#	make fuzz time=3600 jobs=2          for an hour, going on from what it has learned before
#	make fuzz input=FILE                what it has found, once more
use strict;
use warnings;
use CdcNode;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $clang = $ENV{CLANG} // 'clang';
my ($runtime, $machine) = map { s/\n//r } `$clang --print-runtime-dir 2>/dev/null; uname -m`;
plan skip_all => "$clang has no libFuzzer here (apt-get install clang libclang-rt-14-dev)"
  if !$machine || !-e "$runtime/libclang_rt.fuzzer_no_main-$machine.a";

my ($time, $jobs, $input) = ($ENV{FUZZ_TIME}, $ENV{FUZZ_JOBS} || 1, $ENV{FUZZ_INPUT});
my $source = "$ENV{CDC_ROOT}/test/fuzz";
my $dir = "$ENV{CDC_RUN}/fuzz";
my $library = "$dir/build/fuzz.so";

system_or_bail('rm', '-rf', "$dir/seeds", $time || $input ? () : "$dir/corpus");
system_or_bail('mkdir', '-p', map { "$dir/$_" } qw(corpus seeds findings));
done('built', 'make', '-s', '-j2', '-f', "$source/Makefile", "BUILD=$dir/build", "CLANG=$clang", 'fuzz.so');
my @data = make_servers();
foreach my $run (map { start($_) } @data)
{
	my $figures = 'the input';

	$run->{handle}->finish;
	my $log = slurp_file($run->{log});
	$figures = "$1 messages; coverage $2, features $3"
	  if $log =~ /.*^#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+)/ms;
	ok($run->{handle}->result == 0 && ($input || $figures =~ /messages/), "nothing is wrong with $figures")
	  or diag(finding($log));
}
done_testing();

# The directories of as many servers as there are jobs, with all that is to be fuzzed, its functions in the library of this
# test; and the seeds
sub make_servers
{
	my $node = CdcNode->make('fuzz', "cdcsync.bootstrap_servers = 'localhost:1'");
	my @directories = ($node->data_dir);
	my $n = 0;

	$node->safe_psql('postgres', 'CREATE DATABASE app');
	done('set up', 'env', "PG_ABS_SRCDIR=$ENV{CDC_ROOT}", 'psql', '-X', '-q', '-o', File::Spec->devnull, '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('app'),
		'-f', "$source/setup.sql");
	foreach my $seed (split(/\n/, $node->safe_psql('app', 'TABLE seeds')))
	{
		open(my $file, '>:raw', "$dir/seeds/" . ++$n) or die "$dir/seeds: $!";
		print $file pack('H*', $seed);
		close $file;
	}
	$node->safe_psql('app', "UPDATE pg_proc SET probin = '$library' WHERE probin = '\$libdir/cdcsync'");
	$node->stop;
	foreach my $job (2 .. $jobs)
	{
		push @directories, "$directories[0]$job";
		system_or_bail('cp', '-a', $directories[0], $directories[-1]);
	}
	return @directories;
}

# A server of one process, which does nothing else
sub start
{
	my ($data) = @_;
	my @settings = map { ('-c', $_) } "shared_preload_libraries=$library", 'log_min_messages=panic', 'client_min_messages=error';
	my @options = (
		"-artifact_prefix=$dir/findings/", "-dict=$source/dictionary", '-timeout=30', '-rss_limit_mb=2048', '-malloc_limit_mb=512',
		'-detect_leaks=0', '-print_final_stats=1',
		$input ? $input : ('-max_total_time=' . ($time || 15), '-max_len=65536', "$dir/corpus", "$dir/seeds"));
	my $options = join(', ', map { "'$_'" } @options);
	my $log = "$data.fuzz.log";
	local $ENV{LD_PRELOAD} = "$runtime/libclang_rt.asan-$machine.so $dir/build/early.so";
	local $ENV{ASAN_OPTIONS} = 'detect_leaks=0:detect_stack_use_after_return=0:quarantine_size_mb=32:handle_abort=1';
	local $ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';
	local $ENV{ASAN_SYMBOLIZER_PATH} = `command -v llvm-symbolizer` =~ s/\n//r;

	my $commands = <<"END";
CREATE FUNCTION pg_temp.fuzz(options text[], producers jsonb[]) RETURNS int AS '$library' LANGUAGE C;
SELECT pg_temp.fuzz(ARRAY[$options], (SELECT array_agg(producer ORDER BY n) FROM mode));
END

	note("log of libFuzzer: $log");
	return {
		log => $log,
		handle => IPC::Run::start(
			[ 'postgres', '--single', '-D', $data, @settings, 'app' ],
			'<', \$commands,
			'>', $log, '2>&1', IPC::Run::timeout(($time || 15) + 300))
	};
}

# What libFuzzer says of it, from the report on
sub finding
{
	my ($log) = @_;

	$log =~ s/\A.*?\n(?=[^\n]*(?:ERROR:|runtime error:|internal error:))//s;
	return substr($log, 0, 6000) . "\nKept in $dir/findings; once more: make fuzz input=FILE";
}

sub done
{
	my ($what, @command) = @_;
	my $out = '';

	ok(IPC::Run::run(\@command, '<', File::Spec->devnull, '>', \$out, '2>&1'), $what) or do { diag($out); BAIL_OUT("not $what") };
	return;
}
