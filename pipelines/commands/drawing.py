"""What all commands that draw share: their options, and drawing into a lake with progress bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.options import EngineName, chosen_engine

if TYPE_CHECKING:
    from pipelines.synthesising.unit import Drawer

WAIT_S = 600.0  # for the lake's lock, where another run is committing
PARTLY = 7  # exit code: done, but some units failed
SEED = 1
WHAT = "What is drawn"

CountOption = Annotated[int, typer.Option("--count", "-n", min=1, help="Samples; raised later, new ones are added.")]
SeedOption = Annotated[int, typer.Option("--seed", "-s", min=0, help="Sample i depends on seed and i alone.")]
StartOption = Annotated[int, typer.Option("--start", min=0, help="Number of the first sample.")]
FontsOption = Annotated[
    list[Path] | None,
    typer.Option("--fonts", "-f", help="A folder of fonts beside the system's.", rich_help_panel=WHAT),
]
TarsOption = Annotated[
    str | None, typer.Option("--out", "-o", help="Folder of the tars; within the lake if not given.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")]


@dataclass(frozen=True)
class Run:
    """The options that say how much is drawn, where to and by whom, not what."""

    seed: int
    count: int
    start: int
    batch: str
    out: str | None
    workers: int
    engine: EngineName
    engine_opt: list[str] | None
    catalog: str | None
    dry_run: bool
    quiet: bool


def draw_into(lake: PurePath, drawer: Drawer, left_out: Callable[[], Counter[str]], run: Run) -> None:
    """Draw samples into the lake and say what became of them; with `dry_run` only what would be done. Exits with PARTLY
    where some units failed."""
    from pipelines.engines.pool import workers_kept
    from pipelines.progress import bar
    from pipelines.synthesising import synthesise as job
    from warehouse.lake import Lake
    from warehouse.places import place

    if run.dry_run:
        typer.echo(str(job.dry_run(lake, drawer, seed=run.seed, count=run.count, start=run.start)))
        return
    chosen = chosen_engine(run.engine, run.workers, run.engine_opt)
    drawer.check()
    unused = left_out()
    if unused:
        typer.echo("left out: " + ", ".join(f"{n} {what}" for what, n in unused.most_common()), err=True)
    with workers_kept(), bar("draw", enabled=not run.quiet) as show, bar("scan", enabled=not run.quiet) as scanning:
        done = job.synthesise(
            Lake.open_or_create(lake, catalog=run.catalog),
            drawer,
            seed=run.seed,
            count=run.count,
            start=run.start,
            engine=chosen,
            batch=run.batch,
            out=None if run.out is None else _absolute(place(run.out)),
            left_out=unused,
            wait_s=WAIT_S,
            progress=show,
            scanning=scanning,
        )
    typer.echo(str(done))
    if done.failed:
        raise typer.Exit(PARTLY)


def _absolute(path: PurePath) -> PurePath:
    return path.absolute() if isinstance(path, Path) else path
