"""How well each caption fits its picture, by every scorer of models.toml; and the pictures' embeddings.

Each scorer NAME has two extractors. `embedding_NAME` reads the picture once; `alignment_NAME` compares what it stored
with each caption, so that a caption that arrives later is scored alone and without any bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from annotate.scoring import alignment
from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import EMBEDDING_PREFIX, Aggregate, Column

#: Names that recipes may ask for before anything is configured: they are refused by what is missing.
WELL_KNOWN = ("clip", "siglip")

CAPTION_COLUMNS = (
    Column("score", pa.float32(), "cosine of the embeddings of picture and caption, -1 to 1, four decimals"),
    Column("truncated", pa.bool_(), "the caption is longer than the scorer reads: its score is of the beginning alone"),
)


def extractors() -> tuple[Extractor, ...]:
    """Two extractors for each scorer that is configured or well known. Raises UsageError for a wrong section."""
    for name in alignment.names():
        alignment.config(name)
    names = sorted({*alignment.names(), *WELL_KNOWN})
    return tuple(e for name in names for e in (_embedding(name), _alignment(name)))


def _embedding(name: str) -> Extractor:
    column = embedding_name(name)
    doc = (
        f"picture's embedding by scorer {name}: float16, little-endian, of length 1; lake.unpack_float16({column}) "
        "gives FLOAT[]; compared by cosine, and not in digests"
    )
    return Extractor(
        column,
        "1",
        f"one row per image: its embedding by scorer {name}",
        (Column(column, pa.binary(), doc),),
        partial(_embed, name),
        needs="image",
        missing=partial(alignment.missing, name),
        weights=partial(alignment.fingerprint, name),
    )


def _alignment(name: str) -> Extractor:
    signal = f"alignment_{name}"
    return Extractor(
        signal,
        "1",
        f"one row per image and caption: how well they fit by scorer {name}",
        CAPTION_COLUMNS,
        partial(_score, name),
        needs="captions",
        per="caption",
        after=(embedding_name(name),),
        aggregates=(
            # No caption, no score: under a rule that asks for one the image is pending, as a caption may still come.
            Aggregate(signal, "max(t.score)", f"cosine of picture and best caption by scorer {name}, -1 to 1"),
            Aggregate(f"{signal}_mean", "round(avg(t.score), 4)", f"mean cosine of picture and captions, by {name}"),
            Aggregate(
                f"{signal}_raw", "max(t.score) FILTER (kind = 'raw')", f"as {signal}, of captions as delivered alone"
            ),
        ),
        missing=partial(alignment.missing, name),
        weights=partial(alignment.fingerprint, name),
    )


def embedding_name(scorer: str) -> str:
    """Name of the extractor, and of the column, that holds a scorer's embedding of the picture."""
    return EMBEDDING_PREFIX + scorer


def _embed(name: str, batch: Sequence[Sample]) -> list[dict[str, object]]:
    found = alignment.scorer(name).images([sample.full for sample in batch])
    return [{embedding_name(name): alignment.pack(embedding)} for embedding in found]


def _score(name: str, batch: Sequence[Sample]) -> list[list[dict[str, object]]]:
    asked = [(sample, caption) for sample in batch for caption in sample.captions]
    if not asked:
        return [[] for _ in batch]
    pictures = {sample.image_id: stored_embedding(name, sample) for sample in batch}
    texts = alignment.scorer(name).texts([caption.text for _, caption in asked])
    rows: dict[str, list[dict[str, object]]] = {sample.image_id: [] for sample in batch}
    for (sample, caption), embedding, truncated in zip(asked, texts.embeddings, texts.truncated, strict=True):
        score = alignment.cosine(pictures[sample.image_id], embedding)
        rows[sample.image_id].append({"caption_id": caption.caption_id, "score": score, "truncated": bool(truncated)})
    return [rows[sample.image_id] for sample in batch]


def stored_embedding(name: str, sample: Sample) -> alignment.Vectors:
    """The picture's embedding (d,) by a scorer whose embedding extractor ran before. Raises ValueError where that
    failed."""
    row = sample.rows.get(embedding_name(name))
    if row is None:
        raise ValueError(f"the image has no {embedding_name(name)}")
    return alignment.unpack(row[embedding_name(name)])
