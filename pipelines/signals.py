"""What a recipe may ask about an image: every signal's name, where it is stored and how it is read.

A signal is a column of a `signals_*` table with a row per image, an aggregate of one with a row per caption, or is
worked out from stored columns (`DERIVED`). NaN counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from warehouse.errors import UsageError
from warehouse.schema import (
    ANNOTATIONS,
    ANNOTATORS,
    CAPTIONS,
    EDIT_SCORES,
    EDITS,
    EMBEDDING_PREFIX,
    INPUTS,
    SIGNAL_STATUS,
    Table,
)

SIGNAL_PREFIX = "signals_"


@dataclass(frozen=True)
class Signal:
    """One thing known about an image: `sql` over the columns of `table`; `of` names what it is an alias of.

    `none` is what an image has that has no row there: NULL, it is not measured yet, unless that tells something too.
    `by`: the signal table whose extractor leads to it, where that is not `table`.
    """

    name: str
    table: str
    sql: str
    doc: str
    of: str | None = None
    none: str = "NULL"
    per_caption: bool = False
    by: str | None = None

    @property
    def measured_in(self) -> str:
        """The signal table that an extractor must fill for it."""
        return self.by or self.table

    @property
    def stored_name(self) -> str:
        return self.of or self.name


HEADER = "signals_header"
PIXELS = "signals_pixels"

DERIVED: tuple[Signal, ...] = (
    Signal("sharpness", PIXELS, "nullif(sharpness_256, 'nan'::FLOAT)", "alias of sharpness_256", of="sharpness_256"),
    Signal("min_side", HEADER, "least(width, height)", "shorter side, pixels, upright"),
    Signal("max_side", HEADER, "greatest(width, height)", "longer side, pixels, upright"),
    Signal(
        "aspect",
        HEADER,
        "greatest(width, height) / nullif(least(width, height), 0)::DOUBLE",
        "longer side over shorter side, from 1",
    ),
    Signal("megapixels", HEADER, "width * height::DOUBLE / 1e6", "millions of pixels"),
    Signal("source", "inputs", "i.source", "source of the first delivery"),
    Signal("batch", "inputs", "i.batch", "batch of the first delivery"),
    Signal("license", "inputs", "i.license", "licence as the first delivery tells it"),
    Signal("opted_out", "inputs", "coalesce(i.opt_out, false)", "the source says that the rights holder opted out"),
    Signal("caption_count", "captions", "count(*)", "distinct captions", none="0"),
    Signal("longest_caption", "captions", "max(length(text))", "characters of the longest caption", none="0"),
    Signal(
        "synthetic",
        "synthetic",
        "true",
        "the image was synthesised, not collected: it has a caption of that kind",
        none="false",
    ),
    Signal(
        "evaluation",
        "evaluation",
        "true",
        "it belongs to a blocked evaluation set, by id, near pair or caption: see the view evaluation_matches",
        none="false",
    ),
    Signal("in_edit_pair", "edit_members", "true", "it is a reference or the target of an edit pair", none="false"),
    Signal("edit_identity", "edit_members", "min(identity)", "least `identity` of its pairs, see `edits`"),
    Signal("edit_change", "edit_members", "max(changed_share)", "largest `changed_share` of these"),
    Signal("annotated", "annotated", "true", "an annotator described it successfully", none="false"),
    Signal("annotation_confidence", "annotated", "annotation.confidence", "the annotator's confidence, 0 to 1"),
    Signal("image_type", "annotated", "annotation.image_type", "photograph | poster | slide | ..., by the annotator"),
    *(
        Signal(f"annotated_{flag}", "annotated", f"list_contains(annotation.abnormal, '{flag}')", f"{what} seen by it")
        for flag, what in (("watermark", "a watermark"), ("mosaic", "mosaic"), ("ai_generated", "signs of generation"))
    ),
)
#: What is behind the name of a relation that is no table with a row per image; `{prefix}` qualifies the tables.
SOURCES = {
    "captions": "{prefix}captions GROUP BY image_id",
    "synthetic": "{prefix}captions WHERE kind = 'synthetic' GROUP BY image_id",
    "evaluation": "{prefix}evaluation_matches GROUP BY image_id",
    "edit_members": (
        "(SELECT unnest(list_append(reference_ids, target_id)) AS image_id, identity, changed_share "
        "FROM {prefix}edits WHERE status = 'ok') GROUP BY image_id"
    ),
    # one annotation an image: of the most trusted annotator, then the most confident one
    "annotated": (
        "{prefix}annotations WHERE status = 'success' QUALIFY 1 = row_number() OVER (PARTITION BY image_id "
        f"ORDER BY list_position({list(ANNOTATORS)}, annotator), annotation.confidence DESC, model)"
    ),
}
#: Prefix of such a relation: edit pairs as one scorer sees them.
EDIT_SCORED = "edit_scored_"
_EDIT_SCORED = (
    "(SELECT unnest(list_append(reference_ids, target_id)) AS image_id, alignment, similarity FROM {prefix}edits "
    "LEFT JOIN (FROM {prefix}edit_scores WHERE scorer = '{scorer}') USING (pair_id) WHERE status = 'ok') "
    "GROUP BY image_id"
)
_PER_CAPTION = "{prefix}captions LEFT JOIN {prefix}{table} AS t USING (image_id, caption_id) GROUP BY image_id"


def known_signals(tables: Iterable[Table]) -> dict[str, Signal]:
    """Every signal that these signal tables (and the deliveries and captions) offer, by name.

    Raises UsageError where two extractors declare one name.
    """
    tables = list(tables)
    known: dict[str, Signal] = {}
    for table in tables:
        for signal in _per_caption(table) if "caption_id" in table.key else _per_image(table):
            if signal.name in known:
                raise UsageError(
                    f"signal {signal.name} is declared by both {known[signal.name].table} and {table.name}"
                )
            known[signal.name] = signal
    stored = {t.name for t in tables} | {"inputs", *SOURCES}
    for signal in (*DERIVED, *(s for t in sorted(stored) for s in _of_edits(t))):
        if (signal.by or signal.table) in stored and (signal.of is None or signal.of in known):
            known.setdefault(signal.name, signal)
    return known


def _per_image(table: Table) -> Iterator[Signal]:
    bookkeeping = {"image_id", *(c.name for c in SIGNAL_STATUS)}
    for column in table.columns:
        if column.name not in bookkeeping:
            sql = _name(column.name)
            if pa.types.is_floating(column.type):
                sql = f"nullif({sql}, 'nan'::{'FLOAT' if column.type == pa.float32() else 'DOUBLE'})"
            yield Signal(column.name, table.name, sql, column.doc)


def _per_caption(table: Table) -> Iterator[Signal]:
    for made in table.aggregates:
        sql = f"CASE WHEN count(*) = count(t.version) THEN {made.sql} END"
        yield Signal(made.name, table.name, sql, made.doc, none=made.none, per_caption=True)


def _of_edits(table: str) -> Iterator[Signal]:
    """What a scorer, whose embeddings are in this table, says of an image's edit pairs; nothing for another table."""
    prefix = SIGNAL_PREFIX + EMBEDDING_PREFIX
    if not table.startswith(prefix):
        return
    scorer = table.removeprefix(prefix)
    for column, doc in (("alignment", "target and instruction"), ("similarity", "target and first reference")):
        # Unknown as long as one of the pairs is.
        sql = f"CASE WHEN count(*) = count({column}) THEN min({column}) END"
        told = f"least cosine of {doc} among its edit pairs, by scorer {scorer}, -1 to 1"
        yield Signal(f"edit_{column}_{scorer}", EDIT_SCORED + scorer, sql, told, by=table)


