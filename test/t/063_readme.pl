# README.md, typed as it stands: the example and the checklist on servers (CdcPage), the quick start in one shell. Kafka and Kafka Connect are
# those of the tests, and so are their paths; what Debian has for a cluster is a program here.
use strict;
use warnings;
use CdcPage;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# What the checklist is for: a database that was there before, and in part elsewhere as well
my $existing = <<'SQL';
CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE invoice (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer_id int REFERENCES customer, net numeric,
	gross numeric GENERATED ALWAYS AS (net * 1.2) STORED);
CREATE TABLE price_list (article text NOT NULL, price numeric);
CREATE MATERIALIZED VIEW turnover AS SELECT customer_id, sum(net) FROM invoice GROUP BY 1;
INSERT INTO customer (name) VALUES ('Adams'), ('Brown');
CREATE ROLE debezium LOGIN REPLICATION;
SQL
my %existing = ('an existing database' => sub {
	page_node($_)->sql($existing) foreach qw(shop depot);
	page_node('depot')->sql(q{UPDATE customer SET name = 'a longer name' WHERE id = 2});
});
my @nodes = type_page('README.md', qw(office laptop shop depot), \%existing);

is(page_node('depot')->sql(q{SELECT string_agg(name, ' ' ORDER BY id) FROM customer}), 'Adams Brown', 'the rows that were touched win');
like(page_node('shop')->sql(q{INSERT INTO customer (name) VALUES ('Clark') RETURNING id}), qr/3$/, 'keys end in the digit of the node');
is(page_node('shop')->sql('SELECT string_agg(relation::text, $$ $$ ORDER BY 1) FROM cdcsync.table_rule'), 'customer invoice price_list', 'all tables are registered');
no_errors(@nodes);

# --- the quick start ------------------------------------------------------------------------------

page_names(qw(server client-1));
my $server = CdcTest::Node->make('t063-quick');
my $quick = "$ENV{CDC_RUN}/tmp_check/quick";
my $blocks = join('', slurp_file("$ENV{CDC_ROOT}/README.md") =~ /^## Quick start$(.*?)^## /ms ? "$1" =~ /^```sh\n(.*?)^```/gms : ());

is(() = $blocks =~ /^sudo|^eval|^for |^psql|^\(umask/mg, 14 - 3 + 3, 'as many commands as it says, but three of Install, and three lines within loops');
mkdir $_ foreach $quick, "$quick/bin";
program('sudo', 'while [[ $1 == -u ]]; do shift 2; done', 'exec "$@"');
program('pg_ctlcluster', '[[ $1$2 == 15main ]]', "pg_ctl -w -m fast -D '@{[ $server->data_dir ]}' -l '@{[ $server->logfile ]}' \$3 >/dev/null");
append_to_file($server->data_dir . '/postgresql.conf', "shared_preload_libraries = ''\nwal_level = replica\ntrack_commit_timestamp = off\ncdcsync.node_name = ''\ninclude_if_exists '$quick/cdcsync.conf'\n");
# the connectors are asked for the password that is in the file
my $hba = $server->data_dir . '/pg_hba.conf';
my $rules = slurp_file($hba);
unlink $hba;
append_to_file($hba, "host all debezium 127.0.0.1/32 scram-sha-256\n$rules");
$server->restart;

my %replaced = (
	'/etc/postgresql/$V/main/conf.d' => $quick,
	'/tmp/quickstart' => $CdcTest::STACK,
	"test/stack/stack --dir" => "'$ENV{CDC_STACK}' --dir",
	'services start' => 'services env',
	"connector_config('localhost'" => "connector_config('127.0.0.1'");
$blocks =~ s/\Q$_\E/$replaced{$_}/g foreach keys %replaced;
# "some seconds later"
$blocks =~ s/^(?=for name.*SELECT \* FROM todos)/until [[ \$(for name in server client-1; do psql -d "\$name" -Atc "SELECT count(*) FROM todos" -c "SELECT * FROM cdcsync.check()"; done) == \$'2\\n2' ]]; do :; done\n/m;
$blocks = CdcPage::prefixed($blocks);
own_connector('t063-server', 't063-client-1');
my ($done, $said) = run_shell("V=15\n$blocks");
ok($done, 'the quick start') or diag($said);
is(() = $said =~ /^ +1 \| t063-(?:server|client-1) +\| (?:one|two) /mg, 4, 'both have both rows') or diag($said);
is(() = $said =~ /^\(0 rows\)/mg, 2, '... and nothing to complain of') or diag($said);
is($server->safe_psql('postgres', 'SHOW wal_level'), 'logical', 'its settings are those that count');
done_testing();

sub program
{
	my ($name, @lines) = @_;

	append_to_file("$quick/bin/$name", join("\n", '#!/usr/bin/env bash', 'set -eu', @lines, ''));
	chmod 0755, "$quick/bin/$name";
	return;
}

sub run_shell
{
	my ($text) = @_;
	local %ENV = (%ENV, PATH => "$quick/bin:$ENV{PATH}", PGHOST => $server->host, PGPORT => $server->port, no_proxy => '*');
	my $out;
	my $ok = IPC::Run::run([ 'timeout', '300', 'bash', '-euo', 'pipefail', '-c', $text ], '<', \'', '>', \$out, '2>&1');

	return ($ok, $out);
}
