# A page of the documentation, typed as it stands: comments say on which nodes a block is typed, and what is to come of it.
#
#	use CdcPage;
#	my @nodes = type_page('doc/guides.md', qw(berlin oslo));	# its nodes: servers t042-berlin, t042-oslo in t/042_*.pl
#
#	<!-- on: berlin oslo -->				the block is typed on these, one after the other
#	<!-- refused: berlin | text -->			it fails there, saying so
#	<!-- run by: test/package -->			that file does it; <!-- by hand: why --> nothing does (008_documentation.pl reads these)
#	<!-- connected: berlin oslo place -->		there come to be connectors, subscriptions of the first and each of the others, equal tables
#	<!-- equal: note | berlin oslo -->		the table comes to hold the same rows, and some
#	<!-- waits: oslo berlin text -->		the subscription oslo has to berlin stops with this error
#	<!-- agree: oslo berlin -->			compare() says so
#	<!-- given: name -->				the function of that name that type_page() was given is called
package CdcPage;

use strict;
use warnings;
use Exporter 'import';
use CdcKafka;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(type_page page_node page_names);

my %node;
my ($names, %given);

my %come_true = (
	connected => \&connected,
	equal => \&equal,
	waits => \&waits,
	agree => \&agree,
	given => sub { $given{ $_[0] }->() });

# The nodes that the page speaks of, by the order in which they came up; { name => function } behind them is for "given"
sub type_page
{
	my ($page, @names) = @_;
	my ($steps, $text) = (0, slurp_file("$ENV{CDC_ROOT}/$page"));

	%given = ref $names[-1] ? %{ pop @names } : ();
	page_names(@names);
	while ($text =~ /<!-- (?<what>on|refused): (?<how>[^>]*) -->\n```(?<type>sql|sh)\n(?<block>.*?)```|<!-- (?<what>[a-z]+): (?<how>[^\n]*) -->/gs)
	{
		my %step = %+;

		if ($step{block}) { type_on(\%step) }
		elsif ($come_true{ $step{what} }) { $come_true{ $step{what} }->($step{how}) }
		else { next }
		$steps++;
	}
	cmp_ok($steps, '>', 0, "$page: there is something to type");
	return values %node;
}

sub type_on
{
	my ($step) = @_;
	my ($on, $error) = split(/ \| /, $step->{how});

	type($_, $step->{type}, $step->{block}, $error) foreach split(/ /, $on);
	return;
}

# Subscriptions, topics and connectors are named after nodes, slots too, with underscores.
sub page_names
{
	$names = join('|', map { quotemeta } sort { length $b <=> length $a } @_);
	return;
}

sub prefixed
{
	my ($text) = @_;
	my ($number) = $0 =~ m{([^/]+?)_[^/]*$};
	my $slots = $names =~ s/\\-/_/gr;

	return $text =~ s/(?<![\w-])($names)(?![\w-])/t$number-$1/gr =~ s/\bcdcsync_($slots)\b/cdcsync_t${number}_$1/gr;
}

sub page_node
{
	my ($name) = @_;

	($node{$name}) = make_nodes($name) if !$node{$name};
	return $node{$name};
}

sub type
{
	my ($on, $type, $block, $error) = @_;
	my $said = $type eq 'sql' ? typed_sql($on, prefixed($block)) : typed_sh($on, prefixed($block));
	my $name = "$on: " . ($block =~ s/\n.*//sr);

	if (defined $error) { like($said, qr/^error:.*\Q$error\E/s, "$name, refused") }
	else { is($said =~ /^error:.*/s ? $& : '', '', $name) }
	return;
}

sub typed_sql
{
	my ($on, $block) = @_;

	return page_node($on)->try_sql($block);
}

# Of Kafka Connect's side, that is the test's, the page cannot know; what curl and psql say is looked for complaints.
sub typed_sh
{
	my ($on, $block) = @_;
	my $node = page_node($on);
	my $here = q{connector_config('127.0.0.1', password => NULL};
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'app', no_proxy => '*');
	my $said;

	my $connector = $block =~ s/connector_config\('localhost'/$here/;
	if ($connector)
	{
		own_connector($node->name);
		$node->sql('CREATE ROLE debezium SUPERUSER LOGIN') if $node->sql(q{SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'debezium')}) eq 't';
	}
	my $done = IPC::Run::run([ 'bash', '-euo', 'pipefail', '-c', $block ], '<', \'', '>', \$said, '2>&1');
	return "error: $said" if !$done || $said =~ /"error_code"/;
	return $connector && !streams($node) ? 'error: the connector does not stream' : $said;
}

sub streams
{
	my ($node) = @_;

	return wait_until('it streams', sub { $node->sql(q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'}) });
}

sub equal
{
	my ($table, @on) = split(/[ |]+/, $_[0]);

	wait_equal([ map { page_node($_) } @on ], $table, where => "(SELECT count(*) > 0 FROM $table)");
	return;
}

sub connected
{
	my (@on) = split(/ /, $_[0]);
	my $table = pop @on;

	foreach my $pair (map { [ $on[0], $_ ], [ $_, $on[0] ] } @on[ 1 .. $#on ])
	{
		my ($reader, $author) = map { page_node($_) } @$pair;

		$reader->sql(sprintf "SELECT cdcsync.subscribe('%s', '{%s.public.%s}') WHERE NOT EXISTS (SELECT FROM cdcsync.subscription WHERE name = '%1\$s')",
			$author->name, $author->name, $table);
	}
	foreach my $node (map { page_node($_) } @on)
	{
		like(post_connector($node, q{'127.0.0.1', "user" => current_user, password => NULL}), qr/"name":"\Q@{[ $node->name ]}\E"/, 'a connector for ' . $node->name);
	}
	equal("$table | @on");
	return;
}

sub agree
{
	my ($on, $peer) = split(/ /, $_[0]);

	is(page_node($on)->sql("SELECT string_agg(source_table || ' ' || different_buckets::text, ', ' ORDER BY source_table)
		FROM cdcsync.compare('" . page_node($peer)->name . "', 'cdcsync_digest')"), 'public.note {}, public.place {}', "$on agrees with $peer");
	return;
}

sub waits
{
	my ($on, $peer, $error) = split(/ /, $_[0], 3);
	my $subscription = page_node($peer)->name;

	becomes(page_node($on), "SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = '$subscription' AND state = 'error'", qr/^\Q$error\E/, "$on: $error");
	return;
}

1;
