"""Of several captions of an image, the one that goes into its tar."""

from __future__ import annotations

import duckdb

from warehouse.metadata import stored_columns
from warehouse.schema import CAPTION_KINDS

#: Aggregate over `choices`: a usable one before one that is none, then of the best kind, then the longest.
DEFAULT_CAPTION = (
    f"first(text ORDER BY unusable, list_position({list(CAPTION_KINDS)}, kind), length(text) DESC, caption_id)"
)


def choices(con: duckdb.DuckDBPyConnection) -> str:
    """SQL of a relation: `caption_pool` with `unusable`, TRUE where the caption was measured and found to be none.

    `con` has the lake in use; where captions were never measured in it, none is unusable.
    """
    if "signals_captions" not in stored_columns(con):
        return "(SELECT *, false AS unusable FROM caption_pool)"
    return (
        "(SELECT p.*, coalesce(s.invalid IS NOT NULL, false) AS unusable FROM caption_pool AS p "
        "LEFT JOIN signals_captions AS s ON s.image_id = p.caption_of AND s.caption_id = p.caption_id)"
    )
