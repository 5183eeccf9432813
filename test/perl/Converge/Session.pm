# A psql that stays: statements go in by a pipe and are not waited for; what it says, errors too, goes to a file.
#
#	my $session = Converge::Session->new($node, 'name');
#	$session->send("UPDATE ...;\n");	# connects anew if it was lost; what it had not done yet is lost then
#	my $answer = $session->ask('SELECT 1');	# the answer; undef if the connection is lost
#	my $ask = $session->begin('SELECT ...');	# the same in two steps, for several sessions at once
#	my $answer = $ask->();
#	$session->drain(10);	# waits until all is done
package Converge::Session;

use strict;
use warnings;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);

our $PATIENCE = 120;

sub new
{
	my ($class, $node, $name) = @_;

	return bless { node => $node, file => "$ENV{TESTLOGDIR}/" . $node->name . "-$name.out", asked => 0 }, $class;
}

sub alive
{
	my ($self) = @_;

	return 0 if !$self->{pid};
	return 1 if waitpid($self->{pid}, WNOHANG) == 0;
	close $self->{in};
	delete @$self{qw(pid in)};
	return 0;
}

sub _connect
{
	my ($self) = @_;
	my $node = $self->{node};

	pipe(my $read, my $write) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if (!$pid)
	{
		open(STDIN, '<&', $read) && open(STDOUT, '>>', $self->{file}) && open(STDERR, '>>&', \*STDOUT)
		  or POSIX::_exit(1);
		close $write;
		delete $ENV{PGAPPNAME};
		exec('psql', '-XAt', '-P', 'null=NULL', '-v', 'ON_ERROR_STOP=0', '-h', $node->host, '-p', $node->port, 'app')
		  or POSIX::_exit(1);
	}
	close $read;
	$write->autoflush(1);
	@$self{qw(pid in)} = ($pid, $write);
	$self->{connections}++;
	return;
}

sub send
{
	my ($self, $text) = @_;

	local $SIG{PIPE} = 'IGNORE';
	$self->_connect if !$self->alive;
	return print { $self->{in} } $text;
}

sub begin
{
	my ($self, $sql) = @_;
	my $from = -s $self->{file} // 0;
	my $mark = '=asked ' . ++$self->{asked};

	$self->send("$sql;\n\\echo $mark\n");
	return sub { return $self->_answer($from, $mark) };
}

sub _answer
{
	my ($self, $from, $mark) = @_;
	my $end = time + $PATIENCE;

	while (time < $end)
	{
		my $alive = $self->alive;
		my $said = $self->said($from);
		return $said if $said =~ s/^\Q$mark\E\n\z//m;
		return undef if !$alive;
		sleep 0.002;
	}
	return undef;
}

sub ask
{
	my ($self, $sql) = @_;

	return $self->begin($sql)->();
}

# All that was said since
sub said
{
	my ($self, $from) = @_;

	open(my $file, '<', $self->{file}) or return '';
	seek($file, $from, 0);
	local $/;
	return <$file> // '';
}

sub size
{
	my ($self) = @_;

	return -s $self->{file} // 0;
}

# True when all that was sent is done, or the connection is lost
sub drain
{
	my ($self, $patience) = @_;

	return 1 if !$self->alive;
	local $PATIENCE = $patience;
	return 1 if defined $self->ask('') || !$self->alive;
	return 0;
}

sub close_session
{
	my ($self) = @_;

	return if !$self->{pid};
	close $self->{in};
	waitpid($self->{pid}, 0);
	delete @$self{qw(pid in)};
	return;
}

1;
