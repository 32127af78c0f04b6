"""The feed from afar: its calls over HTTP, and the bytes of entries from wherever they are nearest."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from pydantic_core import to_json

from model.feed.manifest import Manifest
from model.feed.messages import Attended, Chapter, Encoding, Joined, Leased, Located, Place, Status
from model.feed.record import FOLDER, SERVER
from warehouse import errors
from warehouse.errors import LakeError, UsageError

T = TypeVar("T")
_PAUSE_S = 0.2


class Door(Protocol):
    """The calls of `model.feed.feed.Feed`, whether it is here or elsewhere."""

    def join(self, producer: str, encoding: Encoding) -> Joined: ...
    def lease(self, producer: str, folder: str, seconds: float) -> Leased: ...
    def renew(self, producer: str, works: Sequence[str]) -> None: ...
    def release(self, producer: str) -> None: ...
    def publish(self, producer: str, work: str, name: str, manifest: Manifest, place: Place) -> bool: ...
    def fail(self, producer: str, message: str, works: Sequence[str]) -> None: ...
    def attend(self, member: str, world: int, step: int, horizon: int) -> Attended: ...
    def leave(self, member: str) -> None: ...
    def where(self, keys: Sequence[str], seconds: float) -> Located: ...
    def lost(self, name: str, place: Place, why: str) -> bool: ...
    def change(self, folder: str, at_step: int | None, why: str) -> Chapter: ...
    def adopt(self, chapters: Sequence[Chapter], step: int) -> None: ...
    def status(self) -> Status: ...


def address(store: str | Path, patience_s: float = 0.0) -> str:
    """The URL of a store: itself, or what the server of a run's or feed's folder wrote there, waited for so long.

    Raises UsageError where no server has written any.
    """
    if isinstance(store, str) and store.startswith(("http://", "https://")):
        return store.rstrip("/")
    until = time.monotonic() + patience_s
    while True:
        for path in (Path(store) / SERVER, Path(store) / FOLDER / SERVER):
            if path.is_file():
                return str(json.loads(path.read_text(encoding="utf-8"))["url"])
        if time.monotonic() >= until:
            raise UsageError(f"no feed is served in {store}: start one with `glyphmill train serve --run {store}`")
        time.sleep(_PAUSE_S)


class HttpDoor:
    """A feed by its address. Safe for threads: each has a connection of its own.

    `store`: its URL, or the folder in which its server writes it. `patience_s`: how long a server that is not there or
    does not answer is waited for, as it may be starting again.
    """

    def __init__(self, store: str | Path, patience_s: float = 60.0) -> None:
        self.store, self.patience_s = store, patience_s
        self.url = address(store, patience_s)
        self._own = threading.local()

    def join(self, producer: str, encoding: Encoding) -> Joined:
        return self._call(Joined, "join", producer=producer, encoding=encoding)

    def lease(self, producer: str, folder: str, seconds: float) -> Leased:
        return self._call(Leased, "lease", producer=producer, folder=folder, seconds=seconds)

    def renew(self, producer: str, works: Sequence[str]) -> None:
        self._call(type(None), "renew", producer=producer, works=works)

    def release(self, producer: str) -> None:
        self._call(type(None), "release", producer=producer)

    def publish(self, producer: str, work: str, name: str, manifest: Manifest, place: Place) -> bool:
        return self._call(bool, "publish", producer=producer, work=work, name=name, manifest=manifest, place=place)

    def fail(self, producer: str, message: str, works: Sequence[str]) -> None:
        self._call(type(None), "fail", producer=producer, message=message, works=works)

    def attend(self, member: str, world: int, step: int, horizon: int) -> Attended:
        return self._call(Attended, "attend", member=member, world=world, step=step, horizon=horizon)

    def leave(self, member: str) -> None:
        self._call(type(None), "leave", again=False, member=member)

    def where(self, keys: Sequence[str], seconds: float) -> Located:
        return self._call(Located, "where", keys=keys, seconds=seconds)

    def lost(self, name: str, place: Place, why: str) -> bool:
        return self._call(bool, "lost", name=name, place=place, why=why)

    def change(self, folder: str, at_step: int | None, why: str) -> Chapter:
        return self._call(Chapter, "change", again=False, folder=folder, at_step=at_step, why=why)

    def adopt(self, chapters: Sequence[Chapter], step: int) -> None:
        self._call(type(None), "adopt", chapters=chapters, step=step)

    def status(self) -> Status:
        return self._call(Status, "status")

    def _call(self, answer: type[T], call: str, /, again: bool = True, **arguments: Any) -> T:
        """One call; asked again while the server does not answer: all bear that but a change of recipe, and a consumer
        that leaves need not wait for a server that went first."""
        until = time.monotonic() + self.patience_s
        while True:
            try:
                status, body = self._post(f"/call/{call}", to_json(arguments))
                break
            except (OSError, http.client.HTTPException) as error:
                if not again or time.monotonic() >= until:
                    raise LakeError(
                        f"the feed at {self.url} does not answer ({error or type(error).__name__})"
                    ) from error
                time.sleep(_PAUSE_S)
                self.url = address(self.store, max(0.0, until - time.monotonic()))
        if status != 200:
            _raise(body, self.url)
        return cast("T", _adapter(cast("Hashable", answer)).validate_json(body))

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = connect(self.url)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._own.connection = None
            raise


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=60.0)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _raise(body: bytes, url: str) -> None:
    """What the server raised, as it raised it."""
    try:
        told = json.loads(body)
        kind, message = getattr(errors, told["kind"], LakeError), str(told["message"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{url} answers, but is no feed of glyphmill's") from error
    raise kind(message)
