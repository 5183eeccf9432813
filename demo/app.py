"""The todo app that `make run` opens: one page on all nodes, and what it asks for.

app.py --port 25532 --connect http://localhost:25531 --kafka localhost:25530 server=25430 client-1=25431 client-2=db.example:5432 …
"""

import argparse
import asyncio
import json
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.datastructures import Headers

from board import Board
from kafka import Kafka
from kafka_connect import ConnectError, KafkaConnect
from node import Node, NotThere, Unreachable
from topics import Topics

STATIC = Path(__file__).parent / "static"
# what a message or a row holds is data, whatever it looks like
CONTENT_POLICY = "default-src 'self'; img-src data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class OwnPageOnly:
    """No other page may use this one: a browser sends what any page wants, to any address that a name of its own resolves to."""

    def __init__(self, app, hosts):
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and (why := self._why_not(scope)):
            await JSONResponse({"error": why}, status_code=403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _why_not(self, scope):
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        if self._name(host) not in self.hosts:
            return f"This is not {host!r}: open http://localhost instead, with the port."
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return f"Only its own page may ask for that, not {origin!r}."
        return None

    @staticmethod
    def _name(host):
        try:
            return urlsplit(f"//{host}").hostname
        except ValueError:
            return None


class NewTodo(BaseModel):
    title: str = Field(min_length=1, max_length=500)
    description: str | None = Field(None, max_length=10000)


class TodoChanges(BaseModel):
    title: str | None = Field(None, min_length=1, max_length=500)
    description: str | None = Field(None, max_length=10000)
    completed: bool | None = None


class Note(BaseModel):
    body: str = Field(max_length=10000)


class Choice(BaseModel):
    choice: Literal["local", "remote"]


def make_app(board, connect, topics, hosts):
    @asynccontextmanager
    async def lifespan(_app):
        await board.start()
        yield
        await board.stop()

    app = FastAPI(title="cdcsync demo", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(OwnPageOnly, hosts=hosts)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    add_error_handlers(app)
    add_page(app, board, topics)
    add_actions(app, board)
    add_switch(app, board, connect)
    return app


def add_error_handlers(app):
    """Every failure is a sentence for the page."""

    def failure(status):
        async def handler(_request, error):
            return JSONResponse({"error": sentence(error)}, status_code=status)

        return handler

    for error, status in ((Unreachable, 503), (ConnectError, 502), (NotThere, 404), (psycopg.Error, 409)):
        app.add_exception_handler(error, failure(status))


def sentence(error):
    if isinstance(error, Unreachable):
        return "The node cannot be reached. Start it again: make run"
    if isinstance(error, psycopg.Error):
        return " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint))) or str(error)
    return str(error)


def add_page(app, board, topics):
    def events_of(stream):
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get("/")
    async def page():
        return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": CONTENT_POLICY})

    @app.get("/events")
    async def events():
        async def stream():
            async for state in board.subscribe():
                yield f"data: {state}\n\n"

        return events_of(stream())

    @app.get("/events/topics")
    async def topic_events(topic: str | None = None, node: str | None = None):
        if node is not None and node not in board.nodes:
            raise HTTPException(404, f"There is no node {node}.")

        async def stream():
            async for event, data in topics.follow(topic, node):
                yield f"event: {event}\ndata: {json.dumps(data, default=str)}\n\n"

        return events_of(stream())

    @app.get("/api/nodes")
    async def nodes():
        return [board.state(name) for name in board.nodes]


def add_actions(app, board):
    def node(name):
        if name not in board.nodes:
            raise HTTPException(404, f"There is no node {name}.")
        return board.nodes[name]

    @app.post("/api/nodes/{name}/todos", status_code=204)
    async def add_todo(name: str, todo: NewTodo):
        await node(name).add_todo(todo.title, todo.description)

    @app.patch("/api/nodes/{name}/todos/{client_id}/{todo_id}", status_code=204)
    async def update_todo(name: str, client_id: int, todo_id: int, changes: TodoChanges):
        given = changes.model_dump(exclude_unset=True)
        if not given:
            raise HTTPException(422, "Nothing is to be changed.")
        await node(name).update_todo(client_id, todo_id, given)

    @app.delete("/api/nodes/{name}/todos/{client_id}/{todo_id}", status_code=204)
    async def delete_todo(name: str, client_id: int, todo_id: int):
        await node(name).delete_todo(client_id, todo_id)

    @app.put("/api/nodes/{name}/note", status_code=204)
    async def write_note(name: str, note: Note):
        await node(name).write_note(note.body)

    @app.post("/api/note/race")
    async def race():
        """Every node that is up writes the note, all at once."""
        up = [node for node in board.nodes.values() if board.contents.get(node.name)]
        await asyncio.gather(*(node.write_note(f"{node.name} wrote this at {datetime.now():%H:%M:%S.%f}") for node in up))
        return {"nodes": len(up)}

    @app.post("/api/nodes/{name}/conflicts/{conflict_id}/resolve")
    async def resolve_conflict(name: str, conflict_id: int, choice: Choice):
        return {"done": await node(name).resolve_conflict(conflict_id, choice.choice)}


def add_switch(app, board, connect):
    """What `make disconnect n=1` and `make connect n=1` do: the subscriptions and the connector, both ways."""

    def client(name):
        if name not in board.nodes or name == "server":
            raise HTTPException(404, f"There is no client {name}.")
        return board.nodes[name]

    @app.post("/api/nodes/{name}/offline", status_code=204)
    async def offline(name: str):
        node = client(name)
        await node.pause()
        try:
            await connect.set(name, "pause", "PAUSED")
        except ConnectError:
            await node.resume()
            raise
        board.touch(name)

    @app.post("/api/nodes/{name}/online", status_code=204)
    async def online(name: str):
        node = client(name)
        await connect.set(name, "resume", "RUNNING")
        await node.resume()
        board.touch(name)


def main():
    parser = argparse.ArgumentParser(description="The todo app on a set of nodes.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connect", required=True, metavar="URL", help="Kafka Connect")
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    parser.add_argument("--database", default="app")
    parser.add_argument("nodes", nargs="+", metavar="NAME=[HOST:]PORT", help="the server first, then its clients")
    args = parser.parse_args()
    nodes = []
    for number, item in enumerate(args.nodes):
        name, _, address = item.partition("=")
        host, _, port = address.rpartition(":")
        nodes.append(Node(name, number, f"host={host or '127.0.0.1'} port={port} user=postgres dbname={args.database}"))
    connect = KafkaConnect(args.connect)
    board = Board(nodes, connect)
    app = make_app(board, connect, Topics(Kafka(args.kafka), board), {"localhost", "127.0.0.1", "::1", args.host})
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
