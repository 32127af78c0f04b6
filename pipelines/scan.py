"""Scan: the first pass over bytes. Each sample is read once, each image decoded once; all that is measured is staged in
parts, and the parts of the whole run are committed in one transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePath

import duckdb

from pipelines.dead_letters import Key, Letter, open_keys, settle
from pipelines.decode import decoder_versions
from pipelines.engines import Engine, Result
from pipelines.examine import IMAGE_SECONDS
from pipelines.extractors import folders, in_scan
from pipelines.progress import Progress, silent
from pipelines.reasons import Reason
from pipelines.scan_unit import (
    SCAN_VERSION,
    Delivery,
    Done,
    Job,
    part_names,
    scan_tables,
    unlisted,
    version_of,
    work,
)
from pipelines.tables import ensure
from warehouse.commit import RunInfo, commit_parts, uncommitted
from warehouse.lake import Lake
from warehouse.parts import Part, find_part, key
from warehouse.schema import ERRORS, INPUTS
from warehouse.sources.base import Source, Unit
from warehouse.sources.portion import to_text

UNIT_SAMPLES = 512
ASKED_AT_ONCE = 256  # units whose parts are looked up in the lake by one query


@dataclass
class ScanSummary:
    """What a scan did. `str()` says it in one line."""

    units: int = 0
    skipped: int = 0  # units that the lake had already
    due: int | None = None  # units to be read; None as long as the source is not listed to its end
    failed: int = 0  # units that could not be finished; their samples are error rows
    samples: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    run_id: str | None = None
    snapshot: int | None = None
    committed: bool = False
    waiting: set[Key] = field(default_factory=set)  # units, with their batch, that an earlier run gave up
    finished: set[Key] = field(default_factory=set)  # those of them that lack nothing now

    def __str__(self) -> str:
        if not self.units:
            return f"nothing new: {self.skipped} units are in the lake already"
        said = f"{self.samples} samples scanned, {self.samples - self.errors.total()} readable, {self.seconds:.1f} s"
        if self.errors:
            said += "; errors: " + ", ".join(f"{count} {reason}" for reason, count in sorted(self.errors.items()))
        if self.failed:
            said += f"; {self.failed} units could not be finished, the next scan tries them again (table errors)"
        return said


@dataclass(frozen=True)
class Plan:
    """What a scan would do. `str()` says it in one line."""

    units: int
    skipped: int

    def __str__(self) -> str:
        return f"scan: {self.units} units to read, {self.skipped} in the lake already"


def scan(
    lake: Lake,
    source: Source,
    *,
    engine: Engine,
    batch: str = "default",
    source_name: str | None = None,
    extractors: Sequence[str | Path] = (),
    unit_samples: int = UNIT_SAMPLES,
    image_seconds: float = IMAGE_SECONDS,
    wait_s: float = 0,
    progress: Progress = silent,
) -> ScanSummary:
    """Scan `source` into `lake` and commit: every sample ends as a row of `inputs`, every image with its signals.

    Parts that a former run staged or committed are not made again. `extractors`: folders with further extractors beside
    those of the environment. `image_seconds`: time limit for an image that is suspected to hang. The lake's lock is
    taken to commit only, and waited for `wait_s` seconds. Raises UsageError (an extractor that cannot be used),
    LakeError, LakeBusy.
    """
    began = time.monotonic()
    delivery = Delivery(str(lake.root), source_name or _name(source), batch, folders(extractors), image_seconds)
    tables = scan_tables(in_scan(delivery.folders))
    summary = ScanSummary()
    parts: list[Part] = []
    con = lake.connect()
    try:
        ensure(lake, con, [ERRORS], wait_s=wait_s)
        snapshot = lake.snapshot(con)
        summary.waiting = open_keys(con, "scan")
        jobs = _jobs(lake, con, source.units(unit_samples), delivery, parts, summary)
        failed = _run(engine, jobs, parts, summary, progress)
        _give_up(lake, engine, failed, parts, summary)
        summary.seconds = time.monotonic() - began
        run = RunInfo(
            command="scan",
            batch=batch,
            engine=engine.name,
            versions=measured_by(delivery.folders),
            counts={"units": summary.units, "samples": summary.samples, "errors": dict(sorted(summary.errors.items()))},
            seconds=summary.seconds,
            snapshot=snapshot,
        )
        with lake.lock("scan", wait_s):
            result = commit_parts(lake, con, run, parts, tables)
            settle(lake, con, "scan", [_letter(r) for r in failed], summary.finished, result.run_id)
    finally:
        con.close()
    summary.run_id, summary.snapshot, summary.committed = result.run_id, result.snapshot, result.committed
    summary.seconds = time.monotonic() - began
    return summary


def dry_run(root: str | PurePath, source: Source, *, batch: str = "default", source_name: str | None = None) -> Plan:
    """What `scan` would do with the lake at `root`, which need not be there yet. Nothing is read or written."""
    units = source.units(UNIT_SAMPLES)
    if not Lake.is_there(root):
        return Plan(sum(1 for _ in units), 0)
    lake, summary = Lake.open(root, read_only=True), ScanSummary()
    con = lake.connect(read_only=True)
    try:
        delivery = Delivery(str(lake.root), source_name or _name(source), batch, folders())
        todo = sum(1 for _ in _jobs(lake, con, units, delivery, [], summary))
    finally:
        con.close()
    return Plan(todo, summary.skipped)


def _name(source: Source) -> str:
    return source.root.rstrip("/").rpartition("/")[2]


def measured_by(more: tuple[str, ...] = ()) -> dict[str, object]:
    """Versions of everything that shapes what a scan writes; `more`: folders with further extractors."""
    extractors = {e.name: e.version for e in in_scan(more)}
    return {"scan": SCAN_VERSION, "decoders": decoder_versions(), "extractors": extractors}


def _jobs(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    units: Iterator[Unit],
    delivery: Delivery,
    staged: list[Part],
    summary: ScanSummary,
) -> Iterator[Job]:
    """A job for each unit that still lacks parts; parts found staged are put to `staged`."""
    due = 0
    while asked := list(islice(units, ASKED_AT_ONCE)):
        wanted = [
            Part(table, name, unit.key, 0) for unit in asked for table, name in part_names(unit, delivery).items()
        ]
        todo: dict[str, list[tuple[str, str]]] = {}
        for part in uncommitted(con, wanted):
            found = find_part(lake, part.table, part.name, part.unit)
            if found is not None:
                staged.append(found)
            else:
                todo.setdefault(part.unit, []).append((part.table, part.name))
        due += len(todo)
        if len(asked) < ASKED_AT_ONCE:
            summary.due = due
        for unit in asked:
            if unit.key in todo:
                yield Job(delivery, unit, tuple(todo[unit.key]))
            else:
                summary.skipped += 1
                _finish(summary, unit, delivery)


def _run(
    engine: Engine, jobs: Iterable[Job], parts: list[Part], summary: ScanSummary, progress: Progress
) -> list[Result[Job, Done]]:
    """Work off the jobs; returns those that failed for good."""
    failed: list[Result[Job, Done]] = []
    for result in engine.map(work, jobs):
        summary.units += 1
        if result.value is None:
            failed.append(result)
        else:
            _finish(summary, result.unit.unit, result.unit.delivery)
            _count(result.value, parts, summary)
        progress(summary.units, summary.due, f"{summary.samples} samples")
    return failed


def _finish(summary: ScanSummary, unit: Unit, delivery: Delivery) -> None:
    summary.finished |= summary.waiting & {(unit.key, delivery.batch)}


def _give_up(
    lake: Lake, engine: Engine, failed: list[Result[Job, Done]], parts: list[Part], summary: ScanSummary
) -> None:
    """Error rows for the samples of units that failed; where even listing them fails, one row for the unit."""
    summary.failed = len(failed)
    jobs = []
    for result in failed:
        job, error = result.unit, (result.error or "").split("\n")[0]
        if result.failure == "raised":  # what was raised may name another file of the unit: `errors` tells it
            error = f"{error.partition(':')[0]}, see the table errors"
        names = [(INPUTS.name, key("gave up", dict(job.parts).get(INPUTS.name), job.unit.key))]
        jobs.append(replace(job, parts=tuple(names), gave_up=f"{Reason.UNIT}: {error}"))
    for listed in engine.map(work, jobs):
        _count(listed.value or unlisted(lake, listed.unit), parts, summary)


def _letter(result: Result[Job, Done]) -> Letter:
    """The row of `errors` of a unit that failed for good."""
    job, tables = result.unit, {e.table.name: e for e in in_scan(result.unit.delivery.folders)}
    letter = Letter(
        command="scan",
        unit=job.unit.key,
        batch=job.delivery.batch,
        source=job.delivery.source,
        extractors=tuple(f"{e.name} {version_of(e)}" for table, _ in job.parts if (e := tables.get(table)) is not None),
        content=to_text(job.unit),
    )
    return letter.told(result)


def _count(done: Done, parts: list[Part], summary: ScanSummary) -> None:
    parts.extend(done.parts)
    summary.samples += done.samples
    summary.errors.update(done.errors)
