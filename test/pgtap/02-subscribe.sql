--
-- subscribe() and its kin: what is refused, and what is stored.
--
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS cdcsync;
SELECT no_plan();

CREATE FUNCTION pg_temp.hint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS result = PG_EXCEPTION_HINT;
	RETURN result;
END
$$;

-- the node must have a name
SET LOCAL cdcsync.node_name = '';
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{t}') $$, '55000',
	'parameter "cdcsync.node_name" is not set');
SELECT matches(pg_temp.hint($$ SELECT cdcsync.subscribe('s', '{t}') $$),
	'^Set cdcsync.node_name');
SET LOCAL cdcsync.node_name = 'pgtap';

-- names
SELECT throws_ok($$ SELECT cdcsync.subscribe(NULL, '{t}') $$, '22004',
	'subscription name must not be null');
SELECT throws_ok($$ SELECT cdcsync.subscribe('', '{t}') $$, '42602',
	'subscription name must not be empty');
SELECT throws_ok($$ SELECT cdcsync.subscribe(repeat('x', 64), '{t}') $$, '42622',
	'subscription name "' || repeat('x', 64) || '" is too long');
SELECT lives_ok($$ SELECT cdcsync.subscribe(repeat('x', 63), '{longest}') $$,
	'a name of 63 bytes');

-- topics
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', NULL) $$, '22004',
	'parameter "topics" must not be null');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{}') $$, '22023', 'topics must not be empty');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{a,NULL}') $$, '22004',
	'topics must not contain nulls');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{{a,b},{c,d}}') $$, '2202E',
	'topics must be a one-dimensional array');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{a,b,a}') $$, '22023',
	'topic "a" is named twice');
SELECT throws_ok(format('SELECT cdcsync.subscribe(%L, ARRAY[%L])', 's', topic), '22023',
	format('invalid topic name "%s"', topic))
	FROM unnest(ARRAY['', '.', '..', 'a b', 'a,b', 'a:b', 'a*', 'ä', 'a^', 'a/b',
		repeat('x', 250)]) AS topic;
SELECT is(pg_temp.hint($$ SELECT cdcsync.subscribe('s', '{server.*}') $$),
	'A regular expression begins with "^".');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{^a(}') $$, '2201B',
	'invalid regular expression: parentheses () not balanced');
SELECT lives_ok(format('SELECT cdcsync.subscribe(%L, ARRAY[%L])', 's' || n, topic),
	'topic ' || left(topic, 20))
	FROM unnest(ARRAY['a', '...', 'A-Z_0.9', repeat('x', 249), '^', '^server\.public\..*$'])
		WITH ORDINALITY AS t(topic, n);

-- a topic belongs to one subscription
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b,a}') $$, '42710',
	'topic "a" belongs to subscription "s1" already');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{^}') $$, '42710',
	'topic "^" belongs to subscription "s5" already');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s1', '{b}') $$, '42710',
	'subscription "s1" already exists');
SELECT is(pg_temp.hint($$ SELECT cdcsync.subscribe('s1', '{b}') $$),
	'Change it with cdcsync.alter_subscription, or end it with cdcsync.unsubscribe.');
SELECT lives_ok($$ SELECT cdcsync.subscribe('S1', '{A}') $$, 'names have upper and lower case');

-- options
SELECT throws_ok(format('SELECT cdcsync.subscribe(%L, %L, %s => NULL)', 's', '{b}', param),
	'22004', format('parameter "%s" must not be null', param))
	FROM unnest(ARRAY['conflicts', 'origin', 'start_at', 'event_time', 'on_error',
		'on_unknown_table', 'enabled']) AS param;
SELECT throws_ok(format('SELECT cdcsync.subscribe(%L, %L, %s => %L)', 's', '{b}', param, 'Any'),
	'22023', format('invalid value for parameter "%s": "Any"', param))
	FROM unnest(ARRAY['conflicts', 'origin', 'start_at', 'event_time', 'on_error',
		'on_unknown_table']) AS param;
SELECT is(pg_temp.hint($$ SELECT cdcsync.subscribe('s', '{b}', origin => 'all') $$),
	'Available values: "any", "none".');
SELECT is(pg_temp.hint($$ SELECT cdcsync.subscribe('s', '{b}', on_unknown_table => '') $$),
	'Available values: "pause", "skip".');
