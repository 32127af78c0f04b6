"""What was drawn: the exact truth of synthetic images, and the samples that were not made."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema.table import IMAGE_ID, STRING, STRINGS, Column, Table

_QUAD = pa.list_(pa.float32())
_SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("quad", _QUAD)]))
#: One text as it was drawn; `synth.placed.Placed.row` makes it.
DRAWN_TEXT = pa.struct(
    [
        ("text", STRING),
        ("language", STRING),
        ("direction", STRING),
        ("role", STRING),
        ("fonts", STRINGS),
        ("size", pa.float32()),
        ("colour", STRING),
        ("quad", _QUAD),
        ("lines", _SPANS),
        ("words", _SPANS),
        ("characters", _SPANS),
    ]
)
_STRATEGY = Column("strategy", STRING, "pure | compositional | template | edit")
_SEED = Column("seed", pa.int64(), "seed of the run, from --seed")
_INDEX = Column("index", pa.int64(), "number of the sample: strategy, version, seed and index decide every byte")
_VERSION = Column(
    "version", STRING, "32 hex digits that name all else that decides it: settings, fonts, corpora, pictures, code"
)

SYNTH_TRUTH = Table(
    "synth_truth",
    "one row per synthetic image: what stands in it, where, and how it was drawn",
    (
        IMAGE_ID,
        _STRATEGY,
        _SEED,
        _INDEX,
        _VERSION,
        Column("side", STRING, "reference | target of an edit pair; NULL for others"),
        Column("template", STRING, "the ground, material, deck or page that it was made from"),
        Column("fonts", STRINGS, "names of the faces that drew it, sorted"),
        Column(
            "texts",
            pa.list_(DRAWN_TEXT),
            "each text as drawn: text; language; direction, horizontal | vertical; role; fonts, main one first; size, "
            "the em in pixels where it was laid out; colour, #rrggbb; quad, x and y of its corners top left, top "
            "right, bottom right, bottom left as a reader names them, pixels of the image; lines, words and "
            "characters: text[start:end] and its quad",
        ),
        Column("facts", STRING, "what else was chosen, JSON object"),
        Column("pair_id", STRING, "of an edit pair, as in edits; NULL for others"),
    ),
    key=("image_id",),
)

SYNTH_REJECTED = Table(
    "synth_rejected",
    "one row per synthetic sample that was not made: the same index gives the same rejection",
    (
        _STRATEGY,
        _SEED,
        _INDEX,
        _VERSION,
        Column("reason", STRING, "short code: undrawable, overflow ..."),
        Column("detail", STRING, "more of it: which characters, which font"),
    ),
    key=("strategy", "version", "seed", "index"),
)
