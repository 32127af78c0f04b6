"""Nightly: one date of one source, from a frozen list of what is new to a dataset version; killed and run again, the
same.

Scan and inspect of several nights may run at once: they take the lake's lock to commit only. The other passes hold it.
Everything a rerun needs is in the lake: the list, the ledger of parts, the signals' versions, the dead letters.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePath
from typing import Any

import duckdb

from pipelines.annotating.annotate import AnnotateSummary
from pipelines.dead_letters import MOST_ATTEMPTS, open_letters
from pipelines.engines import Engine
from pipelines.engines.pool import workers_kept
from pipelines.extractors import in_scan
from pipelines.extractors.base import Extractor
from pipelines.inspect import chosen_extractors, find_due
from pipelines.nights.listing import Listed, Night, These, Where, find_night, find_stale, freeze, mark, nights
from pipelines.nights.summary import Left, NightSummary, PassDone
from pipelines.passes import ALL, Done, Mill, passes
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.scan import ScanSummary, measured_by, scan
from pipelines.scan_unit import version_of
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.sources import Source, Unit
from warehouse.sources.portion import from_text

FREEZE = "freeze"
NAMES = (FREEZE, *(p.name for p in ALL))
Bar = Callable[[str], AbstractContextManager[Progress]]
Annotate = Callable[[Lake, str, Progress], AnnotateSummary]


@dataclass(frozen=True)
class Order:
    """What a night is to do. `wait_s`: for the lake's lock; `only`: one pass by name; `annotate`: called with the lake
    and the name under which its caps count; `catalog`: of a new lake (`Lake.create`)."""

    root: PurePath
    where: Where
    recipe: Recipe
    dataset: str = "main"
    wait_s: float = 0
    only: str | None = None
    annotate: Annotate | None = None
    catalog: str | None = None

    def __post_init__(self) -> None:
        if self.only is not None and self.only not in NAMES:
            raise UsageError(f"no pass {self.only}: there are {', '.join(NAMES)}")

    def summary(self, night: str, engine: Engine) -> NightSummary:
        """The summary to be filled."""
        recipe = self.recipe
        return NightSummary(str(self.root), self.where.name, night, recipe.name, recipe.hash, engine.name)


def dates(first: str, last: str) -> list[str]:
    """Every date from one to another, both included. Raises UsageError."""
    begin, end = a_date(first), a_date(last)
    if end < begin:
        raise UsageError(f"{first}..{last} runs backwards: write the earlier date first")
    return [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]


def a_date(text: str) -> date:
    """A date as YYYY-MM-DD. Raises UsageError."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no date: write it as 2026-11-21") from error
    if found.isoformat() != text:
        raise UsageError(f"'{text}' is no date: write it as 2026-11-21")
    return found


def nightly(order: Order, summary: NightSummary, *, engine: Engine, bar: Bar) -> None:
    """Do the passes of a night, or one of them, and fill its summary on the way.

    Raises UsageError, before any byte is read, where the recipe asks for what this machine cannot measure; LakeBusy
    where another run holds the lake for longer than `wait_s`.
    """
    began = time.monotonic()
    recipe = order.recipe
    inspecting = chosen_extractors(recipe)
    if not Lake.is_there(order.root, catalog=order.catalog):
        order.where.sources(summary.night, None)  # no lake is left behind where there is no source
    lake = Lake.open_or_create(order.root, catalog=order.catalog)
    try:
        night = _frozen(order, lake, summary, bar)
        if order.only == FREEZE:
            return
        mill = _mill(order, lake, night, engine, summary.night)
        with workers_kept():
            for step in passes(recipe, inspecting, annotating=order.annotate is not None):
                if order.only not in (None, step.name):
                    continue
                started = time.monotonic()
                with (
                    bar(step.title) as show,
                    lake.lock(f"{step.name} of {summary.night}", order.wait_s) if step.alone else nullcontext(),
                ):
                    done = step.work(mill, show)
                _note(summary, step.name, started, done)
        _told(mill, summary)
        with lake.connect() as con:
            if order.only in (None, ALL[-1].name) and night is not None:
                with lake.lock("closing the night", order.wait_s):
                    summary.left = left(con, night, recipe, inspecting)
                    mark(lake, con, night, "done")
            summary.snapshot = lake.snapshot(con)
    finally:
        summary.seconds = time.monotonic() - began


def left(con: duckdb.DuckDBPyConnection, night: Night, recipe: Recipe, inspecting: tuple[Extractor, ...]) -> Left:
    """What of the night's delivery is not done, asked of the lake."""
    own = (
        f"SELECT image_id FROM lake.inputs "
        f"WHERE source = {quoted(night.source)} AND batch = {quoted(night.night)} AND status = 'ok'"
    )
    failed = [one.unit for one in open_letters(con, "scan", source=night.source) if one.batch == night.night]
    here = con.execute(
        f"SELECT DISTINCT unit FROM (SELECT unit, unnest(images) AS image_id FROM lake.errors "
        f"WHERE command <> 'scan' AND status = 'open') WHERE image_id IN ({own}) ORDER BY unit"
    ).fetchall()
    unstored = con.execute(
        f"""SELECT count(*) FROM lake.decisions WHERE recipe = ? AND stage_reached >= ? AND outcome <> 'duplicate'
        AND image_id IN ({own}) AND image_id NOT IN (SELECT image_id FROM lake.shard_index)""",
        [recipe.hash, recipe.store_from],
    ).fetchall()[0][0]
    uninspected = 0
    if inspecting and con.execute("SELECT 1 FROM lake.decisions WHERE recipe = ? LIMIT 1", [recipe.hash]).fetchall():
        find_due(con, recipe, inspecting, source=night.source)
        uninspected = con.execute(f"SELECT count(*) FROM due WHERE image_id IN ({own})").fetchall()[0][0]
    return Left((*failed, *(unit for (unit,) in here)), uninspected, unstored)


