"""Synthesise: draw samples of a strategy, commit their truth, and scan them like any other source.

Work is cut at fixed numbers, whatever the count: a raised count draws what is new alone, and a run that was stopped
goes on where it was. The truth is committed before the images are scanned, so none is in the lake without it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath

import duckdb

from pipelines import scan
from pipelines.edits import edits
from pipelines.engines import Engine
from pipelines.progress import Progress, silent
from pipelines.synthesising.source import DrawnTars, pairs_of, unscanned
from pipelines.synthesising.unit import (
    SYNTH_VERSION,
    TABLES,
    UNIT_SAMPLES,
    Drawer,
    Drawn,
    Order,
    Pairs,
    Piece,
    draw,
    setup,
    version_of,
    work,
)
from pipelines.tables import ensure
from warehouse import storage
from warehouse.commit import RunInfo, commit_parts
from warehouse.lake import Lake
from warehouse.parts import Part, find_part
from warehouse.schema import SYNTH_TRUTH

TRIED = 2  # samples that a dry run draws to tell how large they are


@dataclass
class SynthSummary:
    """What a run drew. `str()` says it in one line."""

    samples: int = 0  # asked for
    skipped: int = 0  # of them in the lake already
    images: int = 0
    bytes: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    pairs: int = 0
    scanned: scan.ScanSummary = field(default_factory=scan.ScanSummary)
    seconds: float = 0.0
    committed: bool = False

    def __str__(self) -> str:
        if not self.images and not self.rejected and not self.failed and not self.scanned.samples:
            return f"nothing new: {self.skipped} samples are in the lake already"
        said = f"{self.images} images drawn, {self.bytes / 1e6:.1f} MB, {self.seconds:.1f} s"
        if self.pairs:
            said += f"; {self.pairs} edit pairs in the batch"
        if self.skipped:
            said += f"; {self.skipped} samples were there already"
        if self.rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.rejected.items()))
            said += f"; rejected: {reasons} (table synth_rejected)"
        if self.scanned.errors:
            said += "; errors: " + ", ".join(f"{n} {what}" for what, n in sorted(self.scanned.errors.items()))
        if self.failed:
            said += f"; {len(self.failed)} units could not be drawn, run it again: {self.failed[0]}"
        return said


@dataclass(frozen=True)
class SynthPlan:
    """What a run would do. `str()` says it in one line."""

    units: int
    samples: int
    skipped: int
    bytes: int

    def __str__(self) -> str:
        if not self.units:
            return f"synth: nothing to draw, {self.skipped} samples are in the lake already"
        return (
            f"synth: {self.samples} samples to draw in {self.units} units, about {self.bytes / 1e6:.1f} MB; "
            f"{self.skipped} in the lake already"
        )


def source_name(drawer: Drawer) -> str:
    return f"synth-{drawer.name}"


def folder_of(lake: Lake, drawer: Drawer, out: PurePath | None = None) -> PurePath:
    """Where the tars go: a folder of the lake's own unless another is named."""
    return out if out is not None else lake.root / "synth" / drawer.name


