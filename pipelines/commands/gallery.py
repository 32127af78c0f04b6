"""The command that draws contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import DECISIONS, LakeOption

app = typer.Typer()


@app.command(rich_help_panel=DECISIONS)
def gallery(
    lake: LakeOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .png for one sheet of all rules, or a folder for one sheet a rule.")
    ] = Path("gallery.png"),
    each: Annotated[int, typer.Option("--each", "-n", min=1, max=24, help="At most so many pictures a rule.")] = 8,
    columns: Annotated[int, typer.Option("--columns", min=1, max=24, help="Pictures in a row.")] = 8,
) -> None:
    """Draw what each rule drops and what is kept: contact sheets from the original bytes, to be looked at.

    Example: [bold]glyphmill gallery --lake lake --out gallery.png[/bold]
    """
    from pipelines.looking.gallery import gallery as draw
    from warehouse.lake import Lake

    files = draw(Lake.open(lake, read_only=True), out, each=each, columns=columns)
    typer.echo(f"{out}" if len(files) == 1 else f"{len(files)} sheets at {out}")
