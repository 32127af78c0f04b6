"""What near pairs are found by: a perceptual hash that nominates, thumbnails that confirm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from PIL import Image

from pipelines import thumbs
from pipelines.extractors.base import Extractor, Sample
from pipelines.phash import VERSION, phashes
from warehouse.schema import Column

COLUMNS = (
    Column("phash", pa.binary(), "perceptual hash of luma, 32 bytes, compared by Hamming distance"),
    Column("thumb64", pa.binary(), "64x64 luma 0-255 of the whole upright picture, row by row, 4096 bytes"),
    Column("detail", pa.binary(), "what 128x128 luma has beyond thumb64, in steps of 8 levels, deflated: some 3 kB"),
)


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    coarse, details = thumbs.pack_all(np.stack([luma128(sample) for sample in batch]))
    return [
        {"phash": code.tobytes(), "thumb64": luma.tobytes(), "detail": detail}
        for code, luma, detail in zip(phashes(coarse), coarse, details, strict=True)
    ]


def luma128(sample: Sample) -> thumbs.Luma:
    """(128, 128) luma 0-255 of the whole upright picture, antialiased, aspect given up."""
    gray = sample.pixels.gray
    # Bilinear weighs a pixel by its place; Pillow's box takes it or leaves it, which moves edges by half a pixel.
    small = (thumbs.SIDE, thumbs.SIDE)
    return np.asarray(gray.resize(small, Image.Resampling.BILINEAR, box=thumbs.whole(gray.size, sample.header)))


EXTRACTOR = Extractor(
    "hashes", f"2 {VERSION} {thumbs.VERSION}", "one row per image: its perceptual hash and thumbnails", COLUMNS, measure
)