SELECT is(pg_temp.hint($$ SELECT cdcsync.subscribe('s', '{b}', on_error => 'ignore') $$),
	'Available values: "pause", "dead_letter".');

-- conflicts: a word, or types and their handling
CREATE FUNCTION public.handler(c cdcsync.conflict) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
CREATE FUNCTION public.texter(c cdcsync.conflict) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
SELECT lives_ok(format($$ SELECT cdcsync.subscribe('c', '{c}', conflicts => %L);
		SELECT cdcsync.unsubscribe('c') $$, value), 'conflicts => ' || value)
	FROM unnest(ARRAY['last_update_wins', 'hub', 'spoke', 'apply_remote', 'keep_local', 'skip',
		'error', '{}', ' {"insert_exists": "error", "update_exists": "public.handler"}',
		'{"multiple_unique_conflicts": "\"public\".handler"}']) AS value;
SELECT throws_ok(format('SELECT cdcsync.subscribe(%L, %L, conflicts => %L)', 'c', '{c}', value),
	state, message)
	FROM (VALUES
		('[]', '22023', 'invalid value for parameter "conflicts": "[]"'),
		('{', '22P02', 'invalid input syntax for type json'),
		('{"a": "b"}', '22023', 'conflict type "a" does not exist'),
		('{"insert_exists": 1}', '22023', 'handling of conflict type "insert_exists" must be a string'),
		('{"insert_exists": {"a": "b"}}', '22023', 'handling of conflict type "insert_exists" must be a string'),
		('{"insert_exists": "hub"}', '22023', '"hub" is neither a resolution nor the qualified name of a function'),
		('{"insert_exists": "public.nope"}', '42883', 'function public.nope(cdcsync.conflict) returning jsonb does not exist'),
		('{"insert_exists": "public.texter"}', '42883', 'function public.texter(cdcsync.conflict) returning jsonb does not exist')
		) AS v(value, state, message);

-- event_time
SELECT lives_ok($$ SELECT cdcsync.subscribe('c', '{c}', event_time => 'record'); SELECT cdcsync.unsubscribe('c') $$);
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', producer => '{"a": 1}') $$, '22023');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', producer => '[]') $$, '22023');

-- peers
SELECT throws_ok(format('SELECT cdcsync.subscribe(%L, %L, peers => %L)', 's', '{b}', value), state, message)
	FROM (VALUES
		('{a:b}', '22023', 'invalid name of a peer: "a:b"'),
		('{""}', '22023', 'invalid name of a peer: ""'),
		('{' || repeat('x', 201) || '}', '22023', 'invalid name of a peer: "' || repeat('x', 201) || '"'),
		('{a,a}', '22023', 'peer "a" is named twice'),
		('{a,NULL}', '22004', 'peers must not contain nulls'),
		('{{a},{b}}', '2202E', 'peers must be a one-dimensional array'),
		('{^a(}', '2201B', NULL)
		) AS v(value, state, message);
SELECT lives_ok($$ SELECT cdcsync.subscribe('c', '{c}', peers => '{a,^b-[0-9]+$}') $$);
SELECT is(peers, '{a,^b-[0-9]+$}', 'peers are stored') FROM cdcsync.subscription WHERE name = 'c';
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('c', origin => 'none') $$);
SELECT is(peers, '{a,^b-[0-9]+$}', '... and stay') FROM cdcsync.subscription WHERE name = 'c';
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('c', peers => '{d}') $$);
SELECT is(peers, '{d}', '... until they are changed') FROM cdcsync.subscription WHERE name = 'c';
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('c', peers => '{}') $$);
SELECT is(peers, NULL, '... or taken away') FROM cdcsync.subscription WHERE name = 'c';
SELECT lives_ok($$ SELECT cdcsync.unsubscribe('c') $$);

-- start_at
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', start_at => 'yesterday') $$, '22023',
	'invalid value for parameter "start_at": "yesterday"');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', start_at => 'infinity') $$, '22023',
	'invalid value for parameter "start_at": "infinity"');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', start_at => '2026-13-01') $$, '22008',
	'date/time field value out of range: "2026-13-01"');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', start_at => '12 o''clock') $$, '22007',
	'invalid input syntax for type timestamp with time zone: "12 o''clock"');
