"""Nights in this very process, over a few small pictures and two signals of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from pictures import encoded, photo

from pipelines.engines.local import LocalEngine
from pipelines.nights.listing import Where
from pipelines.nights.nightly import Order, nightly
from pipelines.nights.summary import NightSummary
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, installed_tables, loads
from warehouse.lake import Lake

HERE = LocalEngine(workers=0)
NAME = "drop"

EXTRACTORS = {
    "warmth": '''
        """Mean red minus mean blue, at the working size."""
        import pyarrow as pa
        from pipelines.extractors.base import Extractor
        from warehouse.schema import Column

        def measure(batch):
            return [{"warmth": float(s.pixels.rgb[..., 0].mean() - s.pixels.rgb[..., 2].mean())} for s in batch]

        EXTRACTOR = Extractor("warmth", "1", "warmth", (Column("warmth", pa.float32(), "levels"),), measure)
        ''',
    "shade": '''
        """Mean shade of the full picture."""
        import pyarrow as pa
        from pipelines.extractors.base import Extractor
        from warehouse.schema import Column

        def measure(batch):
            return [{"shade": round(sum(s.full.resize((1, 1)).getpixel((0, 0))) / 3, 2)} for s in batch]

        COLUMNS = (Column("shade", pa.float32(), "0 to 255"),)
        EXTRACTOR = Extractor("shade", "1", "shade", COLUMNS, measure, needs="image")
        ''',
}  # fmt: skip

RECIPE = """
name = "night"
store_from = 1
scales = [256]
[[stage]]
number = 1
name = "size"
rules = [{ name = "wide", when = "width >= 60" }]
[[stage]]
number = 2
name = "light"
rules = [{ name = "shaded", when = "shade >= 0 AND warmth > -300" }]
"""


def write_extractors(folder: Path, version: str = "1") -> Path:
    """The two signals in a folder, in this version."""
    folder.mkdir()
    for name, code in EXTRACTORS.items():
        (folder / f"{name}.py").write_text(dedent(code).replace(f'"{name}", "1"', f'"{name}", "{version}"'))
    return folder


def chosen(text: str = RECIPE) -> Recipe:
    return loads(text, "night.toml", installed_tables())


def draw(folder: Path, *numbers: int) -> Path:
    """A picture and a caption for each number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number:02}.jpg").write_bytes(encoded(photo(72, 64, seed=number), quality=85))
        (folder / f"{number:02}.txt").write_text(f"picture number {number}")
    return folder


def restore(pristine: Path, folder: Path) -> None:
    """The folder as it was, to the nanosecond."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)


def an_order(root: Path, path: object, recipe: Recipe | None = None, **more: Any) -> Order:
    return Order(root, Where(str(path), NAME), recipe or chosen(), **more)


def do(order: Order, day: str) -> NightSummary:
    """One night, here."""
    summary = order.summary(day, HERE)
    nightly(order, summary, engine=HERE, bar=no_bar)
    return summary


@contextmanager
def no_bar(title: str) -> Iterator[Progress]:
    yield silent


def rows(root: Path, sql: str) -> list[tuple[Any, ...]]:
    with Lake.open(root, read_only=True).connect(read_only=True) as con:
        return con.execute(sql).fetchall()


def counts(summary: NightSummary, name: str) -> dict[str, object]:
    """What a pass of the night counted."""
    return dict(next(done.counts for done in summary.passes if done.name == name))