def synthesise(
    lake: Lake,
    drawer: Drawer,
    *,
    seed: int,
    count: int,
    engine: Engine,
    start: int = 0,
    batch: str = "default",
    out: PurePath | None = None,
    left_out: Mapping[str, int] | None = None,
    wait_s: float = 0,
    progress: Progress = silent,
    scanning: Progress = silent,
) -> SynthSummary:
    """Draw samples `start` to `start + count` of `seed` into the lake; what a former run drew is not drawn again.
    `left_out`: fonts and texts that are not used, by reason, for the run's counts.

    Raises UsageError and MissingDependency as the strategy's `check`, LakeError, LakeBusy.
    """
    began = time.monotonic()
    drawer.check()
    folder, version = folder_of(lake, drawer, out), version_of(drawer)
    summary = SynthSummary(samples=count)
    con = lake.connect()
    try:
        ensure(lake, con, TABLES.values(), wait_s=wait_s)
        snapshot = lake.snapshot(con)
        todo, done, staged = plan_pieces(lake, con, drawer, version, seed, start, count)
        due = sum(piece.stop - piece.first for piece in todo)
        summary.skipped = count - due
        progress(0, due)
        orders = (Order(str(lake.root), folder, piece) for piece in todo)
        for result in engine.map(work, orders, setup=setup):
            if result.value is None:
                summary.failed.append((result.error or "").split("\n")[0])
                continue
            _count(result.value, staged, summary)
            done.append(result.unit.piece)
            progress(summary.images // _per_sample(drawer) + summary.rejected.total(), due, f"{summary.images} images")
        run = RunInfo(
            command="synth",
            batch=batch,
            engine=engine.name,
            versions={"synth": SYNTH_VERSION, "strategy": drawer.name, "drawn_by": version},
            counts={
                "samples": due,
                "images": summary.images,
                "bytes": summary.bytes,
                "rejected": dict(sorted(summary.rejected.items())),
                "failed": len(summary.failed),
                "left_out": dict(sorted((left_out or {}).items())),
            },
            seconds=time.monotonic() - began,
            snapshot=snapshot,
        )
        with lake.lock("synth", wait_s):
            summary.committed = commit_parts(lake, con, run, staged, TABLES).committed
        tars = sorted(piece.tar for piece in done)
        there = {found.path.name for found in storage.listing(folder)} if tars else set()
        new = unscanned(con, source_name(drawer), folder, [tar for tar in tars if tar in there])
    finally:
        con.close()
    if new:
        summary.scanned = _scan(lake, drawer, DrawnTars(folder, tuple(new)), engine, batch, wait_s, scanning)
    if isinstance(drawer, Pairs):
        summary.pairs = _link(lake, drawer, folder, engine, batch)
    summary.seconds = time.monotonic() - began
    return summary


def plan_pieces(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    drawer: Drawer,
    version: str,
    seed: int,
    start: int,
    count: int,
) -> tuple[list[Piece], list[Piece], list[Part]]:
    """(pieces to draw, pieces of the range that were drawn before, those of their parts that are staged only).

    Blocks of UNIT_SAMPLES are filled with the pieces that are there, and what is between them is drawn.
    """
    whole = Piece(drawer, version, seed, start, start + count)
    edges = [*range(start - start % UNIT_SAMPLES, whole.stop, UNIT_SAMPLES), whole.stop]
    wanted = [_cut(whole, max(a, start), b) for a, b in pairwise(edges) if b > max(a, start)]
    known = _committed(con, whole)
    todo: list[Piece] = []
    done: list[Piece] = []
    staged: list[Part] = []
    for piece in wanted:
        there = [_cut(piece, a, b) for a, b in known if a < piece.stop and b > piece.first]
        done += there
        for gap in _gaps(piece, there):
            parts = [find_part(lake, p.table, p.name, p.unit) for p in gap.parts()]
            found = [part for part in parts if part is not None]
            if len(found) == len(parts):
                staged += found
                done.append(gap)
            else:
                todo.append(gap)
    return todo, done, staged


def dry_run(root: str | PurePath, drawer: Drawer, *, seed: int, count: int, start: int = 0) -> SynthPlan:
    """What `synthesise` would do with the lake at `root`, which need not be there yet. A few samples are drawn to tell
    their size; nothing is written."""
    drawer.check()
    version = version_of(drawer)
    lake = Lake.open(root, read_only=True) if Lake.is_there(root) else None
    whole = Piece(drawer, version, seed, start, start + count)
    if lake is None:
        edges = range(start - start % UNIT_SAMPLES, whole.stop, UNIT_SAMPLES)
        units, due = len(edges), count
    else:
        con = lake.connect(read_only=True)
        try:
            todo, _, _ = plan_pieces(lake, con, drawer, version, seed, start, count)
        finally:
            con.close()
        units, due = len(todo), sum(piece.stop - piece.first for piece in todo)
    return SynthPlan(units, due, count - due, _size(whole) * due if due else 0)


def _size(whole: Piece) -> int:
    """Bytes of a sample, from a few."""
    tried = _cut(whole, whole.first, min(whole.stop, whole.first + TRIED))
    unit = draw(tried)
    return round(sum(len(sample.data) for sample in unit.samples) / (tried.stop - tried.first))


def _per_sample(drawer: Drawer) -> int:
    return 2 if isinstance(drawer, Pairs) else 1


def _cut(piece: Piece, first: int, stop: int) -> Piece:
    return Piece(piece.drawer, piece.version, piece.seed, first, stop)


def _gaps(piece: Piece, there: Sequence[Piece]) -> Iterator[Piece]:
    """What of the piece none of those that are there has."""
    at = piece.first
    for other in sorted(there, key=lambda p: (p.first, p.stop)):
        if other.first > at:
            yield _cut(piece, at, min(other.first, piece.stop))
        at = max(at, other.stop)
    if at < piece.stop:
        yield _cut(piece, at, piece.stop)


def _committed(con: duckdb.DuckDBPyConnection, whole: Piece) -> list[tuple[int, int]]:
    """(first, stop) of the committed pieces of this strategy, version and seed."""
    rows = con.execute(
        "SELECT DISTINCT unit FROM lake.parts WHERE table_name = ? AND starts_with(unit, ?)",
        [SYNTH_TRUTH.name, whole.prefix],
    ).fetchall()
    pairs = (unit.removeprefix(whole.prefix).split("-") for (unit,) in rows)
    return sorted((int(first), int(stop)) for first, stop in pairs)


def _count(drawn: Drawn, staged: list[Part], summary: SynthSummary) -> None:
    staged.extend(drawn.parts)
    summary.images += drawn.images
    summary.bytes += drawn.bytes
    summary.rejected.update(drawn.rejected)


def _scan(
    lake: Lake, drawer: Drawer, tars: DrawnTars, engine: Engine, batch: str, wait_s: float, progress: Progress
) -> scan.ScanSummary:
    return scan.scan(
        lake,
        tars,
        engine=engine,
        batch=batch,
        source_name=source_name(drawer),
        unit_samples=UNIT_SAMPLES * _per_sample(drawer),
        wait_s=wait_s,
        progress=progress,
    )


def _link(lake: Lake, drawer: Drawer, folder: PurePath, engine: Engine, batch: str) -> int:
    """The pairs of the batch as rows of `edits`."""
    with lake.connect() as con:
        pairs = pairs_of(con, folder, source_name(drawer), batch)
    if not pairs.pairs:
        return 0
    done = edits(lake, pairs, engine=engine, batch=batch, source_name=source_name(drawer), origin="synthetic")
    return done.pairs
