"""Curate: every pass in one go, under one lock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath

from pipelines.decide import DecideSummary
from pipelines.engines import Engine
from pipelines.engines.pool import workers_kept
from pipelines.export import ExportSummary
from pipelines.inspect import InspectSummary, chosen_extractors
from pipelines.near.pairs import NearSummary
from pipelines.passes import Mill, passes
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.scan import ScanSummary, scan
from warehouse.lake import Lake
from warehouse.sources import Source

Bar = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class CurateSummary:
    scanned: ScanSummary
    near: NearSummary
    inspected: InspectSummary
    decided: DecideSummary
    exported: ExportSummary


def curate(
    root: str | PurePath,
    source: Source,
    recipe: Recipe,
    *,
    engine: Engine,
    bar: Bar,
    source_name: str | None = None,
    batch: str = "default",
    dataset: str = "main",
    catalog: str | None = None,
) -> CurateSummary:
    """Run the passes on the lake at `root`, which is made if it is not there; each pass commits by itself.

    `catalog`: of a new lake (`Lake.create`). What an interrupted run has committed or staged is not done again. Raises
    UsageError, before any byte is read, where the recipe asks for what this machine cannot measure; LakeBusy where
    another run holds the lake.
    """
    inspecting = chosen_extractors(recipe)
    lake = Lake.open_or_create(root, catalog=catalog)

    def scanning(show: Progress) -> ScanSummary:
        return scan(lake, source, batch=batch, source_name=source_name, engine=engine, progress=show)

    mill = Mill(lake, recipe, engine, scanning, dataset=dataset)
    with lake.lock("curate"), workers_kept():
        for step in passes(recipe, inspecting):
            with bar(step.title) as show:
                step.work(mill, show)
    assert mill.decided is not None
    assert mill.exported is not None
    return CurateSummary(mill.scanned, mill.near, mill.inspected, mill.decided, mill.exported)
