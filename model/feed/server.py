"""The feed over HTTP, by the standard library: calls as JSON, bytes of shards by range, straight from file to socket.

    POST /call/<name>      arguments as a JSON object; answers JSON, or 409 with {"kind", "message"}
    GET  /shard/<name>     the shard's file; `Range: bytes=first-last` for a part of it

There is no password: anybody who reaches the port may read and feed. Keep it inside the cluster.
"""

from __future__ import annotations

import inspect
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from model.feed.feed import Feed
from model.feed.shard import SUFFIX
from warehouse.errors import GlyphmillError, UsageError

#: What may be called, and nothing else.
CALLS = (
    "join", "lease", "renew", "release", "publish", "fail", "attend", "leave", "where", "lost", "change", "adopt",
    "status",
)  # fmt: skip
_SHARD = re.compile(rf"/shard/([a-z0-9-]+{re.escape(SUFFIX)})")
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], shards: Path, feed: Feed | None) -> None:
        self.shards, self.feed = shards, feed
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # an answer's head and body go out at once

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.removeprefix("/call/")
        if self.server.feed is None or name not in CALLS:
            self._answer(404, {"kind": "UsageError", "message": f"no call {name} here"})
            return
        try:
            arguments, result = _signature(name)
            given = json.loads(body)
            ready = {key: adapter.validate_python(given[key]) for key, adapter in arguments.items()}
            answer = result.dump_json(getattr(self.server.feed, name)(**ready))
        except GlyphmillError as error:
            self._answer(409, {"kind": type(error).__name__, "message": str(error)})
        except OSError as error:  # a full disk
            self._answer(409, {"kind": "LakeError", "message": f"the feed's server: {error}"})
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            line = str(error).splitlines()[0]
            self._answer(400, {"kind": "UsageError", "message": f"{name} was called wrongly: {line}"})
        else:
            self._send(200, answer)

    def do_GET(self) -> None:
        match = _SHARD.fullmatch(self.path)
        path = self.server.shards / match[1] if match else None
        if path is None or not path.is_file():
            self._answer(404, {"kind": "LakeError", "message": f"no shard {self.path} here"})
            return
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
            first, last = (int(wanted[1]), min(int(wanted[2]), size - 1)) if wanted else (0, size - 1)
            if wanted and (first > last or int(wanted[2]) >= size):
                self._answer(416, {"kind": "LakeError", "message": f"shard {path.name} has {size} bytes"})
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(last - first + 1))
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            self.connection.sendfile(file, first, last - first + 1)

    def _answer(self, status: int, fields: dict[str, str]) -> None:
        self._send(status, json.dumps(fields).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line for every range would bury what matters."""


@cache
def _signature(name: str) -> tuple[dict[str, TypeAdapter[Any]], TypeAdapter[Any]]:
    """How the arguments of a call are read, and its answer written."""
    call: Callable[..., object] = getattr(Feed, name)
    hints = get_type_hints(call)
    arguments = [key for key in inspect.signature(call).parameters if key != "self"]
    return {key: TypeAdapter(hints[key]) for key in arguments}, TypeAdapter(hints["return"])


@contextmanager
def serving(
    shards: Path, feed: Feed | None, *, host: str = "127.0.0.1", port: int = 0, name: str | None = None
) -> Iterator[str]:
    """Serve a folder of shards, and a feed's calls if there is one; gives the address.

    `host`: the interface to listen on, 0.0.0.0 for all; `port`: 0 for any that is free; `name`: what others call this
    machine, by default its host name where it listens on all interfaces. Raises UsageError where it cannot listen.
    """
    try:
        server = _Server((host, port), shards, feed)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --port"
        ) from error
    called = name or (socket.gethostname() if host in ("0.0.0.0", "::", "") else host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{called}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
