"""Quality of an image from stored signals, for best of leaf: one SQL expression, 0 to 1, the same from night to night.

Each part is a fixed scale of one signal, never its rank among others, so that an image's quality does not change when
others arrive. The quality is the mean of the parts that are measured.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part of the quality: DuckDB SQL over its signals, 0 (poor) to 1 (as good as it needs to be)."""

    name: str
    signals: tuple[str, ...]
    sql: str


PARTS: tuple[Part, ...] = (
    # Doubling the side counts as much everywhere between 256 and 1328 pixels of equal area; more pixels train nothing.
    Part("resolution", ("width", "height"), "ln(sqrt(width::DOUBLE * height) / 256) / ln(1328 / 256)"),
    # Variance of the Laplacian at the working size: 30 is soft, half of all photographs are above 1500.
    Part("sharpness", ("sharpness_256",), "ln(greatest(sharpness_256, 1e-3) / 30) / ln(1500 / 30)"),
    # JPEG quality by its tables; other formats lose nothing.
    Part(
        "compression",
        ("format", "jpeg_quality"),
        "CASE WHEN format = 'jpeg' THEN (jpeg_quality - 40) / 55.0 WHEN format IS NOT NULL THEN 1 END",
    ),
    # Predictors of the LAION kind say 1 to 10; photographs people like begin above 6.
    Part("aesthetic", ("aesthetic",), "(aesthetic - 3) / 4.0"),
)
DECIMALS = 4  # so that a last digit of ln() on another machine does not change an order


def quality(known: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """SQL of the quality over those signals that are `known`, and their names; NULL where no part is measured."""
    parts = [part for part in PARTS if set(part.signals) <= set(known)]
    signals = tuple(dict.fromkeys(name for part in parts for name in part.signals))
    if not parts:
        return "NULL::FLOAT", ()
    cut = [f"CASE WHEN ({p.sql}) IS NOT NULL THEN greatest(0, least(1, ({p.sql}))) END" for p in parts]
    return f"round(list_avg(list_filter([{', '.join(cut)}], lambda x: x IS NOT NULL)), {DECIMALS})::FLOAT", signals
