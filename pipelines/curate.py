"""Curate: scan, near pairs, decide, inspect, categorize, decide again, balance and export, under one lock.

What the first decision drops is not inspected: OCR and models see only what scan's signals let pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipelines.balancing.balance import balance
from pipelines.categories.categorize import categorize
from pipelines.decide import DecideSummary, decide
from pipelines.engines import Engine
from pipelines.export import ExportSummary, export
from pipelines.inspect import InspectSummary, chosen_extractors, inspect
from pipelines.near_pairs import NearSummary, near
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
    root: Path,
    source: Source,
    recipe: Recipe,
    *,
    engine: Engine,
    bar: Bar,
    source_name: str | None = None,
    batch: str = "default",
    dataset: str = "main",
) -> CurateSummary:
    """Run the passes on the lake at `root`, which is made if it is not there; each pass commits by itself.

    What an interrupted run has committed or staged is not done again. Raises UsageError, before any byte is read, where
    the recipe asks for what this machine cannot measure; LakeBusy where another run holds the lake.
    """
    inspecting = chosen_extractors(recipe)
    lake = Lake.open_or_create(root)
    with lake.lock("curate"):
        with bar("scan") as show:
            scanned = scan(lake, source, batch=batch, source_name=source_name, engine=engine, progress=show)
        with bar("near pairs") as show:
            pairs = near(lake, engine=engine, progress=show)
        with bar("decide") as show:
            decided = decide(lake, recipe, progress=show)
        inspected = InspectSummary()
        if inspecting:
            with bar("inspect") as show:
                inspected = inspect(lake, recipe, engine=engine, progress=show)
        if recipe.balance is not None:
            with bar("categorize") as show:
                categorize(lake, engine=engine, taxonomy=recipe.balance.taxonomy, progress=show)
        if inspecting or recipe.balance is not None:
            with bar("decide") as show:
                decided = decide(lake, recipe, progress=show)
        if recipe.balance is not None:
            with bar("balance") as show:
                balance(lake, recipe, progress=show)
        with bar("export") as show:
            exported = export(lake, recipe, engine=engine, dataset=dataset, progress=show)
    return CurateSummary(scanned, pairs, inspected, decided, exported)
