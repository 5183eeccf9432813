"""The tab "Topics": every topic with its ends and readers, and the last messages of one, as a node understands them."""

import asyncio
import json
import time
from datetime import UTC, datetime

import psycopg

from kafka import KafkaFailed, Tail
from node import Unreachable

REFRESH_SECONDS = 1
LOOK_SECONDS = 0.1
SHOWN = 20  # messages
TEXT_SHOWN = 50_000  # characters


class Topics:
    def __init__(self, kafka, board):
        self.kafka = kafka
        self.board = board

    async def follow(self, topic, node):
        """Yields (event, data): `topics` as they are and as they change; with a topic also `begin`, each `message`, and what the
        node has `decided` on them."""
        tail = Tail(self.kafka, topic, SHOWN) if topic else None
        reader = Reader(self.board, self.board.nodes[node], topic) if node and topic else None
        overview = None
        try:
            while True:
                ends, error = await self._ends()
                now = {"error": error, "topics": self._topics(ends or {})}
                if now != overview:
                    overview = now
                    yield "topics", now
                if tail and ends is not None and tail.follow(ends.get(topic, {})):
                    yield "begin", {}
                    if reader:
                        reader.forget()
                until = time.monotonic() + REFRESH_SECONDS
                while time.monotonic() < until:
                    for message in tail.read() if tail else ():
                        yield "message", shown(message) | ({"here": await reader.take(message)} if reader else {})
                    await asyncio.sleep(LOOK_SECONDS)
                for decided in await reader.decide() if reader else ():
                    yield "decided", decided
        finally:
            if tail:
                tail.close()

    async def _ends(self):
        try:
            return await self.kafka.ends(), None
        except KafkaFailed as error:
            return None, f"{error}. Start it again: make run"

    def _topics(self, ends):
        """All that there are, and those that somebody wants to read."""
        readers = {}
        for node in self.board.nodes:
            content = self.board.contents.get(node)
            for row in content["subscriptions"] if content else ():
                if row["topic"]:
                    readers.setdefault(row["topic"], []).append(reader_of(node, row, ends))
        return [
            {
                "name": name,
                "partitions": [{"partition": number, "first": first, "end": end} for number, (first, end) in ends.get(name, {}).items()],
                "readers": readers.get(name, []),
            }
            for name in sorted(ends.keys() | readers.keys())
        ]


def reader_of(node, row, ends):
    """Its lag is counted from the topic's own end: one that is paused knows of none."""
    _, end = ends.get(row["topic"], {}).get(row["partition"], (None, None))
    known = end is not None and row["next_offset"] is not None
    return {
        "node": node,
        "subscription": row["subscription"],
        "partition": row["partition"],
        "state": row["state"],
        "lag": max(0, end - row["next_offset"]) if known else None,
        "error": row["last_error"] if row["state"] in ("error", "waiting") else None,
    }


class Reader:
    """What one node makes of a topic's messages: their meaning there, whether it has read them, and what it decided."""

    def __init__(self, board, node, topic):
        self.board = board
        self.node = node
        self.topic = topic
        self.told = {}  # by (partition, offset): what was told of it last

    def forget(self):
        self.told = {}

    async def take(self, message):
        """What the node says the message means, or why it cannot say."""
        self.told[message.partition(), message.offset()] = None
        for old in sorted(self.told)[: -10 * SHOWN]:
            del self.told[old]
        try:
            key, value = (None if part is None else part.decode() for part in (message.key(), message.value()))
            return await self.node.decode(self.topic, key, value, self._subscription())
        except UnicodeDecodeError:
            return {"error": "It is no text in UTF-8."}
        except Unreachable:
            return {"error": f"{self.node.name} cannot be reached."}
        except psycopg.Error as error:
            return {"error": error.diag.message_primary or str(error), "detail": error.diag.message_detail, "hint": error.diag.message_hint}

    async def decide(self):
        """What there is to be told anew of messages that were taken."""
        if not self.told:
            return []
        try:
            rows = await self.node.decisions(self.topic, min(offset for _, offset in self.told))
        except (Unreachable, psycopg.Error):
            return []
        decisions = {(row["partition"], row["offset"]): [] for row in rows}
        for row in rows:
            decisions[row["partition"], row["offset"]].append(row)
        changed = []
        for position in self.told:
            now = self._progress(*position) | {"decisions": decisions.get(position, [])}
            if now != self.told[position]:
                self.told[position] = now
                changed.append({"partition": position[0], "offset": position[1]} | now)
        return changed

    def _rows(self):
        content = self.board.contents.get(self.node.name)
        return [row for row in content["subscriptions"] if row["topic"] == self.topic] if content else []

    def _subscription(self):
        rows = self._rows()
        return rows[0]["subscription"] if rows else None

    def _progress(self, partition, offset):
        for row in self._rows():
            if row["partition"] == partition and row["next_offset"] is not None:
                stopped = row["state"] == "error" and row["next_offset"] == offset
                return {"read": offset < row["next_offset"], "stopped": row["last_error"] if stopped else None}
        return {"read": None, "stopped": None}


def shown(message):
    """A message as it is in the topic."""
    kind, milliseconds = message.timestamp()
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "time": datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds") if kind else None,
        "key": text_of(message.key()),
        "value": text_of(message.value()),
        "headers": [[name, text_of(value)] for name, value in message.headers() or []],
    }


def text_of(data):
    """Bytes to be read by people: as they are where they are text, a schema and what it describes apart."""
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.hex(" ")
    schema, text = split_schema(text)
    return {"size": len(data), "schema": schema and schema[:TEXT_SHOWN], "text": text[:TEXT_SHOWN], "cut": len(text) > TEXT_SHOWN}


def split_schema(text):
    """Kafka Connect's {"schema":…,"payload":…}, cut without reading numbers, which would not stay what they are."""
    before, between = '{"schema":', ',"payload":'
    if text.startswith(before) and text.endswith("}"):
        try:
            _, end = json.JSONDecoder().raw_decode(text, len(before))
        except ValueError:
            return None, text
        if text.startswith(between, end):
            return text[len(before) : end], text[end + len(between) : -1]
    return None, text
