# The nodes of test/t/050_converge.pl: a server each, with a clock of its own (clock.c), subscribed to each other as the
# topology says; faults, and the way back from them.  Chaos::Nodes has other servers and other faults.
#
#	my $nodes = Converge::Nodes->make(topology => 'hub', nodes => 3, tables => [...]);
#	$nodes->run($round);		# the events of a round of Converge::Plan at their times
#	$nodes->heal or ...;		# all is connected again, all writers are done
#	$nodes->settle or ...;		# all is applied everywhere, and nothing more comes of it
#	my $rows = $nodes->rows;	# { table => { key => { node => row } } }
package Converge::Nodes;

use strict;
use warnings;
use CdcTest;
use Converge::Plan;
use Converge::Session;
use File::Basename;
use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

# who reads whom: pairs [reader, author], and the options of subscribe()
our %TOPOLOGY = (
	hub => { nodes => 3, pairs => \&spokes },
	mesh => { nodes => 3, pairs => \&everybody, origin => 'none' },
	shared => { nodes => 3, pairs => \&everybody, origin => 'none', topic => sub { "$_[0]-1.all.changes" } },
	pernode => { nodes => 3, pairs => \&spokes, topic => sub { "$_[1].all" } },
	chain => { nodes => 4, pairs => \&neighbours });

my $http = HTTP::Tiny->new(timeout => 60);
my ($prefix) = basename($0) =~ /^(\d+)/;

# --- setting up -----------------------------------------------------------------------------------

sub make
{
	my ($class, %config) = @_;
	my $self = bless {%config}, $class;

	$self->{shape} = $TOPOLOGY{ $self->{topology} };
	$self->{name} = "t$prefix-$self->{topology}";
	$self->{faults} = {};
	foreach my $i (0 .. $self->{nodes} - 1)
	{
		push @{ $self->{node} }, $self->make_node($i);
	}
	make_connectors(@{ $self->{node} }, [ $self->connector_settings ]);
	$self->subscribe;
	return $self;
}

sub make_node
{
	my ($self, $i) = @_;
	my $node = $self->make_server(
		"$self->{name}-" . ($i + 1),
		"cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
		"cdcsync.topic_refresh_interval = '200ms'",
		'cdcsync.batch_rows = ' . (10_000, 100, 7)[ $i % 3 ],
		'max_replication_slots = 20',
		'deadlock_timeout = 100ms');

	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->sql("CREATE EXTENSION cdcsync;\nCREATE EXTENSION amcheck;\n" . join('', map { Converge::Plan::table_sql($_) } @{ $self->{tables} }));
	$node->{control} = Converge::Session->new($node, 'control');
	$node->{maker} = Converge::Session->new($node, 'maker');
	$node->{writers} = [ map { Converge::Session->new($node, "writer-$_") } 0 .. $self->writers - 1 ];
	return $node;
}

sub make_server
{
	my ($self, $name, @settings) = @_;

	# a clock that is put forward would be taken for a long silence
	return Converge::Node->make_with_clock($name, @settings, 'wal_sender_timeout = 0');
}

sub writers { return 2 }

sub connector_settings
{
	my ($self) = @_;
	my $name = $self->{shape}{topic};
	my @settings = ("topic.creation.default.partitions=$self->{partitions}");

	return @settings if !$name;
	return (
		@settings,
		'transforms=route',
		'transforms.route.type=io.debezium.transforms.ByLogicalTableRouter',
		'transforms.route.topic.regex=(.*)[.]public[.].*',
		'transforms.route.topic.replacement=' . $name->($self->{name}, '$1'),
		'transforms.route.key.enforce.uniqueness=false',
		'tombstones.on.delete=false');
}

