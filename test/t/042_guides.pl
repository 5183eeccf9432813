# doc/guides.md, typed as it stands: a comment above each block says on which nodes, others what is to come of it.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $names = join('|', qw(berlin oslo porto rome ann bob));
my %node;
my ($blocks, $text) = (0, slurp_file("$ENV{CDC_ROOT}/doc/guides.md"));

while ($text =~ /<!-- (?:on: (?<on>[^>]*) -->\n```(?<type>sql|sh)\n(?<block>.*?)```|(?<what>equal|waits|agree): (?<how>.*?) -->)/gs)
{
	my %step = %+;

	if (!$step{on}) { come_true($step{what}, $step{how}) }
	else { type($_, $step{type}, $step{block}) foreach split(/ /, $step{on}) }
	$blocks++;
}
my $fences = () = $text =~ /^```(?:sql|sh)/mg;
my $marks = () = $text =~ /<!-- on: /g;
is($marks, $fences, 'every block is typed');
cmp_ok($blocks, '>', 20, '... and there are some');
no_errors(values %node);
done_testing();

# Topics and subscriptions are named after nodes.
sub prefixed
{
	my ($sql) = @_;

	return $sql =~ s/\b($names)\b/t042-$1/gr;
}

sub node
{
	my ($name) = @_;

	($node{$name}) = make_nodes($name) if !$node{$name};
	return $node{$name};
}

sub type
{
	my ($on, $type, $block) = @_;

	if ($type eq 'sql')
	{
		is(node($on)->try_sql(prefixed($block)) =~ /^error:.*/s ? $& : '', '', "$on: " . ($block =~ s/\n.*//sr));
		return;
	}
	my ($arguments) = $block =~ /connector_config\('localhost', (.*?)\)"/;
	like(post_connector(node($on), qq{'127.0.0.1', "user" => current_user, password => NULL, $arguments}), qr/"name":"t042-$on"/, "$on: a connector");
	ok(wait_until('it streams', sub { node($on)->sql(q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'}) eq 't' }), '... that streams');
	return;
}

# equal: a table, nodes; agree: a node, its peer; waits: a node, its peer, its error
sub come_true
{
	my ($what, $how) = @_;

	if ($what eq 'equal')
	{
		my ($table, @on) = split(/[ |]+/, $how);
		wait_equal([ map { node($_) } @on ], $table, where => "(SELECT count(*) > 0 FROM $table)");
		return;
	}
	my ($on, $peer, $error) = split(/ /, $how, 3);

	if ($what eq 'agree')
	{
		is(node($on)->sql("SELECT string_agg(source_table || ' ' || different_buckets::text, ', ' ORDER BY source_table)
			FROM cdcsync.compare('t042-$peer', 'cdcsync_digest')"), 'public.note {}, public.place {}', "$on agrees with $peer");
		return;
	}
	becomes(node($on), "SELECT last_error FROM cdcsync.stat_subscription WHERE subscription = 't042-$peer' AND state = 'error'", qr/^\Q$error\E/, "$on: $error");
	return;
}