SELECT throws_ok($$ SELECT cdcsync.subscribe('s', '{b}', start_at => '1969-12-31 23:59:59+00') $$,
	'22008', 'start_at out of range: "1969-12-31 23:59:59+00"');
SET LOCAL TimeZone = 'Europe/Berlin';
SET LOCAL DateStyle = 'German';
SELECT lives_ok($$ SELECT cdcsync.subscribe('time', '{time}',
	start_at => '01.07.2026 02:00:00.5') $$, 'a time in the session''s style');
SELECT is(start_at, '2026-07-01T00:00:00.5+00:00', 'is stored in one that does not depend on it')
	FROM cdcsync.subscription WHERE name = 'time';
SELECT lives_ok($$ SELECT cdcsync.subscribe('latest', '{latest}', start_at => 'latest') $$);

-- what is stored
SELECT lives_ok($$ SELECT cdcsync.subscribe('all', '{"^all\\.",one}', 'last_update_wins', 'none',
	'latest', 'source', 'pause', 'skip', '{"decimal.handling.mode": "string"}', false) $$,
	'all options, in the order of the parameters');
SELECT results_eq(
	$$ SELECT name, topics, enabled, conflicts, origin, start_at, event_time, on_error,
		on_unknown_table, producer, started FROM cdcsync.subscription WHERE name = 'all' $$,
	$$ VALUES ('all', ARRAY['^all\.', 'one'], false, 'last_update_wins', 'none', 'latest',
		'source', 'pause', 'skip', '{"decimal.handling.mode": "string"}'::jsonb, false) $$,
	'are stored');
SELECT results_eq(
	$$ SELECT topics, enabled, conflicts, origin, start_at, event_time, on_error,
		on_unknown_table, producer FROM cdcsync.subscription WHERE name = 's1' $$,
	$$ VALUES (ARRAY['a'], true, 'last_update_wins', 'any', 'earliest', 'source', 'pause',
		'pause', NULL::jsonb) $$,
	'defaults');
SELECT results_eq(
	$$ SELECT system_identifier, database_oid FROM cdcsync.local_identity $$,
	$$ SELECT s.system_identifier::text, d.oid FROM pg_control_system() AS s, pg_database AS d
		WHERE d.datname = current_database() $$,
	'the database remembers itself');

-- the view, without a worker
SELECT results_eq(
	$$ SELECT topic, partition, state, next_offset, end_offset, lag, lag_seconds
		FROM cdcsync.stat_subscription WHERE subscription = 's1' $$,
	$$ VALUES (NULL::text, NULL::int, 'starting', NULL::bigint, NULL::bigint, NULL::bigint,
		NULL::numeric) $$,
	'one row while no partition is known');
SELECT is(state, 'paused', 'not enabled: paused')
	FROM cdcsync.stat_subscription WHERE subscription = 'all';
INSERT INTO cdcsync.subscription_offset VALUES
	('s1', 'a', 0, 17), ('s1', 'a', 1, 18), ('s1', 'gone', 0, 1),
	('all', 'all.x', 0, 5), ('all', 'allx', 0, 5), ('all', 'one', 0, 6), ('nobody', 'a', 0, 7);
SELECT results_eq(
	$$ SELECT subscription, topic, partition, state, next_offset, lag
		FROM cdcsync.stat_subscription WHERE subscription IN ('s1', 'all', 'nobody')
		ORDER BY 1, 2, 3 $$,
	$$ VALUES ('all', 'all.x', 0, 'paused', 5::bigint, NULL::bigint),
		('all', 'one', 0, 'paused', 6, NULL),
		('s1', 'a', 0, 'starting', 17, NULL),
		('s1', 'a', 1, 'starting', 18, NULL) $$,
	'partitions are known from their positions, of subscribed topics only');

-- pause, resume
SELECT throws_ok($$ SELECT cdcsync.pause('nobody') $$, '42704',
	'subscription "nobody" does not exist');
SELECT throws_ok($$ SELECT cdcsync.resume('nobody') $$, '42704',
	'subscription "nobody" does not exist');
SELECT lives_ok($$ SELECT cdcsync.pause('s1') $$);
SELECT results_eq($$ SELECT name FROM cdcsync.subscription WHERE NOT enabled ORDER BY 1 $$,
	ARRAY['all', 's1'], 'one is paused');
