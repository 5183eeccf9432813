--
-- The view stat_subscription over what a worker reports.
--
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS cdcsync;
SELECT no_plan();
SET LOCAL cdcsync.node_name = 'pgtap';

-- a worker's report, to be written by hand
CREATE TABLE report (subscription text, topic text, partition int, state text, pid int,
	next_offset bigint, end_offset bigint, last_event_at timestamptz,
	last_apply_at timestamptz, last_error text, last_error_sqlstate text, last_error_hint text, last_error_at timestamptz, retention interval);
CREATE OR REPLACE FUNCTION cdcsync.stat_partitions(OUT subscription text, OUT topic text,
	OUT partition int, OUT state text, OUT pid int, OUT next_offset bigint,
	OUT end_offset bigint, OUT last_event_at timestamptz, OUT last_apply_at timestamptz,
	OUT last_error text, OUT last_error_sqlstate text, OUT last_error_hint text, OUT last_error_at timestamptz, OUT retention interval)
RETURNS SETOF record LANGUAGE sql AS 'SELECT * FROM public.report';

CREATE FUNCTION pg_temp.shown(expected text, description text) RETURNS text LANGUAGE sql AS $$
	SELECT results_eq(
		'SELECT subscription, topic, partition, state, next_offset, end_offset, lag, last_error
			FROM cdcsync.stat_subscription ORDER BY 1, 2 NULLS FIRST, 3 NULLS FIRST',
		expected, description)
$$;

SELECT cdcsync.subscribe('s', '{a,b,^c}') \g /dev/null

INSERT INTO report VALUES ('s', NULL, -1, 'waiting', 1, NULL, NULL, NULL, NULL, 'no broker');
SELECT pg_temp.shown($$ VALUES ('s', NULL::text, NULL::int, 'waiting', NULL::bigint,
		NULL::bigint, NULL::bigint, 'no broker') $$,
	'nothing is known but the error');

INSERT INTO cdcsync.subscription_offset VALUES ('s', 'a', 0, 10), ('s', 'old', 0, 10);
SELECT pg_temp.shown($$ VALUES ('s', 'a', 0, 'waiting', 10::bigint, NULL::bigint,
		NULL::bigint, 'no broker') $$,
	'a position is known: its partition has the error');

DELETE FROM report;
INSERT INTO report VALUES ('s', 'a', 0, 'streaming', 1, 15, 20),
	('s', 'a', 1, 'streaming', 1, 7, 5);
INSERT INTO report VALUES ('s', 'b', NULL, 'waiting', 1, NULL, NULL, NULL, NULL, 'no topic');
SELECT pg_temp.shown($$ VALUES ('s', 'a', 0, 'streaming', 15::bigint, 20::bigint, 5::bigint,
		NULL::text), ('s', 'a', 1, 'streaming', 7, 5, 0, NULL),
		('s', 'b', NULL, 'waiting', NULL, NULL, NULL, 'no topic') $$,
	'the worker knows better than what is stored; a topic may be unknown');

INSERT INTO cdcsync.subscription_offset VALUES ('s', 'b', 0, 3), ('s', 'c1', 0, 4);
SELECT pg_temp.shown($$ VALUES ('s', 'a', 0, 'streaming', 15::bigint, 20::bigint, 5::bigint,
		NULL::text), ('s', 'a', 1, 'streaming', 7, 5, 0, NULL),
		('s', 'b', 0, 'waiting', 3, NULL, NULL, 'no topic'),
		('s', 'c1', 0, 'starting', 4, NULL, NULL, NULL) $$,
	'a topic that is gone; a partition the worker has not come to');

INSERT INTO report VALUES ('ended', 'a', 0, 'streaming', 1, 15, 20);
SELECT cdcsync.pause() \g /dev/null
SELECT pg_temp.shown($$ VALUES ('s', 'a', 0, 'streaming', 15::bigint, 20::bigint, 5::bigint,
		NULL::text), ('s', 'a', 1, 'streaming', 7, 5, 0, NULL),
		('s', 'b', 0, 'paused', 3, NULL, NULL, 'no topic'),
		('s', 'c1', 0, 'paused', 4, NULL, NULL, NULL) $$,
	'a partition is paused when the worker says so; subscriptions that ended do not show');
UPDATE report SET state = 'paused' WHERE partition IS NOT NULL;
SELECT pg_temp.shown($$ VALUES ('s', 'a', 0, 'paused', 15::bigint, 20::bigint, 5::bigint,
		NULL::text), ('s', 'a', 1, 'paused', 7, 5, 0, NULL),
		('s', 'b', 0, 'paused', 3, NULL, NULL, 'no topic'),
		('s', 'c1', 0, 'paused', 4, NULL, NULL, NULL) $$,
	'... all are');

-- lag_seconds
DELETE FROM cdcsync.subscription_offset;
DELETE FROM report;
INSERT INTO report VALUES ('s', 'a', 0, 'streaming', 1, 5, 5, now() - interval '1 hour'),
	('s', 'a', 1, 'streaming', 1, 5, 6, now() - interval '1 hour'),
	('s', 'a', 2, 'streaming', 1, 5, 6, now() + interval '1 hour'),
	('s', 'a', 3, 'streaming', 1, 5, 6, NULL),
	('s', 'a', 4, 'streaming', 1, 5, NULL, now() - interval '1 hour');
SELECT results_eq(
	'SELECT partition, lag, trunc(lag_seconds / 60) FROM cdcsync.stat_subscription ORDER BY 1',
	$$ VALUES (0, 0::bigint, 0::numeric), (1, 1, 60), (2, 1, 0), (3, 1, NULL), (4, NULL, NULL) $$,
	'lag_seconds: none without lag, never negative, unknown where the lag is');

SELECT * FROM finish();
ROLLBACK;
