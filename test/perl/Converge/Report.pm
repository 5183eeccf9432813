# What test/t/050_converge.pl says when nodes differ: the rows, and for each key that differs everything that happened to it in the
# round: the statements with their outcomes, the tombstones, and the records of all topics.
package Converge::Report;

use strict;
use warnings;
use Converge::Plan;
use JSON::PP;
use Test::More;

my $json = JSON::PP->new->allow_nonref;
my $detailed = 3;    # keys

# { table => { key => { node => row } } } -> [table, key] where not all nodes have the same
sub differences
{
	my ($rows, $nodes) = @_;
	my @differences;

	foreach my $table (sort keys %$rows)
	{
		foreach my $key (sort { $a <=> $b } keys %{ $rows->{$table} })
		{
			my @has = values %{ $rows->{$table}{$key} };
			push @differences, [ $table, $key ] if @has != $nodes || grep { $_ ne $has[0] } @has;
		}
	}
	return @differences;
}

# nodes: Converge::Nodes; from: the ends of the topics before the round
sub show
{
	my ($nodes, $round, $rows, $before, $from, @differences) = @_;

	diag(sprintf('%d keys differ%s', scalar @differences, @differences ? ':' : ''));
	foreach my $difference (@differences)
	{
		my ($table, $key) = @$difference;
		diag("  $table, key $key");
		diag(sprintf('    %-20s %s', $_->[1], $_->[0]))
		  foreach map { [ shorten($rows->{$table}{$key}{$_} // 'no row'), $nodes->{node}[$_]->name ] } 0 .. $nodes->{nodes} - 1;
	}
	if (@differences)
	{
		my $outcomes = outcomes($nodes);
		my @records = records($nodes, $from);
		foreach my $difference (@differences[ 0 .. ($#differences < $detailed ? $#differences : $detailed - 1) ])
		{
			show_key($nodes, $round, $before, $outcomes, \@records, @$difference);
		}
	}
	states($nodes);
	return;
}

sub show_key
{
	my ($nodes, $round, $before, $outcomes, $records, $table, $key) = @_;

	diag("--- $table, key $key: before the round");
	diag('  ' . shorten($before->{$table}{$key}{0} // 'no row'));
	diag('--- tombstones now');
	foreach my $node (@{ $nodes->{node} })
	{
		diag('  ' . $node->name . ": $_") foreach grep { key_of($_) == $key }
		  split(/\n/, $node->{control}->ask("SELECT key, version, peer, written_at FROM cdcsync.tombstone WHERE relation = '$table'::regclass") // '');
	}
	diag('--- statements: name (round.node+writer.number), second of the round, SQL, outcome');
	foreach my $step (sort { $a->{at} <=> $b->{at} } @{ $round->{steps} })
	{
		next if $step->{table} ne $table || !grep { $_ == $key } @{ $step->{keys} };
		diag(sprintf('  %-10s %5.3f  %s  => %s', $step->{id}, $step->{at}, $step->{sql}, $outcomes->{ $step->{id} } // 'not run'));
	}
	diag('--- records: topic/partition@offset, operation, rows, µs since 1970 at the source, origin');
	diag("  $_->{text}") foreach grep { $_->{table} eq $table && $_->{key} == $key } @$records;
	return;
}

sub states
{
	my ($nodes) = @_;

	foreach my $node (@{ $nodes->{node} })
	{
		diag($node->name . sprintf(', clock %+.3f s:', $node->{clock}));
		diag($node->{control}->ask('SELECT subscription, topic, partition, state, next_offset, lag, split_part(last_error, chr(10), 1) FROM cdcsync.stat_subscription') // 'no answer');
		diag($node->log_tail(10));
	}
	return;
}

# name of a step => what psql said
sub outcomes
{
	my ($nodes) = @_;
	my %outcome;

	foreach my $writer (map { @{ $_->{writers} } } @{ $nodes->{node} })
	{
		my @said;
		foreach my $line (split(/\n/, $writer->said(0)))
		{
			if ($line =~ /^=(\d\S+)$/) { $outcome{$1} = join('; ', @said); @said = () }
			elsif ($line =~ /^(?:BEGIN|SAVEPOINT|COMMIT|=asked.*)?$/) { }
			else { push @said, $line }
		}
	}
	return \%outcome;
}

# All records since the round began, of all topics, each with its table, key and a text
sub records
{
	my ($nodes, $from) = @_;
	my $ends = $nodes->ends;
	my @records;

	foreach my $partition (sort keys %$ends)
	{
		my ($topic, $number) = split(/ /, $partition);
		my $start = $from->{$partition} // 0;
		next if $topic =~ /[.]message$/ || $start >= $ends->{$partition};
		push @records, map { record($topic, $number, split(/\t/, $_, 3)) } `kcat -q -C -e -Z -b $ENV{KAFKA} -t $topic -p $number -o $start -f '%o\\t%k\\t%s\\n'`;
	}
	return sort { $a->{at} <=> $b->{at} } @records;
}

sub record
{
	my ($topic, $partition, $offset, $key, $value) = @_;

	chomp $value;
	$value = $value eq 'NULL' ? undef : payload($value);
	return () if !$value;
	my $source = $value->{source};
	my $row = $value->{before} // $value->{after} // {};
	my $text = join(
		'  ', "$topic/$partition\@$offset",
		$value->{op}, map({ defined $_ ? shorten($json->canonical->encode($_)) : '-' } @$value{qw(before after)}),
		$source->{ts_us} // '', $source->{origin} // '');

	return {
		table => $source->{table},
		key => Converge::Plan::key_number($row->{b} // $row->{k} // 0),
		at => $source->{ts_us} // 0,
		text => $text
	};
}

sub payload
{
	my ($text) = @_;
	my $value = $json->decode($text);

	return ref $value eq 'HASH' && exists $value->{payload} ? $value->{payload} : $value;
}

sub key_of
{
	my ($line) = @_;
	my $key = $json->decode((split(/\|/, $line))[0]);

	return Converge::Plan::key_number($key->{b} // $key->{k});
}

# Long values are cut in the middle.
sub shorten
{
	my ($text) = @_;

	return $text =~ s/\b([0-9a-f]{8})[0-9a-f]{64,}([0-9a-f]{8})\b/$1...$2/gr;
}

1;