sub subscribe
{
	my ($self) = @_;
	my $shape = $self->{shape};
	my @node = @{ $self->{node} };
	my $origin = $shape->{origin} // 'any';

	if ($self->{topology} eq 'shared')
	{
		my $topic = $shape->{topic}->($self->{name});
		my $names = join(',', map { $_->name } @node);
		$_->sql("SELECT cdcsync.subscribe('all', '{$topic}', origin => '$origin', peers => '{$names}')") foreach @node;
		$_->{subscriptions} = ['all'] foreach @node;
		return;
	}
	foreach my $pair ($shape->{pairs}->($#node))
	{
		my ($reader, $author) = map { $node[$_] } @$pair;
		my %topics = $shape->{topic} ? (topics => "'{" . $shape->{topic}->('', $author->name) . "}'") : ();
		$reader->subscribe($author, origin => "'$origin'", %topics);
		push @{ $reader->{subscriptions} }, $author->name;
	}
	return;
}

sub spokes { my ($last) = @_; return map { ([ 0, $_ ], [ $_, 0 ]) } 1 .. $last }
sub neighbours { my ($last) = @_; return map { ([ $_ - 1, $_ ], [ $_, $_ - 1 ]) } 1 .. $last }

sub everybody
{
	my ($last) = @_;

	return map { my $i = $_; map { [ $i, $_ ] } grep { $_ != $i } 0 .. $last } 0 .. $last;
}

# --- a round --------------------------------------------------------------------------------------

# The events of a round at their times
sub run
{
	my ($self, $round) = @_;
	my @events = @{ $round->{events} };

	$self->set_clocks(@{ $round->{clocks} });
	$self->{struck} = [];
	$self->{start} = time;
	while (my $event = shift @events)
	{
		my $pause = $event->{at} - (time - $self->{start});
		sleep $pause if $pause > 0;
		if ($event->{do} eq 'write')
		{
			$self->{node}[ $event->{node} ]{writers}[ $event->{writer} ]->send($event->{text});
			next;
		}
		my $end = $self->strike($event);
		@events = sort { $a->{at} <=> $b->{at} } $end, @events if $end;
	}
	return;
}

# --- faults ---------------------------------------------------------------------------------------

# Returns a fault's end as an event, if it has one.
sub strike
{
	my ($self, $event) = @_;
	my $node = $self->{node}[ $event->{node} ];
	my $kind = $event->{do};
	my $strike = $self->can("strike_$kind") or die "fault $kind";

	$self->{faults}{$kind}++ if $kind !~ /^end_/;
	push @{ $self->{struck} }, { %$event, at => time - $self->{start} };
	return $strike->($self, $node, $event);
}

sub until_end
{
	my ($event, $kind, @more) = @_;

	return { at => $event->{until}, do => "end_$kind", node => $event->{node}, @more };
}

sub strike_link_out
{
	my ($self, $node, $event) = @_;

	_connect($node->name, 'pause');
	return until_end($event, 'link_out');
}

sub strike_end_link_out
{
	my ($self, $node) = @_;

	_connect($node->name, 'resume');
	return;
}

sub strike_link_in
{
	my ($self, $node, $event) = @_;
	my @names = @{ $node->{subscriptions} };
	my $name = $names[ $event->{peer} * @names ];

	$node->{control}->ask("SELECT cdcsync.pause('$name')");
	return until_end($event, 'link_in', name => $name);
}

sub strike_end_link_in
{
	my ($self, $node, $event) = @_;

	$node->{control}->ask("SELECT cdcsync.resume('$event->{name}')");
	return;
}

sub strike_offline
{
	my ($self, $node, $event) = @_;

	$node->{control}->ask('SELECT cdcsync.pause()');
	_connect($node->name, 'pause');
	return until_end($event, 'offline');
}

sub strike_end_offline
{
	my ($self, $node) = @_;

	_connect($node->name, 'resume');
	$node->{control}->ask('SELECT cdcsync.resume()');
	return;
}

sub strike_terminate
{
	my ($self, $node) = @_;

	$node->{control}->ask(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'});
	return;
}

# The server takes a worker that was killed for a crash, and starts anew with all its processes.
sub strike_kill
{
	my ($self, $node) = @_;
	my $pid = $node->worker;

	$self->strike_end_stop($node);
	kill('KILL', $pid) if $pid;
	$self->{kills}++ if $pid;
	return;
}

sub strike_stop
{
	my ($self, $node, $event) = @_;
	my $pid = $node->worker;

	return if !$pid;
	kill('STOP', $pid);
	push @{ $node->{stopped} }, $pid;
	return until_end($event, 'stop');
}

sub strike_end_stop
{
	my ($self, $node) = @_;

	$node->is_worker($_) && kill('CONT', $_) foreach splice(@{ $node->{stopped} // [] });
	return;
}

sub strike_restart_connector
{
	my ($self, $node) = @_;

	$http->post("$ENV{CONNECT}/connectors/" . $node->name . '/restart?includeTasks=true');
	return;
}

sub strike_clock
{
	my ($self, $node, $event) = @_;

	$node->set_clock($event->{to});
	return;
}

# It waits for writers' locks: it is sent, and not waited for.  A crash may undo it
sub strike_partition
{
	my ($self, $node, $event) = @_;

	push @{ $node->{partitions} }, $event->{sql};
	$node->{maker}->send("$event->{sql};\n");
	return;
}

sub finish_partitions
{
	my ($self, $node) = @_;

	foreach my $sql (splice(@{ $node->{partitions} // [] }))
	{
		wait_until($sql, sub { ($node->{maker}->ask($sql) // '') =~ /^CREATE TABLE$/m }) or return 0;
	}
	return 1;
}

sub _connect
{
	my ($name, $verb) = @_;
	my $answer = $http->put("$ENV{CONNECT}/connectors/$name/$verb");

	die "connector $name, $verb: $answer->{status} $answer->{content}" if !$answer->{success} && $answer->{status} != 409;
	return;
}

# The clocks of a round's beginning.  Under the commit clock nobody writes until a clock that was put back has come to where it was.
sub set_clocks
{
	my ($self, @offsets) = @_;
	my $strict = grep { !$_->{version} } @{ $self->{tables} };
	my $back = 0;

	foreach my $i (0 .. $#offsets)
	{
		my $node = $self->{node}[$i];
		my $by = $node->{clock} - $offsets[$i];
		next if $by == 0;
		$self->{faults}{clock}++;
		$back = $by if $by > $back;
		$node->set_clock($offsets[$i]);
	}
	sleep $back if $strict;
	return;
}

# --- the way back ---------------------------------------------------------------------------------

sub heal
{
	my ($self) = @_;

	foreach my $node (@{ $self->{node} })
	{
		$self->strike_end_stop($node);
		_connect($node->name, 'resume');
	}
	return $self->resume_nodes;
}

# Everything is read, and the writers are done.
sub resume_nodes
{
	my ($self) = @_;

	foreach my $node (@{ $self->{node} })
	{
		wait_until('a server', sub { defined $node->{control}->ask('SELECT cdcsync.resume()') }) or return 0;
		foreach my $writer (@{ $node->{writers} })
		{
			$writer->drain(60) or diag($node->name . ': a writer does not end'), return 0;
		}
		$self->finish_partitions($node) or return 0;
	}
	return 1;
}

# Looks until two looks in a row see the same: each waits until the connectors are through with their WAL, notes the ends of
# the topics, and waits until they are applied.  If the next look finds the same ends, nothing has come of what was applied.
sub settle
{
	my ($self) = @_;
	my $last = '';
	my $end = time + $CdcTest::PATIENCE;

	while (time < $end)
	{
		my $ends = $self->look // return 0;
		return 1 if $ends eq $last && $ends ne 'away';
		$last = $ends;
	}
	diag('the topics do not stop growing');
	return 0;
}

# Returns what it saw; 'away' if a server was away (it may still be dying of a worker's kill), undef if it waited in vain
sub look
{
	my ($self) = @_;
	my @node = @{ $self->{node} };
	my $before = $self->ends;
	my $away = 0;
	my $ends;

	my @marks = map { $_->{control}->begin(q{SELECT pg_logical_emit_message(true, 'marker', '')}) } @node;
	foreach my $i (0 .. $#node)
	{
		$away |= !defined $marks[$i]->();
	}
	sleep(0.05), return 'away' if $away;
	wait_until(
		'the connectors',
		sub {
			$ends = $self->ends;
			return !grep { _sum($ends, "$_.message") <= _sum($before, "$_.message") } map { $_->name } @node;
		}) or return;
	my @waits = map { $_->{control}->begin(q{SELECT cdcsync.wait_for(timeout => '90s')}) } @node;
	foreach my $i (0 .. $#node)
	{
		my $answer = $waits[$i]->();
		$away |= !defined $answer;
		next if !defined $answer || $answer eq "t\n";
		diag('wait_for of ' . $node[$i]->name . ": $answer");
		return;
	}
	return 'away' if $away;
	return join("\n", map { "$_ $ends->{$_}" } grep { !/[.]message / } sort keys %$ends);
}

# { "topic partition" => end }; a topic that is being made has no leader for a moment
sub ends
{
	my ($self) = @_;
	my $said;

	wait_until('the ends of the topics', sub { $said = eval { stack('topic-ends', "$self->{name}-") }; defined $said }, 30)
	  or die $@;
	return { map { /^(\S+ \d+) (\d+)$/ } split(/\n/, $said) };
}

sub _sum
{
	my ($ends, $topic) = @_;
	my $sum = 0;

	$sum += $ends->{$_} foreach grep { /^\Q$topic\E / } keys %$ends;
	return $sum;
}

# --- looking on -----------------------------------------------------------------------------------

sub rows
{
	my ($self) = @_;
	my $sql = join(' UNION ALL ', map { my $key = $_->{key}[-1][0]; "SELECT '$_->{name}', $key\::text, to_json(t::text)::text FROM $_->{name} AS t" } @{ $self->{tables} });
	my %rows;

	my @asked = map { $_->{control}->begin($sql) } @{ $self->{node} };
	foreach my $i (0 .. $#asked)
	{
		foreach my $line (split(/\n/, $asked[$i]->() // die 'no answer'))
		{
			my ($table, $key, $row) = split(/\|/, $line, 3);
			$rows{$table}{ Converge::Plan::key_number($key) }{$i} = $row;
		}
	}
	return \%rows;
}

# Of the extension and of its tables: has each row its entries, and is each where it belongs?
my $check_indexes = q{SELECT bt_index_check(c.oid, true) FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
	WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relnamespace IN ('public'::regnamespace, 'cdcsync'::regnamespace)};

# What is wrong besides the rows: a list of texts
sub complaints
{
	my ($self) = @_;
	my @wrong;

	foreach my $node (@{ $self->{node} })
	{
		my $states = $node->{control}->ask(q{SELECT subscription, topic, partition, state, last_error FROM cdcsync.stat_subscription WHERE state <> 'streaming'});
		push @wrong, $node->name . ": $_" foreach split(/\n/, $states);
		my $letters = $node->{control}->ask(q{SELECT CASE WHEN to_regclass('cdcsync.dead_letter') IS NULL THEN '0'
			ELSE (xpath('//n/text()', query_to_xml('SELECT count(*) AS n FROM cdcsync.dead_letter', false, true, '')))[1]::text END});
		push @wrong, $node->name . ': dead letters: ' . $letters if $letters != 0;
		push @wrong, map { $node->name . ": $_" } grep { /ERROR/ } split(/\n/, $node->{control}->ask($check_indexes) // 'ERROR: no answer');
	}
	return @wrong;
}

# Errors that writers may get: they write the same rows at the same time, to servers that crash.
my $expected = join('|',
	'duplicate key value violates unique constraint',
	'deadlock detected',
	'current transaction is aborted',
	'could not serialize access',
	'terminating connection because of crash',
	'canceling statement due to lock timeout',
	'savepoint "s" does not exist',
	'no partition of relation "v_part" found for row',
	'can only be used in transaction blocks',    # the BEGIN was lost with its server
	'the database system is (?:in recovery mode|starting up|not yet accepting connections)');

sub expected_errors { return $expected }

sub strange_errors
{
	my ($self) = @_;
	my $known = $self->expected_errors;
	my @strange;

	foreach my $writer (map { @{ $_->{writers} } } @{ $self->{node} })
	{
		push @strange, grep { /(?:ERROR|FATAL|PANIC):/ && !/$known/ } split(/\n/, $writer->said($writer->{looked} // 0));
		$writer->{looked} = $writer->size;
	}
	return @strange;
}

# crashes that nobody has ordered
sub crashes
{
	my ($self) = @_;
	my $n = 0;

	foreach my $node (@{ $self->{node} })
	{
		my $log = slurp_file($node->logfile);
		$n += () = $log =~ /was terminated by signal/g;
		$n += 1000 if $log =~ /PANIC|TRAP/;
	}
	return $n - ($self->{kills} // 0);
}

# Sums over all nodes and tables; a restart of a server begins anew, so this is called after each round.
sub count_conflicts
{
	my ($self) = @_;
	my $sql = q{SELECT relation, c.key, c.value FROM cdcsync.stat_table AS s, jsonb_each_text(to_jsonb(s)) AS c
		WHERE c.key ~ '^(confl_|events$|inserted|updated|deleted|unchanged|skipped)' AND c.value ~ '^[0-9]+$' AND relation IS NOT NULL};

	foreach my $node (@{ $self->{node} })
	{
		foreach my $line (split(/\n/, $node->{control}->ask($sql) // ''))
		{
			my ($table, $type, $n) = split(/\|/, $line);
			my $last = \$node->{counted}{$table}{$type};
			$$last //= 0;
			$self->{counts}{$type} += $n >= $$last ? $n - $$last : $n;
			$$last = $n;
		}
	}
	return $self->{counts};
}

package Converge::Node;

use strict;
use warnings;
use CdcTest;
use PostgreSQL::Test::Utils;

our @ISA = ('CdcTest::Node');

my $library;

sub make_with_clock
{
	my ($class, $name, @settings) = @_;
	my $file = "$ENV{CDC_RUN}/tmp_check/$name.clock";

	append_to_file($file, pack('q', 0));
	$library //= _compile();
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{CDC_CLOCK_FILE} = $file;
	my $self = $class->make($name, @settings);
	@$self{qw(clock_file clock)} = ($file, 0);
	return $self;
}

sub _compile
{
	my $made = "$ENV{CDC_RUN}/tmp_check/clock.so";

	system_or_bail('cc', '-O2', '-fPIC', '-shared', '-o', $made, "$ENV{CDC_ROOT}/test/perl/Converge/clock.c", '-ldl');
	return $made;
}

# The file is mapped by the server's processes: it is written over in place.
sub set_clock
{
	my ($self, $offset) = @_;

	open(my $file, '+<', $self->{clock_file}) or die "$self->{clock_file}: $!";
	syswrite($file, pack('q', sprintf('%.0f', $offset * 1e6))) == 8 or die "$self->{clock_file}: $!";
	close $file;
	$self->{clock} = $offset;
	return;
}

sub worker
{
	my ($self) = @_;
	my $pid = $self->{control}->ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker'}) // '';

	return $pid =~ /^(\d+)$/m && $self->is_worker($1) ? $1 : 0;
}

sub is_worker
{
	my ($self, $pid) = @_;

	open(my $file, '<', "/proc/$pid/cmdline") or return 0;
	local $/;
	return (<$file> // '') =~ /cdcsync apply worker/;
}

1;
