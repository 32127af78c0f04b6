"""Running a source's query: the selection of its images, or the files of its edit pairs, in a plan's folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import duckdb
import numpy as np

from model.curriculum.schema import OnMissing
from model.plan.items import Images, Items, Pairs, write_weights
from model.plan.pairs import write_pairs
from model.plan.query import Query, captions_of, kinds_of
from model.plan.words import split_kinds
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.select_images import select_images
from warehouse.selection import Bucket, Selection

SELECTIONS, PAIRS = "selections", "pairs"


@dataclass(frozen=True)
class Held:
    """What a query gave: `name` of its items in the plan; samples `selected` by it, of these without a caption
    (`uncaptioned`, left out), not stored in the pool (`unstored`) and used (`stored`). `pictures_of`: the selection
    with the pictures of pairs, None for images."""

    name: str
    kinds: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    selected: int
    uncaptioned: int
    unstored: int
    stored: int
    digest: str
    snapshot: int
    pictures_of: str | None = None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Held:
        buckets = tuple(Bucket(**bucket) for bucket in fields["buckets"])
        return cls(**{**fields, "buckets": buckets, "kinds": tuple(fields["kinds"])})

    def open(self, plan: Path, selections: dict[str, Selection]) -> Items:
        """The items of a plan's folder; selections opened are put among `selections`."""
        if self.pictures_of is None:
            selections[self.name] = Selection(plan / SELECTIONS / self.name)
            return Images(self.name, selections[self.name], self.kinds)
        selections[self.pictures_of] = Selection(plan / SELECTIONS / self.pictures_of)
        return Pairs(self.name, plan / PAIRS / self.name, self.buckets, self.kinds, self.pictures_of)


def select(
    con: duckdb.DuckDBPyConnection,
    relations: frozenset[str],
    lake: Lake,
    plan: Path,
    name: str,
    query: Query,
    buckets: tuple[str, ...],
    missing: OnMissing,
) -> Held:
    """Run a query into a plan's folder; `con` is a connection to the lake, `relations` what there is in it.

    Raises UsageError: it gives nothing, does not fit, or `missing` is "error" and a sample has no caption.
    """
    if query.task == "ti2i":
        return _select_pairs(con, lake, plan, name, query, buckets, missing)
    has_kind = query.captions_sql is not None and "kind" in _columns(con, query.captions_sql, "captions_sql")
    captions = captions_of(relations, query, has_kind)
    columns = _columns(con, query.sql, "the query")
    if "image_id" not in columns:
        raise UsageError(f"its query must give image_id, it gives {', '.join(columns)}")
    stored = (
        f"SELECT DISTINCT image_id::VARCHAR AS image_id FROM ({query.sql}\n) "
        "WHERE image_id IN (SELECT image_id FROM lake.shard_index)"
    )
    lacking = f"FROM ({stored}) WHERE image_id NOT IN (SELECT image_id FROM ({captions}\n) WHERE image_id NOTNULL)"
    uncaptioned = _refuse_missing(con, f"SELECT count(*), min(image_id) {lacking}", query, missing, "image")
    sql = query.sql
    if uncaptioned:
        sql = f"SELECT * FROM ({sql}\n) WHERE image_id IN (SELECT image_id FROM ({captions}\n))"
    try:
        found = select_images(lake, sql, plan / "making", captions_sql=captions, buckets=buckets)
    except UsageError as error:
        if "no image fits" not in str(error):
            raise
        if uncaptioned:
            raise UsageError(f"none of its {uncaptioned} images has a caption, and such are left out") from error
        raise UsageError(f"{error}: {shorten(query.sql, 200)}") from error
    folder = _moved(found, plan, name)
    said = split_kinds(folder)
    selection = Selection(folder)
    header = selection.header
    _weigh(folder, selection.records["weight"], header.buckets)
    return Held(
        name=name,
        kinds=kinds_of(query, has_kind),
        buckets=header.buckets,
        selected=header.selected + uncaptioned,
        uncaptioned=uncaptioned,
        unstored=header.unstored,
        stored=header.stored,
        digest=f"{header.digest} {said}",
        snapshot=header.snapshot,
    )


