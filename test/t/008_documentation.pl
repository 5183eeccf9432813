# The pages of the documentation: that every link leads to something, every command is tried, README.md is short, and doc/reference.md has a heading
# for each function, setting and view, and for no other.
use strict;
use warnings;
use CdcNode;
use File::Basename;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = $ENV{CDC_ROOT};
my %text = map { s{^\Q$root/}{}r => slurp_file($_) } map { glob("$root/$_") } qw(*.md */*.md */*/*.md);
my %anchors = map { $_ => anchors($text{$_}) } keys %text;

cmp_ok(keys %text, '>', 10, 'there are pages');
foreach my $page (sort keys %text)
{
	is(join("\n", broken($page)), '', "$page: every link leads to something");
	is(join("\n", untried($page)), '', "$page: every block of commands says what tries it");
}
my $meta = decode_json(slurp_file("$root/META.json"));
my ($version) = slurp_file("$root/cdcsync.control") =~ /^default_version = '(.*)'/m;
is("$meta->{version} $meta->{provides}{cdcsync}{version}", "$version.0 $version.0", 'META.json is of this version');
ok(-e "$root/$meta->{provides}{cdcsync}{$_}", "... and names the $_") foreach qw(file docfile);

my @lines = split(/\n/, $text{'README.md'});
cmp_ok(@lines, '<=', 250, 'README.md is short');
is(join("\n", grep { length > 140 } @lines), '', '... and no line of it long');

# --- doc/reference.md -----------------------------------------------------------------------------

my $node = CdcNode->make('me');
$node->safe_psql('postgres', 'CREATE EXTENSION cdcsync');
my %there = map { my ($kind, $names) = split(/:/); $kind => [ split(/ /, $names) ] } split(/\n/, $node->safe_psql('postgres', <<'SQL'));
WITH member AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdcsync'))
SELECT 'functions:' || string_agg(DISTINCT proname, ' ') FROM pg_proc JOIN member ON classid = 'pg_proc'::regclass AND objid = oid
UNION ALL
SELECT 'views:' || string_agg(relname, ' ') FROM pg_class JOIN member ON classid = 'pg_class'::regclass AND objid = oid WHERE relkind IN ('r', 'v')
UNION ALL
SELECT 'settings:' || string_agg(name, ' ') FROM pg_settings WHERE name LIKE 'cdcsync.%'
SQL
push @{ $there{settings} }, 'cdcsync.kafka_config';    # which pg_settings does not show
my %section = (
	settings => [ section('Settings') =~ /^### (\S+)$/mg ],
	functions => [ section('Functions') =~ /^#### (\S+)$/mg, named('Parts of others') ],
	views => [ section('Views') =~ /^### (\S+)$/mg, named('Tables behind them') ]);
foreach my $kind (qw(settings functions views))
{
	is(join("\n", sort @{ $section{$kind} }), join("\n", sort @{ $there{$kind} }), "doc/reference.md has all $kind, and no others");
}
done_testing();

sub section
{
	my ($name) = @_;

	return $text{'doc/reference.md'} =~ /^## \Q$name\E\n(.*?)(?:^## |\z)/ms ? $1 : '';
}

# What has no heading of its own
sub named
{
	my ($heading) = @_;
	my ($paragraph) = $text{'doc/reference.md'} =~ /^### \Q$heading\E\n\n(.*?)\n\n/ms;

	return grep { $_ ne 'compare' && $_ ne 'check' } $paragraph =~ /`(\w+)`/g;
}

# Blocks of commands without a mark of what tries them (test/perl/CdcPage.pm), or whose mark names a file that is not there
sub untried
{
	my ($page) = @_;
	my ($last, $section, $inside, @untried) = ('', '', 0);

	foreach my $line (split(/\n/, $text{$page}))
	{
		$section = '' if $line =~ /^## / && !$inside;
		$section = $1 if $line =~ /^<!-- (.*): every block -->$/;
		if ($line =~ /^```/)
		{
			$inside = !$inside;
			my ($file) = $last =~ /^<!-- run by: (\S+) -->$/;
			push @untried, $line . ($file ? ": there is no $file" : ' after: ' . $last)
			  if $inside && $line =~ /^```(?:sh|sql)$/ && !$section && ($file ? !-e "$root/$file" : $last !~ /^<!-- (?:on|refused|by hand): .*-->$/);
		}
		$last = $line;
	}
	return @untried;
}

# Text without what stands in fences
sub prose
{
	my ($page) = @_;

	return $page =~ s/^```.*?^```$//gmsr;
}

# Headings as links name them: small letters, a hyphen for a blank, no punctuation; one that comes again is counted.
sub anchors
{
	my ($page) = @_;
	my (%seen, %found);

	foreach my $heading (prose($page) =~ /^#+ +(.*?) *$/mg)
	{
		my $anchor = lc($heading =~ s/\[([^]]*)\]\([^)]*\)/$1/gr) =~ s/[^\w\- ]//gr =~ tr/ /-/r;

		$anchor .= $seen{$anchor}++ ? '-' . ($seen{$anchor} - 1) : '';
		$found{$anchor} = 1;
	}
	return \%found;
}

sub broken
{
	my ($page) = @_;
	my @broken;

	foreach my $link (prose($text{$page}) =~ /\]\(([^)\s]*)\)/g)
	{
		next if $link =~ m{^https?://};
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $path eq '' ? $page : resolved(dirname($page), $path);

		if ($link eq '' || !-e "$root/$target") { push @broken, "$link: there is no $target" }
		elsif (defined $anchor && !($anchors{$target} // {})->{$anchor}) { push @broken, "$link: there is no heading of that name" }
	}
	return @broken;
}

# A path from a folder, without the steps up
sub resolved
{
	my ($folder, $path) = @_;
	my @steps;

	foreach my $step (grep { $_ ne '.' && $_ ne '' } split(m{/}, "$folder/$path"))
	{
		if ($step eq '..') { pop @steps }
		else { push @steps, $step }
	}
	return join('/', @steps);
}