def relation(signals: Sequence[Signal], prefix: str = "") -> str:
    """SQL of one row per distinct delivered image: `image_id`, then each signal under its name, NULL where missing.

    Only the tables and columns that the signals need are read. `prefix` qualifies the tables (`lake.`).
    """
    by_table: dict[str, list[Signal]] = {}
    for signal in signals:
        by_table.setdefault(signal.table, []).append(signal)
    columns = ["i.image_id"]
    joins = [f"FROM {prefix}inputs AS i"]
    for table, members in by_table.items():
        if table == "inputs":
            columns += [f"{s.sql} AS {_name(s.name)}" for s in members]
            continue
        columns += [_read(table, s) for s in members]
        joins.append(f"LEFT JOIN ({source_of(table, members, prefix)}) AS {table} USING (image_id)")
    return f"SELECT {', '.join(columns)}\n" + "\n".join(joins) + "\nWHERE i.status = 'ok'"


def source_of(table: str, signals: Sequence[Signal], prefix: str = "") -> str:
    """SQL of the signals of one table: a row per image that has a row there."""
    columns = ", ".join(f"{s.sql} AS {_name(s.name)}" for s in signals)
    if table.startswith(EDIT_SCORED):
        source = _EDIT_SCORED
    else:
        source = SOURCES.get(table, _PER_CAPTION if signals[0].per_caption else "{prefix}{table}")
    made = source.format(prefix=prefix, table=table, scorer=table.removeprefix(EDIT_SCORED))
    return f"SELECT image_id, {columns} FROM {made}"


def empty_tables(con: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create the tables that `relation` reads, without rows, so that a predicate can be checked without a lake."""
    for table in (INPUTS, CAPTIONS, ANNOTATIONS, EDITS, EDIT_SCORES, *tables):
        con.register("empty_rows", table.empty())
        con.execute(f"CREATE TABLE {table.name} AS FROM empty_rows")
        con.unregister("empty_rows")
    con.execute("CREATE TABLE evaluation_matches (image_id VARCHAR)")


def _read(table: str, signal: Signal) -> str:
    column = f"{table}.{_name(signal.name)}"
    if signal.none != "NULL":
        column = f"CASE WHEN {table}.image_id IS NULL THEN {signal.none} ELSE {column} END"
    return f"{column} AS {_name(signal.name)}"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
