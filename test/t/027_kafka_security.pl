# A broker that asks who one is: TLS, SASL (PLAIN, SCRAM) and leave to read; properties in a file, which may be renewed
# while the server runs; what is wrong is said, and no secret is seen anywhere.
use strict;
use warnings;
use CdcKafka;
use CdcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($user, $secret, $wrong) = ('app', 'ge,h"eim 17', 'geheimer als geheim');
my $dir = PostgreSQL::Test::Utils::tempdir('security');
my $kafka = CdcKafka->new(base_port());
my $port = PostgreSQL::Test::Cluster::get_free_port();
make_certificates();
start_broker();
my $topic = make_topic($kafka, 'item');
$kafka->stack('scram-user', $user, 'scram-geheim');

my $file = "$dir/kafka.properties";
write_properties("security.protocol=SASL_SSL", "ssl.ca.location=$dir/ca.crt", "sasl.mechanism=PLAIN",
	"sasl.username=$user", "sasl.password=$secret");
my $node = make_node('sink', "cdcsync.bootstrap_servers = 'localhost:$port'", "cdcsync.kafka_config_file = '$file'");
$node->sql("CREATE TABLE item (id int PRIMARY KEY, v bigint NOT NULL); SELECT cdcsync.add_table('item', version_column => 'v');
	SELECT cdcsync.subscribe('peer', '{$topic}')");
my $id = 0;

# --- leave to read ------------------------------------------------------------------------------------

item();
becomes($node, state(), qr/^waiting .*(Topic authorization failed|TOPIC_AUTHORIZATION_FAILED|the topic does not exist)/, 'without leave to read it waits');
$kafka->stack('acl-read', "User:$user", $topic);
comes('with leave it reads, over TLS and by PLAIN');

# --- wrong, and mended by a reload --------------------------------------------------------------------

my @cases = (
	[ 'a wrong password', qr/^waiting .*[Aa]uthentication failed/s,
		'security.protocol=SASL_SSL', "ssl.ca.location=$dir/ca.crt", 'sasl.mechanism=PLAIN', "sasl.username=$user", "sasl.password=$wrong" ],
	[ 'a certificate of an authority that is not known', qr/^waiting .*(certificate verify failed|SSL handshake failed)/s,
		'security.protocol=SASL_SSL', "ssl.ca.location=$dir/other.crt", 'sasl.mechanism=PLAIN', "sasl.username=$user", "sasl.password=$secret" ],
	[ 'no TLS where the broker wants it', qr/^waiting /,
		'security.protocol=SASL_PLAINTEXT', 'sasl.mechanism=PLAIN', "sasl.username=$user", "sasl.password=$secret" ],
	[ 'a property that does not exist', qr/^waiting invalid value for file "\Q$file\E", line 2\nDETAIL: No such configuration property: "no\.such"/,
		"sasl.password=$secret", 'no.such=1' ],
	[ 'a line that is none', qr/^waiting invalid value for file "\Q$file\E", line 4\nDETAIL: There is an entry that is not name=value\.\nHINT: The file has lines name=value/,
		'# a comment', '', "sasl.password=$secret", "geheim 18" ],
	[ "what is cdcsync's own", qr/^waiting invalid value for file "\Q$file\E", line 1\nDETAIL: cdcsync itself decides on the property "enable\.auto\.commit"/,
		'enable.auto.commit=true' ],
	[ 'a file that is too long', qr/^waiting invalid value for file "\Q$file\E"\nDETAIL: It is too long/, map { "# $_" } 1 .. 20000 ]);
foreach my $case (@cases)
{
	my ($name, $expected, @lines) = @$case;

	write_properties(@lines);
	$node->reload;
	becomes($node, state(), $expected, "$name: it waits, and says why");
	item();
}
unlink $file;
$node->restart;
item();
becomes($node, state(), qr/^waiting could not open file "\Q$file\E": No such file or directory\nHINT: Set cdcsync\.kafka_config_file/, 'no file: likewise');

# --- another mechanism; the setting after the file ----------------------------------------------------

write_properties("security.protocol=SASL_SSL", "ssl.ca.location=$dir/ca.crt", 'sasl.mechanism=SCRAM-SHA-512',
	"sasl.username=$user", 'sasl.password=scram-geheim');
$node->reload;
if (scram_works())
{
	comes('SCRAM');
}
else
{
	becomes($node, state(), qr/^waiting .*[Aa]uthentication failed/s, 'SCRAM: this librdkafka cannot log in to Kafka 4');
	like(slurp_file($node->logfile), qr/LOG:  librdkafka \S+ cannot log in to Kafka 4 by SCRAM-SHA-512\n.*HINT:  Use librdkafka 2\.6\.1/, '... and the log says so');
}
write_properties("  security.protocol = SASL_SSL  ", "ssl.ca.location=$dir/ca.crt", 'sasl.mechanism=PLAIN', "sasl.username=$user", "sasl.password=$secret");
$node->reload;
comes('the right ones again: nothing is lost');
write_properties("security.protocol=SASL_SSL", "ssl.ca.location=$dir/ca.crt", 'sasl.mechanism=PLAIN',
	"sasl.username=$user", "sasl.password=$wrong");
$node->append_conf('postgresql.conf', qq{cdcsync.kafka_config = '"sasl.password=} . ($secret =~ s/"/""/gr) . qq{"'});
$node->reload;
item();
comes('the setting overrides the file');
my $connected = log_lines($node, 'LOG:  cdcsync connects to Kafka anew');
$node->reload;
unlink $file;
$node->reload;
item();
comes('a reload with nothing new, and a file that is gone: what runs goes on');
is(log_lines($node, 'LOG:  cdcsync connects to Kafka anew'), $connected, '... without a new connection');

# --- secrets ------------------------------------------------------------------------------------------

is($node->sql("SELECT current_setting('cdcsync.kafka_config')"), '********', 'the setting is not shown');
like(error_of($node, 'SET ROLE cdcsync_admin; SHOW cdcsync.kafka_config_file'), qr/must be superuser|permission denied/, 'nor to everybody where the file is');
unlike(slurp_file($node->logfile), qr/geheim|ge,h/, 'no secret in the log');
is($node->sql(q{SELECT count(*) FROM cdcsync.stat_subscription AS s WHERE s::text ~ 'geheim|ge,h'}), 0, '... nor in the view');
is($node->sql(q{SELECT count(*) FROM pg_settings AS s WHERE s::text ~ 'geheim|ge,h'}), 0, '... nor among the settings');
log_has_no($node, 'PANIC|TRAP|terminated by signal|cdcsync apply worker ERROR', 'nothing has crashed');
done_testing();

sub item
{
	produce($kafka, $topic, change(0, 'c', 'item', undef, { id => ++$id, v => 1 }));
	return;
}

sub comes
{
	my ($name) = @_;

	is($node->sql("SELECT cdcsync.wait_for('peer', '60s')"), 't', $name);
	is($node->sql('SELECT count(*) FROM item'), $id, '... all of it');
	return;
}

# librdkafka before 2.6.1 repeats a nonce, which Kafka 4 does not take
sub scram_works
{
	my ($macros) = run_command([ 'cc', '-E', '-dM', '-include', 'librdkafka/rdkafka.h', '-x', 'c', '/dev/null' ]);
	my ($version) = $macros =~ /^#define RD_KAFKA_VERSION 0x([0-9a-f]{8})/m or die 'librdkafka has no version';

	return hex($version) >= 0x020601ff;
}

sub state { return "SELECT state || ' ' || last_error FROM cdcsync.stat_subscription" }

sub write_properties
{
	my @lines = @_;

	unlink $file;
	append_to_file($file, join("\n", @lines) . "\n");
	return;
}

# An authority, one that nobody knows, and the broker's certificate
sub make_certificates
{
	my @quiet = ('-out', "$dir/ca.crt", '-keyout', "$dir/ca.key");

	openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 3650, '-subj', '/CN=t027', @quiet);
	openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 3650, '-subj', '/CN=other', '-out', "$dir/other.crt", '-keyout', "$dir/other.key");
	openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
		'-out', "$dir/broker.csr", '-keyout', "$dir/broker.key");
	openssl('x509', '-req', '-in', "$dir/broker.csr", '-CA', "$dir/ca.crt", '-CAkey', "$dir/ca.key", '-CAcreateserial', '-days', 3650,
		'-copy_extensions', 'copy', '-out', "$dir/broker.crt");
	append_to_file("$dir/broker.pem", slurp_file("$dir/broker.key") . slurp_file("$dir/broker.crt"));
	return;
}

sub openssl
{
	my @command = @_;
	my $said;

	IPC::Run::run([ 'openssl', @command ], '>', \$said, '2>', \$said) or die "openssl @command: $said";
	return;
}

sub start_broker
{
	my ($plain, $controller) = ($kafka->{base} + 100, $kafka->{base} + 103);

	system_or_bail('mkdir', '-p', "$kafka->{dir}/kafka");
	append_to_file("$kafka->{dir}/kafka/extra.properties", <<"END");
listeners=PLAINTEXT://127.0.0.1:$plain,CONTROLLER://127.0.0.1:$controller,SASL_SSL://127.0.0.1:$port
advertised.listeners=PLAINTEXT://127.0.0.1:$plain,SASL_SSL://localhost:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$user="ge,h\\\\"eim 17";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$dir/broker.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
END
	$kafka->stack('services', 'start', '--base-port', $kafka->{base}, '--kafka-only');
	return;
}
