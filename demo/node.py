"""One node: a database with cdcsync. What the page shows of it, and what it writes there."""

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

CHANNEL = "demo"
CONFLICTS_SHOWN = 20
TODOS_SHOWN = 200

# Who wrote a row last is in its transaction's commit record: the replication origin, named after the peer it came from.
WRITER = """
    LEFT JOIN LATERAL pg_xact_commit_timestamp_origin(t.xmin) AS c ON true
    LEFT JOIN pg_replication_origin AS o ON o.roident = c.roident
"""
TODOS = f"""
    SELECT t.id, t.client_id, t.title, t.description, t.completed, t.created_at, t.updated_at,
        split_part(o.roname, ':', 4) AS origin
    FROM todos AS t {WRITER} ORDER BY t.created_at DESC, t.client_id, t.id DESC
"""
NOTE = f"""
    SELECT t.id, t.body, t.updated_at, split_part(o.roname, ':', 4) AS origin
    FROM shared_note AS t {WRITER} WHERE t.id = 1
"""
DELETED = """
    SELECT relation::text AS table, key, version::timestamptz FROM cdcsync.tombstone
    WHERE relation IN ('todos'::regclass, 'shared_note'::regclass)
"""
SUBSCRIPTIONS = """
    SELECT subscription, topic, partition, state, next_offset, lag, last_error
    FROM cdcsync.stat_subscription ORDER BY subscription, topic, partition
"""
CONFLICTS = """
    SELECT id, at, relation::text AS table, key, conflict_type, resolution, local_row, remote_row,
        local_version, remote_version, local_origin, remote_origin
    FROM cdcsync.conflict_history ORDER BY id DESC LIMIT %s
"""
# with the modes that the subscription, if any, knows the connector to have
DECODED = """
    SELECT d.op, d.peer, d.source_table, d.relation::text AS table, d.source_time, d.origin, d.key_row, d.before_row, d.after_row
    FROM cdcsync.decode(%s, %s, %s, (SELECT producer FROM cdcsync.subscription WHERE name = %s)) AS d
"""
DECISIONS = """
    SELECT partition, "offset", conflict_type AS type, resolution, local_origin, local_version, remote_version
    FROM cdcsync.conflict_history WHERE topic = %(topic)s AND "offset" >= %(first)s
    UNION ALL
    SELECT partition, "offset", 'dead_letter', concat_ws(': ', status, message), NULL, NULL, NULL
    FROM cdcsync.dead_letter WHERE topic = %(topic)s AND "offset" >= %(first)s
    ORDER BY 1, 2, 3
"""


class Unreachable(Exception):
    """The node's server does not answer."""


class NotThere(Exception):
    """A row that is to be changed is gone."""


def is_lost(error):
    """Is it the connection, rather than an answer of the server?"""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


class Node:
    def __init__(self, name, number, conninfo):
        self.name = name
        self.number = number
        self.conninfo = conninfo
        self.pool = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=4,
            timeout=5,
            reconnect_timeout=5,
            open=False,
            kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": 3},
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self):
        await self.pool.open(wait=False)

    async def close(self):
        await self.pool.close(timeout=1)

    async def query(self, statement, *args, **named):
        """The rows of a statement; raises Unreachable, or the server's own error."""
        try:
            async with self.pool.connection() as connection:
                cursor = await connection.execute(statement, named or args or None)
                return await cursor.fetchall() if cursor.description else []
        except PoolTimeout as error:
            raise Unreachable(str(error)) from error
        except psycopg.OperationalError as error:
            if is_lost(error):
                raise Unreachable(str(error)) from error
            raise

    async def listen(self):
        """Yields when the node says that a table has changed; raises Unreachable when it is gone."""
        try:
            async with await psycopg.AsyncConnection.connect(
                self.conninfo, autocommit=True, connect_timeout=3
            ) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield
                async for _ in connection.notifies():
                    yield
        except psycopg.OperationalError as error:
            raise Unreachable(str(error)) from error

    # what the page shows

    async def read(self):
        notes = await self.query(NOTE)
        return {
            "todos": await self.query(TODOS),
            "note": notes[0] if notes else None,
            "deleted": await self.query(DELETED),
            "subscriptions": await self.query(SUBSCRIPTIONS),
            "conflicts": await self.query(CONFLICTS, CONFLICTS_SHOWN),
        }

    async def decode(self, topic, key, value, subscription):
        """What a message means here."""
        return (await self.query(DECODED, topic, key, value, subscription))[0]

    async def decisions(self, topic, first):
        """Conflicts and dead letters of a topic's messages, from an offset on."""
        return await self.query(DECISIONS, topic=topic, first=first)

    # what the page does

    async def add_todo(self, title, description):
        await self.query("INSERT INTO todos (title, description) VALUES (%s, %s)", title, description)

    async def update_todo(self, client_id, todo_id, changes):
        """changes: column and value, of those that people edit."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} = %s").format(sql.Identifier(column)) for column in changes
        )
        statement = sql.SQL("UPDATE todos SET {} WHERE client_id = %s AND id = %s RETURNING id").format(columns)
        self._must_be_there(await self.query(statement, *changes.values(), client_id, todo_id), "todo")

    async def delete_todo(self, client_id, todo_id):
        self._must_be_there(
            await self.query("DELETE FROM todos WHERE client_id = %s AND id = %s RETURNING id", client_id, todo_id), "todo"
        )

    async def write_note(self, body):
        await self.query(
            "INSERT INTO shared_note (id, body) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body", body
        )

    async def resolve_conflict(self, conflict_id, choice):
        rows = await self.query("SELECT cdcsync.resolve_conflict(%s, %s::text) AS done", conflict_id, choice)
        return rows[0]["done"]

    async def pause(self):
        await self.query("SELECT cdcsync.pause(NULL)")

    async def resume(self):
        await self.query("SELECT cdcsync.resume(NULL)")

    @staticmethod
    def _must_be_there(rows, what):
        if not rows:
            raise NotThere(f"The {what} is not there any more.")
