"""The command that lists evaluation sets, so that nothing of them is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import (
    CORES,
    DECISIONS,
    CatalogOption,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    WorkersOption,
    chosen_engine,
)

app = typer.Typer()


@app.command(rich_help_panel=DECISIONS)
def block(
    lake: LakeOption,
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the evaluation set.", show_default=False)],
    images: Annotated[
        str | None, typer.Option("--images", help="Its images: a folder, tar or Parquet file.", show_default=False)
    ] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option("--prompts", help="Its prompts: .txt, .jsonl, .json, .csv or .tsv; may be given again."),
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Field of the prompts; prompt, text or caption if not given.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the set off the lists.")] = False,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    quiet: QuietOption = False,
) -> None:
    """List an evaluation set: its images, their near pairs and captions with its prompts become `evaluation`.

    Example: [bold]glyphmill block --name geneval --prompts evaluation_metadata.jsonl --lake lake[/bold]
    """
    from pipelines import block as job
    from pipelines.progress import bar
    from warehouse.lake import Lake
    from warehouse.sources import open_source

    if remove:
        gone = job.unblock(Lake.open(lake, catalog=catalog), name)
        typer.echo(f"{name} is off the lists: {gone[0]} images, {gone[1]} prompts")
        return
    read = [prompt for file in prompts or [] for prompt in job.read_prompts(file, field)]
    with bar("scan", enabled=not quiet) as show:
        done = job.block(
            Lake.open_or_create(lake, catalog=catalog),
            name,
            images=open_source(images) if images else None,
            prompts=read if prompts else None,
            engine=chosen_engine(engine, workers, engine_opt),
            progress=show,
        )
    typer.echo(str(done))
    if done.new_images:
        typer.echo("now run `glyphmill near` to find their copies, then `glyphmill decide`")
