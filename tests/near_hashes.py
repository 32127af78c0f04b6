"""Hashes in scratch files, and the near pairs that an engine finds among them, by block or by shuffle."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.engines import Engine, R, Result, U
from pipelines.engines.local import LocalEngine
from pipelines.near.banding import RADIUS, Hashes
from pipelines.near.blocks import PAIRS, as_binary, rows_of
from pipelines.near.search import Sizes, search
from pipelines.progress import silent

Found = dict[frozenset[str], int]

#: Everything is worth a worker, and nothing is worth a shuffle; or everything is.
BY_BLOCK = Sizes(here=0, block=37, sent=11, crowd=1000, measured=3, shuffle_above=1 << 40)
BY_SHUFFLE = Sizes(here=0, block=37, sent=11, crowd=1000, measured=3, shuffle_above=0)
SPLIT = Sizes(here=0, block=37, sent=11, crowd=4, measured=3, shuffle_above=0)


def clusters(seed: int, centres: int, members: int, spread: int) -> Hashes:
    """Hashes around some centres, up to `spread` bits from them: (centres * members, 32)."""
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(rng.integers(0, 256, (centres, 32), dtype=np.uint8), axis=1).repeat(members, axis=0)
    for row in bits:
        row[rng.choice(256, int(rng.integers(0, spread + 1)), replace=False)] ^= 1
    return np.packbits(bits, axis=1)


def ids_of(count: int) -> NDArray[np.uint8]:
    """(count, 16) ids, the same on every run."""
    return np.random.default_rng(99).integers(0, 256, (count, 16), dtype=np.uint8)


def brute(hashes: Hashes, fresh: int) -> Found:
    """Every pair within the radius with one of the first `fresh` rows, by comparing all."""
    names = [bytes(row).hex() for row in ids_of(len(hashes))]
    bits = np.unpackbits(hashes, axis=1).astype(np.int32)
    apart = bits @ (1 - bits).T
    apart = apart + apart.T
    a, b = np.nonzero(np.triu(apart <= RADIUS, 1))
    kept = a < fresh
    return {
        frozenset((names[i], names[j])): int(apart[i, j])
        for i, j in zip(a[kept].tolist(), b[kept].tolist(), strict=True)
    }


def searched(engine: Engine, hashes: Hashes, fresh: int, sizes: Sizes, folder: Path) -> tuple[Found, int]:
    """What the engine finds of the same, and the candidates that it compared. No pair may be found twice."""
    work = folder / secrets.token_hex(4)
    work.mkdir()
    ids = ids_of(len(hashes))
    files = []
    for name, part in (("fresh", slice(0, fresh)), ("old", slice(fresh, None))):
        path = work / f"{name}.parquet"
        table = pa.table({"id": as_binary(ids[part]), "phash": as_binary(hashes[part])})
        pq.write_table(table, path, row_group_size=10)
        files.append((path, table.num_rows))
    parts = search(engine, files[0], files[1], work, sizes, silent)
    with duckdb.connect() as con:
        rows = con.execute(f"SELECT lower(hex(a)), lower(hex(b)), distance FROM {rows_of(parts, PAIRS)}").fetchall()
    found = {frozenset((a, b)): distance for a, b, distance in rows}
    assert len(found) == len(rows) == sum(part.rows for part in parts), "a pair was found twice"
    return found, sum(part.candidates for part in parts)


@dataclass(frozen=True)
class Shuffler:
    """An engine in this process that groups by hash of key into `buckets`, and tries everything `tries` times."""

    buckets: int = 3
    tries: int = 1
    here: LocalEngine = field(default_factory=lambda: LocalEngine(workers=0))

    @property
    def name(self) -> str:
        return "shuffler"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        for unit in units:
            for _ in range(self.tries - 1):
                work(unit)
            yield Result(unit, value=work(unit))

    def group(
        self,
        rows: Callable[[U], pa.Table],
        units: Iterable[U],
        *,
        key: str,
        reduce: Callable[[pa.Table], R],
        setup: Callable[[], None] | None = None,
    ) -> Iterator[R]:
        sent = pa.concat_tables([rows(unit) for unit in units for _ in range(self.tries)][:: self.tries])
        bucket = sent[key].to_numpy() % 1_000_003 % self.buckets
        for number in range(self.buckets):
            mine = sent.filter(pc.equal(pa.array(bucket), number))
            mine = mine.sort_by([(name, "ascending") for name in (key, *(c for c in mine.column_names if c != key))])
            for _ in range(self.tries - 1):
                reduce(mine)
            yield reduce(mine)
