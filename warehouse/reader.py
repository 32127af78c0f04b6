"""Reads selected images from the pool: one `pread` an image, its name and its bytes together, checksum verified."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import xxhash

from warehouse import storage
from warehouse.errors import LakeError
from warehouse.forgotten_list import TOMBSTONE, listing, read_listing
from warehouse.selection import Selection

BLOCK = 512
ID_DIGITS = 32
FAR_AT_ONCE = 64  # images asked of an object store at once
LISTED_S = 10.0  # how old its list of forgotten images may be
_TOMBSTONE = TOMBSTONE.encode() + b"\0"
_log = logging.getLogger("glyphmill")


class Sample(NamedTuple):
    """One image as stored: `data` are the original bytes, undecoded; `record` is its place in the selection."""

    image_id: str
    data: bytes
    caption: str | None
    bucket: str
    record: int


class Places(NamedTuple):
    """Where some records lie, as plain lists: the loop over samples touches no numpy."""

    records: list[int]
    shard: list[int]
    start: list[int]
    length: list[int]
    check: list[int]

    def cut(self, start: int, stop: int) -> Places:
        return Places(*(column[start:stop] for column in self))


class Reader:
    """Opens shards as they are needed, at most `max_open` at once; pickles without its open files."""

    def __init__(self, selection: Selection, pool: PurePath, max_open: int = 256) -> None:
        self.selection, self.pool, self.max_open = selection, pool, max_open
        self.forgotten = 0
        self._listing = listing(pool)
        self._gone: tuple[tuple[int, int, int] | None, frozenset[bytes]] = (None, frozenset())
        self._open: dict[int, int] = {}
        self._warm = False
        self._asked: float | None = None  # when an object store was asked for the list of forgotten images

    def __reduce__(self) -> tuple[type[Reader], tuple[Selection, PurePath, int]]:
        return Reader, (self.selection, self.pool, self.max_open)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; the next read opens them again."""
        while self._open:
            os.close(self._open.popitem()[1])

    def places(self, records: npt.NDArray[np.int64]) -> Places:
        rows = self.selection.records[records]
        return Places(
            records.tolist(),
            rows["shard"].tolist(),
            (rows["block"].astype(np.int64) * BLOCK).tolist(),
            (rows["size"].astype(np.int64) + BLOCK).tolist(),
            rows["check"].tolist(),
        )

    def read(self, places: Places, captions: Sequence[str | None], bucket: str) -> Iterator[Sample]:
        """The images at these places, in order, each read when it is asked for.

        One that was forgotten is passed over, told in the log and counted in `forgotten`. Raises LakeError where a
        shard is missing or bytes do not verify.
        """
        gone = self._listed()
        if not isinstance(self.pool, Path):
            yield from self._read_far(places, captions, bucket, gone)
            return
        if not self._warm:
            # Freeing one large block raises glibc's trim threshold, as any program with large arrays does by itself.
            # Without it the heap is given back and faulted in again at every batch: half the speed.
            bytearray(31 << 20)
            self._warm = True
        pread, digest, opened, new = os.pread, xxhash.xxh3_64_intdigest, self._open, tuple.__new__
        for record, shard, start, length, check, caption in zip(*places, captions, strict=True):
            descriptor = opened.get(shard)
            if descriptor is None:
                descriptor = self._opened(shard)
            member = pread(descriptor, length, start)
            if (gone and member[:ID_DIGITS] in gone) or member.startswith(_TOMBSTONE):
                self._pass_over(shard, start)
                continue
            data = member[BLOCK:]
            if digest(data) != check:
                if self._erased(descriptor, start, member):  # while it was being read
                    self._pass_over(shard, start)
                    continue
                self._damaged(shard, start, length, member)
            # tuple.__new__ is what Sample(...) ends in, without a Python function on the way
            yield new(Sample, (member[:ID_DIGITS].decode("latin1"), data, caption, bucket, record))

    def _read_far(
        self, places: Places, captions: Sequence[str | None], bucket: str, gone: frozenset[bytes]
    ) -> Iterator[Sample]:
        """The same from an object store: many images are asked for at once."""
        names = self.selection.header.shards
        for at in range(0, len(places.records), FAR_AT_ONCE):
            some = places.cut(at, at + FAR_AT_ONCE)
            spans = zip(some.shard, some.start, some.length, strict=True)
            ranges = [(self.pool / names[shard], start, length) for shard, start, length in spans]
            try:
                members = storage.read_ranges(ranges)
            except FileNotFoundError as error:
                raise LakeError(f"a shard is not in {self.pool}: restore it, or make the selection anew") from error
            told = zip(members, *some, captions[at : at + FAR_AT_ONCE], strict=True)
            for member, record, shard, start, length, check, caption in told:
                if (gone and member[:ID_DIGITS] in gone) or member.startswith(_TOMBSTONE):
                    self._pass_over(shard, start)
                    continue
                if xxhash.xxh3_64_intdigest(member[BLOCK:]) != check:
                    self._damaged(shard, start, length, member)
                yield Sample(member[:ID_DIGITS].decode("latin1"), member[BLOCK:], caption, bucket, record)

    def _listed(self) -> frozenset[bytes]:
        """Ids of forgotten images that the pool may still hold. The file is looked at for each batch, and read when it
        changed: what is forgotten is gone from the next batch on."""
        if not isinstance(self._listing, Path):
            return self._listed_far()
        try:
            found = self._listing.stat()
        except FileNotFoundError:
            self._gone = (None, frozenset())
            return self._gone[1]
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state != self._gone[0]:
            self._gone = (state, frozenset(image_id.encode() for image_id in read_listing(self.pool)))
        return self._gone[1]

    def _listed_far(self) -> frozenset[bytes]:
        """The same from an object store, which is asked again after LISTED_S seconds."""
        now = time.monotonic()
        if self._asked is None or now - self._asked > LISTED_S:
            self._asked = now
            self._gone = (None, frozenset(image_id.encode() for image_id in read_listing(self.pool)))
        return self._gone[1]

    def _erased(self, descriptor: int, start: int, member: bytes) -> bool:
        """Whether bytes that do not verify are those of an image that is being erased."""
        return member[:ID_DIGITS] in self._listed() or os.pread(descriptor, BLOCK, start).startswith(_TOMBSTONE)

    def _pass_over(self, shard: int, start: int) -> None:
        self.forgotten += 1
        name = self.selection.header.shards[shard]
        _log.warning("the image in shard %s at byte %d was forgotten: its place in the epoch stays empty", name, start)

    def _opened(self, shard: int) -> int:
        # Reads are spread evenly over shards, so the one opened first is as good to close as the one read last.
        while len(self._open) >= self.max_open:
            os.close(self._open.pop(next(iter(self._open))))
        name = self.selection.header.shards[shard]
        try:
            descriptor = os.open(self.pool / name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError as error:
            raise LakeError(f"shard {name} is not in {self.pool}: restore it, or make the selection anew") from error
        self._open[shard] = descriptor
        return descriptor

    def _damaged(self, shard: int, start: int, length: int, member: bytes) -> NoReturn:
        name = self.selection.header.shards[shard]
        image = member[:ID_DIGITS].decode("latin1")
        if len(member) < length:
            found = f"is cut off ({len(member)} of {length} bytes)"
        else:
            found = "does not match its checksum"
        raise LakeError(f"image {image} in shard {name} at byte {start} {found}: run `glyphmill verify` on the lake")
