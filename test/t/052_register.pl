# What was done to registered tables after their registration: partitions that came later, an identity that is not FULL, rows
# without a version. What Debezium then makes up is not taken for what was there.
use strict;
use warnings;
use CdcTest;
use Test::More;

my ($author, $reader) = make_nodes(qw(author reader));
my @both = ($author, $reader);
$_->sql(q{CREATE TABLE day (id int, day date, body text NOT NULL, v timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
	CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
	SELECT cdcsync.add_table('day', version_column => 'v');
	CREATE TABLE item (id int PRIMARY KEY, body text NOT NULL, done boolean NOT NULL DEFAULT true, v timestamptz NOT NULL DEFAULT now());
	SELECT cdcsync.add_table('item', version_column => 'v');
	CREATE TABLE loose (id int PRIMARY KEY, body text, v bigint);
	SELECT cdcsync.add_table('loose', version_column => 'v')}) foreach @both;
make_connectors($author);
$reader->subscribe($author);

# a partition that comes later
$_->sql(q{CREATE TABLE day_2 PARTITION OF day FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')}) foreach @both;
$author->sql(q{INSERT INTO day VALUES (1, '2026-02-01', 'a'), (2, '2026-02-01', 'b')});
wait_equal(\@both, 'day', where => '(SELECT count(*) = 2 FROM day)', name => 'rows of a later partition');
$author->sql('DELETE FROM day WHERE id = 1');
wait_equal(\@both, 'day', where => '(SELECT count(*) = 1 FROM day)', name => '... and its deletes');
is($reader->sql('SELECT count(*) FROM cdcsync.conflict_history'), 0, '... without a conflict');

# an identity that is not FULL, as a restored table or one of a server without the library may have it
my $lines = q{SELECT string_agg(level || ' ' || subject || ': ' || problem, E'\n') FROM cdcsync.check() WHERE subject ~ 'peer|table'};
$author->sql(q{INSERT INTO item VALUES (1, 'kept here'), (2, 'gone')});
wait_equal(\@both, 'item', where => '(SELECT count(*) = 2 FROM item)', name => 'rows');
$author->sql(q{UPDATE pg_class SET relreplident = 'd' WHERE relname = 'item'; DELETE FROM item WHERE id = 1});
ok(wait_until('the record', sub { $reader->sql('SELECT count(*) = 1 FROM cdcsync.conflict_history') }),
	'a delete with a version that Debezium has made up is on record');
is( $reader->sql(q{SELECT concat_ws(' ', conflict_type, resolution, local_row ->> 'body', before_row ->> 'body', before_row ->> 'v', local_origin = remote_origin)
	FROM cdcsync.conflict_history}),
	'delete_exists keep_local kept here  1970-01-01 00:00:00+00 t', '... with what was made up, by the author of the row');
like($reader->log_text, qr/HINT:  The delete does not show the row it deleted: set REPLICA IDENTITY FULL at its author/, 'the log says what to do');
is($reader->sql($lines), 'error peer ' . $author->name . ': table public.item: deletes do not show the row that was there, and do not remove it',
	'check() says so to the reader');
like($author->sql($lines), qr/^error table public.item: it is not REPLICA IDENTITY FULL/, '... and to the author');
$author->sql($_) foreach split /\n/,
  $author->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'table public.item'});
$author->sql('DELETE FROM item WHERE id = 2');
ok(wait_until('the delete', sub { $reader->sql('SELECT count(*) = 0 FROM item WHERE id = 2') }), 'mended, deletes are deletes');
ok(wait_until('check()', sub { $reader->sql($lines) eq '' }), '... and the line is gone');
$reader->sql('DELETE FROM item');

# a row without a version
$author->sql(q{ALTER TABLE loose DISABLE TRIGGER ALL; INSERT INTO loose VALUES (1, 'fixture'), (2, 'fixture'); ALTER TABLE loose ENABLE TRIGGER ALL});
ok(wait_until('the rows', sub { $reader->sql('SELECT count(*) = 2 FROM loose WHERE v IS NULL') }), 'rows that no trigger saw');
is($author->sql($lines), 'error table public.loose: rows without a version, whose deletes stop those who read them: 2', 'check() sees them');
$author->sql('DELETE FROM loose WHERE id = 1');
ok(wait_until('the error', sub { $reader->sql(q{SELECT last_error ~ 'delete event does not say the version' AND concat(last_error, last_error_hint) ~ 'alter_table_rule' FROM cdcsync.stat_subscription WHERE state = 'error'}) }),
	'a delete of such a row stops its reader, and says why');
$author->sql(q{SELECT cdcsync.alter_table_rule('loose')});
is($author->sql('SELECT v FROM loose'), 1, 'alter_table_rule gives the others versions');
$reader->sql('DELETE FROM loose WHERE id = 1');
$reader->sql('SELECT cdcsync.skip(subscription, topic, partition, next_offset) FROM cdcsync.stat_subscription WHERE state = $$error$$');
wait_equal(\@both, 'loose', where => '(SELECT count(*) = 1 FROM loose WHERE v = 1)', name => 'the hint mends it');
$author->sql('DELETE FROM loose');
wait_equal(\@both, 'loose', where => 'NOT EXISTS (SELECT FROM loose)', name => '... and deletes go again');

# rows of before, which a connector that is there already does not send; TRUNCATE; another name
$_->sql('CREATE TABLE before (id int PRIMARY KEY, body text, v bigint)') foreach @both;
$author->sql(q{INSERT INTO before VALUES (1, 'of before', 1)});
my ($out, $notice);
$author->psql('app', q{SELECT cdcsync.add_table('before', version_column => 'v')}, stdout => \$out, stderr => \$notice);
like($notice, qr/NOTICE:  rows that table "before" has already are not sent to other nodes.*republish\('public.before', '-infinity'\)/s, 'add_table says that rows are not sent');
$reader->sql(q{SELECT cdcsync.add_table('before', version_column => 'v')});
like($author->sql($lines), qr/^warning table public.before: it had rows before its changes were captured/, '... and so does check()');
$author->sql($author->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'table public.before'}));
wait_equal(\@both, 'before', where => '(SELECT count(*) = 1 FROM before)', name => 'what it says sends them');
is($author->sql($lines), '', '... and the line is gone');
$author->sql('TRUNCATE before');
like($author->sql($lines), qr/^warning table public.before: it was emptied by TRUNCATE here/, 'TRUNCATE is remembered where it was typed');
like($author->log_text, qr/WARNING:  TRUNCATE of table "before" is not known to other nodes/, '... and in the log');
$reader->sql('TRUNCATE before');
$author->sql($1) if $author->sql(q{SELECT remedy FROM cdcsync.check() WHERE subject = 'table public.before'}) =~ /then: (.*)/;
is($author->sql($lines), '', '... until somebody has seen to it');
$author->sql('ALTER TABLE before RENAME TO earlier');
like($author->sql($lines), qr/^warning table public.earlier: it was renamed: other nodes still name it public.before/, 'a table that was renamed');
done_testing();
