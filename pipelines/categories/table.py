"""The table `signals_category`: what an image is of, as recipes and balance read it."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema import STRING, Column, signal_table

CATEGORY = signal_table(
    "category",
    (
        Column("category", STRING, "path of the leaf in the taxonomy: People/portrait ..."),
        Column("category_class", STRING, "class of stage 6: the leaf's, or Text Rendering for a real text-rich image"),
        Column("category_confidence", pa.float32(), "how sure the assignment is, 0 to 1; by rules 0.75 at most"),
        Column("category_origin", STRING, "what told the leaf: synthetic | annotation | alignment | rules"),
        Column("portrait_track", pa.bool_(), "a face is large enough for a portrait"),
        Column("text_track", pa.bool_(), "it has enough text to train text rendering on"),
        Column("ai_generated", pa.bool_(), "the annotator takes it for AI-generated: balance leaves it out"),
    ),
    "one row per image: its place in the taxonomy, worked out by `glyphmill categorize`",
)
