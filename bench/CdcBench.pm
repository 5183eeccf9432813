# What the benchmarks share: two servers, topics full of made events, the ways rows reach a table, and how it is measured.
#
#	my ($source, $sink) = make_servers();	# databases app (cdcsync), native, jdbc and plain
#	my $topic = make_events('item', [ events('c', undef, item(1), size(300_000)) ]);
#	my $rates = in_turn('bulk create', $rows, cdcsync => [ 3, sub { ... seconds } ], native => [ 3, sub { ... } ]);
#	ratio('bulk create, against native', $rates->{cdcsync}, $rates->{native}, 1.2);
#
# Nothing here fails on a figure. Every run goes to runs.csv, every figure to figures.csv, both in .run/bench.
package CdcBench;

use strict;
use warnings;
use CdcNode;
use CdcTest;
use Exporter 'import';
use File::Basename;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(size rounds make_servers item wide columns_of events make_events header_options drop_topic
  fill seconds_until clock run_cdcsync run_jdbc slot_before run_native cpu_seconds private_peak in_turn ratio slowdown figure median percentile);

my $base = int(time) - 86400;    # the time of the events: yesterday
my $factor = $ENV{BENCH_SIZE} || 1;
my $count = 0;                   # for names that must be new
my ($source, $sink);
my %topics;
my %envelopes;
my %header = (
	connectorLogicalName => 'bench',
	connectorName => 'bench',
	runId => 'c7a1f0e2-6d1b-4a39-9a53-2f4f6c0c8d11',
	taskId => '0');

# --- sizes ----------------------------------------------------------------------------------------

# so many rows at size=1
sub size
{
	my ($rows) = @_;
	my $scaled = int($rows * $factor);

	return $scaled < 1000 ? 1000 : $scaled;
}

# so many rounds, unless rounds=N says otherwise
sub rounds
{
	my ($rounds) = @_;

	return $ENV{BENCH_ROUNDS} || $rounds;
}

# --- servers --------------------------------------------------------------------------------------

# The same settings for all: no disk, no autovacuum in the middle of a run. Without fsync those who commit often gain most.
sub make_servers
{
	my @settings = (
		"cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
		'shared_buffers = 512MB', 'max_wal_size = 16GB', 'checkpoint_timeout = 1h', 'autovacuum = off',
		'synchronous_commit = off', 'logical_decoding_work_mem = 256MB', 'max_replication_slots = 30', 'max_wal_senders = 30', @_);

	foreach my $name (qw(source sink))
	{
		my $node = CdcTest::Node->make("bench-$name", @settings);
		$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(app native jdbc plain);
		$node->sql('CREATE EXTENSION cdcsync');
		($name eq 'source' ? $source : $sink) = $node;
	}
	return ($source, $sink);
}

# --- tables ---------------------------------------------------------------------------------------

# A table's row number i in its version v, as a list of columns; i is a column of the query around it.
sub item
{
	my ($v, $i) = @_;
	$i //= 'i';

	return {
		table => 'item',
		ddl => 'id bigint PRIMARY KEY, owner_id int, title text, description text, completed boolean, updated_at timestamptz',
		columns => "$i AS id, ($i % 100)::int AS owner_id, 'title of ' || $i || ' version ' || ($v) AS title,
			md5(($i)::text) AS description, ($i + $v) % 2 = 0 AS completed, "
		  . _updated_at($v) };
}

# 50 columns, 2 kB
sub wide
{
	my ($v) = @_;
	my @n = 1 .. 16;

	return {
		table => 'wide',
		ddl => join(', ', 'id bigint PRIMARY KEY', (map { "t$_ text, n$_ bigint, b$_ boolean" } @n), 'updated_at timestamptz'),
		columns => join(', ', 'i AS id',
			(map { "repeat(md5((i + $v + $_)::text), 3) || '$_' AS t$_, i * $_ + $v AS n$_, (i + $v + $_) % 2 = 0 AS b$_" } @n),
			_updated_at($v)) };
}

sub _updated_at
{
	my ($v) = @_;

	return "to_timestamp($base) + ($v) * interval '1.000123 s' AS updated_at";
}

