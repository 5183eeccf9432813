# The nodes of test/t/051_chaos.pl: those of Converge::Nodes with a Kafka and a Debezium of their own, which are killed like the
# servers' processes; faults, and what must be true after each round.
#
#	my $nodes = Chaos::Nodes->make(topology => 'hub', nodes => 3, tables => \@Chaos::Plan::TABLES, ...);
#	$nodes->run($round);
#	$nodes->heal or ...;	# everything is there again, all that was sent is done
#	$nodes->settle or ...;
#	my @texts = $nodes->complaints;	# of the round
#
# What blocks (DDL that waits for a lock) is sent and not waited for, or it would hold up the faults that come after it.
package Chaos::Nodes;

use strict;
use warnings;
use CdcKafka qw(base_port);
use CdcTest;
use Chaos::Plan;
use Converge::Nodes;
use Converge::Session;
use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @ISA = ('Converge::Nodes');

my $http = HTTP::Tiny->new(timeout => 60);
my @counted = map { ("ledger$_", "counter$_") } @Chaos::Plan::COUNTED;
my @sessions = qw(user snapshot ddl admin);    # besides control and the writers

# What the apply worker and the launcher may say at ERROR or above
my %explained = (
	'FATAL:  terminating background worker "[^"]+" due to administrator command' => 'pg_terminate_backend, shutdown',
	'FATAL:  terminating connection due to administrator command' => 'the same, before the worker has its name',
	'FATAL:  terminating connection due to unexpected postmaster exit' => 'kill -9 of the postmaster');

my $streaming = q{SELECT bool_and(state = 'streaming') FROM cdcsync.stat_subscription};

# What stops a partition for a while; after what it is read again
my $column = qr/^column "x\d+" of the event does not exist in table/;
my $transient = qr/^(?:deadlock detected|could not serialize access|could not obtain lock|canceling statement due to lock timeout|rows of table \S+ were changed concurrently)/;

# --- setting up -----------------------------------------------------------------------------------

sub make
{
	my ($class, %config) = @_;
	my $kafka = CdcKafka->new(base_port());

	$kafka->stack('services', 'start', '--base-port', $kafka->{base});
	@ENV{qw(KAFKA CONNECT)} = ($kafka->{address}, 'http://localhost:' . ($kafka->{base} + 101));
	$CdcTest::STACK = $kafka->{dir};
	return $class->SUPER::make(%config, stack => $kafka, down => {});
}

# A connector that is killed before takes its snapshot again: what it has not sent then is no event.
sub wait_for_offsets
{
	my ($self) = @_;

	return wait_until('the connectors to know how far they are', sub { !grep { !_knows_offset($_->name) } @{ $self->{node} } });
}

sub _knows_offset
{
	my ($name) = @_;
	my $answer = $http->get("$ENV{CONNECT}/connectors/$name/offsets");

	return $answer->{success} && grep { $_->{offset}{lsn_proc} } @{ decode_json($answer->{content})->{offsets} };
}

sub make_server
{
	my ($self, $name, @settings) = @_;

	return CdcTest::Node->make($name, @settings);
}

sub make_node
{
	my ($self, $i) = @_;
	my $node = $self->SUPER::make_node($i);

	$node->sql(join('', map { Chaos::Plan::counted_sql($_) } @Chaos::Plan::COUNTED));
	$node->{$_} = Converge::Session->new($node, $_) foreach @sessions;
	$node->{kills} = 0;
	return $node;
}

sub writers { return 4 }

# the clocks are right
sub set_clocks { return }

# --- faults: processes ----------------------------------------------------------------------------

# A signal to a process of the server; the server takes it for a crash, and starts anew.
sub _kill
{
	my ($self, $node, $event, $where) = @_;
	my $said = $node->{control}->ask("SELECT pid FROM pg_stat_activity WHERE $where ORDER BY backend_start") // '';
	my @pids = $said =~ /^(\d+)$/mg;
	my $pid = $pids[ $event->{peer} * @pids ];

	return $self->missed($event) if !$pid || !_is_server($pid);
	$node->{kills}++;
	kill('KILL', $pid);
	return;
}

# The server was away already.
sub missed
{
	my ($self, $event) = @_;

	$self->{faults}{ $event->{do} }--;
	$self->{struck}[-1]{missed} = 1;
	return;
}

