"""The command that takes in edit pairs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pipelines.options import (
    CORES,
    PASSES,
    BatchOption,
    CatalogOption,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    NameOption,
    QuietOption,
    WorkersOption,
    chosen_engine,
)

app = typer.Typer()


class Origin(StrEnum):
    real = "real"
    synthetic = "synthetic"


@app.command(rich_help_panel=PASSES)
def edits(
    src: Annotated[
        str,
        typer.Argument(metavar="SRC", help="Folder or Parquet file with reference, target, instruction."),
    ],
    lake: LakeOption,
    source_name: NameOption = None,
    batch: BatchOption = "default",
    origin: Annotated[Origin, typer.Option("--origin", help="Collected, or made.")] = Origin.real,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    quiet: QuietOption = False,
) -> None:
    """Take in edit pairs: scan their pictures, link them, check what stayed the same.

    Example: [bold]glyphmill edits pairs/ --lake lake --batch 2026-11-21[/bold]
    """
    from pipelines import edits as job
    from pipelines.progress import bar
    from warehouse.lake import Lake
    from warehouse.sources.edits import open_edits

    source = open_edits(src)
    with bar("scan", enabled=not quiet) as show:
        done = job.edits(
            Lake.open_or_create(lake, catalog=catalog),
            source,
            engine=chosen_engine(engine, workers, engine_opt),
            batch=batch,
            source_name=source_name,
            origin=origin.value,
            progress=show,
        )
    typer.echo(str(done))
