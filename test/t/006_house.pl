# The folders of src/ and the direction of their arrows, as doc/architecture.md declares them (test/house); and that
# what goes against it is found.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IPC::Run qw(run);
use Test::More;

my $root = $ENV{CDC_ROOT};

sub house
{
	my ($tree, $what) = @_;
	local $ENV{HOUSE} = $tree;
	run [ "$root/test/house", $what ], '>', \my $out, '2>&1';
	return $out;
}

is(house($root, 'includes'), '', 'every include runs down, in no circle');
is(house($root, 'links'), '', 'no object uses a symbol of a folder above its own');

# A house of three files, where each fault is made once.
my $tree = tempdir(CLEANUP => 1);
mkdir "$tree/$_" for qw(doc src src/low src/high);

sub put
{
	my ($file, @lines) = @_;
	open my $fh, '>', "$tree/$file" or die "$file: $!";
	print $fh map { "$_\n" } @lines;
	close $fh or die "$file: $!";
	return;
}

sub build
{
	put('doc/architecture.md', '| folder of `src/` | what it is |', '|---|---|', '| `low/` | a |', '| `high/` | b |');
	put('src/low/a.h',  '#define A 1');
	put('src/low/b.h',  '#define B 1');
	put('src/low/b.c',  '#include "low/a.h"', '#include "low/b.h"');
	put('src/high/c.c', '#include "low/b.h"');
	put('src/high/c.h', '#define C 1');
	return;
}

build();
is(house($tree, 'includes'), '', 'a tree as it should be');
put('src/low/a.h', '#include "high/c.h"');
like(house($tree, 'includes'), qr{^src/low/a\.h: includes high/c, which stands above it}m, 'an include upwards');
put('src/low/a.h', '#include "low/b.h"');
like(house($tree, 'includes'), qr{^need each other: low/(?:a -> low/b -> low/a|b -> low/a -> low/b)}m, 'two files that need each other');
put('src/low/a.h', '#include "b.h"');
like(house($tree, 'includes'), qr{^src/low/a\.h: includes "b\.h" without its folder}m, 'an include without its folder');
build();
put('src/low/b.c', 'int n = token->rawlen;', '/* token->raw */');
like(house($tree, 'includes'), qr{\Asrc/low/b\.c: is not to know the bytes of a token.*\Z}m, 'a token read as if its format were known');
put('src/low/b.c', '#include <librdkafka/rdkafka.h>', '#if PG_VERSION_NUM < 160000', '#endif');
like(house($tree, 'includes'), qr{^src/low/b\.c: is not to know librdkafka$}m, 'librdkafka outside of its folder');
like(house($tree, 'includes'), qr{^src/low/b\.c: is not to know versions}m, 'a difference between servers outside of compat.h');
put('src/low/b.c', '/* token->raw */', 'char *s = "x->raw";');
is(house($tree, 'includes'), '', 'comments and texts know everything');
build();
put('src/d.c', '');
like(house($tree, 'includes'), qr{^src/d\.c: no file stands outside}m, 'a file outside of the folders');
unlink "$tree/src/d.c";
mkdir "$tree/src/other";
like(house($tree, 'includes'), qr{^src/other: is not in the table}m, 'a folder that nobody declared');

# What make lint says of the look, in the same way
sub look
{
	my (@lines) = @_;
	put('src/low/b.c', @lines);
	local $ENV{HOUSE} = $tree;
	run [ "$root/test/format" ], '>', \my $out, '2>&1';
	return $out;
}

mkdir "$tree/bench";
is(look('static int', 'f(void)', '{', "\tint\t\t\tn = 0;", "\tCdcField   *field;", "\tMemoryContext context;", '', "\tif (n)", "\t\treturn 1;", '}'),
	'', 'code as pgindent leaves it');
like(look("\tint n;"), qr{b\.c:1: names in another column}, 'a name in another column');
like(look("\tf(); "), qr{b\.c:1: blanks at the end}, 'blanks at the end');
like(look("    f();"), qr{b\.c:1: indentation by blanks}, 'indentation by blanks');
like(look("\tif (n) {"), qr{b\.c:1: a brace}, 'a brace behind its condition');
like(look('static int f(void)'), qr{b\.c:1: a return type}, 'a return type before its function');
like(look("\t" . 'f(x) + ' x 20), qr{b\.c:1: more than \d+ columns}, 'a line that is too long');
put('src/low/b.c', "\tint n;", "\tf(); ");
{
	local $ENV{HOUSE} = $tree;
	run [ "$root/test/format", '--mend' ];
	run [ "$root/test/format" ], '>', \my $out, '2>&1';
	is($out, '', 'both are mended');
}

done_testing();
