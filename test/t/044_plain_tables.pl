# Rows of plain tables are written without statements. What a statement would do besides is still done where a table has it, and who
# writes a row between the worker's look and its write is noticed.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink', 'autovacuum = off');
my $user = $node->background_psql('app');

# --- what a table may have ----------------------------------------------------------------------------

# each table, and what makes its state after three events: a create, an update of it, and a create that a delete follows
my @kinds = (
	[ 'plain', 'id int PRIMARY KEY, body text, v bigint NOT NULL', '', '1|two|2' ],
	[ 'more_indexes', 'id int PRIMARY KEY, body text UNIQUE, v bigint NOT NULL',
		'CREATE INDEX ON more_indexes (upper(body)); CREATE INDEX ON more_indexes USING brin (v); CREATE INDEX ON more_indexes (v) WHERE body IS NOT NULL', '1|two|2' ],
	[ 'dropped_column', 'gone int, id int PRIMARY KEY, gone_too text, body text, v bigint NOT NULL',
		'ALTER TABLE dropped_column DROP gone, DROP gone_too', '1|two|2' ],
	[ 'identity_key', 'id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, v bigint NOT NULL', '', '1|two|2' ],
	[ 'generated', 'id int PRIMARY KEY, body text, v bigint NOT NULL, twice text GENERATED ALWAYS AS (body || body) STORED', '', '1|two|2|twotwo' ],
	[ 'with_default', "id int PRIMARY KEY, body text, v bigint NOT NULL, here text DEFAULT 'mine'", '', '1|two|2|mine' ],
	[ 'with_trigger', 'id int PRIMARY KEY, body text, v bigint NOT NULL',
		'CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON with_trigger FOR EACH ROW EXECUTE FUNCTION shout(); ALTER TABLE with_trigger ENABLE ALWAYS TRIGGER shout', '1|TWO|2' ],
	[ 'with_replica_trigger', 'id int PRIMARY KEY, body text, v bigint NOT NULL',
		'CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON with_replica_trigger FOR EACH ROW EXECUTE FUNCTION shout(); ALTER TABLE with_replica_trigger ENABLE REPLICA TRIGGER shout', '1|TWO|2' ],
	[ 'with_origin_trigger', 'id int PRIMARY KEY, body text, v bigint NOT NULL',
		'CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON with_origin_trigger FOR EACH ROW EXECUTE FUNCTION shout()', '1|two|2' ]);

$node->sql(<<'END');
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := upper(NEW.body); RETURN NEW; END $$;
END
my %topic;
foreach my $kind (@kinds)
{
	my ($table, $columns, $ddl) = @$kind;

	$node->sql("CREATE TABLE $table ($columns); $ddl; SELECT cdcsync.add_table('$table', version_column => 'v')");
	$topic{$table} = make_topic($table);
	produce($topic{$table},
		change(0, 'c', $table, undef, row(1, 'one', 1)),
		change(0, 'c', $table, undef, row(2, 'gone', 1)));
}
$node->sql("SELECT cdcsync.subscribe('peer', '{^t044[.]public[.].*}')");
synced('creates are applied');
foreach my $kind (@kinds)
{
	my ($table) = @$kind;

	produce($topic{$table},
		change(0, 'u', $table, row(1, 'one', 1), row(1, 'two', 2)),
		change(0, 'd', $table, row(2, 'gone', 1), undef));
}
synced('updates and deletes are applied');
is($node->sql("SELECT * FROM $_->[0]"), $_->[3], "as a statement writes it: $_->[0]") foreach @kinds;
is($node->sql("SET enable_seqscan = off; SELECT count(*) FROM more_indexes WHERE upper(body) = 'TWO'"), 1, 'all indexes know the row');
is($node->sql("SET enable_seqscan = off; SELECT count(*) FROM more_indexes WHERE body = 'one'"), 0, '... and not the old one');

# --- between the look and the write ----------------------------------------------------------------------

my $plain = $topic{plain};

