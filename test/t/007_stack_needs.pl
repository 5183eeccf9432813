# What the stack finds missing on a machine: machines that lack one thing each.
use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use IPC::Run;
use Test::More;

my $dir = "$ENV{CDC_RUN}/stack-needs";
my ($library) = $ENV{CDC_STACK} =~ m{(.*)/};
my %tool = map { $_ => 1 } qw(java mvn make gcc cc clang perl curl jq kcat psql pg_config python3 sudo apt-get apt-cache);

remove_tree($dir);
make_path("$dir/system");
for my $file (map { glob "$_/*" } qw(/usr/bin /bin))
{
	my ($name) = $file =~ m{([^/]+)$};
	symlink $file, "$dir/system/$name" unless $tool{$name} || -l "$dir/system/$name";
}

# A machine that has everything: what the test's own has, but the server is a directory that looks like one
sub machine
{
	remove_tree("$dir/bin", "$dir/server");
	make_path("$dir/bin", "$dir/server/bin", "$dir/server/include", "$dir/server/pgxs");
	script('java', 'echo \'openjdk version "17.0.1"\' >&2');
	symlink "/usr/bin/$_", "$dir/bin/$_" for qw(gcc perl);
	script($_) for qw(mvn make curl jq psql python3 kcat);
	script('../server/bin/initdb');
	script('../server/bin/postgres', 'echo "postgres (PostgreSQL) 15.8 (Debian)"');
	put('server/include/postgres.h');
	put('server/pgxs/pgxs.mk');
	script('pg_config', 'case $1 in', "--bindir) echo $dir/server/bin ;;", "--pkglibdir) echo $dir/server/lib ;;",
		"--pgxs) echo $dir/server/pgxs/pgxs.mk ;;", "--includedir-server) echo $dir/server/include ;;", '--cc) echo gcc ;;',
		'--version) echo "PostgreSQL 15.8 (Debian)" ;;', 'esac');
	return;
}

sub put
{
	my ($file, @lines) = @_;
	unlink "$dir/$file"; # it may be a link to the machine's own
	open my $fh, '>', "$dir/$file" or die "$file: $!";
	print $fh map { "$_\n" } @lines;
	close $fh or die "$file: $!";
	return;
}

sub script
{
	my ($name, @lines) = @_;
	put("bin/$name", '#!/bin/bash', @lines);
	chmod 0755, "$dir/bin/$name" or die "$name: $!";
	return;
}

sub ask
{
	my ($command, %environment) = @_;
	local %ENV = (STACK_QUIET => '', PATH => "$dir/bin:$dir/system", HOME => $dir, LC_ALL => 'C.UTF-8', %environment);
	my $script = "HERE='$library' ROOT=. DIR='$dir' CACHE='$dir' JARS='$dir/jars' STACK_DEMO=yes STACK_EXTENSION=yes\n"
	  . ". '$library/versions'\nfor part in common install demo; do . '$library/lib/'\$part.sh; done\n"
	  . "JVMS='$dir/jvm' SYSTEM_PYTHON='$dir/bin/python3'\n$command\n";
	IPC::Run::run([ '/bin/bash', '-c', $script ], '<', '/dev/null', '>', \my $said, '2>', \my $complaint);
	diag($complaint) if $complaint && $command =~ /\bmissing_packages/;
	return $command =~ /\bmissing_packages/ ? join(' ', split /\n/, $said) : $complaint;
}

machine();
is(ask('missing_packages record'), '', 'nothing is missing');

# what is taken away => what is asked for
my @cases = (
	[ 'java', 'default-jre-headless' ], [ 'mvn', 'maven' ], [ 'make', 'make' ], [ 'gcc', 'gcc libc6-dev librdkafka-dev' ], [ 'python3', 'python3-venv' ],
	[ 'kcat', 'kcat' ], [ 'curl', 'curl' ], [ 'jq', 'jq' ], [ 'psql', 'postgresql-client-POSTGRES' ],
	[ 'perl', 'perl' ],
	[ '../server/include/postgres.h', 'postgresql-server-dev-POSTGRES' ], # a server and pgxs.mk, without headers
	[ '../server/bin/initdb', 'postgresql-POSTGRES' ],                   # the pg_config of a client
	[ 'pg_config', 'postgresql-POSTGRES postgresql-server-dev-POSTGRES' ]);
for my $case (@cases)
{
	machine();
	unlink "$dir/bin/$case->[0]" or die "$case->[0]: $!";
	is(ask('missing_packages record'), $case->[1], "without $case->[0]");
}

# There is one, but too old, or without what is needed of it
machine();
script('java', 'echo \'openjdk version "11.0.2"\' >&2');
is(ask('missing_packages'), 'default-jre-headless', 'a java that is too old');
machine();
make_path("$dir/jvm/java-17/bin");
rename "$dir/bin/java", "$dir/jvm/java-17/bin/java" or die $!;
is(ask('missing_packages'), '', 'a java that is not in the path');
remove_tree("$dir/jvm");
machine();
script('python3', 'case $2 in *ensurepip*) exit 1 ;; esac');
is(ask('missing_packages'), 'python3-venv', 'a python without venv');
is(ask('STACK_DEMO=no; missing_packages'), '', '... which without the demo nobody needs');
machine();
script('gcc', 'case "$*" in *-lrdkafka*) exit 0 ;; esac; exit 1');
is(ask('missing_packages'), 'libc6-dev', 'a compiler without a C library');

# The compiler is the one that PGXS calls, whatever else there is
machine();
script('pg_config', 'case $1 in', '--cc) echo clang-99 -m64 ;;', 'esac');
like(ask('missing_packages'), qr/\bclang-99\b/, 'the compiler of the server');

# A header is not enough: the program must link
machine();
script('gcc', 'exec /usr/bin/gcc -L/nowhere "${@//-lrdkafka/-lrdkafka-that-is-gone}"');
like(ask('missing_packages'), qr/\blibrdkafka-dev\b/, 'librdkafka that does not link');

# The reasons that are given
machine();
script('apt-get');
unlink "$dir/bin/jq";
like(ask('install_packages'), qr/neither root nor sudo to install them: jq/, 'no sudo') if $> != 0;
script('sudo', 'exit 1');
like(ask('install_packages'), qr/may not install them with sudo: jq\n.*as root: apt-get install jq/, 'a sudo that refuses') if $> != 0;
script('jq');
like(ask('install_packages', JAVA_HOME => '/gone'), qr{JAVA_HOME=/gone has no bin/java: it is passed over}, 'a JAVA_HOME that is gone');

# What is shown while it goes on
my @apt = ('Reading package lists...', 'dlstatus:3:12.5000:Retrieving file 3 of 24', 'Get:1 libfoo', 'pmstatus:libfoo:amd64:40.00:Unpacking libfoo:amd64 (amd64)');
is(ask(join("\n", "show_apt '$dir/log' <<'END'", @apt, 'END')), "    12 %, fetching packages: Retrieving file 3 of 24\n", 'how far apt is');
is(ask("cat '$dir/log' >&2"), "Reading package lists...\nGet:1 libfoo\n", '... and the rest is in the log');
is(ask("PROGRESS_NEXT=0; show_apt '$dir/log' <<<'$apt[3]'"), "    40 %, Unpacking libfoo:amd64 (amd64)\n", '... when it installs, too');
is(ask("STACK_QUIET=1; show_apt '$dir/log' <<<'$apt[3]'"), '', '... unless nothing is to be said');

remove_tree($dir);
done_testing();
