# What happens in a round of test/t/051_chaos.pl: the transactions of Converge::Plan on some of its tables, others that keep
# count of themselves, and faults of processes, locks and definitions.
#
# A counted transaction raises the counter of its node by one and enters the count into a ledger, in tables of either clock: so
# the ledger of a node has each number once, up to the counter, wherever it is read.
package Chaos::Plan;

use strict;
use warnings;
use Converge::Plan;

our @ISA = ('Converge::Plan');
our @TABLES = grep { $_->{name} =~ /^(?:v_time|v_pair|v_long|v_shadow|c_one)$/ } @Converge::Plan::TABLES;
our @COUNTED = ('', '_c');    # the tables' suffixes: with a version column, under the commit clock

my $counters = 2;    # writers of counted transactions at a node

my @faults = (
	kill_worker => 8,
	kill_launcher => 4,
	kill_backend => 6,
	kill_postmaster => 6,
	restart => 6,
	terminate => 10,
	kafka => 7,
	debezium => 5,
	pause => 8,
	add_column => 6,
	index => 5,
	lock => 10,
	snapshot => 8,
	reload => 8,
	vacuum_full => 10,
	database => 6);
my %alone = map { $_ => 1 } qw(kafka debezium add_column);    # once in a round

sub next_round
{
	my ($self) = @_;
	my $round = $self->SUPER::next_round;

	$round->{ledger} = grep { $_->{ledger} } @{ $round->{steps} };
	return $round;
}

sub draw_clocks
{
	my ($self, $round) = @_;

	$round->{style} = 'chaos';
	$round->{length} = 3;
	$round->{clocks} = [];
	return;
}

# --- faults ---------------------------------------------------------------------------------------

sub draw_faults
{
	my ($self, $round) = @_;
	my %drawn;

	foreach (1 .. 3 + int(rand(4)))
	{
		my $at = rand($round->{length});
		my $fault = {
			at => $at,
			do => Converge::Plan::weighted(@faults),
			node => int(rand($self->{nodes})),
			peer => rand(),
			number => int(rand(1000)),
			until => $at + 0.2 + rand($round->{length})
		};
		next if $alone{ $fault->{do} } && $drawn{ $fault->{do} }++;
		push @{ $round->{events} }, $fault->{do} eq 'add_column' ? $self->add_column($round, $fault) : $fault;
	}
	return;
}

# A column comes to all nodes, in any order, and not at once: who has none yet cannot go on until it has.
sub add_column
{
	my ($self, $round, $fault) = @_;
	my $table = Converge::Plan::one_of(map({ $_->{name} } @{ $self->{tables} }), map({ "ledger$_" } @COUNTED));
	my $at = $fault->{at};

	return map { { %$fault, at => ($_ == $fault->{node} ? $at : $at + rand(2)), node => $_, table => $table, column => "x$round->{number}" } }
	  0 .. $self->{nodes} - 1;
}

# --- transactions ---------------------------------------------------------------------------------

sub draw_writes
{
	my ($self, $round) = @_;

	$self->SUPER::draw_writes($round);
	foreach my $node (0 .. $self->{nodes} - 1)
	{
		foreach my $counter (0 .. $counters - 1)
		{
			my $n = int($self->{transactions} * (0.5 + rand()));
			my $id = sprintf('%d.%d%s', $round->{number}, $node, chr(ord('A') + $counter));
			my @times = sort { $a <=> $b } map { rand($round->{length}) } 1 .. $n;
			$self->count($round, "$id.$_", $node, 2 + $counter, $times[ $_ - 1 ]) foreach 1 .. $n;
		}
	}
	return;
}

sub count
{
	my ($self, $round, $id, $node, $writer, $at) = @_;
	my $text = join("\n", 'BEGIN;', map({ _count_sql($_, $id, $node) } @COUNTED), 'COMMIT;', "\\echo =$id", '');

	push @{ $round->{steps} }, { id => $id, at => $at, node => $node, writer => $writer, table => 'ledger', keys => [], sql => $text };
	push @{ $round->{events} }, { at => $at, do => 'write', node => $node, writer => $writer, text => $text };
	return;
}

sub _count_sql
{
	my ($suffix, $id, $node) = @_;

	return "WITH c AS (INSERT INTO counter$suffix AS c (node, n) VALUES ($node, 1) ON CONFLICT (node) DO UPDATE SET n = c.n + 1 RETURNING n)"
	  . " INSERT INTO ledger$suffix (id, node, n) SELECT '$id', $node, n FROM c;";
}

# --- schema ---------------------------------------------------------------------------------------

# What the worker writes is noted, in its transaction: each entry of another's ledger once, and no counter goes back.
sub counted_sql
{
	my ($suffix) = @_;
	my $version = $suffix eq '' ? ', v bigint' : '';
	my $rule = $suffix eq '' ? ", version_column => 'v'" : '';

	return <<"END";
CREATE TABLE ledger$suffix (id text PRIMARY KEY, node int NOT NULL, n bigint NOT NULL$version);
CREATE TABLE counter$suffix (node int PRIMARY KEY, n bigint NOT NULL$version);
SELECT cdcsync.add_table('ledger$suffix'$rule), cdcsync.add_table('counter$suffix'$rule);
CREATE TABLE applied$suffix (id text NOT NULL, op text NOT NULL, at bigserial);
CREATE FUNCTION note_ledger$suffix() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO public.applied$suffix (id, op) VALUES (coalesce(NEW.id, OLD.id), TG_OP);
	RETURN NULL;
END \$\$;
CREATE FUNCTION note_counter$suffix() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO public.applied$suffix (id, op) VALUES (OLD.node, TG_OP || ' counter ' || OLD.n || ' -> ' || coalesce(NEW.n::text, ''));
	RETURN NULL;
END \$\$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON ledger$suffix FOR EACH ROW EXECUTE FUNCTION note_ledger$suffix();
CREATE TRIGGER note_delete AFTER DELETE ON counter$suffix FOR EACH ROW EXECUTE FUNCTION note_counter$suffix();
CREATE TRIGGER note_update AFTER UPDATE ON counter$suffix FOR EACH ROW WHEN (NEW.n <= OLD.n) EXECUTE FUNCTION note_counter$suffix();
ALTER TABLE ledger$suffix ENABLE REPLICA TRIGGER note;
ALTER TABLE counter$suffix ENABLE REPLICA TRIGGER note_delete, ENABLE REPLICA TRIGGER note_update;
END
}

1;
