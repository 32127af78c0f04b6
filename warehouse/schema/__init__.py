"""Every table of the lake, every column with its type, unit and source. Arrow types are declared here and nowhere else.

A signal table is declared by its extractor (`pipelines/extractors`), which hands its columns to `signal_table`, so that
adding a signal touches one file; everything else is in `TABLES`.
"""

from __future__ import annotations

from warehouse.schema.decided import (
    ACTIONS,
    BALANCE,
    DECISIONS,
    PLACEMENTS,
    RECIPES,
    SHARD_INDEX,
    TAXONOMY,
    TEXT_TOKENS,
)
from warehouse.schema.delivered import BLOCK_IMAGES, BLOCK_PROMPTS, CAPTION_KINDS, CAPTIONS, EDITS, FORGOTTEN, INPUTS
from warehouse.schema.described import (
    ANNOTATION,
    ANNOTATIONS,
    ANNOTATORS,
    AUDITS,
    EDIT_SCORES,
    NEAR_COMPARED,
    NEAR_PAIRS,
    OCR_BLIND,
)
from warehouse.schema.drawn import SYNTH_REJECTED, SYNTH_TRUTH
from warehouse.schema.ledgers import DRIFT, ERRORS, NIGHT_UNITS, NIGHTS, PARTS, RUNS
from warehouse.schema.table import (
    EMBEDDING_PREFIX,
    IMAGE_ID,
    SIGNAL_STATUS,
    STRING,
    STRINGS,
    Aggregate,
    Column,
    Table,
    caption_signal_table,
    signal_table,
)

__all__ = [
    "ACTIONS",
    "ANNOTATION",
    "ANNOTATIONS",
    "ANNOTATORS",
    "AUDITS",
    "BALANCE",
    "BLOCK_IMAGES",
    "BLOCK_PROMPTS",
    "CAPTIONS",
    "CAPTION_KINDS",
    "DECISIONS",
    "DRIFT",
    "EDITS",
    "EDIT_SCORES",
    "EMBEDDING_PREFIX",
    "ERRORS",
    "FORGOTTEN",
    "IMAGE_ID",
    "INPUTS",
    "KNOWN",
    "NEAR_COMPARED",
    "NEAR_PAIRS",
    "NIGHTS",
    "NIGHT_UNITS",
    "OCR_BLIND",
    "PARTS",
    "PLACEMENTS",
    "RECIPES",
    "RUNS",
    "SHARD_INDEX",
    "SIGNAL_STATUS",
    "STRING",
    "STRINGS",
    "SYNTH_REJECTED",
    "SYNTH_TRUTH",
    "TABLES",
    "TAXONOMY",
    "TEXT_TOKENS",
    "Aggregate",
    "Column",
    "Table",
    "caption_signal_table",
    "in_digests",
    "signal_table",
]


TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        INPUTS,
        CAPTIONS,
        EDITS,
        EDIT_SCORES,
        SYNTH_TRUTH,
        SYNTH_REJECTED,
        OCR_BLIND,
        BLOCK_IMAGES,
        BLOCK_PROMPTS,
        NEAR_PAIRS,
        NEAR_COMPARED,
        DECISIONS,
        PLACEMENTS,
        SHARD_INDEX,
        RECIPES,
        ANNOTATIONS,
        AUDITS,
        BALANCE,
        TAXONOMY,
        TEXT_TOKENS,
        ACTIONS,
        NIGHTS,
        NIGHT_UNITS,
        ERRORS,
        RUNS,
        PARTS,
    )
}

KNOWN = TABLES | {t.name: t for t in (DRIFT, FORGOTTEN)}  # and those that are made when they are first needed


def in_digests(table: str, column: str) -> bool:
    """Whether a column counts when two lakes are compared: not where it is transient, nor an embedding."""
    known = KNOWN.get(table)
    return not column.startswith(EMBEDDING_PREFIX) and (known is None or column not in known.transient)
