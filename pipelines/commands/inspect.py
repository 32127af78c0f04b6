"""The command of the second pass."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.options import (
    CORES,
    PASSES,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    RecipeOption,
    WorkersOption,
    chosen_engine,
)

app = typer.Typer()


@app.command(rich_help_panel=PASSES)
def inspect(
    lake: LakeOption,
    recipe: RecipeOption = "starter",
    extractors: Annotated[
        str, typer.Option("--extractors", "-e", help="Names with commas; those the recipe asks for if not given.")
    ] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Only images that wait for a signal.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many images.")] = None,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Second pass over bytes, for images not dropped by then: OCR, codes, faces, watermarks, captions, alignment.

    Example: [bold]glyphmill inspect --lake lake --recipe starter --pending[/bold]
    """
    from pipelines import inspect as job
    from pipelines import recipe as recipes_module
    from pipelines.progress import bar
    from warehouse.lake import Lake

    chosen = recipes_module.load(recipe)
    names = [name.strip() for name in extractors.split(",") if name.strip()]
    if dry_run:
        typer.echo(job.plan(Lake.open(lake, read_only=True), chosen, names, pending=pending))
        return
    with bar("inspect", enabled=not quiet) as show:
        done = job.inspect(
            Lake.open(lake),
            chosen,
            engine=chosen_engine(engine, workers, engine_opt),
            extractors=names,
            pending=pending,
            limit=limit,
            progress=show,
        )
    typer.echo(str(done))
