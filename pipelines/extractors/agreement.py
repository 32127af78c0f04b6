"""Signals that compare a caption with the picture's text: does what it quotes stand there?"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from annotate.captions.quotes import quoted
from annotate.captions.rules import VERSION
from annotate.ocr import blind as ocr_blind
from annotate.ocr.agreement import agreement
from pipelines.extractors.base import CaptionText, Described, Extractor, Sample
from warehouse.schema import Aggregate, Column

COLUMNS = (
    Column("quoted_chars", pa.int32(), "letters, digits and characters that the caption quotes and OCR was asked for"),
    Column("quoted_blind_chars", pa.int32(), "quoted characters that this OCR cannot read: not asked for, but counted"),
    Column("agreement", pa.float32(), "share of the quoted characters that OCR read, 0 to 1; NULL where none is asked"),
)
#: NULL where OCR failed on the picture: what a caption quotes there is not known to be right.
_KNOWN = "CASE WHEN NOT bool_or(t.status = 'error') THEN {} END"
AGGREGATES = (
    Aggregate("quotes_text", _KNOWN.format("bool_or(t.quoted_chars > 0)"), "some caption quotes text", none="false"),
    Aggregate(
        "quoted_text_agreement",
        _KNOWN.format("coalesce(min(t.agreement), 1)"),
        "agreement of the caption whose quotes agree least with OCR, 0 to 1; 1 where no caption quotes text",
        none="1",
    ),
    Aggregate(
        "best_quoted_text_agreement",
        _KNOWN.format("coalesce(max(t.agreement), 1)"),
        "agreement of the caption whose quotes agree best with OCR, 0 to 1; 1 where no caption quotes text",
        none="1",
    ),
)


def measure(batch: Sequence[Sample]) -> list[list[dict[str, object]]]:
    return [measure_image(sample) for sample in batch]


def measure_image(sample: Described) -> list[dict[str, object]]:
    """The rows of one image's captions. Raises ValueError where one quotes text and OCR failed on the picture."""
    read = sample.rows.get("ocr")
    if read is None and any(quoted(caption.text) for caption in sample.captions):
        raise ValueError("a caption quotes text, and OCR failed on the picture")
    lines = [str(line["text"]) for line in read["ocr_lines"]] if read is not None else []
    return [measure_caption(caption, lines) for caption in sample.captions]


def measure_caption(caption: CaptionText, lines: Sequence[str]) -> dict[str, object]:
    """The row of one caption against the lines that OCR read, in reading order."""
    quotes = quoted(caption.text)
    found = agreement(quotes, lines, ocr_blind.blind_characters() if quotes else frozenset())
    return {
        "caption_id": caption.caption_id,
        "quoted_chars": found.asked,
        "quoted_blind_chars": found.blind,
        "agreement": found.share,
    }


EXTRACTOR = Extractor(
    "agreement",
    f"1-{VERSION}",
    "one row per caption: whether OCR read what it quotes",
    COLUMNS,
    measure,
    needs="captions",
    per="caption",
    after=("ocr",),
    aggregates=AGGREGATES,
    missing=ocr_blind.missing,
    weights=ocr_blind.stamp,
)