# a key that another session inserts: its row is not visible, and then it is
meanwhile("INSERT INTO plain VALUES (10, 'local, older', 5)", change(0, 'c', 'plain', undef, row(10, 'remote, newer', 6)));
is($node->sql('SELECT body FROM plain WHERE id = 10'), 'remote, newer', 'a key that appears is met as a row: the newer one stays');
meanwhile("INSERT INTO plain VALUES (11, 'local, newer', 7)", change(0, 'c', 'plain', undef, row(11, 'remote, older', 6)));
is($node->sql('SELECT body FROM plain WHERE id = 11'), 'local, newer', '... whichever that is');

# a row that another session updates, or deletes
meanwhile("UPDATE plain SET body = 'local, newer', v = 9 WHERE id = 1",
	change(0, 'u', 'plain', row(1, 'two', 2), row(1, 'remote, older', 8)));
is($node->sql('SELECT body FROM plain WHERE id = 1'), 'local, newer', 'a row that changes is met as it is then');
meanwhile('DELETE FROM plain WHERE id = 1',
	change(0, 'u', 'plain', row(1, 'remote, older', 8), row(1, 'remote, too old', 9)));
is($node->sql('SELECT count(*) FROM plain WHERE id = 1'), 0, '... and one that goes is gone');
meanwhile("UPDATE plain SET body = 'local, newer', v = 9 WHERE id = 10", change(0, 'd', 'plain', row(10, 'remote, newer', 6), undef));
is($node->sql('SELECT body FROM plain WHERE id = 10'), 'local, newer', '... also by a delete');
is($node->sql("SELECT count(*) FROM cdcsync.stat_subscription WHERE topic = '$plain' AND last_error IS NOT NULL"), 0, 'none of it is an error');

# the place of the position's row is no longer its own
$node->sql('VACUUM FULL cdcsync.subscription_offset');
produce($plain, change(0, 'c', 'plain', undef, row(20, 'after VACUUM FULL', 1)));
synced('the position is found when it has moved');
is($node->sql('SELECT count(*) FROM plain WHERE id = 20'), 1, '... and the rows are there');

# --- what a table may refuse ----------------------------------------------------------------------------

$node->sql('CREATE ROLE owner');
refuses('checked', "CHECK (body <> 'three')", '', 'three', qr/new row for relation "checked" violates check constraint/);
refuses('not_null', 'NOT NULL', '', undef, qr/null value in column "body" of relation "not_null" violates not-null constraint/);
refuses('revoked', '', 'ALTER TABLE revoked OWNER TO owner; REVOKE INSERT ON revoked FROM owner', 'three', qr/permission denied for table revoked/);

$user->quit;
log_has_no($node, 'PANIC|TRAP|terminated by signal|internal error|could not', 'nothing has failed inside');
done_testing();

# what a peer's event says; a column of this node alone is not in it
sub row
{
	my ($id, $body, $v) = @_;

	return { id => $id, body => $body, v => $v };
}

# A table that does not take a row with this body, and the error that says so
sub refuses
{
	my ($table, $constraint, $ddl, $body, $error) = @_;
	my $topic = make_topic($table);

	$node->sql("CREATE TABLE $table (id int PRIMARY KEY, body text $constraint, v bigint NOT NULL); SELECT cdcsync.add_table('$table', version_column => 'v'); $ddl");
	produce($topic, change(0, 'c', $table, undef, row(1, $body, 1)));
	becomes($node, position_of($topic, 0), 'error 0', "refused, as a statement refuses it: $table");
	like($node->sql("SELECT last_error FROM cdcsync.stat_subscription WHERE topic = '$topic'"), $error, '... for the same reason');
	return;
}

# A session that has written and not committed; the worker, which waits for it; then it commits.
sub meanwhile
{
	my ($sql, @messages) = @_;

	$user->query_safe("BEGIN; $sql");
	produce($plain, @messages);
	becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdcsync apply worker' AND wait_event_type = 'Lock'", 1,
		"the worker waits: $sql", 20);
	$user->query_safe('COMMIT');
	synced('... and goes on');
	return;
}

# An assertion
sub synced
{
	my ($name) = @_;

	return is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', $name);
}
