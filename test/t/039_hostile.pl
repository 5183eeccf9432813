# Topics whose messages nobody in his senses would write: nothing is written that should not be, the worker lives, its memory is
# bounded, and each message is applied or kept as a dead letter that says why.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink');
$node->sql(<<'END');
CREATE TABLE "it's ""x"" \ ; DROP TABLE item; --" (id int PRIMARY KEY, "a'b""c\ " text, v bigint NOT NULL);
CREATE TABLE item (id int PRIMARY KEY, body text, v bigint NOT NULL);
SELECT cdcsync.add_table(c.oid, version_column => 'v') FROM pg_class AS c WHERE relname LIKE 'it%' AND relkind = 'r';
END
my $table = q{it's "x" \\ ; DROP TABLE item; --};
my $good = event('c', 'item', undef, { id => 1, body => 'a', v => 1 });

my @refused = (
	[ 'a zero byte' => $good =~ s/"a"/"\0"/r, qr/^invalid byte sequence for encoding "UTF8": 0x00$/ ],
	[ 'zero bytes and nothing else' => "\0" x 1000, qr/^message value is not JSON$/ ],
	[ 'a zero in JSON' => $good =~ s/"a"/"\\u0000"/r, qr/^invalid JSON in string$/ ],
	[ 'half of a character' => $good =~ s/"a"/"\xc3"/r, qr/^invalid byte sequence for encoding "UTF8": 0xc3 0x22$/ ],
	[ 'a character in too many bytes' => $good =~ s/"a"/"\xc0\x80"/r, qr/^invalid byte sequence for encoding "UTF8": 0xc0 0x80$/ ],
	[ 'half of a surrogate pair' => $good =~ s/"a"/"\\ud83d"/r, qr/^invalid JSON in string$/ ],
	[ 'arrays in arrays' => $good =~ s/"a"/'[' x 100000 . ']' x 100000/er, qr/^message is nested more than 1000 levels deep$/ ],
	[ 'objects in objects' => '{"a":' x 100000, qr/^message is nested more than 1000 levels deep$/ ],
	[ 'schemas in schemas' => '{"schema":' . '{"type":"array","items":' x 40000, qr/^message is nested more than 1000 levels deep$/ ],
	[ 'fields without end' => $good =~ s/"body"/join(',', map { qq("f$_":1) } 1 .. 50000) . ',"body"'/er, qr/^message value has a row of 50003 fields$/ ],
	[ 'a name without end' => $good =~ s/"body"/'"' . 'x' x 900000 . '"'/er, qr/^column "x{100}\.\.\." of the event does not exist in table public\.item$/ ],
	[ 'SQL for a table' => event('c', 'item; DROP TABLE item', undef, { id => 1, v => 1 }), qr/^no table is registered for "public\.item; DROP TABLE item"$/ ],
	[ 'SQL for a column' => event('c', 'item', undef, { id => 1, 'v) SELECT 1; --' => 1, v => 1 }), qr/^column "v\) SELECT 1; --" of the event does not exist/ ],
	[ "the server's catalog" => event('c', 'pg_authid', undef, { rolname => 'evil', oid => 1 }, schema => 'pg_catalog'), qr/^no table is registered for "pg_catalog\.pg_authid"$/ ],
	[ "cdcsync's tables" => event('c', 'table_rule', undef, { relation => 1 }, schema => 'cdcsync'), qr/^no table is registered for "cdcsync\.table_rule"$/ ]);

my $topic = make_topic('hostile');
produce($topic, map { [ 0, '{"id":1}', $_->[1] ] } @refused);
produce($topic,
	change(0, 'c', $table, undef, { id => 1, q{a'b"c\\ } => q{'); DROP TABLE item; --}, v => 1 }),
	change(0, 'c', 'item', undef, { id => 2, body => 'the last one', v => 1 }));
# more than a client fetches at once (fetch.message.max.bytes is 1 MB)
in_background("{\"id\":3}\t" . event('c', 'item', undef, { id => 3, body => 'x' x 15_000_000, v => 1 }) . "\n",
	'kcat', '-q', '-P', '-X', 'message.max.bytes=16000000', '-K', "\t", '-b', $ENV{KAFKA}, '-t', $topic, '-p', 0)->finish or die 'kcat failed';
$node->sql("SELECT cdcsync.subscribe('hostile', '{$topic}', on_error => 'dead_letter')");
is($node->sql("SELECT cdcsync.wait_for('hostile', '60s')"), 't', 'all are read');
foreach my $i (0 .. $#refused)
{
	my ($name, undef, $error) = @{ $refused[$i] };

	like($node->sql("SELECT message FROM cdcsync.dead_letter WHERE \"offset\" = $i"), $error, $name);
}
is($node->sql('SELECT id, length(body) FROM item ORDER BY id'), "2|12\n3|15000000", 'what is good between them is applied, be it large');
is($node->sql(q{SELECT * FROM "it's ""x"" \ ; DROP TABLE item; --"}), q{1|'); DROP TABLE item; --|1}, '... with quotes in every name');

log_has_no($node, 'PANIC|TRAP|terminated by signal', 'nothing has crashed');
log_has_no($node, 'cdcsync apply worker ERROR', 'no worker has died of an error');
done_testing();
