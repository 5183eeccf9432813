# Tests on the real stack: nodes with Debezium connectors, and ways to wait for what they have to do.
#
#	my ($server, @clients) = make_nodes(qw(server client-1 client-2));	# named t010-server ... in t/010_*.pl
#	make_todos($server, @clients);
#	make_connectors($server, @clients);
#	$_->subscribe($server) foreach @clients;
#	wait_until('it is there', sub { $server->sql('SELECT ...') });
#	wait_equal([ $server, @clients ], 'todos');
#
# Kafka and Debezium are those of test/run, shared by all files: every name begins with the file's number. Connectors
# go at the end, also when the test dies.
package CdcTest;

use strict;
use warnings;
use Exporter 'import';
use CdcNode;
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(make_nodes make_todos make_connectors post_connector own_connector make_hub stack
  wait_until wait_equal wait_settled is_equal is_silent no_errors timed end_offsets
  make_random_table write_at_random);

our $PATIENCE = 180;   # seconds until a wait is given up
our $STACK = "$ENV{CDC_RUN}/stack";    # the directory of Kafka and Debezium

my ($prefix) = basename($0) =~ /^(\d+)/;
my (@nodes, @connectors);

# --- setting up -----------------------------------------------------------------------------------

# Servers with a database app that has the extension
sub make_nodes
{
	my @made = map { _make_node($_) } @_;

	push @nodes, @made;
	return @made;
}

sub _make_node
{
	my ($name) = @_;
	my $node = CdcTest::Node->make(
		"t$prefix-$name",
		"cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
		"cdcsync.topic_refresh_interval = '200ms'");

	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->sql('CREATE EXTENSION cdcsync');
	return $node;
}

# The demo's table; client_id is the node's number.
sub make_todos
{
	my @on = @_;

	foreach my $i (0 .. $#on)
	{
		$on[$i]->sql(
			qq{
			\\set node $i
			\\i '$ENV{CDC_ROOT}/demo/todos.sql'
			SELECT cdcsync.add_table('todos', version_column => 'updated_at');
		});
		stack('topic-create', $on[$i]->name . '.public.todos');
	}
	return;
}

# A connector for each, side by side; returns when they stream. A reference to a list holds settings.
sub make_connectors
{
	my @settings = map { ('--set', $_) } map { @$_ } grep { ref $_ eq 'ARRAY' } @_;
	my @on = grep { ref $_ ne 'ARRAY' } @_;

	foreach my $node (@on)
	{
		push @connectors, $node->name;
		stack('connector-create', '--node', $node->name, '--port', $node->port, '--dbname', 'app',
			'--user', scalar getpwuid($>), '--no-wait', @settings);
	}
	stack('connector-wait', $_->name) foreach @on;
	return;
}

# It goes at the end, whoever makes it.
sub own_connector
{
	push @connectors, @_;
	return;
}

# A connector as a user makes it: what connector_config() gives is posted as it comes. Returns Kafka Connect's answer.
sub post_connector
{
	my ($node, $arguments) = @_;
	my $config = $node->sql("SELECT cdcsync.connector_config($arguments)");
	my $answer;

	own_connector($node->name);
	IPC::Run::run([ 'curl', '-sS', '--noproxy', '*', '-H', 'Content-Type: application/json', '-d', '@-', "$ENV{CONNECT}/connectors" ],
		'<', \$config, '>', \$answer)
	  or die "curl: $answer";
	return $answer;
}

# A server and so many clients with the table todos, that are subscribed to each other and stream
sub make_hub
{
	my ($clients) = @_;
	my ($server, @clients) = make_nodes('server', map { "client-$_" } 1 .. $clients);

	make_todos($server, @clients);
	make_connectors($server, @clients);
	foreach my $client (@clients)
	{
		$client->subscribe($server);
		$server->subscribe($client);
	}
	return ($server, @clients);
}

# A command of test/stack/stack; dies with what it says if it fails.
sub stack
{
	my @command = ($ENV{CDC_STACK}, '--dir', $STACK, @_);
	my ($out, $err);

	IPC::Run::run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err)
	  or die "stack @_: $err";
	return $out;
}

