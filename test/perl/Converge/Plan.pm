# What happens in a round of test/t/050_converge.pl: transactions and faults, with their times.  All of it comes from the seed.
#
#	my $plan = Converge::Plan->new(seed => 1, nodes => 3, tables => [...], steps => 0);
#	my $round = $plan->next_round;
#	$round->{style}		steady, offline or burst
#	$round->{clocks}	the nodes' clocks at the beginning, in seconds ahead
#	$round->{events}	[{ at => seconds, do => 'write', node, writer, text } or { at, do => a fault, node, ... }] by time
#	$round->{steps}		[{ id, at, node, writer, table, keys, sql }]: one per statement
#
# Nothing but next_round() draws random numbers, and what it draws does not depend on what the nodes made of the round before.
package Converge::Plan;

use strict;
use warnings;

use constant LONG_KEY => <<'END';
CREATE FUNCTION long_key(n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT left('k' || n || ' ' || string_agg(md5(format('%s %s', n, i)), '' ORDER BY i), 2650) FROM generate_series(1, 90) AS i
$$;
END

# part: partitions are made while it is written, one in each round, for that round's keys.  shadow: what is written to that
# table, by the worker too, a trigger writes here.  long: of keys almost as long as an index takes
our @TABLES = (
	{ name => 'v_time', key => [ [ k => 'int' ] ], version => 'timestamptz' },
	{ name => 'v_count', key => [ [ k => 'text' ] ], version => 'bigint' },
	{ name => 'v_pair', key => [ [ a => 'int' ], [ b => 'text' ] ], version => 'numeric' },
	{ name => 'v_equal', key => [ [ k => 'numeric' ] ], version => 'timestamp' },
	{ name => 'v_part', key => [ [ a => 'int' ], [ b => 'text' ] ], version => 'timestamptz', part => 1 },
	{ name => 'v_long', key => [ [ k => 'text' ] ], version => 'bigint', long => 1 },
	{ name => 'v_shadow', key => [ [ k => 'int' ] ], version => 'timestamptz', shadow => 'v_time' },
	{ name => 'c_one', key => [ [ k => 'int' ] ] },
	{ name => 'c_pair', key => [ [ a => 'int' ], [ b => 'text' ] ] });

my $keys = 12;
my $hot = 4;
my $writers = 2;
my $round_number = 0;

# kind of operation => weight
my @operations = (
	insert => 12,
	insert_again => 8,
	upsert => 10,
	update => 26,
	update_large => 3,
	update_huge => 0.3,
	update_null => 3,
	update_nothing => 3,
	update_some => 3,
	same => 6,
	delete => 14,
	delete_some => 2,
	reuse => 8,
	blink => 3,
	rekey => 8,
	swap => 2,
	set_version => 4,
	lock => 1);

my @styles = (steady => 60, offline => 25, burst => 15);

my @faults = (
	link_out => 20,
	link_in => 20,
	offline => 10,
	terminate => 15,
	stop => 10,
	restart_connector => 3,
	kill => 2,
	clock => 10);

sub new
{
	my ($class, %config) = @_;
	my $self = bless {%config}, $class;

	$self->{round} = 0;
	$self->{clocks} = [ (0) x $config{nodes} ];
	$self->{strict} = grep { !$_->{version} } @{ $config{tables} };
	return $self;
}

sub next_round
{
	my ($self) = @_;

	$round_number = ++$self->{round};
	srand(($self->{seed} * 100_003 + $self->{round}) % 2**32);
	my $style = weighted(@styles);
	my $round = {
		number => $self->{round},
		style => $style,
		length => $style eq 'burst' ? 0.3 : 1.5,
		steps => [],
		events => []
	};
	$self->draw_clocks($round);
	$self->draw_faults($round);
	$self->draw_partitions($round);
	$self->draw_writes($round);
	$round->{events} = [ sort { $a->{at} <=> $b->{at} } @{ $round->{events} } ];
	return $round;
}

# --- chance ---------------------------------------------------------------------------------------

sub weighted
{
	my @choices = @_;
	my $sum = 0;

	$sum += $choices[ 2 * $_ + 1 ] foreach 0 .. $#choices / 2;
	my $point = rand($sum);
	while (@choices)
	{
		my ($choice, $weight) = splice(@choices, 0, 2);
		return $choice if ($point -= $weight) < 0;
	}
	die 'no choice';
}

sub chance { return rand(100) < $_[0] }
sub one_of { return $_[ rand @_ ] }

# --- clocks ---------------------------------------------------------------------------------------

# How far a clock may be off.  Under the commit clock an event is held back until the local clock has passed it: far is slow.
sub draw_offset
{
	my ($self) = @_;

	return sprintf('%.3f', rand(chance(3) ? 6 : 1.2)) if $self->{strict};
	return one_of(0, 0, 0.5, -0.5, 3, -3, 60, -60, 3600, -3600, 86_400, -86_400, 259_200, -259_200);
}

sub draw_clocks
{
	my ($self, $round) = @_;

	foreach my $node (0 .. $self->{nodes} - 1)
	{
		next if !chance(20);
		$self->{clocks}[$node] = $self->draw_offset;
	}
	$round->{clocks} = [ @{ $self->{clocks} } ];
	return;
}

# --- faults ---------------------------------------------------------------------------------------

sub draw_faults
{
	my ($self, $round) = @_;
	my $length = $round->{length};

	if ($round->{style} eq 'offline')
	{
		my @nodes = grep { chance(50) } 0 .. $self->{nodes} - 1;
		push @{ $round->{events} }, { at => 0, do => 'offline', node => $_, until => $length } foreach @nodes;
	}
	foreach (1 .. one_of(0, 1, 2, 3, 4))
	{
		my $at = rand($length);
		my $fault = {
			at => $at,
			do => weighted(@faults),
			node => int(rand($self->{nodes})),
			peer => rand(),
			until => $at + 0.1 + rand($length)
		};
		# only ahead: a clock that steps back while the server has set an alarm delays the alarm by as much
		if ($fault->{do} eq 'clock')
		{
			$fault->{by} = $self->{strict} ? 0.1 + rand(0.3) : one_of(0.1, 2, 60);
			$self->{clocks}[ $fault->{node} ] += $fault->{by};
			$fault->{to} = $self->{clocks}[ $fault->{node} ];
		}
		push @{ $round->{events} }, $fault;
	}
	# several steps of one clock must come in the order they were drawn
	my %to;
	my @steps = grep { $_->{do} eq 'clock' } @{ $round->{events} };
	foreach my $node (0 .. $self->{nodes} - 1)
	{
		my @of = grep { $_->{node} == $node } @steps;
		my @at = sort { $a <=> $b } map { $_->{at} } @of;
		$_->{at} = shift @at foreach @of;
	}
	return;
}

# A node gets the partition of this round's keys at any time; until then such rows can neither be written nor applied there
sub draw_partitions
{
	my ($self, $round) = @_;

	foreach my $table (grep { $_->{part} } @{ $self->{tables} })
	{
		push @{ $round->{events} },
		  { at => rand($round->{length}), do => 'partition', node => $_, sql => partition_sql($table) }
		  foreach 0 .. $self->{nodes} - 1;
	}
	return;
}

# --- transactions ---------------------------------------------------------------------------------

sub draw_writes
{
	my ($self, $round) = @_;

	foreach my $node (0 .. $self->{nodes} - 1)
	{
		foreach my $writer (0 .. $writers - 1)
		{
			my $n = chance(10) ? 2 : int($self->{transactions} * (0.5 + rand()));
			my @times = sort { $a <=> $b } map { rand($round->{length}) } 1 .. $n;
			my $id = sprintf('%d.%d%s', $round->{number}, $node, chr(ord('a') + $writer));

			my $free = 0;

			$self->{step} = 0;
			$free = $self->draw_transaction($round, $node, $writer, $id, $_ > $free ? $_ : $free) foreach @times;
		}
	}
	return;
}

# A transaction is text for psql; after each statement comes an \echo, by which its outcome is found.  Returns when its last part is
# sent: the writer's next one must not come in between.
sub draw_transaction
{
	my ($self, $round, $node, $writer, $id, $at) = @_;
	my @statements = map { $self->draw_operation($id) } 1 .. (chance(65) ? 1 : 2 + int(rand(4)));
	my $block = @statements > 1 || chance(10) || $statements[0][2] =~ /^LOCK/;
	my $held = $block && chance(20);
	my @parts = ([]);
	my $end = $at;
	my $rolled_back = $block && chance(6);

	push @{ $parts[-1] }, begin() if $block;
	foreach my $i (0 .. $#statements)
	{
		my ($table, $keys, $sql) = @{ $statements[$i] };
		my $step = { id => "$id." . ++$self->{step}, at => $at, node => $node, writer => $writer, table => $table->{name}, keys => $keys };
		my $undone = $block && chance(4);

		$sql =~ s/'\?'/'$step->{id}'/g;
		$step->{sql} = $sql . ($undone ? ' -- undone by ROLLBACK TO' : $rolled_back ? ' -- undone by ROLLBACK' : '');
		push @{ $round->{steps} }, $step;
		push @{ $parts[-1] }, 'SAVEPOINT s;' if $undone;
		push @{ $parts[-1] }, "$sql;", "\\echo =$step->{id}";
		push @{ $parts[-1] }, 'ROLLBACK TO s;' if $undone;
		push @parts, [] if $held && chance(50);
	}
	push @{ $parts[-1] }, ($rolled_back ? 'ROLLBACK;' : 'COMMIT;') if $block;

	foreach my $part (@parts)
	{
		push @{ $round->{events} },
		  { at => $at, do => 'write', node => $node, writer => $writer, text => join("\n", @$part, '') }
		  if @$part;
		$end = $at;
		$at += rand(0.3);
	}
	return $end;
}

sub begin
{
	return 'BEGIN' . (chance(10) ? ' ISOLATION LEVEL REPEATABLE READ' : chance(15) ? ' ISOLATION LEVEL SERIALIZABLE' : '') . ';';
}

# Returns [table, [keys], SQL] per statement; '?' in it stands for the step's name.
sub draw_operation
{
	my ($self) = @_;
	my $table = one_of(@{ $self->{tables} });
	my $kind = weighted(@operations);
	my ($key, $other) = (draw_key(), draw_key());
	my $on = "$table->{name} SET";
	my $where = 'WHERE ' . is_key($table, $key);
	my $one = sub { [ $table, [$key], $_[0] ] };
	my $large = int(rand(1000));

	$other = $key % $keys + 1 if $other == $key;
	my %make = (
		insert => sub { $one->(insert($table, $key)) },
		insert_again => sub { $one->(insert($table, $key) . ' ON CONFLICT DO NOTHING') },
		upsert => sub { $one->(insert($table, $key) . " ON CONFLICT (@{[ columns($table) ]}) DO UPDATE SET t = excluded.t, n = $table->{name}.n + 1") },
		update => sub { $one->("UPDATE $on t = '?', n = n + 1 $where") },
		update_large => sub { $one->("UPDATE $on t = '?', x = (SELECT string_agg(md5((i + $large)::text), '') FROM generate_series(1, 100) AS i) $where") },
		update_huge => sub { $one->("UPDATE $on t = '?', x = (SELECT string_agg(md5((i + $large)::text), '') FROM generate_series(1, 32768) AS i) $where") },
		update_null => sub { $one->("UPDATE $on x = " . one_of('NULL', "'?'", "''") . " $where") },
		update_nothing => sub { $one->("UPDATE $on t = t $where") },
		update_some => sub { [ $table, [ $key, $other ], "UPDATE $on t = '?' WHERE " . is_key($table, $key) . ' OR ' . is_key($table, $other) ] },
		same => sub { $one->(insert($table, $key, 'same') . " ON CONFLICT (@{[ columns($table) ]}) DO UPDATE SET t = 'same', n = 0, x = NULL") },
		delete => sub { $one->("DELETE FROM $table->{name} $where") },
		delete_some => sub { [ $table, [ $key, $other ], "DELETE FROM $table->{name} WHERE " . is_key($table, $key) . ' OR ' . is_key($table, $other) ] },
		reuse => sub { map { $one->($_) } "DELETE FROM $table->{name} $where", insert($table, $key) },
		blink => sub { map { $one->($_) } insert($table, $key) . ' ON CONFLICT DO NOTHING', "DELETE FROM $table->{name} $where" },
		rekey => sub {
			(chance(60) ? [ $table, [$other], "DELETE FROM $table->{name} WHERE " . is_key($table, $other) ] : ()),
			  rekey($table, $key, $other);
		},
		swap => sub { rekey($table, $key, 99), rekey($table, $other, $key), rekey($table, 99, $other) },
		set_version => sub { $one->("UPDATE $on t = '?'" . ($table->{version} ? ', v = ' . draw_version($table) : '') . " $where") },
		lock => sub { [ $table, [], "LOCK TABLE $table->{name} IN " . one_of('SHARE', 'ACCESS EXCLUSIVE') . ' MODE' ] });
	return $make{$kind}->();
}

sub draw_key
{
	return 1 + int(rand(chance(60) ? $hot : $keys));
}

# As an application might set it; the trigger lifts what is too low.
sub draw_version
{
	my ($table) = @_;

	return 'v + ' . one_of(0.5, 1, 2, -1) if $table->{version} eq 'numeric';
	return 'v + ' . one_of(1, 2, 3, -2) if $table->{version} eq 'bigint';
	return 'v + ' . one_of(q('1 us'), q('5 ms'), q('1 s'), q('-1 s')) . '::interval';
}

sub rekey
{
	my ($table, $from, $to) = @_;
	my @values = key_values($table, $to);
	my $set = join(', ', map { "$table->{key}[$_][0] = $values[$_]" } 0 .. $#values);

	return [ $table, [ $from, $to ], "UPDATE $table->{name} SET $set, t = '?' WHERE " . is_key($table, $from) ];
}

sub insert
{
	my ($table, $key, $text) = @_;

	return "INSERT INTO $table->{name} (" . columns($table) . ', t, n, x) VALUES ('
	  . join(', ', key_values($table, $key), defined $text ? ("'$text'", 0, 'NULL') : ("'?'", int(rand(100)), one_of('NULL', "'?'"))) . ')';
}

# --- keys -----------------------------------------------------------------------------------------

sub columns
{
	my ($table) = @_;

	return join(', ', map { $_->[0] } @{ $table->{key} });
}

# SQL literals of the n-th key; equal numerics are written differently
sub key_values
{
	my ($table, $n) = @_;

	return ($round_number, sprintf("'b%d'", 100 * $round_number + $n)) if $table->{part};
	return "long_key($n)" if $table->{long};
	return ($n % 3, "'b$n'") if @{ $table->{key} } == 2;
	return "'k$n'" if $table->{key}[0][1] eq 'text';
	return $n . one_of('', '.0', '.00') if $table->{key}[0][1] eq 'numeric';
	return $n;
}

sub is_key
{
	my ($table, $n) = @_;
	my @values = key_values($table, $n);

	return '(' . join(' AND ', map { "$table->{key}[$_][0] = $values[$_]" } 0 .. $#values) . ')';
}

# The n of a key, from its last column's text
sub key_number
{
	my ($text) = @_;

	return $text =~ /^\D*(\d+)/ ? $1 : die "key $text";
}

# --- schema ---------------------------------------------------------------------------------------

sub table_sql
{
	my ($table) = @_;
	my $key = join(', ', map { "$_->[0] $_->[1]" } @{ $table->{key} });
	my $version = $table->{version} ? ", v $table->{version}" : '';

	return ($table->{long} ? LONG_KEY : '')
	  . "CREATE TABLE $table->{name} ($key, t text, n int, x text$version, PRIMARY KEY (" . columns($table) . '))'
	  . ($table->{part} ? " PARTITION BY LIST ($table->{key}[0][0])" : '') . ";\n"
	  . "ALTER TABLE $table->{name} ALTER x SET STORAGE EXTERNAL;\n"
	  . "SELECT cdcsync.add_table('$table->{name}'" . ($table->{version} ? ", version_column => 'v'" : '') . ");\n"
	  . ($table->{shadow} ? shadow_sql($table) : '');
}

sub partition_sql
{
	my ($table) = @_;

	return "CREATE TABLE IF NOT EXISTS $table->{name}_$round_number PARTITION OF $table->{name} FOR VALUES IN ($round_number)";
}

# What it writes where changes are applied are changes of that node: all nodes come to the same in the end, and rest
sub shadow_sql
{
	my ($table) = @_;

	return <<"END";
CREATE FUNCTION write_$table->{name}() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO public.$table->{name} AS s (k, t) VALUES (NEW.k, NEW.t)
	ON CONFLICT (k) DO UPDATE SET t = excluded.t WHERE s.t IS DISTINCT FROM excluded.t;
	RETURN NULL;
END \$\$;
CREATE TRIGGER shadow AFTER INSERT OR UPDATE ON $table->{shadow} FOR EACH ROW EXECUTE FUNCTION write_$table->{name}();
ALTER TABLE $table->{shadow} ENABLE ALWAYS TRIGGER shadow;
END
}

1;
