"""Signals from captions alone: their language, their length, what they quote, and whether they are captions at all."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from annotate.captions.language import detect
from annotate.captions.quotes import quoted
from annotate.captions.rules import REASONS, VERSION, count_tokens, invalid
from pipelines.extractors.base import CaptionText, Extractor, Sample
from warehouse.schema import STRING, STRINGS, Aggregate, Column

COLUMNS = (
    Column("caption_lang", STRING, "language by script and small words: en | zh | other | und"),
    Column(
        "caption_tokens", pa.int32(), "length in tokens, an estimate: one a Chinese character, one every six letters"
    ),
    Column("invalid", STRING, f"why it is no usable caption: {' | '.join(REASONS)}; NULL where it is one"),
    Column("quoted", STRINGS, "the strings it says can be read in the picture, in order; empty where it quotes none"),
)

_VALID = "t.status = 'ok' AND t.invalid IS NULL"
AGGREGATES = (
    Aggregate("valid_captions", f"count(*) FILTER ({_VALID})", "usable captions", none="0"),
    Aggregate(
        "invalid_captions",
        "count(t.invalid)",
        "captions of no use: refusals, boilerplate, file names ...",
        none="0",
    ),
    Aggregate(
        "longest_valid_caption_tokens",
        f"coalesce(max(t.caption_tokens) FILTER ({_VALID}), 0)",
        "tokens of the longest usable caption, 0 where there is none",
        none="0",
    ),
    Aggregate(
        "valid_recaptions",
        f"count(*) FILTER ({_VALID} AND kind IN ('recaption', 'fused'))",
        "usable captions written or fused by a model, not delivered",
        none="0",
    ),
    Aggregate(
        "chinese_captions",
        f"count(*) FILTER ({_VALID} AND t.caption_lang = 'zh')",
        "usable captions in Chinese",
        none="0",
    ),
)


def measure(batch: Sequence[Sample]) -> list[list[dict[str, object]]]:
    return [[measure_caption(caption) for caption in sample.captions] for sample in batch]


def measure_caption(caption: CaptionText) -> dict[str, object]:
    """The row of one caption."""
    return {
        "caption_id": caption.caption_id,
        "caption_lang": detect(caption.text),
        "caption_tokens": count_tokens(caption.text),
        "invalid": invalid(caption.text, caption.lang),
        "quoted": quoted(caption.text),
    }


EXTRACTOR = Extractor(
    "captions",
    f"1-{VERSION}",
    "one row per caption: its language, its length, what it quotes, whether it is usable",
    COLUMNS,
    measure,
    needs="captions",
    per="caption",
    aggregates=AGGREGATES,
)
