# The pages of the documentation: that every link leads to something.
use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = $ENV{CDC_ROOT};
my %text = map { s{^\Q$root/}{}r => slurp_file($_) } map { glob("$root/$_") } qw(*.md */*.md */*/*.md);
my %anchors = map { $_ => anchors($text{$_}) } keys %text;

cmp_ok(keys %text, '>', 10, 'there are pages');
foreach my $page (sort keys %text)
{
	is(join("\n", broken($page)), '', "$page: every link leads to something");
}
done_testing();

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
