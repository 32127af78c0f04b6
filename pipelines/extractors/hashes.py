"""What near pairs are found by: a perceptual hash that nominates, a 64x64 luma thumbnail that confirms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.extractors.base import Extractor, Sample
from pipelines.phash import VERSION, phashes
from warehouse.schema import Column

COLUMNS = (
    Column("phash", pa.binary(), "perceptual hash of luma, 32 bytes, compared by Hamming distance"),
    Column("thumb64", pa.binary(), "64x64 luma 0-255 of the whole upright picture, row by row, 4096 bytes"),
)


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    lumas = np.stack([sample.pixels.luma64 for sample in batch])
    return [
        {"phash": code.tobytes(), "thumb64": luma.tobytes()} for code, luma in zip(phashes(lumas), lumas, strict=True)
    ]


EXTRACTOR = Extractor(
    "hashes", f"1 {VERSION}", "one row per image: its perceptual hash and luma thumbnail", COLUMNS, measure
)
