"""Signals that compare a synthetic picture with what was drawn: can its text be read?

Each drawn line is looked for in what OCR read, so that columns and captions beside each other may be read in any order.
Characters that this OCR cannot read are not asked for, but counted. What was read and not drawn is looked at for
marks of ownership: a photograph brings them along, and a design's own repeated shapes are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from annotate.ocr import blind as ocr_blind
from annotate.ocr.agreement import agreement, normalised
from annotate.ocr.alphabet import alphabet
from pipelines.extractors.base import Described, Extractor, Sample
from pipelines.visual.watermark import says_owner, says_watermark
from warehouse.schema import Column

TRUTH = "synth_text"
SAME = 0.5  # share of a read line's characters that stand in the drawn text: from here on it is part of it
COLUMNS = (
    Column(
        "drawn_chars", pa.int32(), "letters, digits and characters that were drawn and OCR was asked for; 0 if real"
    ),
    Column("drawn_blind_chars", pa.int32(), "drawn characters that this OCR cannot read: not asked for, but counted"),
    Column(
        "legible_share", pa.float32(), "share of the drawn characters that OCR read, 0 to 1; NULL where none is asked"
    ),
    Column(
        "undrawn_chars", pa.int32(), "characters of lines that were read and not drawn: signs in the photograph, say"
    ),
    Column("undrawn_mark", pa.bool_(), "such a line says what only a watermark or an owner's mark says"),
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
    undrawn = strangers(read["ocr_lines"], drawn) if read is not None and truth is not None else []
    return {
        "drawn_chars": found.asked,
        "drawn_blind_chars": found.blind,
        "legible_share": found.share,
        "undrawn_chars": sum(len(normalised(line)) for line in undrawn),
        "undrawn_mark": any(says_watermark(line) or says_owner(line) for line in undrawn),
    }


def strangers(read: Sequence[Mapping[str, Any]], drawn: Sequence[str]) -> list[str]:
    """Texts of lines that are read for sure and that are no part of what was drawn."""
    lines = [str(line["text"]) for line in read if line["read"]]
    shares = [agreement([line], drawn).share for line in lines]
    return [line for line, share in zip(lines, shares, strict=True) if share is not None and share < SAME]


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
