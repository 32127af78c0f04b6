"""Signals from the text in a picture: what it says, how much room it takes, how small it is, which script it is in.

Heights are given at the scale of 256: as the picture is shrunk to an area of 256 x 256 pixels, and never enlarged. A
character that is illegible there may be legible at 640 or 1328: docs/ocr.md says how a rule asks for those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import pyarrow as pa

from annotate.ocr import reader as ocr
from annotate.ocr.layout import covered
from annotate.ocr.reading import Line, is_read
from annotate.ocr.script import shares
from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import Column

F32 = pa.float32()
LINE = pa.struct(
    [
        ("text", pa.string()),
        ("quad", pa.list_(F32)),
        ("confidence", F32),
        ("script", pa.string()),
        ("char_px", F32),
        ("read", pa.bool_()),
    ]
)
COLUMNS = (
    Column(
        "ocr_lines",
        pa.list_(LINE),
        "what looks like a line, in reading order: text; quad, 4 corners x, y in pixels; confidence 0 to 1; script; "
        "char_px, height of its characters in pixels; read, that it is text and no texture",
    ),
    Column("ocr_text", pa.string(), "the lines that are read, one under the other; empty where there are none"),
    Column("text_lines", pa.int32(), "lines that are read: sure enough for their length and size"),
    Column("text_chars", pa.int32(), "characters of those lines, spaces not counted"),
    Column("text_area_share", F32, "share of the area that those lines cover, 0 to 1"),
    Column(
        "smallest_char_px",
        F32,
        "character height of the smallest of those lines, pixels at the scale of 256; NULL without",
    ),
    Column("smallest_char_px_full", F32, "the same in pixels of the picture itself; NULL without"),
    Column("median_char_px", F32, "height that half of those lines' characters do not reach, as smallest_char_px"),
    Column("text_script", pa.string(), "dominant script of those lines: english | chinese | other | none (no line)"),
    Column("english_share", F32, "share of Latin letters in the width of all letters, 0 to 1; 0 without letters"),
    Column("chinese_share", F32, "share of Chinese characters in the width of all letters, 0 to 1; 0 without"),
    Column("ocr_confidence", F32, "mean confidence over the characters of those lines, 0 to 1; NULL without"),
    Column(
        "unread_lines",
        pa.int32(),
        "what looks like a line and is not read: text too poor to read, pseudo-text, texture",
    ),
    Column("unread_area_share", F32, "share of the area that these cover, 0 to 1"),
)

SCALE = 256  # side of the square whose area the picture is shrunk to


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    reader = ocr.reader()
    return [row(reader.read(sample.full), sample.full.size) for sample in batch]


def row(lines: Sequence[Line], size: tuple[int, int]) -> dict[str, object]:
    """The columns from the lines of a picture of (width, height) pixels."""
    area = size[0] * size[1]
    told = [is_read(line, area) for line in lines]
    read = [line for line, good in zip(lines, told, strict=True) if good]
    unread = [line for line, good in zip(lines, told, strict=True) if not good]
    texts = [line.text for line in read]
    counts = [sum(not c.isspace() for c in text) for text in texts]
    total = sum(counts)
    script = shares(texts)
    shrink = min(1.0, SCALE / math.sqrt(area))
    heights = [line.char_px * shrink for line in read]
    return {
        "ocr_lines": [
            {
                "text": line.text,
                "quad": list(line.quad),
                "confidence": line.confidence,
                "script": line.script,
                "char_px": line.char_px,
                "read": good,
            }
            for line, good in zip(lines, told, strict=True)
        ],
        "ocr_text": "\n".join(texts),
        "text_lines": len(read),
        "text_chars": total,
        "text_area_share": share(read, area),
        "smallest_char_px": round(min(heights), 4) if heights else None,
        "smallest_char_px_full": min(line.char_px for line in read) if read else None,
        "median_char_px": round(weighted_median(heights, counts), 4) if heights else None,
        "text_script": script.dominant if read else "none",
        "english_share": script.english,
        "chinese_share": script.chinese,
        "ocr_confidence": (
            round(sum(line.confidence * n for line, n in zip(read, counts, strict=True)) / total, 4) if total else None
        ),
        "unread_lines": len(unread),
        "unread_area_share": share(unread, area),
    }


def share(lines: Sequence[Line], area: int) -> float:
    """Share of the picture that the lines cover, overlaps counted once."""
    return round(min(1.0, covered([line.corners for line in lines]) / area), 4) if lines else 0.0


def weighted_median(values: Sequence[float], weights: Sequence[int]) -> float:
    """The value that half of the weight does not exceed; the plain median where nothing has weight."""
    half, below = sum(weights) / 2, 0.0
    if not half:
        return median(values)
    for value, weight in sorted(zip(values, weights, strict=True)):
        below += weight
        if below >= half:
            return value
    return max(values)


EXTRACTOR = Extractor(
    "ocr",
    "1",
    "one row per image: the text in it, and how it stands there",
    COLUMNS,
    measure,
    needs="image",
    missing=ocr.missing,
    weights=ocr.fingerprint,
    batch=1,
)
