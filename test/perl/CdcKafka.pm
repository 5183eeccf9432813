# Tests without Debezium: topics with events written by hand, a Kafka of the test's own, and a look at the worker.
#
#	my $node = make_node('sink', 'cdcsync.batch_rows = 200');	# named t020-sink in t/020_*.pl; database app
#	my $topic = make_topic('item', 4);	# named t020.public.item
#	produce($topic, change(0, 'c', 'item', undef, { id => 1, v => 1 }), [ 0, 'key', 'any bytes' ]);
#	becomes($node, 'SELECT count(*) FROM item', 1, 'it is there');
#
#	my $kafka = CdcKafka->new(base_port());	# nothing is started yet
#	$kafka->stack('services', 'start', '--base-port', $kafka->{base}, '--kafka-only');
package CdcKafka;

use strict;
use warnings;
use CdcTest ();
use Exporter 'import';
use File::Basename;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_node make_topic keep_journal produce in_background change event becomes error_of position_of
  worker_pid cpu_seconds log_lines log_has_no base_port);

my ($prefix) = basename($0) =~ /^(\d+)/;
my $json = JSON::PP->new->canonical;
my $shared = { address => $ENV{KAFKA}, dir => "$ENV{CDC_RUN}/stack" };
my @own;

# --- nodes ----------------------------------------------------------------------------------------

# A server with a database app that has the extension
sub make_node
{
	my ($name, @settings) = @_;
	my $node = CdcTest::Node->make(
		"t$prefix-$name",
		"cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
		"cdcsync.topic_refresh_interval = '200ms'",
		@settings);

	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->sql('CREATE EXTENSION cdcsync');
	return $node;
}

# Each record that the worker writes to this table leaves a line in the table journal, with these columns of it, in the same
# transaction. Versions would hide a record that is applied twice: so the trigger takes them away, and the row that is there
# is older than any event.
sub keep_journal
{
	my ($node, $table, @columns) = @_;
	my $names = join(', ', map { (split / /)[0] } @columns);
	my $values = join(', ', map { 'NEW.' . (split / /)[0] } @columns);
	my $definitions = join(', ', @columns);

	$node->sql(<<"END");
CREATE TABLE journal ($definitions, at bigserial);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO public.journal ($names) VALUES ($values);
	UPDATE public.$table SET v = 0 WHERE id = NEW.id;
	RETURN NULL;
END \$\$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON $table FOR EACH ROW WHEN (NEW.v <> 0) EXECUTE FUNCTION note();
ALTER TABLE $table ENABLE ALWAYS TRIGGER note, DISABLE TRIGGER "~cdcsync_version";
END
	return;
}

# --- topics ---------------------------------------------------------------------------------------

# Each of these takes the test's own Kafka as its first argument, or means the shared one.
sub _kafka
{
	my ($arguments) = @_;

	return ref $arguments->[0] eq 'CdcKafka' ? shift @$arguments : bless $shared, 'CdcKafka';
}

sub make_topic
{
	my $kafka = _kafka(\@_);
	my ($name, @rest) = @_;
	my $topic = "t$prefix.public.$name";

	$kafka->stack('topic-create', $topic, @rest);
	return $topic;
}

