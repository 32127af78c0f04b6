"""A signal's histogram with a recipe's thresholds drawn in: how many images each rule keeps and drops, at a glance.

Where a rule's answer changes is not read from its text: DuckDB is asked for it at every bin's edge. A rule over this
signal alone has sharp thresholds; of one that reads others too, the images that it drops are drawn in each bin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.recipe import Recipe, Rule, stored_tables
from pipelines.signals import Signal, known_signals, relation
from warehouse.errors import LakeError, MissingDependency, UsageError
from warehouse.lake import Lake

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 60
HALVINGS = 40  # of the interval in which a rule's answer changes: a threshold to 12 digits
SKEWED = 8.0  # the axis is logarithmic where the 99th percentile lies this many times above the median
MOST_BARS = 24  # values of a signal that is no number

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A value at which a rule's answer changes; `keeps` is the side that it keeps: below | above."""

    value: float
    keeps: str


@dataclass(frozen=True)
class Cut:
    """What one rule does to a signal. `kept` and `dropped` count images; `partial`: it reads other signals as well,
    and `dropped_in` are the images that it drops in each bin."""

    rule: str
    stage: int
    predicate: str
    thresholds: tuple[Threshold, ...]
    kept: int
    dropped: int
    waiting: int
    partial: bool
    dropped_in: tuple[int, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """A numeric signal's values: `edges` of the bins (n + 1), `counts` (n,), images below and above, and missing."""

    signal: Signal
    edges: Numbers
    counts: npt.NDArray[np.int64]
    images: int
    missing: int
    logarithmic: bool
    zeros: int
    quantiles: dict[int, float]
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Bars:
    """A signal that is no number: its most frequent values and their images."""

    signal: Signal
    values: tuple[str, ...]
    counts: tuple[int, ...]
    images: int
    missing: int
    others: int


@dataclass(frozen=True)
class SignalRow:
    """One line of the list of signals. `missing`: share of the images that have none, 0 to 1."""

    name: str
    table: str
    kind: str
    doc: str
    missing: float


def plot(lake: Lake, name: str, out: Path, recipe: Recipe | None = None) -> Histogram | Bars:
    """Draw the histogram of a stored signal to `out` (.png, .svg or .pdf) and return what was drawn.

    Raises UsageError for a signal that the lake does not have or a suffix that is no picture, LakeError where no image
    has the signal, MissingDependency where matplotlib is not installed.
    """
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{out}: name a .png, .svg or .pdf file")
    try:
        import matplotlib  # noqa: F401
    except ImportError as missing:
        raise MissingDependency("plots need matplotlib; install it with: pip install 'glyphmill[plot]'") from missing
    with lake.connect(read_only=True) as con:
        found = measure(con, name, recipe)
    draw(found, out)
    return found


def measure(con: duckdb.DuckDBPyConnection, name: str, recipe: Recipe | None = None) -> Histogram | Bars:
    """The histogram of a signal of the lake, with the cuts of the recipe's rules that read it."""
    signal = _signal(con, name)
    rules = [r for r in recipe.rules if signal.stored_name in r.stored_names] if recipe else []
    others = {s.name: s for rule in rules for s in rule.signals}
    signals = list({signal.name: signal, **others}.values())
    con.execute(f"CREATE OR REPLACE TEMP TABLE seen AS {relation(signals, 'lake.')}")
    (kind,) = con.execute(f'SELECT typeof("{signal.name}") FROM temp.seen LIMIT 1').fetchone() or ("NULL",)
    images, missing = con.execute(f'SELECT count(*), count(*) - count("{signal.name}") FROM temp.seen').fetchall()[0]
    if images == missing:
        raise LakeError(f"no image has the signal {name} yet: run the pass that measures it (glyphmill signals list)")
    if kind in _NUMBERS:
        return _histogram(con, signal, rules, images, missing)
    return _bars(con, signal, images, missing)


def listed(con: duckdb.DuckDBPyConnection) -> list[SignalRow]:
    """Every signal of the lake by table and name, with the share of images that lack it."""
    known = list(known_signals(stored_tables(con)).values())
    counts = ", ".join(f'count("{s.name}")' for s in known)
    rows = relation(known, "lake.")
    images, *present = con.execute(f"SELECT count(*), {counts} FROM ({rows})").fetchall()[0]
    kinds = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {rows}").fetchall()}
    docs = _docs()
    found = [
        SignalRow(s.name, s.table, kinds[s.name], _told(s, docs), 1 - n / images if images else 1.0)
        for s, n in zip(known, present, strict=True)
    ]
    return sorted(found, key=lambda row: (row.table, row.name))


def thresholds(
    con: duckdb.DuckDBPyConnection, rule: Rule, signal: Signal, kind: str, edges: Sequence[float]
) -> tuple[Threshold, ...]:
    """Where the answer of a rule that reads this signal alone changes, between the lowest and the highest edge.

    There are none for a rule that reads others as well. The rule is asked at every edge, then between two edges that
    differ by halving. Changes within one bin that take each other back are not found.
    """
    names = {s.name for s in rule.signals}

    def ask(values: Sequence[float]) -> list[bool]:
        columns = ", ".join(f'CAST(value AS {kind}) AS "{name}"' for name in sorted(names))
        con.register("asked", pa.table({"place": list(range(len(values))), "value": pa.array(values, pa.float64())}))
        rows = con.execute(
            f"SELECT coalesce(({rule.predicate}), false) FROM (SELECT place, {columns} FROM asked) ORDER BY place"
        ).fetchall()
        con.unregister("asked")
        return [row[0] for row in rows]

    if {s.stored_name for s in rule.signals} != {signal.stored_name}:
        return ()
    answers = ask(edges)
    found = []
    for place, (before, after) in enumerate(pairwise(answers)):
        if before == after:
            continue
        low, high = edges[place], edges[place + 1]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if ask([middle])[0] == before:
                low = middle
            else:
                high = middle
        found.append(Threshold(float(f"{high:.6g}"), "above" if after else "below"))
    return tuple(found)


def draw(found: Histogram | Bars, out: Path) -> None:
    """Draw to a file. The backend is chosen for this figure alone: no process-wide switch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if isinstance(found, Histogram):
        _draw_histogram(axes, found)
    else:
        _draw_bars(axes, found)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(out)


_NUMBERS = frozenset(
    {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "HUGEINT",
        "FLOAT",
        "DOUBLE",
    }
)
_PERCENTILES = (1, 5, 50, 95, 99)
_INK, _BAR, _GRID = "#22303c", "#9db8cc", "#e3e8ec"
_RULES = ("#c0392b", "#1f7a4d", "#8e44ad", "#b9770e", "#1f618d", "#7b241c")


def _signal(con: duckdb.DuckDBPyConnection, name: str) -> Signal:
    import difflib

    known = known_signals(stored_tables(con))
    if name in known:
        return replace(known[name], doc=_told(known[name], _docs()))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see glyphmill signals list"
    raise UsageError(f"the lake has no signal {name!r}; {hint}")


def _told(signal: Signal, docs: Mapping[str, str]) -> str:
    """What a signal is, in its extractor's words where it is a stored column or another name of one."""
    return docs.get(signal.stored_name) or signal.doc


def _docs() -> dict[str, str]:
    """What the installed extractors say of their columns: the lake itself keeps no words."""
    from pipelines.recipe import installed_tables

    return {column.name: column.doc for table in installed_tables() for column in table.columns}


def _histogram(
    con: duckdb.DuckDBPyConnection, signal: Signal, rules: Sequence[Rule], images: int, missing: int
) -> Histogram:
    name = f'"{signal.name}"'
    values: Numbers = (
        con.execute(f"SELECT {name}::DOUBLE AS v FROM temp.seen WHERE {name} IS NOT NULL")
        .to_arrow_table()["v"]
        .to_numpy()
    )
    (kind,) = con.execute(f"SELECT typeof({name}) FROM temp.seen LIMIT 1").fetchall()[0]
    own = [r for r in rules if {s.stored_name for s in r.signals} == {signal.stored_name}]
    logarithmic = is_skewed(values)
    edges = _edges(values, logarithmic)
    reach = _reach(edges, logarithmic)
    cuts = tuple(_cut(con, rule, signal, kind, reach if rule in own else (), rule not in own) for rule in rules)
    inside = [t.value for c in cuts for t in c.thresholds if t.value > 0 or not logarithmic]
    if inside and (min(inside) < edges[0] or max(inside) > edges[-1]):  # a threshold that no image reaches is drawn too
        edges = _edges(np.concatenate([values, np.array(inside)]), logarithmic)
    cuts = tuple(replace(c, dropped_in=_dropped_in(con, c, signal, edges)) if c.partial else c for c in cuts)
    counts, _ = np.histogram(np.maximum(values, edges[0]), edges)  # zeros stand in the first bin of a log axis
    quantiles = {p: float(np.percentile(values, p)) for p in _PERCENTILES}
    zeros = int(np.count_nonzero(values == 0))
    return Histogram(signal, edges, counts, images, missing, logarithmic, zeros, quantiles, cuts)


def is_skewed(values: Numbers) -> bool:
    """Whether a logarithmic axis shows more: nothing negative, most above 0, and a tail far above the median."""
    positive = values[values > 0]
    if values.min() < 0 or len(positive) < 0.9 * len(values) or len(np.unique(positive[:10_000])) < 3:
        return False
    low, median, high = np.percentile(positive, [1, 50, 99])
    return bool(high > SKEWED * median or median > 2 * SKEWED * low)


def _edges(values: Numbers, logarithmic: bool) -> Numbers:
    if logarithmic:
        values = values[values > 0]
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    if logarithmic:
        powers: Numbers = np.exp(np.linspace(math.log(low), math.log(high), BINS + 1))
        powers[0], powers[-1] = low, high
        return powers
    if np.all(values == np.round(values)) and high - low < BINS:
        whole: Numbers = np.arange(low - 0.5, high + 1, 1.0, dtype=np.float64)
        return whole
    return np.linspace(low, high, BINS + 1)


def _reach(edges: Numbers, logarithmic: bool) -> list[float]:
    """Edges to ask a rule at: the histogram's, and far beyond on both sides, where no image of this lake lies."""
    low, high = float(edges[0]), float(edges[-1])
    span = high - low
    beyond = [high + span * 2.0**n for n in range(-3, 12)]
    before = (
        [low / 2.0**n for n in range(12, 0, -1)] if logarithmic else [low - span * 2.0**n for n in range(11, -4, -1)]
    )
    return [*before, *edges.tolist(), *beyond]


def _cut(
    con: duckdb.DuckDBPyConnection, rule: Rule, signal: Signal, kind: str, edges: Sequence[float], partial: bool
) -> Cut:
    applies = {"all": "true", "real": "NOT synthetic", "synthetic": "synthetic"}[rule.applies_to]
    rows = "temp.seen"
    if rule.applies_to != "all":
        rows = (
            "(SELECT *, image_id IN (SELECT image_id FROM lake.captions WHERE kind = 'synthetic') AS synthetic "
            "FROM temp.seen)"
        )
    kept, dropped, waiting = con.execute(
        f"""SELECT count(*) FILTER (said), count(*) FILTER (NOT said), count(*) FILTER (said IS NULL)
        FROM (SELECT CASE WHEN {applies} THEN ({rule.predicate}) ELSE true END AS said FROM {rows})"""
    ).fetchall()[0]
    found = thresholds(con, rule, signal, kind, edges) if edges else ()
    return Cut(rule.name, rule.stage, rule.predicate, found, kept, dropped, waiting, partial)


def _dropped_in(con: duckdb.DuckDBPyConnection, cut: Cut, signal: Signal, edges: Numbers) -> tuple[int, ...]:
    name = f'"{signal.name}"'
    values = con.execute(
        f"SELECT {name}::DOUBLE AS v FROM temp.seen WHERE NOT ({cut.predicate}) AND {name} IS NOT NULL"
    ).to_arrow_table()["v"]
    return tuple(np.histogram(np.maximum(values.to_numpy(), edges[0]), edges)[0].tolist())


def _bars(con: duckdb.DuckDBPyConnection, signal: Signal, images: int, missing: int) -> Bars:
    rows = con.execute(
        f"""SELECT left("{signal.name}"::VARCHAR, 40) AS value, count(*) AS n FROM temp.seen
        WHERE "{signal.name}" IS NOT NULL GROUP BY value ORDER BY n DESC, value"""
    ).fetchall()
    shown, rest = rows[:MOST_BARS], rows[MOST_BARS:]
    return Bars(
        signal,
        tuple(value for value, _ in shown),
        tuple(n for _, n in shown),
        images,
        missing,
        sum(n for _, n in rest),
    )


def _draw_histogram(axes: Axes, found: Histogram) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.bar(found.edges[:-1], found.counts, np.diff(found.edges), align="edge", color=_BAR, edgecolor="white", lw=0.4)
    if found.logarithmic:
        axes.set_xscale("log")
    low, high = found.edges[0], found.edges[-1]
    for number, cut in enumerate(found.cuts):
        colour = _RULES[number % len(_RULES)]
        told = f"{cut.rule}: keeps {cut.kept:,}, drops {cut.dropped:,}"
        told += f", waits {cut.waiting:,}" if cut.waiting else ""
        told += " (reads other signals too)" if cut.partial else ""
        axes.plot([], [], color=colour, lw=2, label=told)
        if cut.partial and any(cut.dropped_in):
            axes.stairs(cut.dropped_in, found.edges, color=colour, fill=True, alpha=0.75)
        for threshold in cut.thresholds:
            if math.isfinite(threshold.value):
                axes.axvline(threshold.value, color=colour, lw=1.6)
                dropped = (low, threshold.value) if threshold.keeps == "above" else (threshold.value, high)
                axes.axvspan(*dropped, color=colour, alpha=0.07, lw=0)
                axes.annotate(
                    f" {threshold.value:g}",
                    (threshold.value, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, -11 - 13 * number),
                    textcoords="offset points",
                    color=colour,
                    fontsize=9,
                    fontweight="bold",
                    ha="left" if threshold.value < (low + high) / 2 or found.logarithmic else "right",
                )
    axes.margins(x=0.01)
    axes.set_ylim(top=max(1, int(found.counts.max())) * (1.06 + 0.05 * len(found.cuts)))  # room for the numbers
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_GRID)
    axes.set_xlabel(found.signal.doc or found.signal.name, color=_INK)
    axes.set_ylabel("images", color=_INK)
    told = ", ".join(f"{p} % {value:.4g}" for p, value in found.quantiles.items())
    measured = found.images - found.missing
    axes.set_title(f"{found.signal.name}   {measured:,} images, {found.missing:,} without\n", loc="left", color=_INK)
    if found.logarithmic and found.zeros:
        told += f"; {found.zeros:,} at 0, in the first bar"
    axes.text(0, 1.02, f"percentiles: {told}", transform=axes.transAxes, fontsize=8.5, color=_INK)
    if found.cuts:
        axes.figure.legend(frameon=False, fontsize=9, loc="outside lower left", ncols=2)


def _draw_bars(axes: Axes, found: Bars) -> None:
    places = np.arange(len(found.values))
    bars = axes.barh(places, found.counts, color=_BAR)
    axes.set_yticks(places, found.values)
    axes.invert_yaxis()
    axes.bar_label(bars, [f"{n:,}" for n in found.counts], padding=3, fontsize=8.5)
    axes.set_xlabel("images", color=_INK)
    rest = f", {found.others:,} with other values" if found.others else ""
    measured = found.images - found.missing
    axes.set_title(
        f"{found.signal.name}   {measured:,} images, {found.missing:,} without{rest}", loc="left", color=_INK
    )
    axes.margins(x=0.12)
