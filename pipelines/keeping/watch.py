"""Watch: how far a batch's signals and shares have drifted from those of the batches before it.

The batches of the last nights are taken together as the baseline. A number's drift is the population stability index
over the baseline's tenths, psi = sum (p - q) ln(p / q); below 0.1 counts as none, above 0.25 as a shift (Siddiqi,
Credit Risk Scorecards, 2006). Half a count is added to each bin, so that an empty one is no infinity. Of shares it is
the plain difference. What passes a limit of the recipe is told by the exit code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.all_signals import readable
from pipelines.keeping.watch_entry import WatchEntry
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, stored_tables
from pipelines.signals import DERIVED, Signal, relation
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import GlyphmillError, UsageError
from warehouse.lake import Lake, quoted
from warehouse.merge import superseded
from warehouse.metadata import stored_columns
from warehouse.schema import DRIFT

BINS = 10
QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
NOT_TOLD = frozenset({"batch", "source"})  # every batch has its own; sources are told as shares
SQL_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_EVALUATION = "evaluation "  # sources of this prefix are no deliveries, see pipelines/block.py


class Drifted(GlyphmillError):  # noqa: N818 - the word says what it is
    """A limit of the recipe's section [watch] is passed."""

    exit_code = 7


@dataclass(frozen=True)
class Row:
    """A row of `drift`, but for recipe and batch. `course`: the statistic's value (of psi the mean) in each batch, the
    oldest first."""

    kind: str
    name: str
    statistic: str
    value: float | None
    baseline: float | None
    drift: float | None = None
    threshold: float | None = None
    breached: bool | None = None
    course: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Watched:
    """What was seen of a batch: `images` of its own, `before` of the batches that it is held against, oldest first.

    `judged` is False where there are too few of either; nothing is breached then. `limits`: the recipe has [watch].
    """

    batch: str
    nights: tuple[str, ...]
    images: int
    before: int
    judged: bool
    limits: bool
    rows: tuple[Row, ...]
    committed: bool = False
    seconds: float = 0.0

    @property
    def breached(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.breached)


def watch(lake: Lake, recipe: Recipe, *, batch: str | None = None, progress: Progress = silent) -> Watched:
    """Hold a batch, the last one if none is named, against those before it, and commit the rows of `drift`.

    Raises UsageError for a batch that the lake does not have, or where it has none; LakeBusy, LakeError. `check` raises
    what is to be told by the exit code.
    """
    began = time.monotonic()
    entry = _by_stored_names(recipe.watch or WatchEntry())
    with lake.lock("watch", wait_s=60), lake.connect() as con:
        lake.ensure_tables(con, [DRIFT])
        views.refresh(con)
        seen = lake.snapshot(con)
        nights = window(con, batch, entry.nights)
        images, before = _mark(con, nights)
        judged = images >= entry.least and before >= entry.least
        rows = tuple(_told(con, recipe, entry, judged, progress))
        committed = _commit(lake, con, recipe, nights[-1], rows, seen, time.monotonic() - began)
    return Watched(
        batch=nights[-1],
        nights=tuple(nights[:-1]),
        images=images,
        before=before,
        judged=judged,
        limits=recipe.watch is not None,
        rows=rows,
        committed=committed,
        seconds=time.monotonic() - began,
    )


def check(done: Watched) -> None:
    """Raises Drifted where a limit is passed."""
    if done.breached:
        names = sorted({f"{row.name} ({row.statistic})" for row in done.breached})
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise Drifted(
            f"batch {done.batch} has drifted: {', '.join(names[:5])}{more}; look at what was delivered, or change the "
            "limits in the recipe's section [watch]"
        )


def window(con: duckdb.DuckDBPyConnection, batch: str | None, nights: int) -> list[str]:
    """The batches to look at in the order in which they came first, `batch` (None: the last one) at the end."""
    order = [
        name
        for (name,) in con.execute(
            """SELECT batch FROM lake.runs SEMI JOIN (
                SELECT batch FROM lake.inputs WHERE NOT starts_with(source, $evaluation)
            ) USING (batch)
            WHERE command = 'scan' GROUP BY batch ORDER BY min(finished_at), batch""",
            {"evaluation": _EVALUATION},
        ).fetchall()
    ]
    if not order:
        raise UsageError("nothing was delivered to this lake yet: there is nothing to watch")
    chosen = order[-1] if batch is None else batch
    if chosen not in order:
        raise UsageError(f"no batch {chosen} in the lake; the last ones are {', '.join(order[-5:])}")
    end = order.index(chosen) + 1
    return order[max(0, end - 1 - nights) : end]