def _select_pairs(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    plan: Path,
    name: str,
    query: Query,
    buckets: tuple[str, ...],
    missing: OnMissing,
) -> Held:
    columns = _columns(con, query.sql, "the query")
    if "pair_id" not in columns:
        raise UsageError(f"its query must give pair_id (of the table edits), it gives {', '.join(columns)}")
    folder = plan / PAIRS / name
    folder.mkdir(parents=True)
    asked = _usable(query)
    pictures = (
        "SELECT DISTINCT image_id, '1:1' AS bucket FROM (SELECT unnest(list_append(reference_ids, target_id)) AS "
        f"image_id FROM lake.edits WHERE status = 'ok' AND pair_id IN (SELECT pair_id FROM ({query.sql}\n)))"
    )
    told = f"FROM lake.edits WHERE pair_id IN (SELECT pair_id FROM ({query.sql}\n)) AND status = 'ok'"
    count = f"SELECT count(DISTINCT pair_id), min(pair_id) {told} AND NOT ({asked})"
    uncaptioned = _refuse_missing(con, count, query, missing, "edit pair")
    none = "SELECT NULL::VARCHAR AS image_id, NULL::VARCHAR AS text WHERE false"
    try:
        found = select_images(lake, pictures, plan / "making", captions_sql=none, buckets=buckets)
    except UsageError as error:
        raise UsageError(str(error).replace("no image fits", "no edit pair fits")) from error
    images = f"{name}-pictures"
    selection = Selection(_moved(found, plan, images))
    ranges, counts, digest = write_pairs(con, folder, query.sql, asked, query.kinds, selection, buckets)
    weights = np.fromfile(folder / "weight", "<f4")
    _weigh(folder, weights, ranges)
    return Held(
        name=name,
        kinds=kinds_of(query, False),
        buckets=ranges,
        selected=counts.selected,
        uncaptioned=uncaptioned,
        unstored=counts.selected - uncaptioned - counts.stored,
        stored=counts.stored,
        digest=f"{selection.header.digest} {digest}",
        snapshot=selection.header.snapshot,
        pictures_of=images,
    )


def _usable(query: Query) -> str:
    """SQL over edits: whether a pair has an instruction in one of the languages that are wanted."""
    wanted = query.kinds or ("en", "zh")
    return " OR ".join(f"trim(coalesce(instruction_{language}, '')) <> ''" for language in wanted)


def _refuse_missing(con: duckdb.DuckDBPyConnection, count: str, query: Query, missing: OnMissing, what: str) -> int:
    """How many samples have no caption; UsageError where that is one too many."""
    number, first = _run(con, count, "the query").fetchall()[0]
    if number and missing == "error":
        kinds = "" if query.kinds is None else f" of kind {', '.join(query.kinds)}"
        word = "caption" if query.task == "t2i" else "instruction"
        raise UsageError(
            f"{what} {first} has no {word}{kinds} ({number} have none): leave them out in its sql, or write "
            'on_missing_caption = "skip"'
        )
    return int(number)


def _moved(found: Selection, plan: Path, name: str) -> Path:
    folder = plan / SELECTIONS / name
    folder.parent.mkdir(exist_ok=True)
    # kept in the making: select_images finds what it has made by the folder's name
    shutil.move(found.folder, folder)
    return folder


def _weigh(folder: Path, weights: np.ndarray[tuple[int], np.dtype[np.float32]], buckets: tuple[Bucket, ...]) -> None:
    if any(bucket.weighted for bucket in buckets):
        write_weights(folder / "weights", weights)


def _columns(con: duckdb.DuckDBPyConnection, sql: str, what: str) -> list[str]:
    return [str(row[0]) for row in _run(con, f"DESCRIBE SELECT * FROM ({sql}\n)", what).fetchall()]


def _run(con: duckdb.DuckDBPyConnection, sql: str, what: str) -> duckdb.DuckDBPyConnection:
    try:
        return con.execute(sql)
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        text = str(error).strip().splitlines()[0]
        raise UsageError(f"{what} cannot be run: {text}") from error