# produce(topic, [partition, key, value]...): an undefined key or value is a null
sub produce
{
	my $kafka = _kafka(\@_);
	my ($topic, @messages) = @_;
	my %input;
	my @running;

	foreach my $message (@messages)
	{
		my ($partition, $key, $value) = @$message;
		$input{$partition} .= ($key // '') . "\t" . ($value // '') . "\n";
	}
	foreach my $partition (sort keys %input)
	{
		push @running,
		  in_background($input{$partition}, 'kcat', '-q', '-P', '-Z', '-K', "\t", '-b', $kafka->{address},
			'-t', $topic, '-p', $partition);
	}
	$_->finish or die "kcat failed" foreach @running;
	return;
}

# A command that gets this input; its finish() waits for its end. (IPC::Run feeds what is longer than a pipe only there.)
sub in_background
{
	my ($input, @command) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir('input') . '/input';

	append_to_file($file, $input);
	return IPC::Run::start(\@command, '<', $file, '>', '/dev/null');
}

# A message: change(partition, op, table, before, after, field of source => value...); the table has the key id
sub change
{
	my ($partition, $op, $table, $before, $after, %source) = @_;

	return [
		$partition,
		$json->encode({ id => ($after // $before)->{id} }),
		event($op, $table, $before, $after, %source)
	];
}

# Debezium's envelope, JSON without schemas
sub event
{
	my ($op, $table, $before, $after, %source) = @_;

	return $json->encode(
		{
			op => $op,
			before => $before,
			after => $after,
			source => {
				version => '3.6.0.Final',
				connector => 'postgresql',
				name => "t$prefix",
				db => 'app',
				schema => 'public',
				table => $table,
				ts_ms => 1767225600000,
				ts_us => 1767225600000000,
				%source
			}
		});
}

# --- looking on -----------------------------------------------------------------------------------

# An assertion: the answer comes to be this, or like this, if it is a pattern.
sub becomes
{
	my ($node, $sql, $expected, $name, $patience) = @_;
	my $last;
	my $came = CdcTest::wait_until(
		$name,
		sub {
			$last = $node->try_sql($sql);
			return (ref $expected ? $last =~ $expected : $last eq $expected) ? 1 : 0;
		},
		$patience // 60);

	return ok($came, $name) || diag("wanted: $expected\ngot:    $last");
}

# what psql says on a statement that fails
sub error_of
{
	my ($node, $sql) = @_;
	my $error;

	$node->psql('app', $sql, stderr => \$error);
	return $error;
}

# "state next_offset" of a partition, as SQL
sub position_of
{
	my ($topic, $partition) = @_;

	return "SELECT state || ' ' || next_offset FROM cdcsync.stat_subscription"
	  . " WHERE topic = '$topic' AND partition = $partition";
}

# of the worker in database app, '' if there is none
sub worker_pid
{
	my ($node, $db) = @_;

	$db //= 'app';
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND datname = '$db'");
}

sub cpu_seconds
{
	my ($pid) = @_;
	my @field = split(' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr);

	return ($field[11] + $field[12]) / 100;
}

# how often the server's log has this, since the offset
sub log_lines
{
	my ($node, $pattern, $offset) = @_;
	my @found = slurp_file($node->logfile, $offset // 0) =~ /^.*$pattern.*$/mg;

	return scalar @found;
}

# An assertion: the server's log has no such line; those it has are shown.
sub log_has_no
{
	my ($node, $pattern, $name) = @_;
	my @found = slurp_file($node->logfile) =~ /^.*(?:$pattern).*$/mg;

	return is(join("\n", @found), '', $name);
}

# --- a Kafka of the test's own --------------------------------------------------------------------

# base + 100, 101 and 103 are free
sub base_port
{
	while (1)
	{
		my $base = PostgreSQL::Test::Cluster::get_free_port() - 100;
		return $base
		  if !grep { !PostgreSQL::Test::Cluster::can_bind('127.0.0.1', $base + $_) } 101, 103;
	}
}

sub new
{
	my ($class, $base) = @_;
	my $self = {
		base => $base,
		address => 'localhost:' . ($base + 100),
		dir => "$ENV{CDC_RUN}/stack-$prefix"
	};

	system_or_bail('rm', '-rf', $self->{dir});
	push @own, $self;
	return bless $self, $class;
}

# A command of test/stack/stack; a reference is its standard input.
sub stack
{
	my ($self, @command) = @_;
	my $input = ref $command[-1] ? pop @command : \'';
	my ($out, $error);

	IPC::Run::run([ $ENV{CDC_STACK}, '--dir', $self->{dir}, '--quiet', @command ],
		'<', $input, '>', \$out, '2>', \$error)
	  or die "stack @command: $error";
	chomp $out;
	return $out;
}

# the ends of a topic's partitions
sub ends
{
	my ($self, $topic) = @_;

	return map { (split / /)[2] } split(/\n/, $self->stack('topic-offsets', $topic));
}

END
{
	my $status = $?;

	foreach my $kafka (grep { -f "$_->{dir}/stack.env" } @own)
	{
		eval { $kafka->stack('services', 'stop'); 1 } or print $@;
	}
	$? = $status;
}

1;
