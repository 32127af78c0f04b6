"""Thumbnails of the nominated images in a scratch file, and the measuring of pairs of them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.extractors.hashes import EXTRACTOR
from pipelines.thumbs import COARSE, LOUD, STEP, tile_distance, unpack
from warehouse.files import told

#: Pairs are stored up to this tile distance: above every limit that a recipe might set, below other pages of a layout.
LOOSE_TILE_DISTANCE = 10.0
#: A pair whose 64x64 lumas differ by more than this somewhere is beyond the loose limit, whatever the detail says: a
#: tile's mean is rounded there, and its detail may turn it by half a step.
TOO_FAR = LOOSE_TILE_DISTANCE * LOUD + 1 + STEP
PAIRS_AT_ONCE = 256


@dataclass(frozen=True)
class ThumbStore:
    """Thumbnails by slot, 0 and up. On disk, so that memory does not grow with their number."""

    data: mmap.mmap
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def fill(cls, con: duckdb.DuckDBPyConnection, folder: Path, ids: pa.Array) -> ThumbStore:
        """The thumbnails of `ids`, each in the slot of its place, read from the lake in one go. Raises LakeError."""
        con.register("wanted", pa.table({"image_id": ids, "slot": np.arange(len(ids))}))
        offsets = np.zeros(len(ids), np.int64)
        lengths = np.zeros(len(ids), np.int64)
        path = folder / "thumbs"
        with told("gathering thumbnails"), open(path, "wb+") as file:
            rows = con.execute(
                f"SELECT slot, thumb64, detail FROM lake.{EXTRACTOR.table.name} JOIN wanted USING (image_id)"
            ).to_arrow_reader(4096)
            for batch in rows:
                for slot, coarse, detail in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    offsets[slot], lengths[slot] = file.tell(), len(detail)
                    file.write(coarse + detail)
            file.flush()
            con.unregister("wanted")
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), offsets, lengths)

    def coarse(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, 64, 64) lumas."""
        raw = b"".join(self.data[at : at + COARSE * COARSE] for at in self.offsets[slots].tolist())
        return np.frombuffer(raw, np.uint8).reshape(len(slots), COARSE, COARSE)

    def details(self, slots: NDArray[np.int64]) -> list[bytes]:
        starts = (self.offsets[slots] + COARSE * COARSE).tolist()
        return [self.data[at : at + n] for at, n in zip(starts, self.lengths[slots].tolist(), strict=True)]


def measure(store: ThumbStore, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float32]:
    """Tile distances of pairs of slots; infinity where it is surely above LOOSE_TILE_DISTANCE."""
    distances = np.full(len(a), np.inf, np.float32)
    for start in range(0, len(a), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        slots, places = np.unique(np.concatenate([a[part], b[part]]), return_inverse=True)
        x, y = np.split(places, 2)
        coarse = store.coarse(slots)
        apart = np.abs(coarse[x].astype(np.int16) - coarse[y]).max(axis=(1, 2))
        close = np.flatnonzero(apart <= TOO_FAR)
        if len(close):
            used, places = np.unique(np.concatenate([x[close], y[close]]), return_inverse=True)
            x, y = np.split(places, 2)
            lumas = unpack(coarse[used], store.details(slots[used]))
            distances[start + close] = tile_distance(lumas[x], lumas[y])
    return distances