def psi(now: Sequence[int], before: Sequence[int]) -> float:
    """Population stability index of two histograms with the same bins; half a count is added to every bin."""
    n, m, k = sum(now), sum(before), len(now)
    total = 0.0
    for a, b in zip(now, before, strict=True):
        p, q = (a + 0.5) / (n + 0.5 * k), (b + 0.5) / (m + 0.5 * k)
        total += (p - q) * math.log(p / q)
    return total


def _by_stored_names(entry: WatchEntry) -> WatchEntry:
    """The section with aliases (sharpness) as the names of what is stored (sharpness_256)."""
    stored = {signal.name: signal.of for signal in DERIVED if signal.of}
    named = {stored.get(name, name): limits for name, limits in entry.signals.items()}
    return entry.model_copy(update={"signals": named})


def _mark(con: duckdb.DuckDBPyConnection, nights: Sequence[str]) -> tuple[int, int]:
    """Make the temporary tables `nights` (batch, night from 0, now) and `watched` (image_id, night, now); images of the
    last batch and of those before it."""
    con.register("night_names", pa.table({"batch": list(nights), "night": list(range(len(nights)))}))
    con.execute(f"CREATE OR REPLACE TEMP TABLE nights AS SELECT *, night = {len(nights) - 1} AS now FROM night_names")
    con.unregister("night_names")
    con.execute(
        """CREATE OR REPLACE TEMP TABLE watched AS SELECT image_id, night, now
        FROM lake.inputs JOIN temp.nights USING (batch)
        WHERE status = 'ok' AND NOT starts_with(source, ?)""",
        [_EVALUATION],
    )
    row = con.execute("SELECT count(*) FILTER (now), count(*) FILTER (NOT now) FROM temp.watched").fetchall()[0]
    return int(row[0]), int(row[1])


def _told(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, entry: WatchEntry, judged: bool, progress: Progress
) -> Iterator[Row]:
    by_table: dict[str, list[Signal]] = {}
    measured = [table for table in stored_tables(con) if _any_row(con, f'lake."{table.name}"')]
    for signal in readable(tuple(measured)):
        if signal.name not in NOT_TOLD and signal.of is None:
            by_table.setdefault(signal.table, []).append(signal)
    for done, (table, signals) in enumerate(sorted(by_table.items())):
        progress(done, len(by_table) + 1, table)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE measured AS FROM ({relation(signals, 'lake.')}) JOIN temp.watched "
            "USING (image_id)"
        )
        kinds = {name: kind for name, kind, *_ in con.execute("DESCRIBE temp.measured").fetchall()}
        yield from _of_signals(con, {signal.name: kinds[signal.name] for signal in signals}, entry, judged)
    progress(len(by_table), len(by_table) + 1, "shares")
    yield from _shares(con, recipe, entry, judged)
    progress(len(by_table) + 1, len(by_table) + 1)


