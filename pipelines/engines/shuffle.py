"""What every engine's `group` does with rows: cut into buckets by their key on the way out, put together for `reduce`.

Rows travel as Arrow IPC streams, compressed, one for each unit and bucket; which keys share a bucket a hash decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Generic

import numpy as np
import pyarrow as pa
import xxhash

from pipelines.engines import R, Result, U
from warehouse.errors import EngineError

BUCKETS = 256
PORTION_BYTES = (1 << 20, 32 << 20)  # least and most of compressed rows for one call of `reduce`


@dataclass(frozen=True)
class Split(Generic[U]):
    """Work: a unit's rows as (bucket, IPC stream), buckets ascending, none of them empty."""

    rows: Callable[[U], pa.Table]
    key: str
    buckets: int

    def __call__(self, unit: U) -> list[tuple[int, bytes]]:
        table = self.rows(unit)
        of = bucket_of(table.column(self.key), self.buckets)
        order = np.argsort(of, kind="stable")
        table, of = table.take(pa.array(order)).combine_chunks(), of[order]
        edges = [*np.flatnonzero(np.diff(of, prepend=-1)).tolist(), len(of)]
        return [(int(of[start]), _packed(table.slice(start, stop - start))) for start, stop in pairwise(edges)]


@dataclass(frozen=True)
class Join(Generic[R]):
    """Work: `reduce` over the rows of some IPC streams, whole keys together."""

    reduce: Callable[[pa.Table], R]
    key: str

    def __call__(self, streams: Iterable[bytes]) -> R:
        table = pa.concat_tables(pa.ipc.open_stream(stream).read_all() for stream in streams)
        columns = [self.key, *(name for name in table.column_names if name != self.key)]
        return self.reduce(table.sort_by([(name, "ascending") for name in columns]).combine_chunks())


def bucket_of(keys: pa.ChunkedArray, buckets: int) -> np.ndarray:
    """The bucket of each key, int64 of shape [rows]: the same in every process and on every machine.

    Raises TypeError where the keys are neither int64 nor string, ValueError where one is NULL.
    """
    if keys.null_count:
        raise ValueError(f"{keys.null_count} of {len(keys)} keys are NULL")
    if pa.types.is_int64(keys.type):
        mixed = keys.to_numpy().astype(np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64's finaliser
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    elif pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type):
        found = keys.combine_chunks().dictionary_encode()
        words = found.dictionary.cast(pa.large_binary()).to_pylist()
        mixed = np.array([xxhash.xxh3_64_intdigest(word) for word in words], np.uint64)[found.indices.to_numpy()]
    else:
        raise TypeError(f"keys must be int64 or string, not {keys.type}")
    buckets_of: np.ndarray = (mixed % np.uint64(buckets)).astype(np.int64)
    return buckets_of


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def value_of(result: Result[U, R]) -> R:
    """A result's value. Raises EngineError where there is none."""
    if result.failure is not None:
        raise EngineError((result.error or result.failure).split("\n")[0])
    return result.value  # type: ignore[return-value]


@dataclass(frozen=True)
class Filed:
    """A unit's streams one behind the other in a file: bucket b from `edges[b]` up to `edges[b + 1]`."""

    path: str
    edges: np.ndarray


@dataclass(frozen=True)
class SplitToFile(Generic[U]):
    """Work: a numbered unit's rows into a file of `folder`."""

    rows: Callable[[U], pa.Table]
    key: str
    buckets: int
    folder: str

    def __call__(self, numbered: tuple[int, U]) -> Filed:
        number, unit = numbered
        path, sizes = Path(self.folder) / str(number), np.zeros(self.buckets + 1, np.int64)
        with path.open("wb") as file:
            for bucket, stream in Split(self.rows, self.key, self.buckets)(unit):
                sizes[bucket + 1] = file.write(stream)
        return Filed(str(path), sizes.cumsum())


Piece = tuple[str, int, int]  # file, start, stop


@dataclass(frozen=True)
class JoinFiles(Generic[R]):
    """Work: `reduce` over pieces of files, each one IPC stream."""

    reduce: Callable[[pa.Table], R]
    key: str

    def __call__(self, pieces: Sequence[Piece]) -> R:
        return Join(self.reduce, self.key)(_read(piece) for piece in pieces)


def _read(piece: Piece) -> bytes:
    path, start, stop = piece
    with Path(path).open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def portions(files: Sequence[Filed], workers: int) -> Iterator[list[Piece]]:
    """The pieces for each call of `reduce`: whole buckets, several where they are small."""
    if not files:
        return
    sizes = np.diff(sum(file.edges for file in files))
    least, most = PORTION_BYTES
    wanted = min(max(sizes.sum() / (4 * max(workers, 1)), least), most)
    pieces: list[Piece] = []
    held = 0
    for bucket, size in enumerate(sizes.tolist()):
        if pieces and held + size > wanted:
            yield pieces
            pieces, held = [], 0
        held += size
        spans = ((file.path, int(file.edges[bucket]), int(file.edges[bucket + 1])) for file in files)
        pieces += [span for span in spans if span[1] < span[2]]
    if pieces:
        yield pieces
