"""What the lake knows of images that tells what they are of, and the state of it: what a category was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.categories.assign import Annotated, ImageFacts
from warehouse.lake import quoted
from warehouse.metadata import stored_columns
from warehouse.schema import ANNOTATORS

MAX_CAPTIONS = 12  # of an image, in the order of their ids: more of them tell nothing new

#: Facts, columns of the lake's own signals, by table. A table or column that the lake lacks is not measured.
MEASURED: Mapping[str, Mapping[str, str]] = {
    "signals_header": {"width": "width", "height": "height", "format": "format"},
    "signals_pixels": {"entropy": "entropy", "saturation": "saturation", "luma": "luma"},
    "signals_ocr": {"text_lines": "text_lines", "text_share": "text_area_share"},
    "signals_faces": {"face_share": "largest_face_share"},
}
# An annotator that only repeats what the rules here know already is left out.
_ANNOTATORS = [name for name in ANNOTATORS if name != "rules"]
_ANNOTATION = f"""
    SELECT image_id, annotation, md5(concat_ws('|', annotator, model, prompt_version, annotation::VARCHAR)) AS state
    FROM lake.annotations WHERE status = 'success' AND annotator IN ({", ".join(map(quoted, _ANNOTATORS))})
    QUALIFY 1 = row_number() OVER (
        PARTITION BY image_id ORDER BY list_position({_ANNOTATORS}, annotator), annotation.confidence DESC, model
    )"""


@dataclass(frozen=True)
class Sources:
    """Which facts a lake has: columns by fact and table. `embedding`: (table, column) that zero-shot reads, or None."""

    facts: Mapping[str, Mapping[str, str]]
    annotations: bool
    embedding: tuple[str, str] | None = None

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection, scorer: str | None = None) -> Sources:
        """What this lake has; the embeddings of `scorer` where it is named."""
        columns = stored_columns(con)
        facts = {
            table: {fact: column for fact, column in listed.items() if column in columns.get(table, ())}
            for table, listed in MEASURED.items()
        }
        embedding = (f"signals_embedding_{scorer}", f"embedding_{scorer}") if scorer else None
        if embedding is not None and embedding[1] not in columns.get(embedding[0], set()):
            embedding = None
        return cls({t: found for t, found in facts.items() if found}, "annotations" in columns, embedding)

    @property
    def tables(self) -> tuple[str, ...]:
        """Signal tables that are read, with a version in every row."""
        return (*self.facts, *((self.embedding[0],) if self.embedding else ()))


def states(sources: Sources, prefix: str, within: str = "true") -> str:
    """SQL of (image_id, state) of every distinct image: `prefix` and a hash of all that its category is made from.

    `within` is a predicate on image_id that every table read is cut down by.
    """
    joins = [
        f"LEFT JOIN (SELECT image_id, version FROM lake.{table} WHERE {within} AND status = 'ok') AS {table} "
        "USING (image_id)"
        for table in sources.tables
    ]
    versions = [f"{table}.version" for table in sources.tables]
    if sources.annotations:
        joins.append(f"LEFT JOIN (SELECT image_id, state FROM ({_ANNOTATION}) WHERE {within}) AS a USING (image_id)")
        versions.append("a.state")
    listed = ", ".join(f"coalesce({version}, '')" for version in ("c.ids", *versions))
    return f"""
        SELECT i.image_id, {quoted(prefix)} || left(md5(concat_ws('|', {listed})), 16) AS state
        FROM (SELECT image_id FROM lake.inputs WHERE status = 'ok' AND {within}) AS i
        LEFT JOIN (
            SELECT image_id, string_agg(caption_id, ',' ORDER BY caption_id) AS ids
            FROM lake.captions WHERE {within} GROUP BY image_id
        ) AS c USING (image_id)
        {" ".join(joins)}"""


def between(low: str, high: str) -> str:
    """SQL predicate of the ids of a range, both ends included."""
    return f"image_id BETWEEN {quoted(low)} AND {quoted(high)}"


def read(
    con: duckdb.DuckDBPyConnection, sources: Sources, within: str
) -> tuple[list[str], list[ImageFacts], dict[str, bytes]]:
    """Ids of the images that the predicate `within` on image_id holds for, in order, their facts but for zero-shot, and
    stored embeddings by id."""
    columns = ["i.image_id", "c.texts", "coalesce(c.synthetic, false) AS synthetic"]
    joins = []
    for table, listed in sources.facts.items():
        inner = ", ".join(f"{sql} AS {name}" for name, sql in listed.items())
        joins.append(
            f"LEFT JOIN (SELECT image_id, {inner} FROM lake.{table} WHERE {within} AND status = 'ok') AS {table} "
            "USING (image_id)"
        )
        columns += [f"{table}.{name}" for name in listed]
    if sources.annotations:
        joins.append(f"LEFT JOIN (SELECT * FROM ({_ANNOTATION}) WHERE {within}) AS a USING (image_id)")
        columns.append(_SAID)
    if sources.embedding:
        table, column = sources.embedding
        joins.append(
            f"LEFT JOIN (SELECT image_id, \"{column}\" FROM lake.{table} WHERE {within} AND status = 'ok') AS e "
            "USING (image_id)"
        )
        columns.append(f'e."{column}" AS embedding')
    reader = con.execute(
        f"""SELECT {", ".join(columns)} FROM (SELECT image_id FROM lake.inputs WHERE status = 'ok' AND {within}) AS i
        LEFT JOIN (
            SELECT image_id, list(text ORDER BY caption_id)[:{MAX_CAPTIONS}] AS texts,
                bool_or(kind = 'synthetic') AS synthetic
            FROM lake.captions WHERE {within} GROUP BY image_id
        ) AS c USING (image_id)
        {" ".join(joins)}
        ORDER BY i.image_id"""
    ).to_arrow_reader(8192)
    ids: list[str] = []
    facts: list[ImageFacts] = []
    embeddings: dict[str, bytes] = {}
    for row in _rows(reader):
        ids.append(row["image_id"])
        facts.append(as_facts(row))
        if row.get("embedding") is not None:
            embeddings[row["image_id"]] = row["embedding"]
    return ids, facts, embeddings


def as_facts(row: Mapping[str, Any]) -> ImageFacts:
    """The facts of a row of `read`'s query."""
    said = row.get("said")
    return ImageFacts(
        captions=tuple(row["texts"] or ()),
        synthetic=bool(row["synthetic"]),
        annotated=Annotated(
            category=tuple(said["category"] or ()),
            image_type=said["image_type"],
            abnormal=tuple(said["abnormal"] or ()),
            confidence=said["confidence"] or 0.0,
            scene=said["scene"] or "",
            text_share=said["text_share"],
        )
        if said
        else None,
        **{name: row.get(name) for name in _PLAIN},
    )


def _rows(reader: pa.RecordBatchReader) -> Iterable[dict[str, Any]]:
    for batch in reader:
        yield from batch.to_pylist()


_PLAIN = tuple(fact for listed in MEASURED.values() for fact in listed)
# Boxes are in thousandths of the picture; what they cover is counted as if none overlapped.
_SAID = """CASE WHEN a.annotation IS NOT NULL THEN {
    category: a.annotation.category, image_type: a.annotation.image_type, abnormal: a.annotation.abnormal,
    confidence: a.annotation.confidence, scene: a.annotation.scene,
    text_share: least(1, coalesce(list_sum(list_transform(a.annotation.text_lines, lambda l:
        (l.box.right - l.box.left)::DOUBLE * (l.box.bottom - l.box.top) / 1e6)), 0))
} END AS said"""