def _any_row(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _of_signals(
    con: duckdb.DuckDBPyConnection, kinds: Mapping[str, str], entry: WatchEntry, judged: bool
) -> Iterator[Row]:
    """Rows of the signals in `measured`: what is missing, and of numbers their mean, quantiles and psi, of words their
    psi. A signal that none of the batches has is passed over."""
    sums = [_Sums(name, kind) for name, kind in kinds.items()]
    listed = ", ".join(one.sql for one in sums)
    told = dict(_rows(con, f"SELECT now, {{'whole': count(*), {listed}}} FROM temp.measured GROUP BY now"))
    course = dict(_rows(con, f"SELECT night, {{'whole': count(*), {listed}}} FROM temp.measured GROUP BY night"))
    nights = range(int(con.execute("SELECT max(night) + 1 FROM temp.nights").fetchall()[0][0]))
    now, before = told.get(True), told.get(False)
    for one in sums:
        if not any(row is not None and row[one.name]["n"] for row in (now, before)):
            continue
        limits = entry.limits_of(one.name)
        a, b = one.missing(now), one.missing(before)
        row = Row("signal", one.name, "missing", a, b, None if a is None or b is None else abs(a - b))
        yield _judged(row, limits.missing, judged, tuple(one.missing(course.get(night)) for night in nights))
        means: tuple[float | None, ...] = ()
        if one.number is not None:
            a, b = one.part(now, "mean"), one.part(before, "mean")
            drift = None if a is None or b is None else _in_spreads(a, b, one.part(before, "spread"))
            means = tuple(one.part(course.get(night), "mean") for night in nights)
            yield _judged(Row("signal", one.name, "mean", a, b, drift), limits.mean, judged, means)
            for statistic in QUANTILES:
                yield Row("signal", one.name, statistic, one.part(now, statistic), one.part(before, statistic))
        if one.number is not None or one.words:
            bins = _numbers(con, one.number) if one.number is not None and not one.words else _words(con, one.column)
            value = psi(*bins) if bins is not None and any(bins[0]) and any(bins[1]) else None
            yield _judged(Row("signal", one.name, "psi", value, None, value), limits.psi, judged, means)


class _Sums:
    """What is summed up of one signal, as a struct in SQL, and its parts.

    `number`: its value as a number, if it is one; `words`: its values are counted one by one.
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.column = name, '"' + name.replace('"', '""') + '"'
        self.words = kind in ("VARCHAR", "BOOLEAN")
        self.number: str | None = None
        if kind == "BOOLEAN":
            self.number = f"{self.column}::INTEGER::DOUBLE"
        elif kind.startswith(SQL_NUMBERS) or (kind.startswith("U") and kind.endswith("INT")):
            self.number = f"{self.column}::DOUBLE"
        parts = [f"'n': count({self.column})"]
        if self.number is not None:
            parts += [f"'mean': favg({self.number})", f"'spread': stddev_pop({self.number})"]
            parts += [f"'{name}': quantile_disc({self.number}, {share})" for name, share in QUANTILES.items()]
        self.sql = f"{quoted(name)}: {{{', '.join(parts)}}}"

    def missing(self, row: Mapping[str, Any] | None) -> float | None:
        """Share of the images without it."""
        return None if row is None else 1 - row[self.name]["n"] / row["whole"]

    def part(self, row: Mapping[str, Any] | None, part: str) -> float | None:
        found: float | None = None if row is None else row[self.name][part]
        return found


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return con.execute(sql).fetchall()


def _in_spreads(now: float, before: float, spread: float | None) -> float:
    """The change of a mean in standard deviations: none within rounding, infinite for what never varied before."""
    if math.isclose(now, before, rel_tol=1e-9, abs_tol=1e-12):
        return 0.0
    return abs(now - before) / spread if spread and spread > 1e-9 * abs(before) else math.inf


def _numbers(con: duckdb.DuckDBPyConnection, column: str) -> tuple[list[int], list[int]] | None:
    """Histograms of the batch and the baseline over the baseline's tenths; equal edges are one."""
    shares = [n / BINS for n in range(1, BINS)]
    edges = con.execute(
        f"SELECT list_sort(list_distinct(quantile_disc({column}, {shares}))) FROM temp.measured WHERE NOT now"
    ).fetchall()[0][0]
    if not edges:
        return None
    counts = con.execute(
        f"SELECT len(list_filter($1::DOUBLE[], lambda edge: edge < {column})) AS bin, count(*) FILTER (now), "
        f"count(*) FILTER (NOT now) FROM temp.measured WHERE {column} IS NOT NULL GROUP BY bin",
        [edges],
    ).fetchall()
    now, before = [0] * (len(edges) + 1), [0] * (len(edges) + 1)
    for place, a, b in counts:
        now[place], before[place] = a, b
    return now, before


def _words(con: duckdb.DuckDBPyConnection, column: str) -> tuple[list[int], list[int]] | None:
    """Counts of the baseline's most frequent values, and of all others together."""
    counts = con.execute(
        f"SELECT count(*) FILTER (now), count(*) FILTER (NOT now) AS b FROM temp.measured WHERE {column} IS NOT NULL "
        f"GROUP BY {column} ORDER BY b DESC, {column}"
    ).fetchall()
    if not counts:
        return None
    listed, rest = counts[:BINS], counts[BINS:]
    listed += [(sum(a for a, _ in rest), sum(b for _, b in rest))] if rest else []
    return [a for a, _ in listed], [b for _, b in listed]


def _shares(con: duckdb.DuckDBPyConnection, recipe: Recipe, entry: WatchEntry, judged: bool) -> Iterator[Row]:
    """Rows of what share of the deliveries ends how, and of what share of the images is of which kind."""
    last = int(con.execute("SELECT max(night) FROM temp.nights").fetchall()[0][0])
    for kind, rows in _of_what(con, recipe).items():
        wholes: dict[int, int] = {}
        found: dict[str, dict[int, int]] = {}
        counted = f"SELECT night, name, count(*), any_value(whole) FROM ({rows}) GROUP BY night, name"
        for night, name, count, whole in con.execute(counted).fetchall():
            wholes[night] = whole
            if name is not None:
                found.setdefault(str(name), {})[night] = count
        yield from (_share(kind, name, nights, wholes, last, entry, judged) for name, nights in sorted(found.items()))


def _share(
    kind: str,
    name: str,
    counts: Mapping[int, int],
    wholes: Mapping[int, int],
    last: int,
    entry: WatchEntry,
    judged: bool,
) -> Row:
    def share(nights: Sequence[int]) -> float | None:
        whole = sum(wholes.get(night, 0) for night in nights)
        return sum(counts.get(night, 0) for night in nights) / whole if whole else None

    now, before = share([last]), share(range(last))
    drift = None if now is None or before is None else abs(now - before)
    row = Row(kind, name, "share", now, before, drift)
    return _judged(row, entry.share, judged, tuple(share([night]) for night in range(last + 1)))


def _of_what(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> dict[str, str]:
    """By kind, a query of (night, name, whole): what has a share, and how many the night has of them all."""
    mine = f"recipe = '{recipe.hash}'"
    whole = "count(*) OVER (PARTITION BY night) AS whole"
    delivered = f"lake.inputs JOIN temp.nights USING (batch) WHERE NOT starts_with(source, '{_EVALUATION}')"
    told = {"source": f"SELECT night, source AS name, {whole} FROM {delivered}"}
    if _any_row(con, f"lake.decisions WHERE {mine}"):
        verdict = f"(FROM lake.decisions WHERE {mine})"
        told["outcome"] = (
            f"SELECT night, if(status = 'ok', outcome, status) AS name, {whole} FROM (SELECT * FROM {delivered}) "
            f"LEFT JOIN {verdict} USING (image_id)"
        )
        told["stage"] = (
            f"SELECT night, stage_reached AS name, {whole} FROM temp.watched JOIN {verdict} USING (image_id)"
        )
        told["rule"] = (
            f"SELECT night, unnest(if(len(failed_rules) > 0, failed_rules, [NULL])) AS name, whole FROM (SELECT night, "
            f"failed_rules, {whole} FROM temp.watched JOIN {verdict} USING (image_id))"
        )
    if "signals_category" in stored_columns(con):
        told["category"] = (
            f"SELECT night, category AS name, {whole} FROM temp.watched JOIN lake.signals_category USING (image_id)"
        )
    return told


def _judged(row: Row, threshold: float | None, judged: bool, course: tuple[float | None, ...] = ()) -> Row:
    breached = None if threshold is None or row.drift is None or not judged else row.drift > threshold
    return Row(row.kind, row.name, row.statistic, row.value, row.baseline, row.drift, threshold, breached, course)


def _commit(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    batch: str,
    rows: Sequence[Row],
    seen: int,
    seconds: float,
) -> bool:
    """The rows in the place of those that an earlier look at the batch gave."""
    listed = [{"recipe": recipe.hash, "batch": batch, **{c: getattr(row, c) for c in DRIFT.names[2:]}} for row in rows]
    con.register("new_drift", DRIFT.from_rows(listed))
    files = pack_query(con, lake, DRIFT, "SELECT * FROM new_drift")
    con.unregister("new_drift")
    counts = {"rows": len(rows), "breached": sum(bool(row.breached) for row in rows)}
    run = RunInfo("watch", batch, "sql", recipe.hash, counts=counts, seconds=seconds, snapshot=seen)
    return commit(con, lake, run, {DRIFT.name: files}, replace={DRIFT.name: superseded(DRIFT, files)}).committed
