"""Commands that look at stored signals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import DECISIONS, LakeOption

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="List stored signals; plot one with a recipe's thresholds.")
app.add_typer(group, name="signals", rich_help_panel=DECISIONS)


@group.command("list")
def list_signals(lake: LakeOption) -> None:
    """Every signal that the lake has: its table, how many images lack it, and what it is.

    Example: [bold]glyphmill signals list --lake lake[/bold]
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pipelines.looking.signals_plot import listed
    from warehouse.lake import Lake

    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        rows = listed(con)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("signal", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("missing", justify="right")
    table.add_column("what it is", overflow="fold")
    for row in rows:
        missing = "-" if row.missing == 0 else f"{row.missing:.1%}"
        table.add_row(row.name, row.table.removeprefix("signals_"), missing, row.doc)
    Console().print(table)


@group.command("plot")
def plot_signal(
    name: Annotated[str, typer.Argument(help="A signal, as recipes name it.", show_default=False)],
    lake: LakeOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Picture to write (.png, .svg, .pdf); NAME.png if not given.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", "-r", envvar="GLYPHMILL_RECIPE", help="Recipe whose thresholds are drawn in."),
    ] = None,
) -> None:
    """Draw the histogram of a signal, with the thresholds of a recipe's rules and what they keep and drop.

    Example: [bold]glyphmill signals plot sharpness --lake lake --recipe starter[/bold]
    """
    from pipelines import recipe as recipes_module
    from pipelines.looking.signals_plot import Histogram, plot
    from warehouse.lake import Lake

    file = out or Path(f"{name}.png")
    chosen = recipes_module.load(recipe) if recipe else None
    found = plot(Lake.open(lake, read_only=True), name, file, chosen)
    typer.echo(f"{found.images - found.missing:,} images with {name}, {found.missing:,} without: {file}")
    for cut in found.cuts if isinstance(found, Histogram) else ():
        typer.echo(f"  stage {cut.stage}, {cut.rule}: keeps {cut.kept:,}, drops {cut.dropped:,}")
