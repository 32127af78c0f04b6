"""What a night would do: passes, units, models, and seconds by the rates of earlier runs. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from pipelines.extractors import folders
from pipelines.extractors.base import Extractor
from pipelines.inspect import chosen_extractors, find_due
from pipelines.inspect_unit import version_of
from pipelines.nights.listing import everything, find_night, nights, unseen
from pipelines.nights.nightly import Order
from pipelines.passes import passes
from pipelines.recipe import Recipe
from pipelines.scan import UNIT_SAMPLES
from warehouse.lake import Lake
from warehouse.sources.portion import samples_in, units_of

#: What of a run's counts its seconds were spent on, by command; None: all of them together.
ITEMS: dict[str, str | None] = {
    "scan": "samples",
    "near": "compared",
    "decide": None,
    "inspect": "images",
    "annotate": "images",
    "categorize": "images",
    "balance": "kept",
    "export": "stored",
}
RUNS_LOOKED_AT = 50


@dataclass(frozen=True)
class PassPlan:
    """A pass to come: how many items, and in how many seconds, where earlier runs tell."""

    name: str
    items: int | None
    seconds: float | None


@dataclass(frozen=True)
class NightPlan:
    """`frozen`: the list is made already. `samples` are those that the listing tells of: compressed tars do not."""

    night: str
    source: str
    recipe: str
    frozen: bool
    units: int
    samples: int
    passes: tuple[PassPlan, ...]
    models: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Of all passes; None where one is not known."""
        known = [p.seconds for p in self.passes]
        return None if None in known else round(sum(s for s in known if s is not None), 1)

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "seconds": self.seconds}

    def __str__(self) -> str:
        state = "frozen already" if self.frozen else "to be frozen"
        lines = [
            f"{self.night} of {self.source}, recipe {self.recipe}: {self.units} units, {self.samples} samples, {state}"
        ]
        for step in self.passes:
            items = "" if step.items is None else f"{step.items:,}"
            lines.append(f"  {step.name:<14}{items:>12}  {_about(step.seconds)}")
        lines.append(f"  {'in all':<26}  {_about(self.seconds)}")
        lines.append("models: " + (", ".join(self.models) or "none"))
        return "\n".join(lines)


def plan(order: Order, night: str, annotator: str | None = None) -> NightPlan:
    """What the night would do. `annotator`: name of the model, where one is asked. Raises UsageError, LakeError."""
    inspecting = chosen_extractors(order.recipe)
    steps = passes(order.recipe, inspecting, annotating=annotator is not None)
    models = [f"{e.name} {version_of(e, folders())}" for e in inspecting] + ([annotator] if annotator else [])
    if not Lake.is_there(order.root, catalog=order.catalog):
        found = [unit for unit, _ in units_of(everything(order.where.sources(night, None)), UNIT_SAMPLES)]
        samples = sum(samples_in(unit) or 0 for unit in found)
        expected = tuple(PassPlan(p.name, samples if p.name == "scan" else None, None) for p in steps)
        return NightPlan(
            night, order.where.name, order.recipe.name, False, len(found), samples, expected, tuple(models)
        )
    with Lake.open(order.root, read_only=True, catalog=order.catalog).connect(read_only=True) as con:
        frozen = find_night(con, order.where.name, night)
        if frozen is not None:
            units, samples = frozen.units, frozen.samples
            new = samples if frozen.status == "frozen" else 0
        else:
            known = nights(con, order.where.name)
            first = known[0].night if known else None
            sources = order.where.sources(night, first)
            listed = [unit for unit, _ in unseen(con, order.where.name, sources, order.where.since(night, first))]
            units, new = len(listed), sum(samples_in(unit) or 0 for unit in listed)
            samples = new
        items = _items(con, order, inspecting, new)
        rates = _rates(con, order.recipe)
    planned = tuple(_pass(p.name, items.get(p.command), rates.get(p.command)) for p in steps)
    return NightPlan(
        night, order.where.name, order.recipe.name, frozen is not None, units, samples, planned, tuple(models)
    )


def _pass(name: str, items: int | None, rate: float | None) -> PassPlan:
    if items is None:  # the views: no items, no time to speak of
        return PassPlan(name, None, 0.0)
    return PassPlan(name, items, 0.0 if not items else None if rate is None else round(items / rate, 1))


def _items(con: duckdb.DuckDBPyConnection, order: Order, inspecting: tuple[Extractor, ...], new: int) -> dict[str, int]:
    """Items of each command: the new samples, what waits in the lake, shares of the new as in earlier runs."""
    there = con.execute("SELECT count(*) FROM lake.inputs").fetchall()[0][0]
    totals: dict[str, float] = {}
    for command, counts, _ in _runs(con):
        totals[command] = totals.get(command, 0) + _worked(command, counts)

    def share(command: str) -> float:
        return min(1.0, totals.get(command, 0) / totals["scan"]) if totals.get("scan") else 1.0

    due = 0
    decided = con.execute("SELECT 1 FROM lake.decisions WHERE recipe = ? LIMIT 1", [order.recipe.hash]).fetchall()
    if inspecting and decided:
        due = find_due(con, order.recipe, inspecting, source=order.where.name)
    return {
        "scan": new,
        "near": round(new * share("near")),
        "decide": there + new,
        "inspect": due + round(new * share("inspect")),
        "annotate": round(new * share("annotate")),
        "categorize": round(new * share("categorize")),
        "balance": there + new,
        "export": round(new * share("export")),
    }


def _rates(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> dict[str, float]:
    """Items a second of each command's last run that did anything; of inspect with this recipe, if there was one."""
    found: dict[str, float] = {}
    inputs = con.execute("SELECT count(*) FROM lake.inputs").fetchall()[0][0]
    for command, counts, seconds in _runs(con):
        worked = inputs if command == "balance" else _worked(command, counts)
        if command not in found and worked and seconds:
            found[command] = worked / seconds
    return found


def _worked(command: str, counts: Mapping[str, Any]) -> float:
    name = ITEMS[command]
    values = counts.values() if name is None else [counts.get(name, 0)]
    return float(sum(value for value in values if isinstance(value, int | float)))


def _runs(con: duckdb.DuckDBPyConnection) -> list[tuple[str, dict[str, Any], float]]:
    """The last runs of each command, the newest first: command, counts, seconds."""
    rows = con.execute(
        f"""SELECT command, counts, seconds FROM lake.runs WHERE command IN ({", ".join(f"'{c}'" for c in ITEMS)})
        QUALIFY row_number() OVER (PARTITION BY command ORDER BY finished_at DESC) <= {RUNS_LOOKED_AT}
        ORDER BY finished_at DESC"""
    ).fetchall()
    return [(command, json.loads(counts), seconds) for command, counts, seconds in rows]


def _about(seconds: float | None) -> str:
    return "seconds not known yet" if seconds is None else f"about {seconds:,.0f} s"
