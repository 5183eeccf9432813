# Code of users that the server looks up once and keeps: it runs under the session's own role, also when it was looked up while
# a value was decoded and is called by the statement that writes.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use Test::More;

my $node = make_node('sink');
my $topic = make_topic('span');

# GiST keeps the function that measures a range with the type, for the life of the process
$node->sql(<<'END');
CREATE FUNCTION measure(float8, float8) RETURNS float8 IMMUTABLE STRICT LANGUAGE plpgsql AS $$ BEGIN RETURN $1 - $2; END $$;
CREATE TYPE stretch AS RANGE (subtype = float8, subtype_diff = measure);
CREATE TABLE roles (role text PRIMARY KEY);
ALTER FUNCTION measure(float8, float8) VOLATILE;
CREATE OR REPLACE FUNCTION measure(float8, float8) RETURNS float8 VOLATILE STRICT LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.roles VALUES (current_setting('session_replication_role')) ON CONFLICT DO NOTHING;
	RETURN $1 - $2;
END $$;
-- the generated column keeps it from being written without a statement
CREATE TABLE span (id int PRIMARY KEY, s stretch, v bigint NOT NULL, g int GENERATED ALWAYS AS (id) STORED);
CREATE INDEX ON span USING gist (s);
SELECT cdcsync.add_table('span', version_column => 'v');
END
$node->sql("SELECT cdcsync.subscribe('peer', '{$topic}', producer => '{\"binary.handling.mode\": \"hex\"}')");
produce($topic, map { change(0, 'c', 'span', undef, { id => $_, s => unpack('H*', sprintf('[%d,%d)', $_ * 7 % 100, $_ * 7 % 100 + $_ % 13 + 1)), v => 1 }) } 1 .. 2000);
is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', 'rows with a range of a type of their own');
is($node->sql('SELECT count(*) FROM span'), 2000, '... are there');
is($node->sql('SELECT string_agg(role, $$,$$) FROM roles'), 'origin', 'its function ran under the role of the session alone');

log_has_no($node, 'PANIC|TRAP|terminated by signal|cdcsync apply worker ERROR', 'nothing has crashed');
done_testing();
