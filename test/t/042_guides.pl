# doc/guides.md, typed as it stands (CdcPage): a comment above each block says on which nodes, others what is to come of it.
use strict;
use warnings;
use CdcPage;
use CdcTest;
use Test::More;

no_errors(type_page('doc/guides.md', qw(berlin oslo porto rome ann bob)));
done_testing();