SELECT lives_ok($$ SELECT cdcsync.pause('s1') $$, 'twice is as good');
SELECT lives_ok($$ SELECT cdcsync.pause() $$);
SELECT is_empty($$ SELECT FROM cdcsync.subscription WHERE enabled $$, 'all are paused');
SELECT lives_ok($$ SELECT cdcsync.resume('all') $$);
SELECT results_eq($$ SELECT name FROM cdcsync.subscription WHERE enabled $$,
	ARRAY['all'], 'one goes on');
UPDATE cdcsync.local_identity SET system_identifier = '1', database_oid = 1;
SELECT lives_ok($$ SELECT cdcsync.subscribe('other', '{other}') $$);
SELECT is(system_identifier, '1', 'subscribe() does not take a restored dump over')
	FROM cdcsync.local_identity;
SELECT lives_ok($$ SELECT cdcsync.resume(NULL) $$);
SELECT is_empty($$ SELECT FROM cdcsync.subscription WHERE NOT enabled $$, 'all go on');
SELECT results_eq(
	$$ SELECT system_identifier, database_oid FROM cdcsync.local_identity $$,
	$$ SELECT s.system_identifier::text, d.oid FROM pg_control_system() AS s, pg_database AS d
		WHERE d.datname = current_database() $$,
	'resume() does');

-- alter_subscription
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('nobody', origin => 'none') $$, '42704',
	'subscription "nobody" does not exist');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription(NULL) $$, '22004',
	'subscription name must not be null');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('s1', origin => 'x') $$, '22023',
	'invalid value for parameter "origin": "x"');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('s1', on_error => 'x') $$, '22023',
	'invalid value for parameter "on_error": "x"');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('s1', '{}') $$, '22023',
	'topics must not be empty');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('s1', '{time}') $$, '42710',
	'topic "time" belongs to subscription "time" already');
SELECT throws_ok($$ SELECT cdcsync.alter_subscription('s1', producer => '{"x": "y"}') $$, '22023');
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('s1') $$, 'nothing to change');
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('s1', '{a,c}', origin => 'none',
	on_unknown_table => 'skip', producer => '{"binary.handling.mode": "hex"}') $$);
SELECT results_eq(
	$$ SELECT topics, enabled, conflicts, origin, start_at, event_time, on_error,
		on_unknown_table, producer FROM cdcsync.subscription WHERE name = 's1' $$,
	$$ VALUES (ARRAY['a', 'c'], true, 'last_update_wins', 'none', 'earliest', 'source', 'pause',
		'skip', '{"binary.handling.mode": "hex"}'::jsonb) $$,
	'what is named is changed, the rest stays');
SELECT lives_ok($$ SELECT cdcsync.alter_subscription('s1', '{c}') $$);
SELECT is(count(*), 3::bigint, 'positions of topics left out are kept')
	FROM cdcsync.subscription_offset WHERE subscription = 's1';
SELECT lives_ok($$ SELECT cdcsync.subscribe('takes-a', '{a}') $$, 'a topic left out is free');

-- unsubscribe
SELECT throws_ok($$ SELECT cdcsync.unsubscribe('nobody') $$, '42704',
	'subscription "nobody" does not exist');
SELECT throws_ok($$ SELECT cdcsync.unsubscribe(NULL) $$, '22004',
	'subscription name must not be null');
SELECT lives_ok($$ SELECT cdcsync.unsubscribe('s1') $$);
SELECT is_empty($$ SELECT FROM cdcsync.subscription WHERE name = 's1' $$, 'it is gone');
SELECT is_empty($$ SELECT FROM cdcsync.subscription_offset WHERE subscription = 's1' $$,
	'with its positions');
SELECT is_empty($$ SELECT FROM cdcsync.stat_subscription WHERE subscription = 's1' $$,
	'and its state');
INSERT INTO cdcsync.subscription_offset VALUES ('s1', 'c', 0, 99);
SELECT lives_ok($$ SELECT cdcsync.subscribe('s1', '{c}') $$, 'the name is free again');
SELECT is_empty($$ SELECT FROM cdcsync.subscription_offset WHERE subscription = 's1' $$,
	'and begins by start_at, whatever was left');

SELECT * FROM finish();
ROLLBACK;
