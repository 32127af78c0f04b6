"""Lakes for the tests of balance: kept images with a category each, and rows of any table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from decision_lakes import SIGNALS, Row, fill, image_id, recipe

from pipelines.decide import decide
from pipelines.engines import Result
from pipelines.recipe import Recipe
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake
from warehouse.schema import TABLES

RECIPE = """
name = "balanced"
store_from = 1
scales = [256, 640]
[[stage]]
number = 1
name = "initial curation"
rules = [{ name = "exposed", when = "luma >= 16" }]
[[stage]]
number = 6
name = "balance"
[[stage]]
number = 7
name = "best of leaf"
[balance]
"""


U, R, V = TypeVar("U"), TypeVar("R"), TypeVar("V")
K = TypeVar("K", bound=Hashable)


class Here:
    """An engine that works where it is called: no process is started."""

    name = "here"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Iterator[Result[U, R]]:
        for unit in units:
            yield Result(unit, work(unit))

    def group(self, rows: Iterable[R], key: Callable[[R], K], reduce: Callable[[K, list[R]], V]) -> Iterator[V]:
        found: dict[K, list[R]] = {}
        for row in rows:
            found.setdefault(key(row), []).append(row)
        return (reduce(name, members) for name, members in found.items())


def balanced_recipe(settings: str = "") -> Recipe:
    """A recipe with one rule and these lines in its section [balance]."""
    return recipe(RECIPE + settings)


def put(lake: Lake, table: str, rows: Iterable[Row], batch: str = "b1") -> None:
    """Commit rows of a table, signal tables included."""
    schema = SIGNALS.get(table) or TABLES[table]
    with lake.connect() as con:
        lake.ensure_tables(con, [schema])
        con.register("new_rows", schema.from_rows(rows))
        files = {table: pack_query(con, lake, schema, "SELECT * FROM new_rows")}
        commit(con, lake, RunInfo(command="test", batch=f"{table} {batch}"), files)


def category_row(name: str, path: str, **changed: object) -> Row:
    """A row of `signals_category`."""
    return {
        "image_id": image_id(name), "version": "1", "status": "ok", "category": path,
        "category_class": path.partition("/")[0], "category_confidence": 0.7, "category_origin": "rules",
        "portrait_track": False, "text_track": False, "ai_generated": False, **changed,
    }  # fmt: skip


def ocr_row(name: str, text: str, **changed: object) -> Row:
    """A row of `signals_ocr`."""
    return {"image_id": image_id(name), "version": "1", "status": "ok", "ocr_text": text, **changed}


def categorised(
    lake: Lake, images: Mapping[str, Row], chosen: Recipe, signals: Mapping[str, Row | None] | None = None
) -> None:
    """Fill a lake with these images, by name, with their rows of `signals_category`, and decide it."""
    fill(lake, {name: (signals or {}).get(name) for name in images})
    put(lake, "signals_category", [{**row, "image_id": image_id(name)} for name, row in images.items()])
    decide(lake, chosen)
