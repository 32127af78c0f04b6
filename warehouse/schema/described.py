"""What was found out beyond single signals: pairs that look alike, annotations, scores of edits, audits."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema.table import IMAGE_ID, STRING, STRINGS, Column, Table

NEAR_PAIRS = Table(
    "near_pairs",
    "one row per measured pair of images that look alike; a measurement, append-only",
    (
        Column("a", STRING, "image_id; the smaller of the two for link = near, the group's leader for link = same"),
        Column("b", STRING, "image_id"),
        Column("link", STRING, "near (alike) | same (equal hash, equal thumbnails: b stands behind a)"),
        Column("distance", pa.int16(), "Hamming distance of the perceptual hashes, bits"),
        Column("tile_distance", pa.float32(), "largest local over usual difference of the thumbnails, no unit"),
        Column("text_differs", pa.bool_(), "known text of the two differs; NULL where the text of either is not known"),
    ),
    key=("a", "b"),
)

NEAR_COMPARED = Table(
    "near_compared",
    "one row per image already compared with everything that was in the lake at that time",
    (IMAGE_ID, Column("version", STRING, "version of the hashes extractor whose hash was compared")),
    key=("image_id",),
)

#: The joint annotation as it is stored; `annotate.schema.Annotation` says what each part means.
ANNOTATION = pa.struct(
    [
        ("captions", pa.list_(pa.struct([("language", STRING), ("short", STRING), ("long", STRING)]))),
        (
            "objects",
            pa.list_(
                pa.struct([("name", STRING), ("attributes", STRINGS), ("count", pa.int32()), ("position", STRING)])
            ),
        ),
        ("scene", STRING),
        ("style", STRING),
        ("image_type", STRING),
        ("relations", pa.list_(pa.struct([("subject", STRING), ("predicate", STRING), ("object", STRING)]))),
        (
            "text_lines",
            pa.list_(
                pa.struct(
                    [
                        ("text", STRING),
                        ("language", STRING),
                        ("box", pa.struct([(edge, pa.int32()) for edge in ("left", "top", "right", "bottom")])),
                        ("legible", pa.bool_()),
                    ]
                )
            ),
        ),
        ("abnormal", STRINGS),
        ("category", STRINGS),
        ("confidence", pa.float32()),
    ]
)

#: Whose annotation of an image counts, best first.
ANNOTATORS = ("openai", "transformers", "rules")

ANNOTATIONS = Table(
    "annotations",
    "one row per image and annotator: everything said of the image in one request",
    (
        IMAGE_ID,
        Column("annotator", STRING, "backend: openai | transformers | rules"),
        Column("model", STRING, "name of the model, as the server or the folder of weights has it"),
        Column("prompt_version", STRING, "language, number and hash of the prompt's and schema's wording"),
        Column("status", STRING, "success | truncated | blocked | invalid | error"),
        Column("error", STRING, "what was wrong, in one line; NULL where status = success"),
        Column("annotation", ANNOTATION, "what was said, after the expert rules; NULL unless status = success"),
        Column("corrections", STRINGS, "names of the expert rules that changed it, in the order they were applied"),
        Column("raw", STRING, "the last answer as it came, at most 32,000 characters"),
        Column("input_tokens", pa.int64(), "tokens of all prompts about the image, as billed"),
        Column("output_tokens", pa.int64(), "tokens of all answers, as billed"),
        Column("attempts", pa.int32(), "requests sent, repeated and repairing ones included; 0: no model was asked"),
        Column("seconds", pa.float64(), "time of these requests, waiting for a retry included"),
    ),
    key=("image_id", "annotator", "model"),
    transient=frozenset({"attempts", "seconds"}),
)

EDIT_SCORES = Table(
    "edit_scores",
    "one row per usable edit pair and scorer of models.toml: what its embeddings say of the pair",
    (
        Column("pair_id", STRING, "as in edits; a pair that is delivered twice is scored once"),
        Column("scorer", STRING, "name of the scorer"),
        Column("version", STRING, "version of the scorer's embeddings, as in its signals_embedding table"),
        Column("alignment", pa.float32(), "cosine of the target and the instruction that fits it better, -1 to 1"),
        Column("similarity", pa.float32(), "cosine of the target and its first reference, -1 to 1"),
    ),
    key=("pair_id", "scorer"),
)

AUDITS = Table(
    "audits",
    "one row per rule and image that a person judged: was it right to drop the image by that rule?",
    (
        Column("rule", STRING, "name of a rule of a recipe"),
        IMAGE_ID,
        Column("verdict", STRING, "right (the rule was right to drop it) | wrong"),
        Column("note", STRING, "what the person had to say; NULL where nothing"),
        Column("recipe", STRING, "hash of the recipe whose drop was judged, 16 hex digits"),
        Column("judged_at", pa.timestamp("us", tz="UTC"), "when the verdict was recorded"),
    ),
    key=("rule", "image_id"),
    transient=frozenset({"judged_at"}),
)

OCR_BLIND = Table(
    "ocr_blind",
    "one row per character that an OCR misreads even on a clean reference glyph; made by `glyphmill ocr blind`",
    (
        Column("engine", STRING, "recogniser: first 8 hex digits of its SHA-256, as in the version of signals_ocr"),
        Column("character", STRING, "one Unicode character"),
        Column("read_as", STRING, "what its glyph is read as; empty where nothing is read"),
    ),
    key=("engine", "character"),
)