def _frozen(order: Order, lake: Lake, summary: NightSummary, bar: Bar) -> Night | None:
    """The night's list: made now, or, where only a later pass is wanted, the one that there is."""
    started = time.monotonic()
    with lake.connect() as con:
        if order.only in (None, FREEZE):
            with bar(FREEZE) as show:
                night = freeze(lake, con, order.where, summary.night, wait_s=order.wait_s, progress=show)
        else:
            night = find_night(con, order.where.name, summary.night)
    if night is not None:
        summary.units, summary.samples = night.units, night.samples
    if order.only in (None, FREEZE):
        counts = {"units": night.units if night else 0}
        _note(summary, FREEZE, started, Done(night.samples if night else 0, counts))
    return night


def _mill(order: Order, lake: Lake, night: Night | None, engine: Engine, day: str) -> Mill:
    def scanning(show: Progress) -> ScanSummary:
        if night is None:
            return ScanSummary()
        return scan_night(lake, night, engine=engine, wait_s=order.wait_s, progress=show)

    def annotating(show: Progress) -> AnnotateSummary:
        assert order.annotate is not None
        return order.annotate(lake, f"{order.where.name} {day}", show)

    return Mill(
        lake,
        order.recipe,
        engine,
        scanning,
        annotating if order.annotate is not None else None,
        source=order.where.name,
        dataset=order.dataset,
        wait_s=order.wait_s,
    )


def scan_night(lake: Lake, night: Night, *, engine: Engine, wait_s: float, progress: Progress) -> ScanSummary:
    """Scan what the night has to: its own list, lists of earlier nights that were never finished, units that failed
    before and not too often, and, where an extractor of scan changed since, what the new one did not measure yet."""
    total = ScanSummary()
    versions = json.loads(json.dumps(measured_by()))
    with lake.connect() as con:
        todo = list(_deliveries(lake, con, night, versions))
    for batch, source in todo:
        done = scan(
            lake,
            source,
            engine=engine,
            batch=batch,
            source_name=night.source,
            wait_s=wait_s,
            progress=_from(total.units, progress),
        )
        _add(total, done)
    with lake.lock("scan", wait_s), lake.connect() as con:
        for known in nights(con, night.source):
            if known.night == night.night or (known.status == "frozen" and known.night < night.night):
                status = known.status if known.status == "done" else "scanned"
                mark(lake, con, known, status, json.dumps(versions, sort_keys=True))
    return total


def _from(before: int, progress: Progress) -> Progress:
    def show(done: int, total: int | None, note: str = "") -> None:
        progress(before + done, total, note)

    return show


def _deliveries(
    lake: Lake, con: duckdb.DuckDBPyConnection, night: Night, versions: Mapping[str, Any]
) -> Iterator[tuple[str, Source]]:
    """What to scan, by batch."""
    known = nights(con, night.source)
    lists = [n for n in known if n.night == night.night or (n.status == "frozen" and n.night < night.night)]
    for each in lists:
        yield each.night, Listed(lake, each)
    listed = {each.night for each in lists}
    failed: dict[str, list[Unit]] = {}
    for letter in open_letters(con, "scan", source=night.source):
        if letter.batch not in listed and letter.attempts < MOST_ATTEMPTS and letter.content:
            failed.setdefault(letter.batch, []).append(from_text(letter.content))
    for batch, units in sorted(failed.items()):
        yield batch, These(night.source, tuple(units))
    scanned = [n for n in known if n.versions is not None and n.scanned_at is not None]
    if not scanned:
        return
    last = max(scanned, key=lambda n: n.scanned_at or n.frozen_at)
    raised = _raised(json.loads(last.versions or "{}"), versions)
    again = {n.night for n in scanned} if raised is None else set(find_stale(con, night.source, raised))
    for each in known:
        if each.night in again - listed:
            yield each.night, Listed(lake, each, tuple(raised or ()))


def _raised(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Tables of scan's extractors whose version changed, with the present one; None where everything is to be read
    again, since the decoders or scan itself changed."""
    if (before.get("scan"), before.get("decoders")) != (now["scan"], now["decoders"]):
        return None
    measured = before.get("extractors", {})
    return [(e.table.name, version_of(e)) for e in in_scan() if measured.get(e.name) != e.version]


def _add(total: ScanSummary, done: ScanSummary) -> None:
    total.units += done.units
    total.skipped += done.skipped
    total.failed += done.failed
    total.samples += done.samples
    total.errors.update(done.errors)
    total.seconds += done.seconds
    total.committed |= done.committed


def _note(summary: NightSummary, name: str, started: float, done: Done) -> None:
    summary.passes.append(PassDone(name, time.monotonic() - started, done.items, done.counts))


def _told(mill: Mill, summary: NightSummary) -> None:
    if mill.decided is not None:
        summary.outcomes = mill.decided.counts
    if mill.exported is not None:
        summary.dataset, summary.version = mill.exported.dataset, mill.exported.version
        summary.placed = mill.exported.by_scale