sub _is_server
{
	my ($pid) = @_;

	open(my $file, '<', "/proc/$pid/cmdline") or return 0;
	return (<$file> // '') =~ /^postgres: /;
}

sub strike_kill_worker
{
	my ($self, $node, $event) = @_;

	return $self->_kill($node, $event, q{backend_type = 'cdcsync apply worker'});
}

sub strike_kill_launcher
{
	my ($self, $node, $event) = @_;

	return $self->_kill($node, $event, q{backend_type = 'cdcsync launcher'});
}

# of a user, or of Debezium
sub strike_kill_backend
{
	my ($self, $node, $event) = @_;

	return $self->_kill($node, $event, q{backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()});
}

sub strike_kill_postmaster
{
	my ($self, $node, $event) = @_;

	return $self->missed($event) if !$node->is_up;
	$node->kill_postmaster;
	return Converge::Nodes::until_end($event, 'kill_postmaster');
}

sub strike_end_kill_postmaster
{
	my ($self, $node) = @_;

	$node->start_after_kill or push @{ $self->{wrong} }, $node->name . ' does not start after its postmaster was killed';
	return;
}

sub strike_restart
{
	my ($self, $node, $event) = @_;

	return $self->missed($event) if !$node->is_up;
	$node->stop('immediate');
	$node->start;
	return;
}

# --- faults: Kafka and Debezium -------------------------------------------------------------------

sub strike_kafka
{
	my ($self, $node, $event) = @_;

	$self->kill_part('kafka');
	return Converge::Nodes::until_end($event, 'kafka');
}

sub strike_end_kafka { my ($self) = @_; return $self->start_part('kafka') }

sub strike_debezium
{
	my ($self, $node, $event) = @_;

	$self->kill_part('debezium');
	return Converge::Nodes::until_end($event, 'debezium');
}

# It does not come up without Kafka.
sub strike_end_debezium
{
	my ($self) = @_;

	$self->start_part('kafka');
	return $self->start_part('debezium');
}

sub kill_part
{
	my ($self, $part) = @_;

	return if $self->{down}{$part};
	$self->wait_for_parts;
	$self->{stack}->stack($part, 'kill');
	$self->{down}{$part} = 1;
	return;
}

# Its start goes on beside the round; the next command for the two waits for it.
sub start_part
{
	my ($self, $part) = @_;

	return if !delete $self->{down}{$part};
	$self->wait_for_parts;
	$self->{starting} = { part => $part, said => '' };
	$self->{starting}{run} = IPC::Run::start([ $ENV{CDC_STACK}, '--dir', $self->{stack}{dir}, '--quiet', $part, 'start' ],
		'<', '/dev/null', '>', \$self->{starting}{said}, '2>&1');
	return;
}

sub wait_for_parts
{
	my ($self) = @_;
	my $starting = delete $self->{starting} // return;

	$starting->{run}->finish or die "$starting->{part} does not start: $starting->{said}";
	return;
}

# --- faults: what administrators and users do -----------------------------------------------------

sub strike_pause
{
	my ($self, @with) = @_;
	my $end = $self->strike_link_in(@with);

	return { %$end, do => 'end_pause' };
}

sub strike_end_pause { my ($self, @with) = @_; return $self->strike_end_link_in(@with) }

sub strike_add_column
{
	my ($self, $node, $event) = @_;
	my $sql = "ALTER TABLE $event->{table} ADD COLUMN IF NOT EXISTS $event->{column} int NOT NULL DEFAULT $event->{number};\n";

	push @{ $node->{due} }, $sql;
	$node->{ddl}->send($sql);
	return;
}

sub strike_index
{
	my ($self, $node, $event) = @_;
	my $table = _table($self, $event);

	$node->{ddl}->send("DROP INDEX IF EXISTS extra;\nCREATE INDEX extra ON $table ((n + $event->{number}));\n");
	return;
}

sub strike_lock
{
	my ($self, $node, $event) = @_;
	my $mode = ('ACCESS EXCLUSIVE', 'SHARE', 'EXCLUSIVE')[ $event->{peer} * 3 ];

	$node->{user}->send('BEGIN; LOCK TABLE ' . _table($self, $event) . " IN $mode MODE;\n");
	return Converge::Nodes::until_end($event, 'lock');
}

sub strike_end_lock
{
	my ($self, $node) = @_;

	$node->{user}->send("COMMIT;\n");
	return;
}

sub _table
{
	my ($self, $event) = @_;
	my @tables = (map({ $_->{name} } @{ $self->{tables} }), @counted);

	return $tables[ $event->{number} % @tables ];
}

sub strike_snapshot
{
	my ($self, $node, $event) = @_;

	$node->{snapshot}->send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'snapshot';\n");
	return Converge::Nodes::until_end($event, 'snapshot');
}

sub strike_end_snapshot
{
	my ($self, $node) = @_;

	$node->{snapshot}->send("COMMIT;\n");
	return;
}

# every other one makes the worker open its Kafka client anew
sub strike_reload
{
	my ($self, $node, $event) = @_;
	my $n = $event->{number};
	my $setting = $n % 2 ? "cdcsync.batch_rows = $n" : "cdcsync.kafka_config = 'topic.metadata.refresh.interval.ms=6$n'";

	$node->{admin}->send("ALTER SYSTEM SET $setting;\nSELECT pg_reload_conf();\n");
	return;
}

sub strike_vacuum_full
{
	my ($self, $node) = @_;

	$node->{admin}->send(<<'END');
SELECT format('VACUUM FULL %s', oid::regclass) FROM pg_class WHERE relnamespace = 'cdcsync'::regnamespace AND relkind = 'r' \gexec
END
	return;
}

# The copy of one that has the extension would be a node of its own: a plain one
sub strike_database
{
	my ($self, $node) = @_;

	$node->{admin}->send("DROP DATABASE IF EXISTS other;\nCREATE DATABASE other;\nDROP DATABASE other;\n");
	return;
}

# --- the way back ---------------------------------------------------------------------------------

# All faults have come to their end in the round: what is left is what goes on by itself.
sub heal
{
	my ($self) = @_;

	$self->start_part('kafka');
	$self->start_part('debezium');
	$self->wait_for_parts;
	$self->resume_nodes or return 0;
	foreach my $node (@{ $self->{node} })
	{
		foreach my $name (@sessions)
		{
			$node->{$name}->drain(60) or push(@{ $self->{wrong} }, $node->name . ": session $name does not end"), return 0;
		}
		$self->finish_columns($node) or return 0;
	}
	wait_until('the connectors', sub { !grep { !$self->connector_runs($_->name) } @{ $self->{node} } }) or return 0;
	return 1;
}

# A crash may have come in between.
sub finish_columns
{
	my ($self, $node) = @_;

	foreach my $sql (splice(@{ $node->{due} // [] }))
	{
		wait_until($sql, sub { ($node->{ddl}->ask($sql =~ s/;\n\z//r) // '') =~ /^ALTER TABLE$/m }) or return 0;
	}
	return 1;
}

# One that has failed is started again, as its administrator would.
sub connector_runs
{
	my ($self, $name) = @_;
	my $url = "$ENV{CONNECT}/connectors/$name";
	my $answer = $http->get("$url/status");
	my $status = $answer->{success} ? eval { decode_json($answer->{content}) } : undef;
	my @states = $status ? map { $_->{state} } $status->{connector}, @{ $status->{tasks} } : ();

	if (grep { $_ eq 'FAILED' } @states)
	{
		$self->{restarts}++;
		$http->post("$url/restart?includeTasks=true&onlyFailed=true");
	}
	return @states == 2 && !grep { $_ ne 'RUNNING' } @states;
}

# --- what must be true ----------------------------------------------------------------------------

sub complaints
{
	my ($self) = @_;

	# on a busy machine the broker's answers may take longer than the worker waits for them
	wait_until('all partitions to stream', sub { !grep { ($_->{control}->ask($streaming) // '') ne "t\n" } @{ $self->{node} } }, 30);
	return (
		splice(@{ $self->{wrong} // [] }),
		$self->SUPER::complaints,
		map({ "unexpected: $_" } $self->strange_errors),
		$self->counted_complaints,
		map({ ($self->account_complaints($_), $self->log_complaints($_)) } 0 .. $self->{nodes} - 1));
}

# the ledgers and counters are the same everywhere
sub counted_complaints
{
	my ($self) = @_;
	my @wrong;

	foreach my $table (@counted)
	{
		my %has;
		foreach my $node (@{ $self->{node} })
		{
			push @{ $has{$_} }, $node->name foreach split(/\n/, $node->{control}->ask("SELECT t FROM $table AS t") // 'no answer');
		}
		push @wrong, map { "$table: $_ only on @{ $has{$_} }" } grep { @{ $has{$_} } < $self->{nodes} } sort keys %has;
	}
	return @wrong;
}

# A node's own account: its ledger is without gaps up to its counter, has what was committed and nothing that was not; and
# what it has of others was written once.
sub account_complaints
{
	my ($self, $i) = @_;
	my $node = $self->{node}[$i];
	my ($committed, $failed) = outcomes(@{ $node->{writers} }[ 2, 3 ]);
	my @wrong;

	foreach my $suffix (@Chaos::Plan::COUNTED)
	{
		my %has = map { $_ => 1 } split(/\n/, $node->{control}->ask("SELECT id FROM ledger$suffix WHERE node = $i") // '');
		push @wrong, map { "ledger$suffix has not $_, which was committed" } grep { !$has{$_} } @$committed;
		push @wrong, map { "ledger$suffix has $_, which was not committed" } grep { $has{$_} } @$failed;
		push @wrong, map { "ledger$suffix: $_" } split(/\n/, $node->{control}->ask(<<"END") // 'no answer');
SELECT format('node %s: %s entries, numbers to %s, counter %s', node, count(*), max(l.n), max(c.n))
FROM ledger$suffix AS l FULL JOIN counter$suffix AS c USING (node) GROUP BY node
HAVING (count(l.id) <> max(c.n) OR count(DISTINCT l.n) <> max(c.n) OR min(l.n) <> 1 OR max(l.n) <> max(c.n)) IS NOT FALSE
UNION ALL
SELECT format('%s of node %s: written %s times by the worker: %s', id, node, count(op), string_agg(op, ', '))
FROM ledger$suffix FULL JOIN applied$suffix USING (id) GROUP BY id, node
HAVING (count(op) = (node <> $i)::int AND bool_and(op = 'INSERT') IS NOT FALSE) IS NOT TRUE
END
	}
	return map { $node->name . ": $_" } @wrong;
}

# the names of the transactions that were committed, and of those that were not; what was cut off may be either
sub outcomes
{
	my (@committed, @failed);

	foreach my $writer (@_)
	{
		my $said = $writer->said(0);
		push @committed, $said =~ /^COMMIT\n=(\d\S+)$/mg;
		push @failed, $said =~ /^ROLLBACK\n=(\d\S+)$/mg;
	}
	return (\@committed, \@failed);
}

# What the log has since the last look: no crash but those that were ordered, no error but those that a fault explains
sub log_complaints
{
	my ($self, $i) = @_;
	my $node = $self->{node}[$i];
	my $log = slurp_file($node->logfile, $node->{log_from} // 0);
	my $kills = $node->{kills};
	my @crashes = $log =~ /was terminated by signal (\d+)/g;
	my @wrong = $log =~ /^(.*(?:PANIC|TRAP|recalcitrant).*)$/mg;

	$node->{log_from} = -s $node->logfile;
	$node->{kills} = 0;
	push @wrong, grep { !/terminated by signal 9\b/ } $log =~ /^(.*was terminated by signal.*)$/mg;
	push @wrong, @crashes . " crashes, $kills kills" if @crashes > $kills;
	my $allowed = join('|', keys %explained);
	push @wrong, grep { !/$allowed/ } $log =~ /^(.*\] cdcsync (?:apply worker|launcher) +(?:ERROR|FATAL|PANIC):.*)$/mg;
	push @wrong, $self->stops($log);
	return map { $node->name . ": $_" } @wrong;
}

# Writers' servers also end in other ways.
sub expected_errors
{
	my ($self) = @_;

	return $self->SUPER::expected_errors . '|terminating connection due to (?:unexpected postmaster exit|administrator command)|the database system is shutting down';
}

sub faults_listed
{
	my ($self) = @_;
	my $n = $self->{faults};

	return join(', ', map({ "$_ $n->{$_}" } sort keys %$n), 'partitions stopped for a column ' . ($self->{stopped} // 0),
		'connectors started by hand ' . ($self->{restarts} // 0));
}

# Partitions that have stopped, or were read again, for something that no fault explains
sub stops
{
	my ($self, $log) = @_;
	my @stops;

	while ($log =~ /^(.* cdcsync apply worker +LOG:  subscription .* (?:stopped at|will read) topic .*)\n.*DETAIL:  (.*(?:\n\t.*)*)/mg)
	{
		my ($stop, $why) = ($1, $2);
		$self->{stopped}++ if $stop =~ / stopped /;
		push @stops, "$stop: $why" if $why !~ $column && $why !~ $transient;
	}
	return @stops;
}

1;
