"""All nodes as they are now, and who wants to hear of it."""

import asyncio
import json

import psycopg

from kafka_connect import ConnectError
from node import TODOS_SHOWN, Unreachable

REFRESH_SECONDS = 1  # what nothing notifies of: states, lag, conflicts
GATHER_SECONDS = 0.02  # changes that come together are read together
PAUSED = ("PAUSED", "STOPPED")


class Board:
    def __init__(self, nodes, connect):
        self.nodes = {node.name: node for node in nodes}
        self.connect = connect
        self.contents = {}  # by node: what Node.read returns; None while it is down
        self.versions = {}  # by node: those of its content
        self.errors = {}  # by node: why it is down
        self.connectors = {}  # by name
        self.connect_error = None
        self.dirty = {node.name: asyncio.Event() for node in nodes}
        self.published = {}  # by node: the JSON sent last
        self.listeners = set()
        self.tasks = []

    async def start(self):
        for node in self.nodes.values():
            await node.open()
            self.tasks += [asyncio.create_task(self._listen(node)), asyncio.create_task(self._follow(node))]
        self.tasks.append(asyncio.create_task(self._watch_connectors()))

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(node.close() for node in self.nodes.values()), self.connect.close())

    def touch(self, name):
        """The node's content may have changed."""
        self.dirty[name].set()

    async def subscribe(self):
        """Yields the JSON of one node after the other: first of all, then of each as it changes."""
        queue = asyncio.Queue()
        for name in self.nodes:
            queue.put_nowait(self.published.get(name) or self._json(name))
        self.listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.listeners.discard(queue)

    # keeping up

    async def _listen(self, node):
        while True:
            try:
                async for _ in node.listen():
                    self.touch(node.name)
            except (Unreachable, psycopg.Error):
                pass
            await asyncio.sleep(REFRESH_SECONDS)

    async def _follow(self, node):
        while True:
            await self._read(node)
            try:
                await asyncio.wait_for(self.dirty[node.name].wait(), REFRESH_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                pass
            self.dirty[node.name].clear()

    async def _read(self, node):
        try:
            content, why = await node.read(), None
        except Unreachable:
            content, why = None, f"{node.name} cannot be reached. Start it again: make run"
        except psycopg.Error as error:
            reason = error.diag.message_primary or error
            content, why = None, f"{node.name}: {reason}. Begin anew: make clean-run, then make run"
        if node.name in self.contents and (content, why) == (self.contents[node.name], self.errors[node.name]):
            return
        self.contents[node.name], self.errors[node.name] = content, why
        self.versions[node.name] = versions(content) if content else {}
        self._publish_all()

    async def _watch_connectors(self):
        while True:
            try:
                connectors, why = await self.connect.states(), None
            except ConnectError as error:
                connectors, why = {}, f"{error}. Start it again: make run"
            if (connectors, why) != (self.connectors, self.connect_error):
                self.connectors, self.connect_error = connectors, why
                self._publish_all()
            await asyncio.sleep(REFRESH_SECONDS)

    # what is told

    def _publish_all(self):
        """A change of one node also changes what is pending at others."""
        for name in self.nodes:
            text = self._json(name)
            if text != self.published.get(name):
                self.published[name] = text
                for queue in self.listeners:
                    queue.put_nowait(text)

    def _json(self, name):
        return json.dumps(self.state(name), default=str)

    def state(self, name):
        node = self.nodes[name]
        content = self.contents.get(name)
        state = {
            "name": name,
            "number": node.number,
            "error": self.errors.get(name, "looking …"),
            "sending": self._sending(name),
        }
        if not content:
            return state
        return state | {
            "online": self._online(name, content),
            "subscriptions": content["subscriptions"],
            "pending": self._pending(name),
            "todos": content["todos"][:TODOS_SHOWN],
            "count": len(content["todos"]),
            "note": content["note"],
            "conflicts": content["conflicts"],
        }

    def _sending(self, name):
        if self.connect_error:
            return {"state": "unreachable", "error": self.connect_error}
        return self.connectors.get(name) or {
            "state": "missing",
            "error": f"There is no connector {name}: what is written here is not sent. Make it again: make run",
        }

    def _online(self, name, content):
        """False if all that can be paused is; None in between."""
        paused = {subscription["state"] == "paused" for subscription in content["subscriptions"]}
        paused.add(self._sending(name)["state"] in PAUSED)
        return not paused.pop() if len(paused) == 1 else None

    def _pending(self, name):
        """Changes that this node and its peers have not exchanged: a client's with the server, the server's with all."""
        peers = [peer for peer in self.nodes if (peer == "server") != (name == "server") and self.contents.get(peer)]
        mine = self.versions[name]
        return {
            "out": sum(count_newer(mine, self.versions[peer]) for peer in peers),
            "in": sum(count_newer(self.versions[peer], mine) for peer in peers),
        }


def versions(content):
    """By table and key: (version, deleted) of the rows and of the remembered deletes."""
    found = {("todos", row["client_id"], row["id"]): (row["updated_at"], False) for row in content["todos"]}
    if content["note"]:
        found["shared_note", 1] = (content["note"]["updated_at"], False)
    for row in content["deleted"]:
        key = (row["table"], *(int(row["key"][column]) for column in ("client_id", "id") if column in row["key"]))
        version = (row["version"], True)
        if key not in found or found[key] < version:
            found[key] = version
    return found


def count_newer(mine, theirs):
    """How many of my changes they do not have; of a key they never had, a delete is no news."""
    return sum(1 for key, version in mine.items() if (version > theirs[key] if key in theirs else not version[1]))
