-- The demo's tables. psql -v node=N, see todos.sql.
\ir todos.sql

-- one row, the same on all nodes: for edits that collide
CREATE TABLE shared_note (
	id          int PRIMARY KEY,
	body        text NOT NULL,
	updated_at  timestamptz DEFAULT now()
);

-- The page hears of every change, also of those that cdcsync applies: such triggers must be ENABLE ALWAYS.
CREATE FUNCTION notify_demo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('demo', TG_TABLE_NAME);
	RETURN NULL;
END $$;
CREATE TRIGGER notify_demo AFTER INSERT OR UPDATE OR DELETE ON todos
	FOR EACH STATEMENT EXECUTE FUNCTION notify_demo();
CREATE TRIGGER notify_demo AFTER INSERT OR UPDATE OR DELETE ON shared_note
	FOR EACH STATEMENT EXECUTE FUNCTION notify_demo();
ALTER TABLE todos ENABLE ALWAYS TRIGGER notify_demo;
ALTER TABLE shared_note ENABLE ALWAYS TRIGGER notify_demo;
