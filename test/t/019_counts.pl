# Conflicts are counted, recorded and logged once each, whatever batches they come in; and handled by type as table and
# subscription say.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink');
my @types = qw(insert_exists update_origin_differs update_exists update_missing update_deleted delete_origin_differs
  delete_exists delete_missing multiple_unique_conflicts);

# --- one event of each type -----------------------------------------------------------------------------------

$node->sql(q{CREATE TABLE page (id int PRIMARY KEY, u text UNIQUE, v bigint NOT NULL);
	SELECT cdcsync.add_table('page', version_column => 'v');
	INSERT INTO page SELECT i, 'local ' || i, 10 FROM unnest('{1,2,3,30,5,6,7,9,90}'::int[]) AS i;
	DELETE FROM page WHERE id = 5});

my %event = (
	insert_exists => [ 'c', undef, row(1, 'newer', 11) ],
	update_origin_differs => [ 'u', row(2, 'of another', 8), row(2, 'older', 9) ],
	update_exists => [ 'u', row(3, 'local 3', 10), row(3, 'local 30', 11) ],
	update_missing => [ 'u', row(4, 'a', 1), row(4, 'b', 2) ],
	update_deleted => [ 'u', row(5, 'a', 8), row(5, 'b', 9) ],
	delete_origin_differs => [ 'd', row(6, 'later', 12), undef ],
	delete_exists => [ 'd', row(7, 'earlier', 8), undef ],
	delete_missing => [ 'd', row(8, 'a', 1), undef ],
	multiple_unique_conflicts => [ 'c', undef, row(9, 'local 90', 11) ]);
my %resolution = map { $_ => 'apply_remote' } @types;
$resolution{$_} = 'keep_local' foreach qw(update_origin_differs update_deleted delete_exists);

# no conflicts: new, seen, there already, a truncate that is not obeyed
my @plain = (
	[ 'c', undef, row(100, 'new', 1) ],
	[ 'u', row(100, 'new', 1), row(100, 'next', 2) ],
	[ 'u', row(100, 'new', 1), row(100, 'next', 2) ],
	[ 'c', undef, row(101, 'x', 1) ],
	[ 'd', row(101, 'x', 1), undef ]);

# of one batch; the unique values among them have it applied in parts
my $topic = make_topic('page');
produce($topic, map({ change(0, $event{$_}[0], 'page', @{ $event{$_} }[ 1, 2 ]) } @types),
	map({ change(0, $_->[0], 'page', @$_[ 1, 2 ]) } @plain), [ 0, '', event('t', 'page') ]);
$node->sql("SELECT cdcsync.subscribe('s', '{$topic}')");
becomes($node, position_of($topic, 0), 'streaming 15', 'one event of each conflict type, and others');

is($node->sql('SELECT events, inserted, updated, deleted, unchanged, skipped FROM cdcsync.stat_table'), '15|3|4|2|5|1', 'what became of them');
is($node->sql('SELECT ' . join(', ', map { "confl_$_" } @types) . ' FROM cdcsync.stat_table'), join('|', (1) x @types), '... each type is counted once');
is($node->sql("SELECT string_agg(id || ' ' || u, ', ' ORDER BY id) FROM page"),
	'1 newer, 2 local 2, 3 local 30, 4 b, 7 local 7, 9 local 90, 100 next', '... the rows');
my %id = map { $_ => ($event{$_}[1] // $event{$_}[2])->{id} } @types;
my %offset = map { $types[$_] => $_ } 0 .. $#types;
is($node->sql(q{SELECT conflict_type, resolution, relation, key, subscription, topic, partition, "offset", remote_origin
	FROM cdcsync.conflict_history ORDER BY "offset"}),
	join("\n", map { qq($_|$resolution{$_}|page|{"id": $id{$_}}|s|$topic|0|$offset{$_}|t019) } @types),
	'... one record each');
foreach my $type (@types)
{
	my $warning = "WARNING:  conflict $type in table public\\.page: $resolution{$type}\$\n"
	  . ".* DETAIL:  Key \\(id\\)=\\($id{$type}\\), change by \"t019\" in topic \"$topic\" partition 0 offset $offset{$type}\\.\$";
	my @found = $node->log_text =~ /$warning/mg;
	is(scalar @found, 1, "... one warning of $type");
}
is(log_lines($node, 'WARNING:'), 9, '... and no others');

# --- by the table's rule, else by the subscription ------------------------------------------------------------------

my $ruled = make_topic('ruled');
$node->sql(q{CREATE TABLE ruled (id int PRIMARY KEY, u text, v bigint NOT NULL);
	SELECT cdcsync.add_table('ruled', version_column => 'v',
		conflicts => '{"insert_exists": "apply_remote", "delete_exists": "last_update_wins"}');
	INSERT INTO ruled SELECT i, 'local', 10 FROM generate_series(1, 4) AS i});
produce($ruled,
	change(0, 'c', 'ruled', undef, row(1, 'older', 9)),
	change(0, 'd', 'ruled', row(2, 'earlier', 9), undef),
	change(0, 'u', 'ruled', row(3, 'of another', 9), row(3, 'newer', 11)),
	change(0, 'u', 'ruled', row(5, 'a', 1), row(5, 'b', 2)),
	change(0, 'd', 'ruled', row(4, 'later', 11), undef));
$node->sql(qq{SELECT cdcsync.subscribe('ruled', '{$ruled}', conflicts =>
	'{"insert_exists": "error", "delete_exists": "error", "update_origin_differs": "keep_local", "update_missing": "skip"}')});
becomes($node, position_of($ruled, 0), 'streaming 5', 'conflicts of a table with its own rules');
is($node->sql(q{SELECT string_agg("offset" || ' ' || conflict_type || ' ' || resolution, ', ' ORDER BY "offset")
	FROM cdcsync.conflict_history WHERE subscription = 'ruled'}),
	'0 insert_exists apply_remote, 1 delete_exists keep_local, 2 update_origin_differs keep_local, '
	  . '3 update_missing skip, 4 delete_origin_differs apply_remote',
	'... by its word, else the subscription\'s, else last_update_wins');
is($node->sql("SELECT string_agg(id || ' ' || u, ', ' ORDER BY id) FROM ruled"), '1 older, 2 local, 3 local', '... the rows');

# a table that takes its word back does as the subscription says
$node->sql(q{SELECT cdcsync.alter_table_rule('ruled', conflicts => '{"delete_exists": "keep_local"}')});
produce($ruled, change(0, 'c', 'ruled', undef, row(2, 'newer', 11)));
becomes($node, "SELECT state || ' ' || last_error FROM cdcsync.stat_subscription WHERE subscription = 'ruled'",
	qr/^error conflict insert_exists in table public\.\S+ whose handling is "error"\nDETAIL: Key \(id\)=\(2\)/, '... and the subscription\'s when it has none any more');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
done_testing();

sub row
{
	my ($id, $u, $v) = @_;

	return { id => $id, u => $u, v => $v };
}