# Connectors before their servers: these would be missed.
END
{
	my $status = $?;

	foreach my $name (@connectors)
	{
		eval { stack('connector-delete', $name); 1 } or print $@;
	}
	$? = $status;
}

# --- waiting --------------------------------------------------------------------------------------

# Asks until the answer is true (t for a psql's boolean) or the patience is over; returns whether it came to be.
sub wait_until
{
	my ($what, $ask, $patience) = @_;
	my $end = time + ($patience // $PATIENCE);

	while (1)
	{
		my $answer = $ask->();
		return 1 if $answer && $answer ne 'f';
		last if time > $end;
		sleep 0.02;
	}
	diag("waited in vain: $what");
	$PATIENCE = 10;    # what is broken once needs no such patience again
	return 0;
}

# The seconds until it came to be; undef if it did not
sub timed
{
	my ($what, $ask, $patience) = @_;
	my $start = time;

	return wait_until($what, $ask, $patience) ? time - $start : undef;
}

# An assertion: the tables hold the same rows on all nodes, if a condition is given, those it is true of.
sub wait_equal
{
	my ($on, $tables, %option) = @_;
	my @tables = ref $tables ? @$tables : ($tables);
	my $where = $option{where};
	my $name = $option{name} // 'equal everywhere: ' . join(', ', @tables);
	my %digest;
	my $equal = wait_until(
		$name,
		sub {
			%digest = ();
			foreach my $node (@$on)
			{
				return 0 if defined $where && $node->sql("SELECT ($where)::int") ne '1';
				$digest{ $node->digest(@tables) } = 1;
			}
			return keys %digest == 1;
		},
		$option{patience});

	ok($equal, $name) or explain_difference($on, @tables);
	return $equal;
}

# An assertion: the tables hold the same rows on all nodes now.
sub is_equal
{
	my ($on, @tables) = @_;
	my %digest = map { $_->digest(@tables) => 1 } @$on;

	return ok(keys %digest == 1, 'equal everywhere: ' . join(', ', @tables))
	  || explain_difference($on, @tables);
}

# Everything that was written so far has gone everywhere it goes: the connectors are through with their WAL, the workers
# with the topics, and the topics have not grown for some seconds.
sub wait_settled
{
	my ($window, @on) = @_;
	my ($since, $last) = (time, '');

	_marker($_) foreach @on;
	return wait_until(
		'all to settle',
		sub {
			my $now = join("\n", end_offsets(@on), map { $_->lag } @on);
			($since, $last) = (time, $now) if $now ne $last;
			return $now !~ /lag/ && time - $since >= $window;
		},
		$PATIENCE + $window);
}

# A message in the WAL, whose record comes after those of the changes before it
sub _marker
{
	my ($node) = @_;
	my $topic = $node->name . '.message';
	my $count = sub { my ($n) = stack('topics') =~ /^\Q$topic\E /m ? _end_of($topic) : 0; $n };
	my $before = $count->();

	$node->sql("SELECT pg_logical_emit_message(true, 'marker', '')");
	wait_until("the connector of " . $node->name, sub { $count->() > $before });
	return;
}

# An assertion: no topic of theirs grows for so many seconds.
sub is_silent
{
	my ($window, @on) = @_;
	my $before = join("\n", end_offsets(@on));
	my $end = time + $window;
	my $now = $before;

	while (time < $end && $now eq $before)
	{
		sleep 0.2;
		$now = join("\n", end_offsets(@on));
	}
	return is($now, $before, "silent for $window s");
}

# An assertion: every subscription streams, or is paused. A topic that was found a moment ago may still be on its way there.
sub no_errors
{
	my @on = @_;
	my $wrong;

	wait_until(
		'every subscription to stream',
		sub {
			$wrong = join("\n", grep { length } map {
				$_->sql(q{
					SELECT current_setting('cdcsync.node_name'), subscription, topic, partition, state, last_error
					FROM cdcsync.stat_subscription WHERE state NOT IN ('streaming', 'paused')})
			} @on);
			return $wrong eq '' || $wrong =~ /\|error\|/;
		});
	return is($wrong, '', 'every subscription streams');
}

# "topic partition end" of the tables' topics of these nodes
sub end_offsets
{
	my $names = join('|', map { quotemeta $_->name } @_);
	my @topics = map { (split / /)[0] } grep { /^(?:$names)\.\w+\.\w+ / } split(/\n/, stack('topics'));

	return map { "$_ " . join(',', _end_of($_)) } sort @topics;
}

sub _end_of
{
	my ($topic) = @_;

	return map { (split / /)[2] } split(/\n/, stack('topic-offsets', $topic));
}

# --- random writers -------------------------------------------------------------------------------

# A table of few keys, and a function that does one of several things to one of them; { clock => 'commit' } before the
# nodes makes it one without a version column
sub make_random_table
{
	my %option = ref $_[0] eq 'HASH' ? %{ shift() } : ();

	foreach my $node (@_)
	{
		$node->sql(($option{clock} // '') eq 'commit' ? <<'COMMIT' : <<'COLUMN');
CREATE TABLE kv (k int PRIMARY KEY, t text, n int NOT NULL DEFAULT 0);
SELECT cdcsync.add_table('kv');
COMMIT
CREATE TABLE kv (k int PRIMARY KEY, t text, n int NOT NULL DEFAULT 0, updated_at timestamptz);
SELECT cdcsync.add_table('kv', version_column => 'updated_at');
COLUMN
		$node->sql(<<'SQL');
CREATE FUNCTION step(key int, choice int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	me text := current_setting('cdcsync.node_name') || ' ' || choice;
BEGIN
	CASE
		WHEN choice < 30 THEN
			INSERT INTO kv (k, t) VALUES (key, me) ON CONFLICT DO NOTHING;
		WHEN choice < 60 THEN
			UPDATE kv SET t = me, n = n + 1 WHERE k = key;
		WHEN choice < 65 THEN
			UPDATE kv SET t = NULL WHERE k IN (key, key + 1);
		WHEN choice < 85 THEN
			DELETE FROM kv WHERE k = key;
		WHEN choice < 90 THEN
			DELETE FROM kv WHERE k = key;
			INSERT INTO kv (k, t) VALUES (key, me || ' again') ON CONFLICT DO NOTHING;
		WHEN choice < 95 THEN
			UPDATE kv SET k = key + 1, t = me || ' moved' WHERE k = key;
		ELSE
			INSERT INTO kv (k, t) SELECT i, me FROM generate_series(key, key + 3) AS i
			ON CONFLICT (k) DO UPDATE SET t = excluded.t, n = kv.n + 1;
	END CASE;
EXCEPTION
	WHEN unique_violation OR deadlock_detected THEN
		NULL;
END
$$;
SQL
	}
	return;
}

# pgbench on all of them at once; returns how many transactions there were
sub write_at_random
{
	my ($seconds, @on) = @_;
	my $seed = $ENV{CDC_SEED} // int(rand(2**31));
	my $script = PostgreSQL::Test::Utils::tempdir() . '/script';
	my (@runs, @out, $count);

	note("CDC_SEED=$seed");
	append_to_file($script, "\\set key random(1, 8)\n\\set choice random(0, 99)\nSELECT step(:key, :choice);\n");
	foreach my $i (0 .. $#on)
	{
		push @runs,
		  IPC::Run::start(
			[
				'pgbench', '-n', '-f', $script, '-T', $seconds, '-c', '3', '-R', '200',
				'--random-seed', $seed + $i, '-h', $on[$i]->host, '-p', $on[$i]->port, 'app'
			],
			'<', '/dev/null', '>', \$out[$i], '2>&1');
	}
	foreach my $i (0 .. $#on)
	{
		$runs[$i]->finish;
		$count += $1 if $out[$i] =~ /transactions actually processed: (\d+)/;
		die $out[$i] if $out[$i] =~ /abort|fail(?!ed transactions: 0)/;
	}
	return $count;
}

# --- when it went wrong ---------------------------------------------------------------------------

sub explain_difference
{
	my ($on, @tables) = @_;

	foreach my $table (@tables)
	{
		my %has;
		foreach my $node (@$on)
		{
			push @{ $has{$_} }, $node->name
			  foreach split(/\n/, $node->sql("SELECT t FROM $table AS t"));
		}
		my @odd = grep { @{ $has{$_} } < @$on } sort keys %has;
		diag("$table: rows that are not everywhere: " . @odd) if @odd;
		diag('  ' . substr($_, 0, 200) . "  only on @{ $has{$_} }") foreach splice(@odd, 0, 5);
	}
	foreach my $node (@$on)
	{
		diag($node->name . ":\n" . $node->sql('SELECT subscription, topic, partition, state, next_offset, lag, last_error FROM cdcsync.stat_subscription'));
		diag($node->log_tail(10));
	}
	return;
}

package CdcTest::Node;

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

our @ISA = ('CdcNode');

# what a statement in database app gives, as psql -At; dies if it fails
sub sql
{
	my ($self, $sql) = @_;

	return $self->safe_psql('app', $sql);
}

# subscribe(peer, option => SQL literal...); the topics are those of the peer's schema public unless given
sub subscribe
{
	my ($self, $peer, %option) = @_;
	my $name = $peer->name;

	$option{topics} //= "'{^" . ($name =~ s/\./\\\\./gr) . "\\\\.public\\\\.}'";
	my $options = join(', ', map { "$_ => $option{$_}" } sort keys %option);
	$self->sql("SELECT cdcsync.subscribe('$name', $options)");
	return;
}

# Neither sends nor receives until online(): what `make disconnect` does
sub offline
{
	my ($self) = @_;

	$self->sql('SELECT cdcsync.pause(NULL)');
	CdcTest::stack('connector-pause', $self->name);
	return;
}

sub online
{
	my ($self) = @_;

	CdcTest::stack('connector-resume', $self->name);
	$self->sql('SELECT cdcsync.resume(NULL)');
	return;
}

sub is_up
{
	my ($self) = @_;

	return defined $self->{_pid};
}

# SIGKILL; the pids of the processes it leaves behind
sub kill_postmaster
{
	my ($self) = @_;
	my $pid = $self->{_pid};

	$self->{killed} = $pid;
	$self->{orphans} = [ split(/ /, slurp_file("/proc/$pid/task/$pid/children")) ];
	$self->kill9;
	return;
}

# False if they do not leave, or it does not start again
sub start_after_kill
{
	my ($self) = @_;
	my $pid = $self->{killed};

	CdcTest::wait_until('all processes to leave when their postmaster is gone', sub { !grep { !_is_gone($_) } @{ $self->{orphans} } }, 20)
	  or return 0;
	# a zombie that nobody buries would be taken for a living server
	unlink($self->data_dir . '/postmaster.pid') if -e "/proc/$pid" && _is_gone($pid);
	return CdcTest::wait_until('the server', sub { $self->start(fail_ok => 1) }, 30);
}

sub _is_gone
{
	my ($pid) = @_;

	open(my $file, '<', "/proc/$pid/stat") or return 1;
	return (<$file> // '') !~ /\) [^Z]/;
}

# count and checksum of all rows of all these tables, as text
sub digest
{
	my ($self, @tables) = @_;

	return $self->sql(
		join(
			' UNION ALL ',
			map {
				"SELECT '$_ ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n'"
				  . " ORDER BY t::text COLLATE \"C\")), '') FROM $_ AS t"
			} @tables));
}

# a line for every partition that is not read to its end
sub lag
{
	my ($self) = @_;

	return $self->sql(q{
		SELECT current_setting('cdcsync.node_name'), 'lag', topic, partition, next_offset, end_offset, state
		FROM cdcsync.stat_subscription
		WHERE lag IS DISTINCT FROM 0 AND state <> 'paused'});
}

1;
