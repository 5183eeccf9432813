# Every type there and back: nasty values of each are inserted and updated on one database, in four settings of the connector,
# with and without schemas, and must have the same text on the other; but for what doc/types.md says is lost at the source.
# And values of a megabyte, which are inserted, stay while another column changes, are updated and deleted.
use strict;
use warnings;
use CdcNode;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
$CdcTest::PATIENCE = 60;

my $fixtures = "$ENV{CDC_ROOT}/test/fixtures";
# by the columns of doc/types.md; what these settings make an error is left out at the source
my %mode = (
	default => {
		column => 1,
		set => [ 'time.precision.mode=adaptive', 'decimal.handling.mode=precise', 'interval.handling.mode=string', 'include.unknown.datatypes=true' ],
		producer => { 'time.precision.mode' => 'adaptive', 'decimal.handling.mode' => 'precise', 'binary.handling.mode' => 'bytes' },
		lossy => [ 'numeric[]' => 's' ]
	},
	micro => {
		column => 2,
		set => [ 'time.precision.mode=microseconds', 'decimal.handling.mode=string', 'interval.handling.mode=string', 'include.unknown.datatypes=true' ],
		producer => { 'time.precision.mode' => 'microseconds', 'decimal.handling.mode' => 'string', 'binary.handling.mode' => 'bytes' }
	},
	iso => {
		column => 3,
		set => [ 'time.precision.mode=isostring', 'decimal.handling.mode=precise', 'interval.handling.mode=string', 'include.unknown.datatypes=true', 'binary.handling.mode=base64' ],
		producer => { 'time.precision.mode' => 'isostring', 'decimal.handling.mode' => 'string', 'binary.handling.mode' => 'base64' },
		plain => [ 'decimal.handling.mode=string' ]
	},
	connect => {
		column => 4,
		set => [ 'time.precision.mode=connect', 'decimal.handling.mode=double', 'interval.handling.mode=string', 'include.unknown.datatypes=true',
			'binary.handling.mode=base64-url-safe' ],
		producer => { 'time.precision.mode' => 'connect', 'decimal.handling.mode' => 'double', 'binary.handling.mode' => 'base64-url-safe' }
	});

my $large = q{
	CREATE TABLE large (id int PRIMARY KEY, n int, t text, b bytea, j jsonb, a text[], v bigint);
	CREATE FUNCTION values_of(seed text, OUT t text, OUT b bytea, OUT j jsonb, OUT a text[]) LANGUAGE sql AS $$
		WITH parts AS MATERIALIZED (SELECT array_agg(md5(seed || i) ORDER BY i) AS p FROM generate_series(1, 65536) AS i)
		SELECT 'äöü€😀"\\' || substr(array_to_string(p[:32768], ''), 1, 1048576 - 7), decode(array_to_string(p, ''), 'hex'),
			jsonb_build_object('"ä"', p[:16384], 'nested', jsonb_build_array(jsonb_build_object('text', array_to_string(p[:16384], '€')))),
			p[:32768]
		FROM parts
	$$;};
my ($author, $reader) = map { CdcNode->make("t030-$_", "cdcsync.bootstrap_servers = '$ENV{KAFKA}'",
	"cdcsync.topic_refresh_interval = '200ms'", 'max_worker_processes = 24', 'max_replication_slots = 24', 'max_wal_senders = 24') } qw(author reader);
my %page = page();
# what the default modes leave to the schema is an error without one
my @ways = grep { "@$_" ne 'default false' } map { ([ $_, 'true' ], [ $_, 'false' ]) } sort keys %mode;
my (@tables, @connectors);

