# Triggers that fire where changes are applied, in a mesh, where nodes skip what the author of an event has from others: what they
# write is a change of their node, and goes everywhere; they may not change what is applied; and they may write other rows of
# the table.
use strict;
use warnings;
use CdcTest;
use Test::More;

my @all = make_nodes(qw(a b c));
my ($first, $second, $third) = @all;

foreach my $node (@all)
{
	$node->sql(<<'END');
CREATE TABLE ord (id int PRIMARY KEY, cust int, v bigint);
CREATE TABLE cust (id int PRIMARY KEY, orders int NOT NULL DEFAULT 0, v bigint);
CREATE TABLE stamped (id int PRIMARY KEY, body text, updated_at timestamptz);
CREATE TABLE tree (id int PRIMARY KEY, parent int, children int NOT NULL DEFAULT 0, body text, v bigint);
SELECT cdcsync.add_table(t, version_column => 'v') FROM unnest('{ord, cust, tree}'::regclass[]) AS t;
SELECT cdcsync.add_table('stamped', version_column => 'updated_at');
END
}
# one node alone counts
$second->sql(<<'END');
CREATE FUNCTION ord_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.cust SET orders = orders + 1 WHERE id = NEW.cust;
	IF NOT FOUND THEN
		INSERT INTO public.cust (id, orders) VALUES (NEW.cust, 1);
	END IF;
	DELETE FROM public.cust WHERE id = -NEW.cust;
	RETURN NULL;
END $$;
CREATE TRIGGER ord_count AFTER INSERT ON ord FOR EACH ROW EXECUTE FUNCTION ord_count();
ALTER TABLE ord ENABLE ALWAYS TRIGGER ord_count;
END
make_connectors(@all);
foreach my $node (@all)
{
	$node->subscribe($_, origin => "'none'") foreach grep { $_ != $node } @all;
}
$third->sql('INSERT INTO cust (id) VALUES (1), (-1), (-2)');
wait_equal(\@all, 'cust', where => '(SELECT count(*) = 3 FROM cust)', name => 'what there is to count in');
$first->sql("INSERT INTO ord (id, cust) SELECT i, i % 2 + 1 FROM generate_series(1, 20) AS i");
$third->sql("INSERT INTO ord (id, cust) SELECT i, i % 2 + 1 FROM generate_series(21, 40) AS i");
wait_equal(\@all, 'ord', where => '(SELECT count(*) = 40 FROM ord)', name => 'orders');
ok(wait_settled(2, @all), 'settled');
is($_->sql('SELECT id, orders FROM cust ORDER BY id'), "1|20\n2|20", 'what the trigger wrote has arrived at ' . $_->name) foreach @all;
is_equal(\@all, 'ord', 'cust');
is($second->sql("SELECT count(*) FROM cdcsync.tombstone WHERE relation = 'cust'::regclass"), 2, 'its deletes are remembered');
is_silent(5, @all);
no_errors(@all);

# --- a trigger that changes what is applied ----------------------------------------------------------------

# on two nodes: they would answer each other for ever
$_->sql(<<'END') foreach $first, $second;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE stamped ENABLE ALWAYS TRIGGER stamp;
END
$first->sql("INSERT INTO stamped SELECT i, 'new' FROM generate_series(1, 10) AS i");
my $topic = $first->name . '.public.stamped';
my $stopped = "SELECT last_error FROM cdcsync.stat_subscription WHERE topic = '$topic' AND state = 'error'";
wait_until('the partition stops', sub { $second->sql($stopped) ne '' });
like($second->sql($stopped), qr/a trigger changed column "updated_at" of a row of table public\.stamped/, 'a row that a trigger changes is an error');
like($second->sql($stopped), qr/ALTER TABLE public\.stamped ENABLE TRIGGER stamp/, '... that names the trigger');
is($second->sql('SELECT count(*) FROM stamped'), 0, '... and none is written');
wait_equal([ $first, $third ], 'stamped', where => '(SELECT count(*) = 10 FROM stamped)', name => '... elsewhere they are');
is_silent(3, @all);
$_->sql('ALTER TABLE stamped ENABLE TRIGGER stamp') foreach $first, $second;
wait_equal(\@all, 'stamped', where => '(SELECT count(*) = 10 FROM stamped)', name => 'what the error says mends it');

# --- a function that leans on search_path ----------------------------------------------------------------------

$second->sql(<<'END');
CREATE FUNCTION norm(x text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT lower(x) $$;
CREATE FUNCTION slug(x text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN norm(x); END $$;
CREATE INDEX ON stamped (slug(body));
END
$first->sql("INSERT INTO stamped VALUES (20, 'Slug')");
wait_until('the partition stops', sub { $second->sql($stopped) ne '' });
like($second->sql($stopped), qr/function norm\(text\) does not exist/, 'a name without a schema is not found');
like($second->sql($stopped), qr/\nHINT: search_path is pg_catalog alone while changes are applied.*ALTER FUNCTION/, '... and the error says why');
$second->sql('ALTER FUNCTION slug(text) SET search_path = public; SELECT cdcsync.resume(NULL)');
wait_equal(\@all, 'stamped', where => '(SELECT count(*) = 11 FROM stamped)', name => '... and what mends it');

# --- a trigger that writes other rows of the table -----------------------------------------------------------

$second->sql(<<'END');
CREATE FUNCTION count_children() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.tree AS t SET children = (SELECT count(*) FROM public.tree AS c WHERE c.parent = t.id)
	WHERE id IN (NEW.parent, OLD.parent);
	RETURN NULL;
END $$;
CREATE TRIGGER count_children AFTER INSERT OR DELETE ON tree FOR EACH ROW EXECUTE FUNCTION count_children();
ALTER TABLE tree ENABLE ALWAYS TRIGGER count_children;
END
$first->sql("INSERT INTO tree (id) VALUES (1), (2); INSERT INTO tree (id, parent) SELECT i, 1 FROM generate_series(10, 29) AS i");
wait_equal(\@all, 'tree', where => '(SELECT children = 20 FROM tree WHERE id = 1)', name => 'children are counted');
# in one batch: the delete of a child, which changes its parent, and an update of the parent
$second->sql('SELECT cdcsync.pause(NULL)');
$first->sql(q{UPDATE tree SET body = 'edited'; DELETE FROM tree WHERE id BETWEEN 10 AND 19; UPDATE tree SET body = body || ' twice' WHERE id < 25});
wait_equal([ $first, $third ], 'tree', where => '(SELECT count(*) = 12 FROM tree)', name => 'one of them is behind');
$second->sql('SELECT cdcsync.resume(NULL)');
wait_equal(\@all, 'tree', where => '(SELECT count(*) = 12 FROM tree)', name => 'its rows in the same batch');
ok(wait_settled(2, @all), 'settled');
is_equal(\@all, 'tree');
no_errors(@all);

done_testing();
