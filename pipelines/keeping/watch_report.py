"""Watch as a table to read: what passed a limit, then what drifted most, each with its course over the nights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.keeping.watch import Row, Watched

if TYPE_CHECKING:
    from rich.table import Table

MOST = 20  # rows shown
LEVELS = "▁▂▃▄▅▆▇█"


def print_watched(done: Watched, *, every: bool = False) -> None:
    """Print what a watch saw; `every`: all rows."""
    from rich.console import Console

    console = Console()
    console.print(table(done, every=every))
    for line in notes(done):
        console.print(line, highlight=False, markup=False)


def table(done: Watched, *, every: bool = False) -> Table:
    """Rows that passed a limit, in red, then those that strayed furthest; psi beside plain changes by size."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=f"batch {done.batch}, {done.images:,} images, against {done.before:,} of {len(done.nights)} before",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("what", "statistic"):
        made.add_column(heading, no_wrap=True)
    for heading in ("before", "now", "drift", "limit"):
        made.add_column(heading, justify="right")
    made.add_column("nights", no_wrap=True)
    for row in chosen(done.rows, every=every):
        told = row.name if row.kind == "signal" else f"{row.kind} {row.name}"
        numbers = (short(v) for v in (row.baseline, row.value, row.drift, row.threshold))
        made.add_row(told, row.statistic, *numbers, sparkline(row.course), style="red" if row.breached else "")
    return made


def chosen(rows: Sequence[Row], *, every: bool = False) -> list[Row]:
    """What is shown: breaches first, then by how far it strayed; without `every` nothing that did not."""
    ranked = sorted(rows, key=lambda row: (not row.breached, -(row.drift or 0.0), row.kind, row.name))
    if every:
        return ranked
    return [row for n, row in enumerate(ranked) if row.breached or (n < MOST and row.drift)]


def notes(done: Watched) -> list[str]:
    """What is to be known beside the table."""
    if not done.limits:
        return ["the recipe has no section [watch], so there is no limit to pass"]
    if not done.judged:
        return ["too few images to judge: see `least` in the recipe's section [watch]"]
    return [f"{len(done.breached)} of {sum(row.breached is not None for row in done.rows)} limits are passed"]


def sparkline(course: Sequence[float | None]) -> str:
    """The values as a line of blocks, the lowest at the bottom; a blank where there is none."""
    values = [v for v in course if v is not None and math.isfinite(v)]
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(LEVELS) - 1) / (high - low) if high > low else 0.0
    return "".join(LEVELS[round((v - low) * scale)] if v is not None and math.isfinite(v) else " " for v in course)


def short(value: float | None) -> str:
    """A number in four digits."""
    return "" if value is None else f"{value:.4g}"


def as_json(done: Watched) -> str:
    """One JSON object; what is infinitely far is the string inf."""
    rows = [
        {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}
        for row in done.rows
    ]
    return json.dumps({**asdict(done), "rows": rows, "breached": len(done.breached)}, ensure_ascii=False)