# Makes the table anew, with rows 1 to n if they are given; in database app it is registered, { clock => 'commit' } without a
# version column.
sub fill
{
	my ($node, $db, $row, $rows, %option) = @_;
	my $table = $row->{table};
	my $registered = $db eq 'app';
	my $version = ($option{clock} // '') eq 'commit' ? '' : ", version_column => 'updated_at'";

	$node->safe_psql($db, "SELECT cdcsync.remove_table(c.oid::regclass) FROM pg_class c JOIN cdcsync.table_rule r ON r.relation = c.oid
		WHERE c.relname = '$table'; TRUNCATE cdcsync.tombstone_data") if $registered;
	$node->safe_psql($db, "DROP TABLE IF EXISTS $table; CREATE TABLE $table ($row->{ddl})");
	_insert($node, $db, "INSERT INTO $table SELECT $row->{columns} FROM generate_series(1, $rows) AS i") if $rows;
	$node->safe_psql($db, "SELECT cdcsync.add_table('$table'$version)") if $registered;
	$node->safe_psql($db, "VACUUM ANALYZE $table");
	$node->safe_psql($db, 'CHECKPOINT');
	return;
}

# Rows that were committed before any of the events, also by the commit timestamp
sub _insert
{
	my ($node, $db, $insert) = @_;

	$node->safe_psql($db, "SELECT pg_replication_origin_create('past') WHERE pg_replication_origin_oid('past') IS NULL");
	$node->safe_psql($db, "
		SELECT pg_replication_origin_session_setup('past');
		BEGIN;
		SELECT pg_replication_origin_xact_setup('0/1', to_timestamp($base) - interval '1 day');
		$insert;
		COMMIT");
	return;
}

# --- events ---------------------------------------------------------------------------------------

# SQL that gives keys and values as a connector of connector_config() writes them, for i from 1 to n: its op, and before and after
# as items (undef: none). Each event is a transaction of its own if { one_row => 1 }; where holds what i may be, n what numbers the
# events, peer what names their author. { schemas => 0 } leaves out the schemas.
sub events
{
	my ($op, $before, $after, $rows, %option) = @_;
	my $table = ($after // $before)->{table};
	my ($key_begin, $begin, $end) = ('', '', '');
	my $n = $option{n} // 'i';
	my $us = "(" . $base . "000000 + " . ($option{one_row} ? "2 * ($n)" : '1') . ')';
	my $lsn = "(26525472 + 200 * ($n))";
	my $where = $option{where} // 'true';
	my $peer = $option{peer} // "'bench'";
	my $key = ($after // $before)->{columns} =~ /^(.*?) AS id/s ? $1 : die 'no id';

	($key_begin, $begin, $end) = (@{ _envelope($after // $before) }{qw(key value)}, '}') if $option{schemas} // 1;
	my $sql = "SELECT '$key_begin' || '{\"id\":' || ($key) || '}$end' AS k,
		'$begin' || '{\"before\":' || " . _json($before) . " || ',\"after\":' || " . _json($after) . " ||
		',\"source\":{\"version\":\"3.6.0.Final\",\"connector\":\"postgresql\",\"name\":\"' || ($peer) || '\",\"ts_ms\":' || $us / 1000 ||
		',\"snapshot\":null,\"db\":\"app\",\"sequence\":\"[\\\"' || $lsn - 200 || '\\\",\\\"' || $lsn || '\\\"]\",\"ts_us\":' || $us ||
		',\"ts_ns\":' || $us || '000,\"schema\":\"public\",\"table\":\"$table\",\"txId\":' || " . ($option{one_row} ? "731 + ($n)" : '731') . " ||
		',\"lsn\":' || $lsn || ',\"xmin\":null,\"origin\":null,\"origin_lsn\":null},\"transaction\":null,\"op\":\"$op\",\"ts_ms\":' ||
		$us / 1000 + 100 || ',\"ts_us\":' || $us + 100000 || ',\"ts_ns\":' || $us + 100000 || '000}$end' AS v
		FROM generate_series(1::bigint, $rows) AS i WHERE $where";
	return $sql if $op ne 'd';
	# a delete is followed by a null value
	return "SELECT k, CASE WHEN null_value THEN NULL ELSE v END FROM ($sql) AS e, (VALUES (false), (true)) AS t(null_value)";
}

sub _json
{
	my ($row) = @_;

	return "'null'" if !$row;
	return "(SELECT row_to_json(r)::text FROM (SELECT " . join(', ', map {
			$_ eq 'updated_at' ? qq{to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at} : $_
		} columns_of($row)) . " FROM (SELECT $row->{columns}) AS c) AS r)";
}

sub columns_of
{
	my ($row) = @_;

	return map { /^\s*(\w+)/ ? $1 : () } split(/,/, $row->{ddl});
}

# kcat's options for the headers that a connector sends with each message
sub header_options
{
	return map { ('-H', "__debezium.context.$_=$header{$_}") } sort keys %header;
}

# A new topic with these events; for each partition a list of SQL, as events() makes it
sub make_events
{
	my ($name, @partitions) = @_;
	my $topic = join('.', 'bench', basename($0, '.pl'), $name, ++$count);

	$topics{$topic} = 1;
	stack('topic-create', $topic, scalar @partitions);
	foreach my $partition (0 .. $#partitions)
	{
		foreach my $sql (@{ $partitions[$partition] })
		{
			IPC::Run::run([ 'psql', '-XqAt', '-d', $source->connstr('plain'), '-c',
					"COPY ($sql) TO STDOUT (FORMAT csv, DELIMITER E'\\t', QUOTE E'\\x01')" ],
				'|', [ 'kcat', '-q', '-P', '-Z', '-K', "\t", header_options(), '-b', $ENV{KAFKA}, '-t', $topic, '-p', $partition, '-X', 'linger.ms=50' ])
			  or die "events of $topic were not made";
		}
	}
	return $topic;
}

sub drop_topic
{
	foreach my $topic (@_)
	{
		delete $topics{$topic};
		stack('topic-delete', $topic);
	}
	return;
}

END
{
	my $status = $?;

	eval { drop_topic(keys %topics); 1 } or print $@;
	$? = $status;
}

# What a real connector puts around the payload of the table's keys and values; an assertion that the made events, and their
# headers, look as its. A table has one for all of a run.
sub _envelope
{
	my ($row) = @_;

	return $envelopes{ $row->{table} } //= _record_envelope($row);
}

sub _record_envelope
{
	my ($row) = @_;
	my $table = $row->{table};
	my $name = $source->name;
	my $topic = "$name.public.$table";

	fill($source, 'app', $row, 0);
	stack('connector-create', '--node', $name, '--port', $source->port, '--dbname', 'app', '--user', scalar getpwuid($>));
	$source->sql("INSERT INTO $table SELECT $row->{columns} FROM generate_series(1::bigint, 1) AS i");
	CdcTest::wait_until('the record', sub { stack('topics') =~ /^\Q$topic\E /m && stack('topic-offsets', $topic) =~ / 1$/m });
	my $record = decode_json(_output('kcat', '-q', '-C', '-e', '-J', '-b', $ENV{KAFKA}, '-t', $topic));
	stack('connector-delete', $name);
	$source->sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = 'app'");
	$source->sql("SELECT cdcsync.remove_table('$table')");
	$source->sql("DROP TABLE $table");
	drop_topic($topic);

	my ($key) = $record->{key} =~ /^(.*?"payload":)\{"id":1\}\}$/s or die "key: $record->{key}";
	my ($value, $payload) = $record->{payload} =~ /^(.*"payload":)(\{"before":.*\})\}$/s or die "value: $record->{payload}";
	my $made = _output('psql', '-XqAt', '-d', $source->connstr('plain'), '-c', 'SELECT v FROM (' . events('c', undef, $row, 1, schemas => 0) . ') AS e');
	my %sent = @{ $record->{headers} // [] };
	is(_shape($made), _shape($payload), "the made events of $table have the shape of the connector's");
	is(join(' ', sort map { "__debezium.context.$_" } keys %header), join(' ', sort keys %sent), '... and its headers');
	return { key => $key, value => $value };
}

# names and kinds of values
sub _shape
{
	my ($json) = @_;

	$json =~ s/\s+$//;
	$json =~ s/"updated_at":"[^"]*"/"updated_at":T/;
	$json =~ s/:-?\d+/:N/g;
	$json =~ s/"(name|db|sequence|version)":(?:"(?:[^"\\]|\\.)*")/"$1":S/g;
	return $json;
}

sub _output
{
	my ($out, $error);

	IPC::Run::run(\@_, '<', '/dev/null', '>', \$out, '2>', \$error) or die "@_: $error";
	return $out;
}

# --- waiting --------------------------------------------------------------------------------------

my $now = 'SELECT extract(epoch FROM clock_timestamp())';

sub clock
{
	my ($node) = @_;

	return $node->safe_psql('postgres', $now);
}

# When the condition was first seen to be true, and what another query says then. The server asks itself; no snapshot is held, and
# a plan that was made while the table was empty does not read all of it later.
sub _when
{
	my ($node, $db, $condition, $query, $pause) = @_;
	$query //= '0';
	$pause //= 0.004;

	my $answer = $node->safe_psql($db, "SET enable_seqscan = off;
		DO \$\$
		DECLARE
			until timestamptz := clock_timestamp() + interval '5 min';
		BEGIN
			LOOP
				EXIT WHEN ($condition);
				IF clock_timestamp() > until THEN
					RAISE 'waited in vain: %', \$text\$$condition\$text\$;
				END IF;
				COMMIT;
				PERFORM pg_sleep($pause);
			END LOOP;
		END \$\$;
		SELECT extract(epoch FROM statement_timestamp()), ($query)");
	return split /\|/, $answer;
}

# from the statement on
sub seconds_until
{
	my ($node, $db, $statement, $condition) = @_;
	my ($start) = split /\n/, $node->safe_psql($db, "$now; $statement");
	my ($end) = _when($node, $db, $condition);

	return $end - $start;
}

# --- the ways a row goes --------------------------------------------------------------------------

# From resume() to the last row
sub run_cdcsync
{
	my ($topic, $condition, $while) = @_;
	my $name = 'bench' . ++$count;
	my $seconds;

	$sink->sql("SELECT cdcsync.subscribe('$name', '{$topic}', enabled => false)");
	$seconds = eval { seconds_until($sink, 'app', "SELECT cdcsync.resume('$name')", $condition) };
	if (!defined $seconds)
	{
		my $error = $@;
		diag($sink->sql('SELECT * FROM cdcsync.stat_subscription'));
		die $error;
	}
	$while->() if $while;
	$sink->sql("SELECT cdcsync.unsubscribe('$name')");
	return $seconds;
}

# From the first row seen to the last, and the rows that came between: the start of the connector is not counted. Nothing, if all
# came at once.
sub run_jdbc
{
	my ($topic, $row, $rows, $first, $last, $seen) = @_;
	my $name = 'jdbc' . ++$count;
	my %config = (
		'connector.class' => 'io.debezium.connector.jdbc.JdbcSinkConnector',
		'tasks.max' => 1,
		'topics' => $topic,
		'connection.url' => 'jdbc:postgresql://127.0.0.1:' . $sink->port . '/jdbc?reWriteBatchedInserts=true',
		'connection.username' => scalar getpwuid($>),
		'connection.password' => 'none',
		'insert.mode' => 'upsert',
		'delete.enabled' => 'true',
		'primary.key.mode' => 'record_key',
		'schema.evolution' => 'none',
		'collection.name.format' => "public.$row->{table}",
		'batch.size' => 2000,
		'use.reduction.buffer' => 'true',
		'key.converter' => 'org.apache.kafka.connect.json.JsonConverter',
		'value.converter' => 'org.apache.kafka.connect.json.JsonConverter',
		'consumer.override.max.poll.records' => 10000,
		'consumer.override.max.partition.fetch.bytes' => 33554432,
		'consumer.override.auto.offset.reset' => 'earliest');

	_connect('PUT', "connectors/$name/config", encode_json(\%config));
	my ($start, $had) = _when($sink, 'jdbc', $first, $seen);
	my ($end) = _when($sink, 'jdbc', $last);
	_connect('DELETE', "connectors/$name");
	return $had < $rows ? ($end - $start, $rows - $had) : ();
}

sub _connect
{
	my ($method, $path, $body) = @_;

	return _output('curl', '-sS', '--noproxy', '*', '--fail-with-body', '-X', $method, '-H', 'Content-Type: application/json',
		($body ? ('-d', $body) : ()), "$ENV{CONNECT}/$path");
}

# Native replication: a slot that holds what is written now; every round reads a copy of it.
sub slot_before
{
	my ($row, $write) = @_;
	my $slot = 'base' . ++$count;

	$source->safe_psql('native', "DROP PUBLICATION IF EXISTS bench; CREATE PUBLICATION bench FOR TABLE $row->{table}");
	$source->safe_psql('native', "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = 'native' AND NOT active");
	$source->safe_psql('native', "SELECT pg_create_logical_replication_slot('$slot', 'pgoutput')");
	$source->safe_psql('native', $write);
	return $slot;
}

# From the moment the publisher streams to the last row
sub run_native
{
	my ($slot, $condition) = @_;
	my $copy = 'copy' . ++$count;
	my $connection = $source->connstr('native') =~ s/'/''/gr;

	$source->safe_psql('native', "SELECT pg_copy_logical_replication_slot('$slot', '$copy')");
	$sink->safe_psql('native', "CREATE SUBSCRIPTION bench CONNECTION '$connection' PUBLICATION bench
		WITH (create_slot = false, slot_name = '$copy', copy_data = false, binary = true, enabled = false)");
	$sink->safe_psql('native', 'ALTER SUBSCRIPTION bench ENABLE');
	my ($start) = _when($source, 'native', "(SELECT active FROM pg_replication_slots WHERE slot_name = '$copy')", undef, 0.001);
	my ($end) = _when($sink, 'native', $condition);
	$sink->safe_psql('native', 'ALTER SUBSCRIPTION bench DISABLE');
	$sink->safe_psql('native', 'ALTER SUBSCRIPTION bench SET (slot_name = NONE)');
	$sink->safe_psql('native', 'DROP SUBSCRIPTION bench');
	_when($source, 'native', "(SELECT NOT active FROM pg_replication_slots WHERE slot_name = '$copy')");
	$source->safe_psql('native', "SELECT pg_drop_replication_slot('$copy')");
	return $end - $start;
}

# --- processes --------------------------------------------------------------------------------------

# of these processes with all their threads
sub cpu_seconds
{
	my $ticks = 0;

	foreach my $pid (@_)
	{
		my @field = split(' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr);
		$ticks += $field[11] + $field[12];
	}
	return $ticks / 100;
}

# megabytes of the worker; what it has mapped of shared memory only grows
sub private_peak
{
	my $pid = $sink->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND datname = 'app'");
	my $status = slurp_file("/proc/$pid/status");
	my ($peak) = $status =~ /^VmHWM:\s+(\d+)/m;
	my ($shared) = $status =~ /^RssShmem:\s+(\d+)/m;

	return ($peak - $shared) / 1024;
}

# --- figures --------------------------------------------------------------------------------------

# in_turn(workload, rows, system => [rounds, sub]...): each in its turn, round after round; a sub returns the seconds it took,
# and how many rows it were, if not all, or nothing. Returns { system => { rate, rounds } }, in rows a second.
sub in_turn
{
	my ($workload, $rows, @systems) = @_;
	my (%took, %result);
	my @names = map { $systems[ 2 * $_ ] } 0 .. $#systems / 2;
	my %way = @systems;
	my ($most) = sort { $b <=> $a } map { $_->[0] } values %way;

	foreach my $round (1 .. $most)
	{
		foreach my $name (grep { $round <= $way{$_}[0] } @names)
		{
			my ($seconds, $n) = $way{$name}[1]->();
			next if !$seconds;
			$n //= $rows;
			push @{ $took{$name} }, $n / $seconds;
			_append('runs.csv', 'workload,system,round,rows,seconds,rows_per_second',
				$workload, $name, $round, $n, sprintf('%.3f', $seconds), sprintf('%.0f', $n / $seconds));
			diag(sprintf '%-40s %-22s %9d rows in %8.3f s: %8.0f rows/s', $workload, $name, $n, $seconds, $n / $seconds);
		}
	}
	$result{$_} = { rate => median(@{ $took{$_} }), rounds => scalar @{ $took{$_} } } foreach keys %took;
	return \%result;
}

# what, this over that; target is what it should be at least
sub ratio
{
	my ($what, $this, $that, $target) = @_;

	return if !$this || !$that;
	return figure($what, $this->{rate} / $that->{rate}, '×', $target ? ">= $target" : '',
		sprintf('%.0f / %.0f rows/s, rounds %d/%d', $this->{rate}, $that->{rate}, $this->{rounds}, $that->{rounds}));
}

# what, the time of this over the time of that; target as figure() takes it
sub slowdown
{
	my ($what, $this, $that, $target) = @_;

	return if !$this || !$that;
	return figure($what, $that->{rate} / $this->{rate}, '×', $target // '',
		sprintf('%.0f / %.0f rows/s, rounds %d/%d', $this->{rate}, $that->{rate}, $this->{rounds}, $that->{rounds}));
}

# A figure, its unit, its target as ">= 3" or "<= 5" (or '')
sub figure
{
	my ($what, $value, $unit, $target, $remark) = @_;
	my $met = '';

	$met = (($1 eq '>=') ? $value >= $2 : $value <= $2) ? 'yes' : 'no' if $target =~ /^(>=|<=) (.*)/;
	$value = sprintf($value >= 100 ? '%.0f' : $value >= 1 ? '%.2f' : '%.3f', $value);
	_append('figures.csv', 'figure,value,unit,target,met,remark', $what, $value, $unit, $target, $met, $remark // '');
	pass("$what: $value $unit" . ($target ? " (target $target: $met)" : ''));
	return;
}

sub _append
{
	my ($name, $head, @fields) = @_;
	my $file = "$ENV{CDC_RUN}/$name";
	my $new = !-e $file;

	append_to_file($file, "$head\n") if $new;
	append_to_file($file, join(',', map { /[,"]/ ? '"' . s/"/""/gr . '"' : $_ } @fields) . "\n");
	return;
}

sub median { return percentile(50, @_) }

sub percentile
{
	my ($percent, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;
	my $at = $percent / 100 * $#sorted;

	return ($sorted[ int($at) ] + $sorted[ int($at + 0.999999) ]) / 2 if $percent == 50;
	return $sorted[ int($at + 0.999999) ];
}

1;
