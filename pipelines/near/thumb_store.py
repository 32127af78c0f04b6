"""Thumbnails gathered from the lake's files into scratch files, and the measuring of pairs of them.

Thumbnails are 7 kB an image and lie in files sorted by id, so only those asked for are read: of each file, the row
groups that hold one. They travel as places in scratch files, never as rows.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.engines import Engine, beat
from pipelines.extractors.hashes import EXTRACTOR
from pipelines.near.blocks import Block, Writer, Written, copy_out, finished, read, rows_of
from pipelines.progress import Progress
from pipelines.thumbs import COARSE, LOUD, STEP, tile_distance, unpack
from warehouse import storage
from warehouse.errors import LakeError
from warehouse.files import told
from warehouse.lake import quoted
from warehouse.places import place

#: Pairs are stored up to this tile distance: above every limit that a recipe might set, below other pages of a layout.
LOOSE_TILE_DISTANCE = 10.0
#: A pair whose 64x64 lumas differ by more than this somewhere is beyond the loose limit, whatever the detail says: a
#: tile's mean is rounded there, and its detail may turn it by half a step.
TOO_FAR = LOOSE_TILE_DISTANCE * LOUD + 1 + STEP
PAIRS_AT_ONCE = 64
THUMBS_AT_ONCE = 1 << 13  # of one unit of gathering
ROWS_AT_ONCE = 512  # of a row group

#: Where a thumbnail is: `size` bytes at `place` of the scratch file `store`; `look` is equal for equal thumbnails.
PLACES = pa.schema(
    [
        ("image_id", pa.string()),
        ("store", pa.string()),
        ("place", pa.int64()),
        ("size", pa.int64()),
        ("look", pa.binary()),
    ]
)
#: Pairs to be measured, and those measured.
ASKED = ("a", "b", "distance", "a_store", "a_place", "a_size", "b_store", "b_place", "b_size")
MEASURED = pa.schema(
    [("a", pa.string()), ("b", pa.string()), ("distance", pa.int16()), ("tile_distance", pa.float32())]
)


@dataclass(frozen=True)
class Gathering:
    """The images of a block of (filename, row, image_id), all of one of the lake's files."""

    wanted: Block
    folder: str


@dataclass(frozen=True)
class Measuring:
    """A block of pairs with the places of their thumbnails."""

    pairs: Block
    folder: str


def gather(con: duckdb.DuckDBPyConnection, engine: Engine, wanted: str, folder: Path, progress: Progress) -> str:
    """Bring the thumbnails of the images in the table `wanted` (image_id) to scratch files; SQL of their PLACES.

    Raises LakeError for an image that has a hash and no thumbnails, EngineError where a unit keeps failing.
    """
    path = folder / f"wanted-{secrets.token_hex(4)}.parquet"
    asked = copy_out(
        con,
        f"SELECT filename, file_row_number AS row, image_id FROM lake.{EXTRACTOR.table.name} "
        f"SEMI JOIN {wanted} USING (image_id) ORDER BY filename, row",
        path,
    )
    counts = con.execute(
        f"SELECT count(*) FROM read_parquet({quoted(path)}) GROUP BY filename ORDER BY filename"
    ).fetchall()
    units, start = [], 0
    for (count,) in counts:
        for at in range(start, start + count, THUMBS_AT_ONCE):
            block = Block(str(path), at, min(at + THUMBS_AT_ONCE, start + count))
            units.append(Gathering(block, str(folder)))
        start += count
    parts = list(finished(engine, gather_some, units, progress, "gathering thumbnails"))
    assert sum(part.rows for part in parts) == asked
    return rows_of(parts, PLACES)


def gather_some(unit: Gathering) -> Written:
    """Copy thumbnails out of one of the lake's files; module-level, for workers."""
    wanted = read(unit.wanted)
    ids = wanted["image_id"].to_pylist()
    rows = wanted["row"].to_numpy()
    source = place(wanted["filename"][0].as_py())
    store = Path(unit.folder) / f"thumbs-{secrets.token_hex(8)}"

    def copied(file: BinaryIO) -> list[dict[str, object]]:
        places: list[dict[str, object]] = []
        with open(store, "wb") as out:  # from the start, where an object store failed on the way
            for number, coarse, detail in _thumbs(file, rows):
                if coarse is None or len(coarse) != COARSE * COARSE or detail is None:
                    raise LakeError(f"image {ids[number]} has a hash and no thumbnails: scan its source again")
                thumb = coarse + detail
                look = hashlib.md5(thumb, usedforsecurity=False).digest()
                where = {"store": str(store), "place": out.tell(), "size": len(thumb)}
                places.append({"image_id": ids[number], **where, "look": look})
                out.write(thumb)
        return places

    index = Writer(unit.folder, PLACES)
    with told("gathering thumbnails", Path(unit.folder)):
        index.write(pa.Table.from_pylist(storage.using(source, copied), schema=PLACES))
    return index.written()