foreach my $way (@ways)
{
	make_author(@$way);
	make_reader(@$way);
}
END { my $status = $?; stack('connector-delete', $_) foreach @connectors; $? = $status }
stack('connector-wait', $_) foreach @connectors;
foreach my $way (@ways)
{
	my $name = name(@$way);

	$author->safe_psql($name, 'CALL insert_cases(100)');
	# every row gets the values of the next
	foreach my $table (qw(every many))
	{
		my $columns = $author->safe_psql($name, "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
			WHERE attrelid = '$table'::regclass AND attnum > 0 AND attname NOT IN ('id', 'v') AND NOT attisdropped");
		my $values = $columns =~ s/(^|, )/$1b./gr;
		$author->safe_psql($name, "UPDATE $table AS a SET ($columns) = ROW($values) FROM $table AS b
			WHERE a.id > 100 AND b.id = CASE WHEN EXISTS (SELECT FROM $table WHERE id = a.id + 1) THEN a.id + 1 ELSE 101 END");
	}
	$author->safe_psql($name, 'INSERT INTO every (id) VALUES (999)');
	write_large($name);
}
foreach my $way (@ways)
{
	my $name = name(@$way);

	ok(wait_until("all of $name", sub { $reader->try_sql('SELECT EXISTS (SELECT FROM every WHERE id = 999)', $name) eq 't'
			&& $reader->try_sql('SELECT count(*) >= 8 AND bool_or(v > 1) FROM many', $name) eq 't' }), "$name has arrived")
	  or diag($reader->safe_psql($name, 'SELECT * FROM cdcsync.stat_subscription'), `kcat -q -C -o 0 -c 1 -b $ENV{KAFKA} -t $name.public.every`);
	compare($way->[0], $name);
	compare_large($name);
}
done_testing();

sub name { my ($mode, $schemas) = @_; return "t030-$mode" . ($schemas eq 'true' ? '' : '-plain') }

# The tables and values of the fixtures, without what is an error here in this mode
sub make_author
{
	my ($mode, $schemas) = @_;
	my $name = name($mode, $schemas);
	my $setup = slurp_file("$fixtures/every.setup.sql");

	$setup =~ s/^\\ir every.tables.sql$/\\i $fixtures\/every.tables.sql/m or die;
	$setup =~ s/^CALL insert_cases\(0\);$/leave_out($schemas)/me or die;
	$setup =~ s/^CREATE PUBLICATION.*$//m or die;
	$author->safe_psql('postgres', qq(CREATE DATABASE "$name"; ALTER DATABASE "$name" SET cdcsync.node_name = '$name'));
	$author->safe_psql($name, "SET client_min_messages = error; CREATE EXTENSION cdcsync; $setup $large
		SELECT cdcsync.add_table(t, 'v') FROM unnest('{every,many,large}'::regclass[]) AS t;");
	push @connectors, $name;
	stack('connector-create', '--node', $name, '--port', $author->port, '--dbname', $name, '--user', scalar getpwuid($>), '--no-wait',
		'--schemas', $schemas, map { ('--set', $_) } @{ $mode{$mode}{set} }, @{ $schemas eq 'true' ? [] : $mode{$mode}{plain} // [] }, 'event.converting.failure.handling.mode=warn');
}

# Bit strings of any length, without schemas also of a given one; years beyond a mode's numbers; the ends of money in double
sub leave_out
{
	my ($schemas) = @_;

	return "DELETE FROM cases WHERE col LIKE 'varbit%' OR NOT $schemas AND col = 'bit_10';" . q{
		UPDATE cases SET texts = ARRAY(SELECT CASE WHEN NOT (col = 'money' AND t LIKE '%92233720368547758%'
				OR tab = 'every' AND col = 'ts' AND t LIKE '294276%' OR tab = 'many' AND col = 'ts' AND t LIKE '%BC%') THEN t END
			FROM unnest(texts) WITH ORDINALITY AS u (t, n) ORDER BY n);
		CALL insert_cases(0);
	};
}

sub make_reader
{
	my ($mode, $schemas) = @_;
	my $name = name($mode, $schemas);
	my $producer = $schemas eq 'true' ? $mode =~ /iso|connect/ ? { 'binary.handling.mode' => $mode{$mode}{producer}{'binary.handling.mode'} } : {}
	  : $mode{$mode}{producer};
	my $json = join(', ', map { qq("$_": "$producer->{$_}") } sort keys %$producer);

	$reader->safe_psql('postgres', qq(CREATE DATABASE "$name"; ALTER DATABASE "$name" SET cdcsync.node_name = 'reader-$name'));
	$reader->safe_psql($name, "SET client_min_messages = error; CREATE EXTENSION cdcsync; SET timezone = 'UTC';
		\\i $fixtures/every.tables.sql
		$large
		SELECT cdcsync.add_table(t, 'v') FROM unnest('{every,many,large}'::regclass[]) AS t;
		SELECT cdcsync.subscribe('author', topics => ARRAY['$name.public.every', '$name.public.many', '$name.public.large'], producer => '{$json}');");
}

sub write_large
{
	my ($name) = @_;

	$author->safe_psql($name, $_) foreach (
		"INSERT INTO large SELECT id, 1, l.* FROM generate_series(1, 2) AS id, values_of('first') AS l",
		'UPDATE large SET n = 2',
		"UPDATE large AS l SET (t, b, j, a) = ROW(new.t, new.b, new.j, new.a) FROM values_of('second') AS new WHERE id = 1",
		'DELETE FROM large WHERE id = 2',
		'INSERT INTO large (id) VALUES (3)');
	return;
}

sub compare_large
{
	my ($name) = @_;
	my $sql = 'SELECT id, n, length(t), octet_length(b), pg_column_size(j) > 500000, cardinality(a),
		md5(t), md5(b::text), md5(j::text), md5(a::text) FROM large ORDER BY id';

	ok(wait_until("large values of $name", sub { $reader->try_sql('SELECT EXISTS (SELECT FROM large WHERE id = 3)', $name) eq 't' }),
		"$name: large values have arrived") or diag($reader->safe_psql($name, 'SELECT * FROM cdcsync.stat_subscription'));
	is($reader->safe_psql($name, $sql), $author->safe_psql($name, $sql), '... each of them');
	like($reader->safe_psql($name, $sql), qr/^1\|2\|1048576\|1048576\|t\|32768\|/, '... of a megabyte');
	is($reader->safe_psql($name, "SELECT key ->> 'id' FROM cdcsync.tombstone WHERE relation = 'large'::regclass"), '2', '... and the delete');
	return;
}

# doc/types.md: type => [ words per mode ]
sub page
{
	my %page;

	foreach my $line (split /\n/, slurp_file("$ENV{CDC_ROOT}/doc/types.md"))
	{
		my ($empty, $type, @words) = split / ?\| ?/, $line;
		$page{$type} = \@words if @words == 6 && $line =~ /exact|lossy|null|refused|not sent/;
	}
	cmp_ok(scalar keys %page, '>', 140, 'doc/types.md has the types');
	return %page;
}

# Every value, by the text that it had at the source
sub compare
{
	my ($mode, $name) = @_;
	my ($equal, $lost, @wrong) = (0, 0);

	foreach my $table (qw(every many))
	{
		my $sql = $reader->safe_psql($name, "SELECT string_agg(format(
				'SELECT %L, id, %L, texts::jsonb ->> %L, format(''%%s'', %I), (%I IS NULL)::int FROM $table WHERE texts IS NOT NULL',
				attname, format_type(atttypid, atttypmod), attname, attname, attname), ' UNION ALL ')
			FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND attname NOT IN ('id', 'v', 'texts')");

		$reader->psql($name, "SET timezone = 'UTC'; COPY ($sql) TO STDOUT", stdout => \my $out);
		foreach my $line (split /\n/, $out)
		{
			my ($column, $id, $type, $source, $here, $null) = split /\t/, $line;

			$equal++, next if $source eq '\N' ? $null : $source eq $here;
			$lost++, next if is_documented($mode, $type, $id);
			push @wrong, "$table.$column $id ($type): $source => " . ($null ? 'NULL' : $here);
		}
	}
	is(join("\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]), '', "$name: every value is the same, or documented as lost");
	cmp_ok($equal, '>', 2000, "$name: $equal values are the same");
	note("$name: $equal values the same, $lost lost at the source, as documented");
}

sub is_documented
{
	my ($mode, $type, $id) = @_;
	my %label = (mood => 'enum', small => 'domain', word => 'domain over text', smaller => 'domain over a domain', pair => 'composite type',
		floats => 'another range type');
	my ($base, $array) = $type =~ /^(.*?)(\[\])?$/;
	my $label = $label{$base} ? $label{$base} . ($array ? ', array' : '') : "`$type`";
	my ($streamed, $snapshot) = split /; snapshot: /, $page{$label}[ $mode{$mode}{column} - 1 ] // die "doc/types.md has no $label";
	my $words = $id > 100 ? $streamed : $snapshot // $streamed;

	return 1 if $mode eq 'default' && $words =~ /not sent \(u\)|refused \(i\)/;    # it has both here; then arrays as the others
	return $words ne 'exact';
}
