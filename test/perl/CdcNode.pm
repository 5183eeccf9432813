# A Postgres server for tests, with cdcsync loaded: a PostgreSQL::Test::Cluster.
#
#	my $node = CdcNode->make('name', 'setting = value', ...);
#	my $node = CdcNode->make({ install_path => $directory }, 'name', ...);	# another server than that in PATH
#
# It is made from one template directory per run, listens on 127.0.0.1 besides its socket (Debezium comes by TCP), and its
# node_name is its name. Whatever becomes of the test, it is stopped at the end: a signal ends the test in good order.
package CdcNode;

use strict;
use warnings;
use Fcntl qw(:flock);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @ISA = ('PostgreSQL::Test::Cluster');

# standard error goes to the log: say on the terminal too what a test died of
$SIG{__DIE__} = sub { diag(substr("died: @_", 0, 1000)) if defined $^S && !$^S };
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { die "interrupted\n" };

sub make
{
	my $class = shift;
	my %option = ref $_[0] eq 'HASH' ? %{ shift() } : ();
	my ($name, @settings) = @_;
	my $self = $class->new($name, %option);

	bless $self, $class;
	system_or_bail('cp', '-a', _template(), $self->data_dir);
	mkdir $_ foreach $self->backup_dir, $self->archive_dir;
	$self->append_conf('postgresql.conf', join("\n", $self->_settings, @settings, ''));
	$self->start;
	return $self;
}

# one initdb for the whole run
sub _template
{
	my $template = "$ENV{CDC_RUN}/tmp_check/template";

	open(my $lock, '>', "$template.lock") or die "$template.lock: $!";
	flock($lock, LOCK_EX) or die "$template.lock: $!";
	if (!-d $template)
	{
		system_or_bail('initdb', '-D', "$template.new", '-A', 'trust', '-N',
			'--encoding=UTF8', '--locale=C.UTF-8');
		rename("$template.new", $template) or die "$template: $!";
	}
	close $lock;
	return $template;
}

sub _settings
{
	my ($self) = @_;

	return (
		"port = " . $self->port,
		"unix_socket_directories = '" . $self->host . "'",
		"listen_addresses = '127.0.0.1'",
		"shared_preload_libraries = 'cdcsync'",
		"cdcsync.node_name = '" . $self->name . "'",
		"wal_level = logical",
		"track_commit_timestamp = on",
		"fsync = off",
		"shared_buffers = 32MB",
		"max_worker_processes = 16",
		"log_line_prefix = '%m [%p] %b %q%a '",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'");
}

# the server's log so far
sub log_text
{
	my ($self) = @_;

	return slurp_file($self->logfile);
}

# one value, or the error that keeps it away
sub try_sql
{
	my ($self, $sql, $db) = @_;
	my ($rc, $out, $err) = $self->psql($db // 'app', $sql);

	return $rc == 0 ? $out : "error: $err";
}

# the last lines of the server's log
sub log_tail
{
	my ($self, $lines) = @_;
	my @log = split(/^/, slurp_file($self->logfile));

	splice(@log, 0, @log - ($lines // 20)) if @log > ($lines // 20);
	return join('', @log);
}

1;