def _thumbs(opened: BinaryIO, rows: NDArray[np.int64]) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """Number in `rows`, luma and detail of each of those rows of a file; they ascend.

    Row groups without any are not read, and the others a little at a time: a whole one is 32 MB.
    """
    file = pq.ParquetFile(opened)
    first = 0
    for group in range(file.num_row_groups):
        stop = first + file.metadata.row_group(group).num_rows
        if np.searchsorted(rows, first) < np.searchsorted(rows, stop):
            at = first
            for batch in file.iter_batches(ROWS_AT_ONCE, [group], ["thumb64", "detail"], use_threads=False):
                low, high = np.searchsorted(rows, [at, at + batch.num_rows])
                here = batch.take(pa.array(rows[low:high] - at))
                yield from zip(range(low, high), *(column.to_pylist() for column in here.columns), strict=True)
                at += batch.num_rows
        first = stop
        beat()


def measure_some(unit: Measuring) -> Written:
    """A part of MEASURED: the pairs of a block whose tile distance is small; module-level, for workers."""
    pairs = read(unit.pairs, ASKED)
    store, slots = ThumbStore.read(pairs)
    a, b = np.split(slots, 2)
    out = Writer(unit.folder, MEASURED)
    for start in range(0, len(a), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        tile = measure(store, a[part], b[part])
        rows = pairs.slice(start, len(tile)).select(["a", "b", "distance"])
        out.write(
            rows.append_column("tile_distance", pa.array(tile))
            .filter(pa.array(tile <= LOOSE_TILE_DISTANCE))
            .cast(MEASURED)
        )
        beat()
    return out.written()


@dataclass(frozen=True)
class ThumbStore:
    """Thumbnails in memory, by slot: 4096 bytes of luma, then the detail."""

    thumbs: Sequence[bytes]

    @classmethod
    def read(cls, pairs: pa.Table) -> tuple[ThumbStore, NDArray[np.int64]]:
        """The thumbnails of a table of ASKED, each once, and the slots of all `a`, then of all `b`."""
        places = [
            place
            for side in "ab"
            for place in zip(*(pairs[f"{side}_{name}"].to_pylist() for name in ("store", "place", "size")), strict=True)
        ]
        used = sorted(set(places))
        slot = {place: number for number, place in enumerate(used)}
        thumbs: list[bytes] = []
        opened, descriptor = "", -1
        try:
            for store, at, size in used:
                if store != opened:
                    if descriptor >= 0:
                        os.close(descriptor)
                    opened, descriptor = store, os.open(store, os.O_RDONLY)
                thumbs.append(os.pread(descriptor, size, at))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return cls(thumbs), np.array([slot[place] for place in places], np.int64)

    def coarse(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, 64, 64) lumas."""
        raw = b"".join(self.thumbs[slot][: COARSE * COARSE] for slot in slots.tolist())
        return np.frombuffer(raw, np.uint8).reshape(len(slots), COARSE, COARSE)

    def details(self, slots: NDArray[np.int64]) -> list[bytes]:
        return [self.thumbs[slot][COARSE * COARSE :] for slot in slots.tolist()]


def measure(store: ThumbStore, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float32]:
    """Tile distances of pairs of slots, some hundreds; infinity where it is surely above LOOSE_TILE_DISTANCE."""
    distances = np.full(len(a), np.inf, np.float32)
    slots, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    x, y = np.split(places, 2)
    coarse = store.coarse(slots)
    apart = np.abs(coarse[x].astype(np.int16) - coarse[y]).max(axis=(1, 2))
    close = np.flatnonzero(apart <= TOO_FAR)
    if len(close):
        used, places = np.unique(np.concatenate([x[close], y[close]]), return_inverse=True)
        x, y = np.split(places, 2)
        lumas = unpack(coarse[used], store.details(slots[used]))
        distances[close] = tile_distance(lumas[x], lumas[y])
    return distances
