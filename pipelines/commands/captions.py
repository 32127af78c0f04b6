"""Commands that work on captions."""

from __future__ import annotations

import typer

from pipelines.options import (
    CORES,
    PASSES,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    WorkersOption,
    chosen_engine,
)

captions = typer.Typer(no_args_is_help=True, help="Work on captions.")
app = typer.Typer()
app.add_typer(captions, name="captions", rich_help_panel=PASSES)


@captions.command("fuse")
def fuse(
    lake: LakeOption,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    quiet: QuietOption = False,
) -> None:
    """Fuse the facts of captions as delivered (names, places, dates) with the recaptions that lack them.

    Example: [bold]glyphmill captions fuse --lake lake[/bold]
    """
    from pipelines import fuse_captions as job
    from pipelines.progress import bar
    from warehouse.lake import Lake

    with bar("fuse", enabled=not quiet) as show:
        done = job.fuse_captions(Lake.open(lake), engine=chosen_engine(engine, workers, engine_opt), progress=show)
    typer.echo(str(done))
