"""The bytes of entries: mapped where the shard's file is within reach, else pulled by range from who serves it."""

from __future__ import annotations

import http.client
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import torch

from model.feed.client import connect
from model.feed.messages import Located, Place, ShardAt, Spot
from model.feed.shard import TORCH, DamagedError, Mapped, view

_GAP = 1 << 14  # bytes that are rather read than asked around


class UnreachableError(Exception):
    """A shard cannot be had from a place."""


class LostError(Exception):
    """A shard that cannot be read, or is damaged, at one of its places."""

    def __init__(self, name: str, place: Place, why: str) -> None:
        super().__init__(f"{name} at {place.folder}: {why}")
        self.name, self.place, self.why = name, place, why


class Fetcher:
    """Entries as tensors. Safe for threads.

    `url`: who serves the shards of the store's own folder. `local` False: everything over HTTP, to measure and test it.

    `maps`: most shards mapped at once; `pulls`: requests at once of one `fetch`.
    """

    def __init__(self, url: str = "", *, local: bool = True, maps: int = 64, pulls: int = 4) -> None:
        self.url, self.local, self._most = url, local, maps
        self.mapped_bytes = self.pulled_bytes = 0
        self._maps: OrderedDict[str, Mapped] = OrderedDict()
        self._lock, self._own = threading.Lock(), threading.local()
        self._pool = ThreadPoolExecutor(pulls, thread_name_prefix="glyphmill-pull")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._maps.clear()

    def fetch(self, located: Located) -> dict[str, torch.Tensor]:
        """A tensor for each spot: a view of a mapped file, or of the buffer it was received in. Every checksum is
        verified. Raises LostError for a shard that cannot be read at some place; the others are not told of then.
        """
        by_shard: dict[str, list[tuple[str, Spot]]] = {}
        for key, spot in located.spots.items():
            by_shard.setdefault(spot.shard, []).append((key, spot))
        far, found = [], {}
        for name, spots in by_shard.items():
            mapped = self._map(name, located.shards[name])
            if mapped is None:
                far.append((name, spots))
            else:
                found.update(self._from_map(name, mapped, spots, located.shards[name]))
        pulls = [self._pool.submit(self._pull, name, spots, located.shards[name]) for name, spots in far]
        for pull in pulls:
            found.update(pull.result())
        return found

    def _map(self, name: str, shard: ShardAt) -> tuple[Mapped, Place] | None:
        if not self.local:
            return None
        for place in shard.places:
            with self._lock:
                if name in self._maps:
                    self._maps.move_to_end(name)
                    return self._maps[name], place
            try:
                mapped = Mapped(Path(place.folder) / name)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # the folder of another machine
            except (OSError, ValueError) as error:
                raise LostError(name, place, str(error)) from error
            with self._lock:
                self._maps[name] = mapped
                while len(self._maps) > self._most:
                    self._maps.popitem(last=False)
            return mapped, place
        return None

    def _from_map(
        self, name: str, mapped: tuple[Mapped, Place], spots: Sequence[tuple[str, Spot]], shard: ShardAt
    ) -> dict[str, torch.Tensor]:
        try:
            found = {key: mapped[0].tensor(s.offset, s.shape, shard.dtype, s.check) for key, s in spots}
        except (DamagedError, ValueError) as error:
            with self._lock:
                self._maps.pop(name, None)
            raise LostError(name, mapped[1], str(error)) from error
        self.mapped_bytes += sum(t.nbytes for t in found.values())
        return found

    def _pull(self, name: str, spots: Sequence[tuple[str, Spot]], shard: ShardAt) -> dict[str, torch.Tensor]:
        """From the first place that answers."""
        why, last = "nobody serves it", shard.places[0] if shard.places else Place("", "")
        for place in shard.places:
            url = place.url or self.url
            if not url:
                continue
            try:
                return self._ranges(url, name, spots, shard)
            except (UnreachableError, DamagedError) as error:
                why, last = str(error), place
        raise LostError(name, last, why)

    def _ranges(
        self, url: str, name: str, spots: Sequence[tuple[str, Spot]], shard: ShardAt
    ) -> dict[str, torch.Tensor]:
        found = {}
        for run in _runs(spots, TORCH[shard.dtype].itemsize):
            first, last = run[0][1].offset, _end(run[-1][1], TORCH[shard.dtype].itemsize)
            data = self._get(url, name, first, last)
            for key, spot in run:
                found[key] = view(data, spot.offset - first, spot.shape, shard.dtype, spot.check)
            with self._lock:
                self.pulled_bytes += len(data)
        return found

    def _get(self, url: str, name: str, first: int, last: int) -> bytearray:
        """Bytes first..last-1 of a shard, received where they stay. Raises UnreachableError."""
        data = bytearray(last - first)
        if not data:
            return data
        for attempt in (0, 1):  # a connection that was kept open may have been closed at the other end
            connection = self._connection(url)
            try:
                connection.request("GET", f"/shard/{name}", headers={"Range": f"bytes={first}-{last - 1}"})
                response = connection.getresponse()
                if response.status != 206:
                    response.read()
                    raise UnreachableError(f"{url} answers {response.status}")
                _receive(response, data)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._own.connections.pop(url, None)
                if attempt:
                    raise UnreachableError(f"{urlsplit(url).netloc}: {error or type(error).__name__}") from error
            else:
                break
        return data

    def _connection(self, url: str) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connections"):
            self._own.connections = {}
        connections: dict[str, http.client.HTTPConnection] = self._own.connections
        if url not in connections:
            connections[url] = connect(url)
        return connections[url]


def _receive(response: http.client.HTTPResponse, into: bytearray) -> None:
    """Fill a buffer from a response, with nothing in between. Raises http.client.IncompleteRead."""
    at = 0
    with memoryview(into) as whole:
        while at < len(into):
            got = response.readinto(whole[at:])
            if not got:
                raise http.client.IncompleteRead(b"", len(into) - at)
            at += got


def _end(spot: Spot, itemsize: int) -> int:
    count = itemsize
    for side in spot.shape:
        count *= side
    return spot.offset + count


def _runs(spots: Sequence[tuple[str, Spot]], itemsize: int) -> list[list[tuple[str, Spot]]]:
    """Entries that lie close together are asked for at once."""
    runs: list[list[tuple[str, Spot]]] = []
    for pair in sorted(spots, key=lambda pair: pair[1].offset):
        if runs and pair[1].offset - _end(runs[-1][-1][1], itemsize) <= _GAP:
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return runs
