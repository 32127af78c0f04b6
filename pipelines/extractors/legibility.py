"""Signals that compare a synthetic picture with what was drawn: can its text be read?

Each drawn line is looked for in what OCR read, so that columns and captions beside each other may be read in any order.
Characters that this OCR cannot read are not asked for, but counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from annotate.ocr import blind as ocr_blind
from annotate.ocr.agreement import agreement, normalised
from annotate.ocr.alphabet import alphabet
from pipelines.extractors.base import Described, Extractor, Sample
from warehouse.schema import Column

TRUTH = "synth_text"
COLUMNS = (
    Column(
        "drawn_chars", pa.int32(), "letters, digits and characters that were drawn and OCR was asked for; 0 if real"
    ),
    Column("drawn_blind_chars", pa.int32(), "drawn characters that this OCR cannot read: not asked for, but counted"),
    Column(
        "legible_share", pa.float32(), "share of the drawn characters that OCR read, 0 to 1; NULL where none is asked"
    ),
)


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    return [row(sample) for sample in batch]


def row(sample: Described) -> dict[str, object]:
    """The columns of one image. Raises ValueError where text was drawn and OCR failed on the picture."""
    truth = sample.rows.get(TRUTH)
    drawn = list(truth["lines"]) if truth is not None else []
    read = sample.rows.get("ocr")
    if drawn and read is None:
        raise ValueError("text was drawn, and OCR failed on the picture")
    lines = [str(line["text"]) for line in read["ocr_lines"]] if read is not None else []
    found = agreement(drawn, lines, unreadable(drawn))
    return {"drawn_chars": found.asked, "drawn_blind_chars": found.blind, "legible_share": found.share}


def unreadable(texts: Sequence[str]) -> frozenset[str]:
    """The characters of some texts that the configured OCR is blind to, or cannot write at all."""
    if not texts:
        return frozenset()
    known = alphabet()
    foreign = {c for text in texts for c in text if known is not None and not _written(c, known)}
    return ocr_blind.blind_characters() | foreign


def _written(character: str, known: frozenset[str]) -> bool:
    """Whether all that counts of a character when texts are compared can be written."""
    return character in known or all(c in known or c.upper() in known for c in normalised(character))


EXTRACTOR = Extractor(
    "legibility",
    "1",
    "one row per image: whether OCR read what was drawn",
    COLUMNS,
    measure,
    needs="captions",
    after=("ocr",),
    reads=(TRUTH,),
    missing=ocr_blind.missing,
    weights=ocr_blind.stamp,
)
